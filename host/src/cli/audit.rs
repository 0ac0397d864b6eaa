//! `audit`: rows counted again and compared with those that are kept.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::WrongUsage;
use super::table::{self, OutputFormat};
use crate::Host;
use crate::config::{Config, Flags};
use crate::query::{self, UtcTime};

/// Flags go before `STATMILL_…` variables, those before the file.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// The stat.
    ident: String,
    /// Where the span begins: Unix seconds, RFC 3339, or relative like `-7d`.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: String,
    /// Where it ends, itself not in it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "now")]
    to: String,
    /// Configuration file.
    #[arg(long, env = "STATMILL_CONFIG")]
    config: Option<PathBuf>,
    /// Data folder that no running host has open.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of plugins, or a single library; may be given again.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// A source of the host whose rows these are; may be given again.
    #[arg(long = "source", value_name = "URL")]
    sources: Vec<String>,
    /// Where all messages of the span can be had.
    #[arg(long, value_name = "URL")]
    history: Option<String>,
    /// How to print: table, json, csv or ndjson.
    #[arg(long, default_value = "table")]
    format: OutputFormat,
}

/// The rows are not what the messages say.
#[derive(Debug, thiserror::Error)]
#[error("{0} rows differ")]
pub(super) struct Differs(u64);

pub(super) fn audit(args: &AuditArgs) -> Result<()> {
    let flags = Flags {
        data: args.data.clone(),
        plugins: args.plugins.clone(),
        sources: args.sources.clone(),
        history: args.history.clone(),
        ..Flags::default()
    };
    let config = Config::load(args.config.as_deref(), std::env::vars(), &flags)?;
    let (from_us, to_us) = (time("--from", &args.from)?, time("--to", &args.to)?);
    if from_us >= to_us {
        return Err(WrongUsage("--to is not after --from".to_owned()).into());
    }
    let audit = Host::builder().config(&config).audit(&args.ident, from_us..to_us)?;
    let mut out = std::io::stdout().lock();
    table::print(audit.models.iter().map(|model| &model.table), args.format, &mut out)?;
    out.flush()?;
    for note in &audit.notes {
        tracing::warn!("{note}");
    }
    for (at, model) in audit.models.iter().enumerate() {
        tracing::info!(
            model = at,
            from = %UtcTime(model.span_us.start),
            to = %UtcTime(model.span_us.end),
            "{} rows are the same, {} differ",
            model.same,
            model.differing
        );
    }
    match audit.differing() {
        0 => Ok(()),
        differing => Err(Differs(differing).into()),
    }
}

fn time(flag: &str, text: &str) -> Result<i64> {
    let now_us = crate::clock::now_us();
    let time = if text == "now" { Some(now_us) } else { query::time::parse(text, now_us) };
    let wrong = || WrongUsage(format!("{flag} {text:?}: give {}", query::time::ALLOWED));
    Ok(time.ok_or_else(wrong)?)
}
