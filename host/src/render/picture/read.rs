//! The rows of a picture: all of them, or, where there are too many, those of the largest names and
//! what all others add up to.

use std::collections::{BTreeMap, BTreeSet};

use statmill_plugin_api::encoding::Value;

use super::ask::MOST_ROWS;
use super::fields::Combine;
use super::kind::Kind;
use super::plan::Plan;
use super::sum::Sum;
use super::table::{keys, measured_place, place};
use crate::query::{
    Answer, Buckets, Column, Limits, Order, Page, Query, QueryError, Selection, Table, buckets,
    edge,
};
use crate::store::Snapshot;

/// Series that are kept where there are too many; more than have colours, for some may be chosen.
const KEPT_SERIES: usize = 20;
/// The same of rows of a heat map or a box plot.
const KEPT_ROWS: usize = 60;
/// The most names that are compared to find the largest.
const MOST_NAMES: usize = 100_000;
/// Lengths of windows that read well, s.
const STEPS: [u64; 17] = [
    1, 5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800,
    2_592_000,
];

/// What a picture is made of.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The rows.
    pub answer: Answer,
    /// What is told of names whose rows are not kept.
    pub(super) beyond: Option<Beyond>,
    /// What was counted, by the values of the plan's dimension.
    pub(super) buckets: Vec<Buckets>,
    unread: usize,
}

/// Names whose rows are not kept.
#[derive(Clone, Debug)]
pub(super) struct Beyond {
    /// How many there are.
    pub(super) count: usize,
    /// What they add up to by time, µs; none where that would say nothing.
    pub(super) values: BTreeMap<i64, f64>,
}

impl Rows {
    /// All the rows there are.
    #[must_use]
    pub fn all(answer: Answer) -> Self {
        let unread = answer.table.total.saturating_sub(answer.table.rows.len() as u64);
        let unread = usize::try_from(unread).unwrap_or(usize::MAX);
        Self { answer, beyond: None, buckets: Vec::new(), unread }
    }

    /// Whether there are names whose rows are not kept.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.beyond.is_some()
    }

    /// Rows that match and are not there, nor joined to others.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }
}

type Keys = Vec<Option<String>>;
type Cells = BTreeMap<(Keys, Option<i64>), Cell>;

/// What the rows of one place become.
struct Cell {
    key: Vec<Value>,
    sum: Sum,
    value: Value,
}

impl Plan {
    /// Reads the rows of the picture. `chosen` are values of the first dimension that are kept however
    /// small they are.
    ///
    /// # Errors
    ///
    /// [`QueryError`], also if there are more rows than a picture can show and they cannot be joined.
    pub fn read(
        &self,
        snapshot: &Snapshot,
        query: &Query,
        chosen: &[&str],
        limits: &Limits,
    ) -> Result<Rows, QueryError> {
        let limits = Limits { max_rows_per_page: MOST_ROWS, ..limits.clone() };
        let mut asked = self.query(query);
        if query.step_s.is_none() && query.points.is_none() {
            self.round(snapshot, &mut asked)?;
        }
        if let Some(sketch) = &self.sketch {
            return self.counted(snapshot, &asked, &sketch.measure, &limits);
        }
        let selection = Selection::new(snapshot, &asked, &limits)?;
        let is_row = self.by.len() == self.dimensions;
        if selection.total() <= self.most_rows || (self.kind == Kind::Bar && is_row) {
            return Ok(Rows::all(answer(&selection, selection.part(0, MOST_ROWS)?)));
        }
        let too_many = QueryError::TooManyRows {
            what: "a picture",
            rows: selection.total(),
            max_rows: self.most_rows,
            indexed: None,
        };
        let joins = self.measured.combine != Combine::Never;
        let kept = match self.kind {
            Kind::Line | Kind::Area | Kind::StackedArea | Kind::Column => Some(KEPT_SERIES),
            Kind::Heatmap | Kind::Box => Some(KEPT_ROWS),
            Kind::Bar | Kind::StackedBar | Kind::Week | Kind::Sparkline | Kind::Tile if joins => {
                None
            }
            _ => return Err(too_many),
        };
        if self.measured.column.is_none() || !self.quantiles.is_empty() {
            return Err(too_many);
        }
        let kept = match kept.filter(|_| !self.by.is_empty()) {
            Some(most) => {
                Some(self.largest(snapshot, query, chosen, most, &limits)?.ok_or(too_many)?)
            }
            None => None,
        };
        self.joined(&selection, kept)
    }

