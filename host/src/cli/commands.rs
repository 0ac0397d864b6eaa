//! The subcommands that read or write a data folder, or ask a running host.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};

use super::client::Client;
use super::{ExportArgs, From, ImportArgs, ListArgs, PluginsArgs, ShowArgs, table};
use crate::catalog::{DataFolder, note_damage, report};
use crate::engine::complete_at_rest;
use crate::loader;
use crate::query::{self, Limits, Status};
use crate::store::{self, AsBase, Database, ExportedStat, ImportOptions};

pub(super) fn stats(args: &ListArgs) -> Result<()> {
    let status = status(&args.from)?;
    table::stats(&status.stats, args.format, &mut std::io::stdout().lock())?;
    Ok(())
}

fn status(from: &From) -> Result<Status> {
    match &from.url {
        Some(url) => Ok(Client::new(url, from.token.clone())?.status()?),
        None => Ok(open(from)?.status()),
    }
}

fn open(from: &From) -> Result<DataFolder> {
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
        anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(url) = &args.from.url {
        let client = Client::new(url, args.from.token.clone())?;
        client.show(&args.ident, &pairs, args.format, &mut out)?;
        return Ok(());
    }
    let folder = open(&args.from)?;
    let Some(view) = folder.stat(&args.ident)? else {
        bail!("there is no stat {:?} here; there are: {}", args.ident, folder.idents().join(", "));
    };
    let limits =
        Limits { max_rows: u64::MAX, max_time: std::time::Duration::MAX, ..Limits::default() };
    let shown = table::show(&view.snapshot, &query, &limits, args.format, &mut out);
    folder.note_damage(&view)?;
    Ok(shown?)
}

/// The query of the flags, as the API's parameters.
fn parameters(args: &ShowArgs) -> Result<Vec<(String, String)>> {
    let limit = args.limit.map(|limit| limit.to_string());
    let flags = [
        ("model", &args.model),
        ("order", &args.order),
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
            .with_context(|| format!("--where {filter:?}: give it as NAME=VALUE"))?;
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

pub(super) fn plugins(args: &PluginsArgs) -> Result<()> {
    let folders = if args.plugins.is_empty() {
        vec![args.data.join("plugins")]
    } else {
        args.plugins.clone()
    };
    let copies = tempfile::TempDir::new()?;
    let loaded = loader::load_folders(&folders, copies.path());
    let reports: Vec<_> = loaded.reports.iter().map(report).collect();
    table::plugins(&reports, args.format, &mut std::io::stdout().lock())?;
    Ok(())
}

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let database = Database::open_existing(&args.data)?;
    let known = database.idents()?;
    if let Some(unknown) = args.stats.iter().find(|ident| !known.contains(ident)) {
        bail!("there is no stat {unknown:?} here; there are: {}", known.join(", "));
    }
    let wanted = if args.stats.is_empty() { &known } else { &args.stats };
    let exported = wanted
        .iter()
        .map(|ident| {
            Ok(ExportedStat {
                snapshot: database.open_stored(ident)?.snapshot(),
                complete_until_us: complete_at_rest(&database, ident).time_us(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let written = write_export(&exported, args.out.as_ref());
    for stat in &exported {
        note_damage(&database, &stat.snapshot)?;
    }
    let rows = written?;
    eprintln!("exported {} stats, {rows} rows", exported.len());
    Ok(())
}

fn write_export(exported: &[ExportedStat], path: Option<&PathBuf>) -> Result<u64> {
    let Some(path) = path else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let rows = store::export(exported, &mut out)?;
        out.flush()?;
        return Ok(rows);
    };
    let mut out = BufWriter::new(create(path)?);
    let rows = store::export(exported, &mut out)?;
    out.into_inner().map_err(|error| anyhow!("{error}"))?.sync_all()?;
    Ok(rows)
}

fn create(path: &PathBuf) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

pub(super) fn import(args: &ImportArgs) -> Result<()> {
    std::fs::create_dir_all(&args.data)?;
    let database = Database::open(&args.data)?.database;
    let logs = crate::sources::known_logs(&args.data);
    let as_base = match args.as_base.as_deref() {
        None => None,
        Some("") => Some(AsBase::default()),
        Some(text) => {
            let time_us = query::time::parse(text, crate::clock::now_us())
                .with_context(|| format!("--as-base={text}: give {}", query::time::ALLOWED))?;
            Some(AsBase { complete_until_us: Some(time_us) })
        }
    };
    let options = ImportOptions { known: &|log| logs.contains(&log), as_base };
    let mut input: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(&args.file)
            .with_context(|| format!("cannot read {}", args.file.display()))?;
        Box::new(BufReader::new(file))
    };
    let imported = store::import(&database, &mut *input, &options)?;
    database.sync()?;
    eprintln!(
        "imported {} stats, {} rows; left out {}",
        imported.stats.len(),
        imported.rows,
        imported.left_out
    );
    Ok(())
}
