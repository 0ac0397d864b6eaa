//! `dead-letters`: lists the messages that plugins could not fold, and decides on them.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::commands::{client, open, status, unknown_stat};
use super::table::{self, OutputFormat};
use super::{From, ListArgs, WrongUsage};
use crate::admin::{LetterAt, Settled, SettledLetter};
use crate::config::Tokens;
use crate::log::Offset;
use crate::query::Status;
use crate::query::status::StatStatus;
use crate::render::html::encode;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LettersArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: ListedArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them (what the command does by itself).
    List(ListedArgs),
    /// Fold messages again, after the plugin was mended: what it can fold now is counted, and the letter is
    /// gone; the rest stays. Asks a running host.
    Retry(DecideArgs),
    /// Give messages up: they will never be counted.
    Drop(DecideArgs),
}

#[derive(Debug, Args)]
struct ListedArgs {
    /// Of this stat only.
    ident: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct DecideArgs {
    /// The stat.
    ident: String,
    /// Id or name of the log that the message is in, as `list` shows it.
    #[arg(value_name = "LOG", requires = "offset", conflicts_with = "all")]
    log_name: Option<String>,
    /// Where in that log.
    offset: Option<u64>,
    /// All dead letters of the stat.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    from: From,
    /// How to print what became of each: table, json, csv or ndjson.
    #[arg(long, default_value = "table")]
    format: OutputFormat,
}

/// Some dead letter could not be folded, or not even tried.
#[derive(Debug, thiserror::Error)]
#[error("{0} of {1} dead letters stay")]
struct Stay(usize, usize);

pub(super) fn dead_letters(args: &LettersArgs) -> Result<()> {
    match &args.what {
        None => list(&args.list),
        Some(What::List(args)) => list(args),
        Some(What::Retry(args)) => match &args.from.url {
            Some(url) => report(&ask(args, url, "retry")?, args.format),
            None => bail!(
                "folding a message again needs the plugin: start the host on {} and ask it with --url",
                args.from.data.display()
            ),
        },
        Some(What::Drop(args)) => match &args.from.url {
            Some(url) => report(&ask(args, url, "drop")?, args.format),
            None => report(&drop_at_rest(args)?, args.format),
        },
    }
}

fn list(args: &ListedArgs) -> Result<()> {
    let status = status(&args.list.from)?;
    if let Some(ident) = &args.ident {
        find(&status, ident)?;
    }
    let wanted = |stat: &&StatStatus| args.ident.as_ref().is_none_or(|it| *it == stat.ident);
    let stats = status.stats.iter().filter(wanted);
    table::dead_letters(stats, args.list.format, &mut std::io::stdout().lock())?;
    Ok(())
}

fn find<'a>(status: &'a Status, ident: &str) -> Result<&'a StatStatus> {
    match status.stats.iter().find(|stat| stat.ident == ident) {
        Some(stat) => Ok(stat),
        None => {
            let known: Vec<_> = status.stats.iter().map(|stat| stat.ident.clone()).collect();
            bail!(unknown_stat(ident, &known));
        }
    }
}

/// Which dead letters are meant, in the words of the API.
fn which(args: &DecideArgs) -> Result<serde_json::Value> {
    match (&args.log_name, args.offset, args.all) {
        (Some(log), Some(offset), false) => Ok(json!({ "log": log, "offset": offset })),
        (None, None, true) => Ok(json!({ "all": true })),
        _ => Err(WrongUsage("name the LOG and OFFSET of one, or all with --all".to_owned()).into()),
    }
}

fn ask(args: &DecideArgs, url: &str, what: &str) -> Result<Settled> {
    let client = client(&args.from, url, Tokens::for_admin)?;
    Ok(client.post(&format!("/api/_admin/{}/{what}", encode(&args.ident)), &which(args)?)?)
}

fn drop_at_rest(args: &DecideArgs) -> Result<Settled> {
    which(args)?;
    let folder = open(&args.from)?;
    let status = folder.status();
    let stat = find(&status, &args.ident)?;
    let wanted = match (&args.log_name, args.offset) {
        (Some(log), Some(offset)) => vec![at(stat, log, offset)?],
        _ => stat.letters.iter().map(|it| LetterAt { log: it.log, offset: it.offset }).collect(),
    };
    let mut letters = Vec::new();
    for at in wanted {
        folder.drop_letter(&args.ident, at)?;
        letters.push(SettledLetter { at, outcome: "dropped".to_owned(), reason: None });
    }
    Ok(Settled { stat: args.ident.clone(), letters })
}

/// The letter at `offset` of the log with this id or name.
fn at(stat: &StatStatus, log: &str, offset: u64) -> Result<LetterAt> {
    let named = || stat.positions.iter().find(|(_, at)| at.name == log).map(|(id, _)| *id);
    match log.parse().ok().or_else(named) {
        Some(log) => Ok(LetterAt { log, offset: Offset(offset) }),
        None => bail!("stat {:?} knows no log {log:?}", stat.ident),
    }
}

fn report(settled: &Settled, format: OutputFormat) -> Result<()> {
    table::settled(settled, format, &mut std::io::stdout().lock())?;
    let gone = |letter: &&SettledLetter| ["folded", "dropped"].contains(&&*letter.outcome);
    let done = settled.letters.iter().filter(gone).count();
    if done < settled.letters.len() {
        return Err(Stay(settled.letters.len() - done, settled.letters.len()).into());
    }
    Ok(())
}