    /// Has windows of a length that reads well.
    fn round(&self, snapshot: &Snapshot, asked: &mut Query) -> Result<(), QueryError> {
        let (Some(window_s), Some(points)) = (self.window_s, asked.points) else { return Ok(()) };
        if points <= 1 {
            return Ok(());
        }
        let edge = |order| edge(snapshot, asked.model.as_deref(), order);
        let (Some(first), Some(last)) = (edge(Order::Asc)?, edge(Order::Desc)?) else {
            return Ok(());
        };
        let first = asked.start_us.map_or(first, |start| start.max(first));
        let last = asked.stop_us.map_or(last, |stop| stop.min(last));
        let seconds = (last.saturating_sub(first) / 1_000_000).unsigned_abs();
        if last < first || seconds / points < window_s {
            asked.points = None;
            return Ok(());
        }
        let fits = |step: &&u64| **step >= seconds / points && step.is_multiple_of(window_s);
        if let Some(step) = STEPS.iter().find(fits) {
            (asked.points, asked.step_s) = (None, Some(*step));
        }
        Ok(())
    }

    /// What was counted, whatever the rows show of it.
    fn counted(
        &self,
        snapshot: &Snapshot,
        asked: &Query,
        measure: &str,
        limits: &Limits,
    ) -> Result<Rows, QueryError> {
        let asked = Query { step_s: None, points: None, limit: None, ..asked.clone() };
        let found = buckets(snapshot, &asked, measure, self.by(), limits)?;
        let selection = Selection::new(snapshot, &asked, limits)?;
        let answer =
            answer(&selection, Table { total: selection.total(), ..selection.part(0, 0)? });
        Ok(Rows { answer, beyond: None, buckets: found, unread: 0 })
    }

    /// The largest names with those that are chosen, and how many there are; `None` if there are too many
    /// to be compared.
    fn largest(
        &self,
        snapshot: &Snapshot,
        query: &Query,
        chosen: &[&str],
        most: usize,
        limits: &Limits,
    ) -> Result<Option<(BTreeSet<Keys>, usize)>, QueryError> {
        let whole = Self { kind: Kind::StackedBar, clip: true, ..self.clone() }.query(query);
        let selection = Selection::new(snapshot, &whole, limits)?;
        let columns = self.columns(&selection);
        let mut sizes: BTreeMap<Keys, Cell> = BTreeMap::new();
        let mut full = false;
        selection.each(&mut |row| {
            if sizes.len() <= MOST_NAMES {
                self.add(&mut sizes, keys(row, &columns.by), row, &columns);
            }
            full = sizes.len() > MOST_NAMES;
            Ok(())
        })?;
        if full {
            return Ok(None);
        }
        let count = sizes.len();
        let size = |cell: &Cell| match self.value(cell) {
            Value::Int(number) => (number as f64).abs(),
            Value::Num(number) => number.abs(),
            _ => -1.0,
        };
        let mut order: Vec<(bool, f64, Keys)> = sizes
            .into_iter()
            .map(|(keys, cell)| {
                let is_chosen = keys
                    .first()
                    .is_some_and(|key| key.as_deref().is_some_and(|key| chosen.contains(&key)));
                (!is_chosen, -size(&cell), keys)
            })
            .collect();
        order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let kept = order.into_iter().take(most).map(|(_, _, keys)| keys).collect();
        Ok(Some((kept, count)))
    }

