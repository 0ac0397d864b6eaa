//! Counting a span of time again beside the rows that are kept, to see whether they are right.
//!
//! Everything is made in a folder of its own: copies of the journals, a fill of what the history has beside
//! them, a store. The data folder is only read, and no host may run on it meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;
use tempfile::TempDir;

use super::{HostBuilder, HostError, micros};
use crate::catalog::DataFolder;
use crate::engine::{Engine, EngineOptions, LogInput};
use crate::loader;
use crate::log::Log;
use crate::log::file::{FileLog, FileOptions};
use crate::log::fill::Fill;
use crate::log::history::{self, FillOptions, run_fill};
use crate::log::journal::{Journal, JournalOptions};
use crate::log::seam::SeamIndex;
use crate::log::segment::Retention;
use crate::log::source::SourceKind;
use crate::query::shape::ModelShape;
use crate::query::{Column, StatState, Table};
use crate::sources::{folder_name, mapping};
use crate::store::{Database, KeyBounds, Order, Snapshot, tree_name};

/// Most differing rows of a model that are kept to be shown.
const SHOWN_ROWS: usize = 100_000;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// Each model that has windows.
    pub models: Vec<Audited>,
    /// What the audit could not see, in words.
    pub notes: Vec<String>,
}

/// What an audit found of one model.
#[derive(Debug)]
pub struct Audited {
    /// The windows that were compared, by their starts and the end of the last, µs since 1970.
    pub span_us: Range<i64>,
    /// Rows that are the same.
    pub same: u64,
    /// Rows that differ, or that one side alone has.
    pub differing: u64,
    /// The rows that differ: which model, whose row (`stored` or `recounted`), and the row.
    pub table: Table,
}

impl Audit {
    /// Number of rows that differ.
    #[must_use]
    pub fn differing(&self) -> u64 {
        self.models.iter().map(|model| model.differing).sum()
    }
}

impl HostBuilder {
    /// Counts the messages of `span_us` again, and compares the rows of the stat `ident` whose windows lie in
    /// it and in what the rows are complete until.
    ///
    /// Messages come from the history, the journals that are kept and the files that are read in place. The
    /// host must not run.
    ///
    /// # Errors
    /// [`HostError`]; [`HostError::Audit`] if there is nothing to compare or the history cannot be read.
    pub fn audit(self, ident: &str, span_us: Range<i64>) -> Result<Audit, HostError> {
        let fail = |reason: String| HostError::Audit { ident: ident.to_owned(), reason };
        let folder = DataFolder::open(&self.data)?;
        let view = folder.stat(ident)?.ok_or_else(|| fail("there is no such stat".to_owned()))?;
        let stored = &*view.snapshot;
        let mut notes = Vec::new();
        let mut end_us = span_us.end;
        if let Some(complete_us) = view.complete_until.time_us().filter(|it| *it < end_us) {
            let until = crate::query::UtcTime(complete_us);
            notes.push(format!(
                "the rows are complete until {until}; what is later is not compared"
            ));
            end_us = complete_us;
        }
        let scratch = TempDir::new().map_err(|source| HostError::Io {
            what: "cannot make a folder to count in".to_owned(),
            source,
        })?;
        let options = self.load_options(&scratch.path().join("plugin-copies"));
        let mut loaded = loader::load_folders(&self.plugin_folders(), &options);
        loaded.stats.retain(|(_, manifest)| manifest.ident == ident);
        let Some((_, manifest)) = loaded.stats.first_mut() else {
            return Err(fail("its plugin is not here; name its folder with --plugins".to_owned()));
        };
        if tree_name(manifest) != tree_name(stored.manifest()) {
            let reason = "its rows are of another version than its plugin; start a host first";
            return Err(fail(reason.to_owned()));
        }
        // What is as old as the span is to be counted, however long ago that is.
        manifest.backlog_delta_s = None;

        let inputs = self.messages(scratch.path(), ident, span_us.start..end_us, &mut notes)?;
        let database = Arc::new(Database::open(&scratch.path().join("data"))?.database);
        let options = EngineOptions {
            threads: 1,
            accept_loss: false,
            history: true,
            watchers: Arc::default(),
            ..self.engine_options()
        };
        let engine = Engine::start(database, &mut BTreeMap::new(), &loaded, inputs, options)?;
        engine.wait_finished();
        let recounted = engine.shared().view(ident, 0);
        let recounted = recounted.ok_or_else(|| fail("it could not be counted".to_owned()))?;
        if matches!(recounted.state, StatState::Failed | StatState::Quarantined) {
            let statuses = engine.shared().stat_statuses(0);
            let reason = statuses.into_iter().find_map(|status| status.reason);
            return Err(fail(format!("counting failed: {}", reason.unwrap_or_default())));
        }
        for log in engine.shared().log_status() {
            notes.extend(log.error.map(|error| format!("{} is not read on: {error}", log.name)));
            let lost = log.losses.into_iter().map(|loss| format!("{}: {}", log.name, loss.reason));
            notes.extend(lost);
        }
        let models = compare(stored, &recounted.snapshot, &(span_us.start..end_us))?;
        engine.stop();
        if models.is_empty() {
            return Err(fail("it has no model with windows to compare".to_owned()));
        }
        Ok(Audit { models, notes })
    }

