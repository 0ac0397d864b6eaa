//! `import`: rows of an export, or of an original statscache's database, into a data folder.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;

use super::{ImportArgs, ImportFrom, StatscacheArgs, WrongUsage};
use crate::loader::{self, LoadOptions};
use crate::query::time::{self, UtcTime};
use crate::statscache::{self, Connection, Names, Options, Outcome, Table};
use crate::store::{self, AsBase, Database, ImportOptions};

pub(super) fn import(args: &ImportArgs) -> Result<()> {
    match (&args.from, &args.file) {
        (Some(ImportFrom::Statscache(from)), _) => of_statscache(from),
        (None, Some(file)) => of_export(args, file),
        (None, None) => bail!(WrongUsage("import what? name the file".to_owned())),
    }
}

fn of_export(args: &ImportArgs, file: &Path) -> Result<()> {
    let mut input: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        Box::new(BufReader::new(opened))
    };
    let database = open(&args.data)?;
    let logs = crate::sources::known_logs(&args.data);
    let as_base = match args.as_base.as_deref() {
        None => None,
        Some("") => Some(AsBase::default()),
        Some(text) => Some(AsBase { complete_until_us: Some(time_us("--as-base", text)?) }),
    };
    let options = ImportOptions { known: &|log| logs.contains(&log), as_base };
    let imported = store::import(&database, &mut *input, &options)
        .with_context(|| format!("cannot import {}", file.display()))?;
    database.sync()?;
    eprintln!(
        "imported {} stats, {} rows; left out {}",
        imported.stats.len(),
        imported.rows,
        imported.left_out
    );
    Ok(())
}

fn of_statscache(args: &StatscacheArgs) -> Result<()> {
    let names = args.tables.iter().map(|text| {
        let named = text.split_once('=').map(|(table, ident)| (table.to_owned(), ident.to_owned()));
        named.ok_or_else(|| WrongUsage(format!("--table {text:?}: give it as TABLE=IDENT")))
    });
    let names = Names::with(names.collect::<Result<_, _>>()?);
    let zone = TimeZone::get(&args.zone).map_err(|error| {
        WrongUsage(format!("--zone {:?}: {error}; give a name like Europe/Berlin", args.zone))
    })?;
    let until_us = args.until.as_deref().map(|text| time_us("--until", text)).transpose()?;
    let mut original = Connection::open(&args.database, &names)?;
    let folders = match args.plugins.as_slice() {
        [] => vec![args.data.join("plugins")],
        named => named.to_vec(),
    };
    let copies = tempfile::TempDir::new()?;
    let loaded = loader::load_folders(&folders, &LoadOptions::copying_to(copies.path()));
    let stats: Vec<_> = loaded.stats.iter().map(|(_, manifest)| manifest.clone()).collect();
    let here = open(&args.data)?;
    let options = Options { zone, names, until_us, partial: args.partial };
    let report = statscache::import(&mut original, &here, &stats, &options)?;
    report.tables.iter().for_each(|table| eprintln!("{}", told(table)));
    if !report.done {
        bail!("nothing was imported: see above; --partial takes the tables that are not refused");
    }
    Ok(())
}

/// A line about a table.
fn told(table: &Table) -> String {
    let (name, given) = (&table.name, table.rows);
    match &table.outcome {
        Outcome::Taken { ident, rows, left_out, cutoff_us } => {
            let until = cutoff_us.map_or_else(String::new, |us| UtcTime(us).to_string());
            format!(
                "{name}: {given} rows are {rows} of {ident}, complete until {until}; {left_out} left out"
            )
        }
        Outcome::Empty { ident } => format!("{name}: no rows; {ident} begins anew"),
        Outcome::Refused { reason } => format!("{name}: refused: {reason}"),
    }
}

fn open(data: &Path) -> Result<Database> {
    std::fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data folder {}", data.display()))?;
    Ok(Database::open(data)?.database)
}

fn time_us(flag: &str, text: &str) -> Result<i64> {
    let time_us = time::parse(text, crate::clock::now_us());
    time_us.ok_or_else(|| WrongUsage(format!("{flag}={text}: give {}", time::ALLOWED)).into())
}