    /// Rows joined by the dimensions that the picture shows; those of names that are not kept are added up.
    fn joined(
        &self,
        selection: &Selection<'_>,
        kept: Option<(BTreeSet<Keys>, usize)>,
    ) -> Result<Rows, QueryError> {
        let columns = self.columns(selection);
        let (mut cells, mut rest) = (Cells::new(), BTreeMap::<i64, Sum>::new());
        let mut full = false;
        let is_additive = self.is_additive();
        selection.each(&mut |row| {
            let keys = keys(row, &columns.by);
            let time = match columns.time.map(|place| &row[place]) {
                Some(Value::Time(time_us)) => Some(*time_us),
                Some(_) => return Ok(()),
                None => None,
            };
            match &kept {
                Some((kept, _)) if !kept.contains(&keys) => {
                    if let (true, Some(value)) = (is_additive, columns.measured) {
                        rest.entry(time.unwrap_or(0)).or_default().add(&row[value]);
                    }
                }
                _ if cells.len() as u64 > self.most_rows => full = true,
                _ => self.add(&mut cells, (keys, time), row, &columns),
            }
            Ok(())
        })?;
        let total = selection.total();
        if full {
            let (what, max_rows) = ("a picture", self.most_rows);
            return Err(QueryError::TooManyRows { what, rows: total, max_rows, indexed: None });
        }
        let rows = cells.into_iter().map(|((_, time), cell)| {
            let value = self.value(&cell);
            let time = time.map(Value::Time).into_iter();
            time.chain(cell.key).chain([value]).collect()
        });
        let table = Table { columns: columns.shown, rows: rows.collect(), total, chosen: true };
        let beyond = kept.filter(|(kept, count)| kept.len() < *count).map(|(kept, count)| Beyond {
            count: count - kept.len(),
            values: rest.into_iter().map(|(time, sum)| (time, sum.number())).collect(),
        });
        Ok(Rows { answer: answer(selection, table), beyond, buckets: Vec::new(), unread: 0 })
    }

    fn add<K: Ord>(&self, cells: &mut BTreeMap<K, Cell>, at: K, row: &[Value], columns: &Columns) {
        let Some(value) = columns.measured.map(|place| &row[place]) else { return };
        if matches!(value, Value::Null) {
            return;
        }
        let cell = cells.entry(at).or_insert_with(|| Cell {
            key: columns
                .by
                .iter()
                .map(|place| place.map_or(Value::Null, |at| row[at].clone()))
                .collect(),
            sum: Sum::default(),
            value: value.clone(),
        });
        match self.measured.combine {
            Combine::Sum => cell.sum.add(value),
            Combine::Least if *value < cell.value => cell.value = value.clone(),
            Combine::Greatest if *value > cell.value => cell.value = value.clone(),
            _ => {}
        }
    }

    fn value(&self, cell: &Cell) -> Value {
        if self.is_additive() { cell.sum.value() } else { cell.value.clone() }
    }

    fn columns(&self, selection: &Selection<'_>) -> Columns {
        let table = Table { columns: selection.columns().to_vec(), ..Table::default() };
        let by: Vec<_> = self.shown_by().map(|name| place(&table, name)).collect();
        let measured = measured_place(&table, &self.measured);
        let time = self.has_time.then_some(0);
        let shown = time.iter().chain(by.iter().flatten()).chain(measured.iter());
        let shown = shown.map(|place| table.columns[*place].clone()).collect();
        Columns { by, measured, time, shown }
    }

    /// The dimensions that stay apart.
    fn shown_by(&self) -> impl Iterator<Item = &String> {
        let by = match self.kind {
            Kind::Week | Kind::Sparkline | Kind::Tile => &[],
            _ => &self.by[..],
        };
        by.iter().chain(&self.cut)
    }
}

/// The places of the columns that a picture shows.
struct Columns {
    by: Vec<Option<usize>>,
    measured: Option<usize>,
    time: Option<usize>,
    shown: Vec<Column>,
}

fn answer(selection: &Selection<'_>, table: Table) -> Answer {
    Answer {
        model: selection.model().to_owned(),
        step_s: selection.step_s(),
        table,
        page: Page { number: 1, count: 1, rows_per_page: MOST_ROWS },
        next: None,
    }
}