    /// Everything that may hold messages of the span, as logs that end.
    fn messages(
        &self,
        scratch: &Path,
        ident: &str,
        span_us: Range<i64>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<LogInput>, HostError> {
        let fail = |reason: String| HostError::Audit { ident: ident.to_owned(), reason };
        let seam = SeamIndex::new();
        let mut inputs = Vec::new();
        let mut input = |log: Arc<dyn Log>, max_ahead_us| {
            inputs.push(LogInput {
                log,
                readers: None,
                max_rate: 0,
                max_ahead_us,
                seen: VecDeque::new(),
            });
        };
        for url in &self.sources {
            let mapping = mapping(&self.mappings, url.map.as_deref())?;
            if let SourceKind::File(path) = &url.kind {
                let options = FileOptions {
                    once: true,
                    limits: self.limits,
                    dedup: url.dedup.then_some(self.journal.horizon),
                    ..FileOptions::new(mapping, scratch.join("logs"))
                };
                input(Arc::new(FileLog::open(path, options)?), None);
                continue;
            }
            let name = url.name();
            let (kept, copy) = (
                self.data.join("journals").join(folder_name(&name)),
                scratch.join("journals").join(folder_name(&name)),
            );
            if !kept.is_dir() {
                notes.push(format!("there is no journal of {name}"));
                continue;
            }
            copy_files(&kept, &copy).map_err(|source| HostError::Io {
                what: format!("cannot copy {}", kept.display()),
                source,
            })?;
            let options = JournalOptions {
                arrival_time: url.arrival_time,
                retention: Retention::FOREVER,
                ..self.journal
            };
            let journal = Journal::open(&copy, &name, mapping, options)?;
            journal.finish();
            seam.add_journal(&journal);
            input(journal, url.max_ahead.map(micros));
        }
        let Some(url) = &self.history else {
            if self.sources.iter().any(|source| source.is_journaled()) {
                notes.push("without a history, what journals no longer keep is missing".to_owned());
            }
            return Ok(inputs);
        };
        let mapping = mapping(&self.mappings, url.map.as_deref())?;
        let history = history::open(url, mapping.clone())?;
        let folder = scratch.join("fill");
        let fill = Fill::create(&folder, span_us, &url.to_string(), mapping, [ident.to_owned()])?;
        let fill = Arc::new(fill);
        let options = FillOptions { limits: self.limits, ..FillOptions::default() };
        let stop = AtomicBool::new(false);
        run_fill(&*history, &fill, &seam, options, |_| {}, &stop)
            .map_err(|error| fail(format!("the history was not read to its end: {error}")))?;
        input(fill, None);
        Ok(inputs)
    }
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Compares the rows of all windows that lie in the span and that the stored rows can have.
fn compare(
    stored: &Snapshot,
    recounted: &Snapshot,
    span_us: &Range<i64>,
) -> Result<Vec<Audited>, HostError> {
    let record = stored.record();
    let mut models = Vec::new();
    for (at, model) in stored.models().iter().enumerate() {
        let Some(window_s) = model.model.window_s else { continue };
        let window_us = i64::try_from(window_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let floor_us = record.floors_us.get(at).copied().flatten();
        let from_us = [Some(span_us.start), floor_us, record.cutoff_us].into_iter().flatten();
        let from_us = from_us.max().unwrap_or(span_us.start);
        let from_us = -(-from_us).div_euclid(window_us).saturating_mul(window_us);
        let to_us = span_us.end.div_euclid(window_us).saturating_mul(window_us);
        let shape = ModelShape::new(&model.model);
        let mut audited = Audited {
            span_us: from_us..to_us.max(from_us),
            same: 0,
            differing: 0,
            table: Table { columns: columns(&shape), ..Table::default() },
        };
        if from_us < to_us {
            let bounds = KeyBounds::windows(Some(from_us), Some(to_us - 1));
            let scan = |rows: &Snapshot| rows.scan(at, &bounds, Order::Asc, 0);
            let (mut left, mut right) = (scan(stored).peekable(), scan(recounted).peekable());
            loop {
                // Errors stand first: who reads on would miss rows.
                let key = |row: Option<&Result<(Vec<u8>, Vec<u8>), _>>| match row {
                    Some(Ok((key, _))) => Some(key.clone()),
                    _ => None,
                };
                let (a, b) = (key(left.peek()), key(right.peek()));
                let take_left = left.peek().is_some_and(Result::is_err)
                    || a.as_ref().is_some_and(|a| b.as_ref().is_none_or(|b| a <= b));
                let take_right = right.peek().is_some_and(Result::is_err)
                    || b.as_ref().is_some_and(|b| a.as_ref().is_none_or(|a| b <= a));
                if !take_left && !take_right {
                    break;
                }
                let a = left.next_if(|_| take_left).transpose()?;
                let b = right.next_if(|_| take_right).transpose()?;
                audited.take(&model.name, &shape, a, b)?;
            }
        }
        audited.table.total = audited.table.rows.len() as u64;
        models.push(audited);
    }
    Ok(models)
}

type Row = (Vec<u8>, Vec<u8>);

impl Audited {
    /// Compares two rows of one key, of which one may not be there.
    fn take(
        &mut self,
        model: &str,
        shape: &ModelShape<'_>,
        stored: Option<Row>,
        recounted: Option<Row>,
    ) -> Result<(), HostError> {
        if stored == recounted {
            self.same += 1;
            return Ok(());
        }
        let cells = |row: Option<Row>, whose: &str| -> Result<Option<Vec<Value>>, HostError> {
            let Some((key, value)) = row else { return Ok(None) };
            let mut cells = vec![Value::Text(model.into()), Value::Text(whose.into())];
            let decoded = shape
                .key_cells(&key, &mut cells)
                .and_then(|()| shape.value_cells(&value, &mut cells));
            let reason = |error| format!("a row of {model} cannot be read: {error}");
            decoded
                .map_err(|error| HostError::Audit { ident: model.into(), reason: reason(error) })?;
            Ok(Some(cells))
        };
        let (a, b) = (cells(stored, "stored")?, cells(recounted, "recounted")?);
        // What orders equal times may differ: it was read from other logs.
        if let (Some(a), Some(b)) = (&a, &b)
            && a[2..] == b[2..]
        {
            self.same += 1;
            return Ok(());
        }
        self.differing += 1;
        if self.table.rows.len() < SHOWN_ROWS {
            self.table.rows.extend(a.into_iter().chain(b));
        }
        Ok(())
    }
}

fn columns(shape: &ModelShape<'_>) -> Vec<Column> {
    let own = ["model", "found"].map(|name| Column {
        name: name.to_owned(),
        kind: ValueKind::Text,
        unit: String::new(),
    });
    own.into_iter().chain(shape.columns().iter().cloned()).collect()
}
