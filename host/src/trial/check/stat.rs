//! The steps of checking one stat.

use std::time::Duration;

use statmill_plugin_api::abi::state;
use statmill_plugin_api::manifest::{Aggregator, FieldManifest, ModelManifest, StatManifest};

use super::sample::Sample;
use super::{Outcome, StatReport, Step, begin, memory};
use crate::loader::{Plugin, check_manifest};
use crate::query::computed::computed_views;
use crate::trial::{Reader, Rows, Trial, views};

/// Increments that force a checkpoint, as in the engine.
const MAX_ROWS: usize = 65_536;
/// Messages in a batch, as a host makes them.
const BATCH: usize = 1024;

/// What a view may take, twice.
const VIEW_WITHIN: Duration = Duration::from_secs(10);

/// How messages are cut into batches and checkpoints.
#[derive(Clone, Copy)]
struct Split {
    batch: usize,
    /// Batches between two drains.
    drain_every: usize,
    /// Dictionaries begin anew at each drain.
    renew: bool,
}

/// One batch after the other, one drain at the end.
const PLAIN: Split = Split { batch: BATCH, drain_every: usize::MAX, renew: false };
/// What must give the same rows: the same again, and the messages cut in other ways.
const OTHERS: [(&str, Split); 3] = [
    ("folded a second time", PLAIN),
    ("in batches of 1 with a checkpoint after 7", Split { batch: 1, drain_every: 7, renew: false }),
    (
        "in batches of 100 with a checkpoint and new dictionaries after 3",
        Split { batch: 100, drain_every: 3, renew: true },
    ),
];

/// Goes through all steps with one stat.
pub(super) fn check(
    plugin: &Plugin,
    stat: &StatManifest,
    config: &str,
    sample: &Sample,
    count: u64,
) -> StatReport {
    let checked = Checked { plugin, stat, config, sample };
    let mut report = StatReport {
        ident: stat.ident.clone(),
        title: stat.title.clone(),
        steps: Vec::new(),
        fold_ns: None,
        drain_ns: None,
    };
    begin(&stat.ident, "its manifest");
    if let Err(reason) = check_manifest(stat) {
        report.steps.push(Step::failed("manifest", reason));
        return report;
    }
    let (models, fields) = (stat.models.len(), stat.fields.len());
    report.steps.push(Step::passed("manifest", format!("{models} models, {fields} fields")));
    begin(&stat.ident, "fold");
    let folded = match checked.fold(&mut report.steps) {
        Ok(folded) => folded,
        Err(reason) => {
            report.steps.push(Step::failed("fold", reason));
            return report;
        }
    };
    begin(&stat.ident, "determinism");
    report.steps.push(checked.determinism(&folded.rows));
    begin(&stat.ident, "restore");
    report.steps.extend(checked.restore(&folded.rows));
    begin(&stat.ident, "fields");
    report.steps.extend(checked.fields(&folded));
    begin(&stat.ident, "speed and memory");
    match memory::measure(plugin, stat, config, sample, count) {
        Err(reason) => report.steps.push(Step::failed("memory", reason)),
        Ok(measured) => {
            report.steps.push(measured.step);
            (report.fold_ns, report.drain_ns) = (Some(measured.fold_ns), Some(measured.drain_ns));
        }
    }
    begin(&stat.ident, "views");
    report.steps.extend(checked.views(&folded.rows));
    report
}

/// A stat with all that is needed to fold.
struct Checked<'a> {
    plugin: &'a Plugin,
    stat: &'a StatManifest,
    config: &'a str,
    sample: &'a Sample,
}

/// What came of folding the sample.
struct Folded {
    /// Messages that the stat wanted.
    wanted: usize,
    rows: Rows,
}

