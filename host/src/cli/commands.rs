//! The subcommands that read or write a data folder, or ask a running host.

use std::io::BufWriter;

use anyhow::{Context, Result, bail};

use super::client::Client;
use super::table::OutputError;
use super::{From, ListArgs, ShowArgs, WrongUsage, table};
use crate::catalog::DataFolder;
use crate::config::nearest::near;
use crate::config::{Config, Flags, Tokens};
use crate::query::{self, Limits, Status};

pub(super) fn stats(args: &ListArgs) -> Result<()> {
    let status = status(&args.from)?;
    table::stats(&status.stats, args.format, &mut std::io::stdout().lock())?;
    Ok(())
}

pub(super) fn status(from: &From) -> Result<Status> {
    match &from.url {
        Some(url) => Ok(client(from, url, Tokens::for_query)?.status()?),
        None => Ok(open(from)?.status()),
    }
}

/// Says that there is no such stat, and which may have been meant.
pub(super) fn unknown_stat(ident: &str, known: &[String]) -> String {
    let near = near(ident, known.iter().map(String::as_str));
    let hint = match &near[..] {
        [] if known.len() > 10 => "`statmill stats` lists them".to_owned(),
        [] => format!("there are: {}", known.join(", ")),
        near => format!("did you mean {}?", near.join(", ")),
    };
    format!("there is no stat {ident:?} here; {hint}")
}

/// Will ask the host at `url`. The token is the one given, or else `wanted` of those configured.
pub(super) fn client(
    from: &From,
    url: &str,
    wanted: fn(&Tokens) -> Option<&String>,
) -> Result<Client> {
    let token = match &from.token {
        Some(token) => Some(token.clone()),
        None => {
            let config = Config::load(from.config.as_deref(), std::env::vars(), &Flags::default())?;
            wanted(&config.tokens).cloned()
        }
    };
    Ok(Client::new(url, token)?)
}

pub(super) fn open(from: &From) -> Result<DataFolder> {
    DataFolder::open(&from.data).with_context(|| {
        format!(
            "cannot read the data folder {}; a running host is asked with --url",
            from.data.display()
        )
    })
}

pub(super) fn show(args: &ShowArgs) -> Result<()> {
    let pairs = parameters(args)?;
    let borrowed = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = query::params::parse(borrowed, crate::clock::now_us()).map_err(|errors| {
        WrongUsage(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(url) = &args.from.url {
        let client = client(&args.from, url, Tokens::for_query)?;
        let view = args.view.as_deref();
        let shown = client.show(&args.ident, view, &pairs, args.format, &mut out)?;
        if shown.moved {
            tracing::warn!(
                "rows were committed while pages were read: a row may be missing or stand twice; \
                 narrow the time with --stop, or use export"
            );
        }
        return Ok(());
    }
    if let Some(view) = &args.view {
        bail!("view {view:?} is computed by a plugin: ask the running host with --url");
    }
    let folder = open(&args.from)?;
    let Some(view) = folder.stat(&args.ident)? else {
        bail!(unknown_stat(&args.ident, folder.idents()));
    };
    let shown = table::show(&view.snapshot, &query, &Limits::none(), args.format, &mut out);
    folder.note_damage(&view)?;
    shown.map_err(|error| match error {
        OutputError::Query(error) => error.into(),
        error => error.into(),
    })
}

/// The query of the flags, as the API's parameters.
fn parameters(args: &ShowArgs) -> Result<Vec<(String, String)>> {
    let limit = args.limit.map(|limit| limit.to_string());
    let flags = [
        ("model", &args.model),
        ("order", &args.order),
        ("sort", &args.sort),
        ("start", &args.start),
        ("stop", &args.stop),
        ("limit", &limit),
        ("columns", &args.columns),
    ];
    let mut pairs: Vec<(String, String)> = flags
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect();
    for filter in &args.filters {
        let (name, value) = filter
            .split_once('=')
            .ok_or_else(|| WrongUsage(format!("--where {filter:?}: give it as NAME=VALUE")))?;
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}
