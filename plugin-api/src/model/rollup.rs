//! Additions by window and key.

use std::hash::Hasher;
use std::ops::Range;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::{Dimensions, Drain, Measures, Model, ModelSpec, Ranks, ranks};
use crate::abi::FoldReport;
use crate::aggregate::Stamp3;
use crate::batch::Message;
use crate::encoding;
use crate::manifest::{Measure, ModelManifest};
use crate::stat::PluginError;

/// Codes below this are looked up without a hash: 256 KiB a model where a column has that many.
const HINTED_CODES: u32 = 1 << 16;

/// A model of a stat: measures `M` by window and dimensions `D`.
///
/// Which window, and what the columns are called, is said by `#[model(...)]` on the field.
#[derive(Debug)]
pub struct Rollup<D: Dimensions, M: Measures> {
    window_us: Option<i64>,
    options: M::Options,
    /// For the merge of rows whose keys turn out equal at the drain.
    measures: Vec<Measure>,
    rows: Vec<Row<D::Keys, M>>,
    by_key: HashTable<u32>,
    /// Row by hint. What it says is tried and never trusted, so nothing need ever be cleared.
    hints: Vec<u32>,
    /// The window of the last addition: most messages come in order of time.
    window: Range<i64>,
    bytes: usize,
}

#[derive(Debug)]
struct Row<K, M> {
    hash: u64,
    window: i64,
    keys: K,
    measures: M,
}

impl<D: Dimensions, M: Measures> Default for Rollup<D, M> {
    fn default() -> Self {
        Self {
            window_us: None,
            options: M::Options::default(),
            measures: Vec::new(),
            rows: Vec::new(),
            by_key: HashTable::new(),
            hints: Vec::new(),
            window: 0..0,
            bytes: 0,
        }
    }
}

impl<D: Dimensions, M: Measures> Rollup<D, M> {
    /// The row of the window in which `message` lies and of these dimensions.
    #[inline]
    pub fn at<'r, 'v>(
        &'r mut self,
        message: &Message<'_>,
        dimensions: D::Values<'v>,
    ) -> Entry<'r, 'v, D, M> {
        let stamp = Stamp3 {
            time_us: message.time(),
            log_key: message.log_key(),
            offset: message.offset(),
        };
        Entry { rollup: self, stamp, dimensions }
    }

    /// The manifest of a field of this type; the two numbers are those of the attribute's names.
    #[doc(hidden)]
    pub fn manifest<const DIMENSIONS: usize, const MEASURES: usize>(
        spec: &ModelSpec,
        interval_s: Option<u64>,
    ) -> Result<ModelManifest, PluginError> {
        const {
            assert!(
                D::KINDS.len() == DIMENSIONS,
                "#[model(dimensions = [...])] must name each dimension of the Rollup, in order"
            );
            assert!(
                M::COUNT == MEASURES,
                "#[model(measures = [...])] must name each measure of the Rollup, in order"
            );
        }
        spec.manifest::<D, M>(interval_s)
    }