impl Checked<'_> {
    /// Folds the sample as `split`; with `without` a column whose values are missing.
    fn run(&self, split: Split, without: Option<usize>) -> Result<Folded, String> {
        let mut reader = Reader::new(self.stat).map_err(|error| error.to_string())?;
        let mut trial = Trial::begin(self.plugin, self.stat, self.config)?;
        let mut wanted = 0;
        for (number, texts) in (1usize..).zip(self.sample.texts().chunks(split.batch)) {
            let mut batch = reader.batch(texts.iter().map(Vec::as_slice));
            if let Some(column) = without {
                batch.columns[column].states.fill(state::MISSING);
            }
            wanted += trial.fold(&batch)?;
            if number.is_multiple_of(split.drain_every) {
                trial.drain()?;
                if split.renew {
                    reader.renew_dictionaries();
                }
            }
        }
        trial.drain()?;
        Ok(Folded { wanted, rows: trial.into_rows() })
    }

    fn fold(&self, steps: &mut Vec<Step>) -> Result<Folded, String> {
        let folded = self.run(PLAIN, None).map_err(|reason| match self.culprit() {
            Some(place) => format!("{reason}; that is {place}"),
            None => reason,
        })?;
        let rows: usize = folded.rows.iter().map(|rows| rows.len()).sum();
        let largest = folded.rows.iter().flatten().map(|(key, value)| key.len() + value.len());
        let largest = largest.max().unwrap_or_default();
        let of = self.sample.texts().len();
        let words = format!(
            "{} of {of} messages ({}) wanted, {rows} rows, the largest {largest} bytes",
            folded.wanted,
            self.sample.words()
        );
        steps.push(match (folded.wanted, rows) {
            (0, _) => Step::new("fold", Outcome::Noted, format!("{words}: nothing could be checked")),
            (_, 0) => Step::new("fold", Outcome::Noted, format!("{words}: it counts nothing")),
            (wanted, rows) if rows / wanted.div_ceil(BATCH) > MAX_ROWS => {
                let many = format!(
                    "{words}: more than {MAX_ROWS} rows for each batch, so that each makes a checkpoint"
                );
                Step::failed("fold", many)
            }
            _ => Step::passed("fold", words),
        });
        Ok(folded)
    }

    /// Which message it does not fold.
    fn culprit(&self) -> Option<String> {
        let mut reader = Reader::new(self.stat).ok()?;
        let mut trial = Trial::begin(self.plugin, self.stat, self.config).ok()?;
        for (index, text) in self.sample.texts().iter().enumerate() {
            let batch = reader.batch([text.as_slice()]);
            if trial.fold(&batch).is_err() {
                let text: String = String::from_utf8_lossy(text).chars().take(500).collect();
                return Some(format!("{}: {text}", self.sample.place(index)));
            }
        }
        None
    }

    /// Equal sets of messages give equal bytes, however they are cut.
    fn determinism(&self, rows: &Rows) -> Step {
        for (how, split) in OTHERS {
            let other = match self.run(split, None) {
                Ok(folded) => folded.rows,
                Err(reason) => return Step::failed("determinism", format!("{how}: {reason}")),
            };
            if let Some((model, differing, of)) = self.differing(rows, &other) {
                let words = format!(
                    "the same messages {how} give other rows: {differing} of {of} of model {model:?} differ; \
                     a fold reads no clock, no chance and nothing of earlier batches"
                );
                return Step::failed("determinism", words);
            }
        }
        Step::passed("determinism", format!("equal rows, split in {} ways", OTHERS.len() + 1))
    }

    /// The first model whose rows are not equal, how many of them differ, and of how many.
    fn differing(&self, rows: &Rows, other: &Rows) -> Option<(&str, usize, usize)> {
        let is_exact = |model: &ModelManifest| {
            let mut measures = model.measures.iter();
            !measures.any(|it| matches!(it.aggregator, Aggregator::TopKApprox { .. }))
        };
        let both = self.stat.models.iter().zip(rows.iter().zip(other));
        let mut unequal = both.filter(|(model, (rows, other))| is_exact(model) && rows != other);
        let (model, (rows, other)) = unequal.next()?;
        let differs = |(key, value): &(&Vec<u8>, &Vec<u8>)| other.get(*key) != Some(*value);
        Some((&model.name, rows.iter().filter(differs).count().max(1), rows.len()))
    }

    /// An instance that was handed the rows of one before it goes on as if it had been that one.
    fn restore(&self, straight: &Rows) -> Option<Step> {
        if !self.stat.restore {
            return None;
        }
        let most = self.stat.max_rows.unwrap_or_default();
        if let Some(rows) = straight.iter().map(|rows| rows.len()).find(|rows| *rows as u64 > most)
        {
            let words = format!("not tried: {rows} rows come of the messages, it takes {most}");
            return Some(Step::new("restore", Outcome::Noted, words));
        }
        let texts = self.sample.texts();
        let restored = self.split_in_two(texts.len() / 2);
        Some(match restored.map(|rows| self.differing(straight, &rows).map(|it| (it.1, it.2))) {
            Err(reason) => Step::failed("restore", reason),
            Ok(Some((differing, of))) => {
                let words = format!(
                    "with its earlier rows an instance comes to other rows than one that goes on: {differing} \
                     of {of} differ; what it needs of them it takes in `restore`"
                );
                Step::failed("restore", words)
            }
            Ok(None) => Step::passed("restore", "equal rows, with a restart in the middle"),
        })
    }

    /// Folds the sample with another instance from message number `middle` on.
    fn split_in_two(&self, middle: usize) -> Result<Rows, String> {
        let mut reader = Reader::new(self.stat).map_err(|error| error.to_string())?;
        let (first, second) = self.sample.texts().split_at(middle);
        let mut trial = Trial::begin(self.plugin, self.stat, self.config)?;
        for texts in [first, second] {
            for texts in texts.chunks(BATCH) {
                trial.fold(&reader.batch(texts.iter().map(Vec::as_slice)))?;
            }
            trial.drain()?;
            trial = Trial::resume(self.plugin, self.stat, self.config, trial.into_rows())?;
        }
        Ok(trial.into_rows())
    }

    /// Every computed view gives a table, and the same one of the same rows.
    fn views(&self, rows: &Rows) -> Option<Step> {
        let views = computed_views(self.stat);
        let mut tables = Vec::new();
        for view in &views {
            let found =
                views::compute(self.plugin, self.stat, self.config, view, rows, VIEW_WITHIN);
            tables.push(match found {
                Ok(Some(rows)) => format!("{} with {rows} rows", view.name),
                Ok(None) => format!("{} not tried, it is of a roll-up", view.name),
                Err(fault) => {
                    return Some(Step::failed("views", format!("{:?}: {fault}", view.name)));
                }
            });
        }
        (!tables.is_empty()).then(|| Step::passed("views", tables.join(", ")))
    }

    /// Fields that change nothing where they are missing are not read.
    fn fields(&self, folded: &Folded) -> Option<Step> {
        if self.stat.fields.is_empty() || folded.wanted == 0 {
            return None;
        }
        let wanted = crate::trial::wanted(self.stat);
        let mut unused = Vec::new();
        for (column, (pointer, kind)) in wanted.iter().enumerate() {
            // An error is a use as well.
            if self.run(PLAIN, Some(column)).is_ok_and(|without| without.rows == folded.rows) {
                let named =
                    |field: &&FieldManifest| field.pointer == *pointer && field.kind == *kind;
                let name = self.stat.fields.iter().find(named).map_or("", |field| &field.name);
                unused.push(format!("{name} ({pointer:?})"));
            }
        }
        Some(match &unused[..] {
            [] => Step::passed("fields", format!("all {} are used", wanted.len())),
            unused => {
                let words = format!(
                    "rows are the same without {}: read for nothing, or used in messages that are not here",
                    unused.join(", ")
                );
                Step::new("fields", Outcome::Noted, words)
            }
        })
    }
}
