//! `export`: rows and positions of a data folder or a running host, as JSON lines.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::ExportArgs;
use super::commands::{client, unknown_stat};
use crate::catalog::note_damage;
use crate::config::Tokens;
use crate::engine::complete_at_rest;
use crate::store::{self, Database, Exported, ExportedStat, StoreError};

pub(super) fn export(args: &ExportArgs) -> Result<()> {
    let exported = match &args.from.url {
        Some(url) => {
            let client = client(&args.from, url, Tokens::for_admin)?;
            deliver(args.out.as_deref(), |out| Ok(client.export(&args.stats, out)?))?
        }
        None => of_folder(args)?,
    };
    eprintln!("exported {} stats, {} rows", exported.stats, exported.rows);
    Ok(())
}

fn of_folder(args: &ExportArgs) -> Result<Exported> {
    let database = Database::open_existing(&args.from.data)?;
    let known = database.idents()?;
    if let Some(unknown) = args.stats.iter().find(|ident| !known.contains(ident)) {
        bail!(unknown_stat(unknown, &known));
    }
    let wanted = if args.stats.is_empty() { &known } else { &args.stats };
    let stat = |ident: &String| -> Result<ExportedStat, StoreError> {
        Ok(ExportedStat {
            snapshot: database.open_stored(ident)?.snapshot(),
            complete_until_us: complete_at_rest(&database, ident).time_us(),
        })
    };
    let mut snapshots = Vec::new();
    let exported = deliver(args.out.as_deref(), |out| {
        let stats = wanted.iter().map(stat).inspect(|stat| {
            snapshots.extend(stat.as_ref().map(|stat| Arc::clone(&stat.snapshot)));
        });
        Ok(store::export(stats, out)?)
    });
    // Whoever starts a host here next must know what reading found.
    snapshots.iter().try_for_each(|snapshot| note_damage(&database, snapshot))?;
    exported
}

/// Lets `write` write to a file, or to standard output. A file is there under its name only once it is
/// whole: one that was there before is kept until then.
fn deliver(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<Exported>,
) -> Result<Exported> {
    let Some(path) = path else {
        return write(&mut BufWriter::new(std::io::stdout().lock()));
    };
    let cannot = || format!("cannot write {}", path.display());
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        // A pipe or a device has no place for another file of its name.
        return write(&mut BufWriter::new(File::create(path).with_context(cannot)?));
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".statmill-export-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .with_context(cannot)?;
    let mut out = BufWriter::new(file.as_file_mut());
    let exported = write(&mut out)?;
    out.flush().with_context(cannot)?;
    drop(out);
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(&path).with_context(cannot)?;
    Ok(exported)
}