    #[doc(hidden)]
    pub fn prepare(
        &mut self,
        spec: &ModelSpec,
        interval_s: Option<u64>,
    ) -> Result<(), PluginError> {
        let manifest = spec.manifest::<D, M>(interval_s)?;
        self.window_us = match manifest.window_s {
            None => None,
            Some(seconds) => Some(
                (i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000)))
                    .ok_or(PluginError::Interval {
                        model: spec.name,
                        reason: "the window is longer than time itself; choose a shorter one",
                    })?,
            ),
        };
        self.options = spec.options::<M>();
        self.measures = manifest.measures;
        Ok(())
    }

    #[inline]
    fn window_start(&mut self, time_us: i64) -> i64 {
        let Some(window_us) = self.window_us else { return 0 };
        if !self.window.contains(&time_us) {
            let start = encoding::window_start(time_us, window_us);
            self.window = start..start.saturating_add(window_us);
        }
        self.window.start
    }

    /// Index of the row, made if there is none.
    #[inline]
    fn row(&mut self, time_us: i64, dimensions: D::Values<'_>) -> usize {
        let window = self.window_start(time_us);
        let is_it = |row: &Row<D::Keys, M>| row.window == window && D::are(&row.keys, dimensions);
        let hint = D::hint(dimensions).filter(|&hint| hint < HINTED_CODES);
        let tried = match hint {
            Some(hint) => self.hints.get(hint as usize).map_or(0, |&row| row as usize),
            // The last row made: a stat of one row a window often adds to it again.
            None => self.rows.len().wrapping_sub(1),
        };
        if self.rows.get(tried).is_some_and(is_it) {
            return tried;
        }
        let mut hasher = FxHasher::default();
        hasher.write_i64(window);
        D::hash(dimensions, &mut hasher);
        let hash = hasher.finish();
        let rows = &self.rows;
        let found = self.by_key.find(hash, |&row| {
            let row = &rows[row as usize];
            row.hash == hash && is_it(row)
        });
        let row = match found {
            Some(&row) => row,
            None => self.new_row(hash, window, dimensions),
        };
        if let Some(hint) = hint {
            let hint = hint as usize;
            if hint >= self.hints.len() {
                self.hints.resize((hint + 1).next_power_of_two(), 0);
            }
            self.hints[hint] = row;
        }
        row as usize
    }

    #[cold]
    fn new_row(&mut self, hash: u64, window: i64, dimensions: D::Values<'_>) -> u32 {
        let row = Row { hash, window, keys: D::own(dimensions), measures: M::default() };
        // What the row takes in the table beside itself: its index, and the table's slack.
        self.bytes += size_of_val(&row) + D::heap_bytes(&row.keys) + 2 * size_of::<u32>();
        // The host drains at 65,536 rows; a fold of one batch cannot come near four billion.
        let index = u32::try_from(self.rows.len()).expect("fewer than 2^32 rows between drains");
        self.rows.push(row);
        let rows = &self.rows;
        self.by_key.insert_unique(hash, index, |&row| rows[row as usize].hash);
        index
    }
}

impl<D: Dimensions, M: Measures> Model for Rollup<D, M> {
    fn report(&self) -> FoldReport {
        FoldReport { rows: self.rows.len() as u64, bytes: self.bytes as u64 }
    }

    fn drain(&mut self, model: u32, drain: &mut Drain<'_>) -> Result<(), PluginError> {
        self.write(model, drain)?;
        self.rows.clear();
        self.by_key.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl<D: Dimensions, M: Measures> Rollup<D, M> {
    /// Writes the rows, ascending by key.
    fn write(&self, model: u32, drain: &mut Drain<'_>) -> Result<(), PluginError> {
        let windowed = self.window_us.is_some();
        let dictionaries = drain.dictionaries();
        let rows = &self.rows;
        let windows = Ranks::of(rows.iter().map(|row| row.window).collect());
        let mut columns = D::rank(&|| Box::new(rows.iter().map(|row| &row.keys)), dictionaries)?;
        columns.insert(0, windows);
        let order = ranks::order(rows.len(), &columns);
        let are_equal = |a: &u32, b: &u32| {
            columns.iter().all(|column| column.of[*a as usize] == column.of[*b as usize])
        };
        let mut block = drain.block(model, &self.measures);
        // Equal keys: one text that was coded in two columns, or once coded and once not.
        for same in order.chunk_by(are_equal) {
            for (number, row) in same.iter().map(|&row| &rows[row as usize]).enumerate() {
                if number == 0 {
                    block.key(|key| {
                        if windowed {
                            encoding::push_window(row.window, key);
                        }
                        D::encode(&row.keys, dictionaries, key)
                    })?;
                }
                block.value(|value| row.measures.encode(&self.options, value))?;
            }
        }
        block.finish()
    }
}

/// A row to be added to. It exists once something was.
#[must_use = "a row is made by what is added: call `.add(...)`"]
pub struct Entry<'r, 'v, D: Dimensions, M: Measures> {
    rollup: &'r mut Rollup<D, M>,
    stamp: Stamp3,
    dimensions: D::Values<'v>,
}

impl<D: Dimensions, M: Measures> Entry<'_, '_, D, M> {
    /// Adds to each measure.
    #[inline]
    pub fn add(self, add: M::Add<'_>) {
        let Self { rollup, stamp, dimensions } = self;
        let index = rollup.row(stamp.time_us, dimensions);
        let measures = &mut rollup.rows[index].measures;
        let before = measures.bytes();
        measures.add(stamp, add, &rollup.options);
        // Inline sizes cancel out; states that only have those cost nothing here.
        rollup.bytes = rollup.bytes.wrapping_add(measures.bytes()).wrapping_sub(before);
    }
}
