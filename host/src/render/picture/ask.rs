//! What is asked for a picture: no more rows than it can show.

use super::kind::Kind;
use super::plan::{HOUR_S, Plan};
use crate::query::{Order, Query, Sort};

/// The most rows that a picture is made of.
pub const MOST_ROWS: u64 = 100_000;

impl Plan {
    /// Returns the query for the rows of the picture: the given one, with as few windows as it shows.
    #[must_use]
    pub fn query(&self, query: &Query) -> Query {
        let mut asked = Query {
            sort: query.sort.clone().filter(|_| self.as_ordered),
            limit: query.limit.filter(|_| self.as_ordered),
            page: 1,
            cursor: None,
            columns: None,
            rows_per_page: Some(MOST_ROWS),
            order: self.has_time.then_some(Order::Asc),
            ..query.clone()
        };
        let width = u64::from(self.size.width());
        let points = match self.kind {
            Kind::Line | Kind::Area => width.div_ceil(2).clamp(30, 1_000),
            Kind::StackedArea => width.div_ceil(3).clamp(30, 600),
            Kind::Column => width.div_ceil(12).clamp(12, 200),
            Kind::Heatmap => width.div_ceil(6).clamp(12, 300),
            Kind::Sparkline | Kind::Tile => 60,
            Kind::Histogram | Kind::Box => 500,
            Kind::Scatter if self.across.is_none() => 500,
            Kind::Scatter | Kind::Bar | Kind::StackedBar => {
                (asked.step_s, asked.points) = (None, None);
                1
            }
            Kind::Week => {
                asked.step_s = Some(HOUR_S);
                0
            }
        };
        if !self.has_time {
            (asked.step_s, asked.points) = (None, None);
        } else if asked.step_s.is_none() && asked.points.is_none() {
            asked.points = Some(points);
        }
        if asked.step_s.is_some() {
            asked.points = None;
        }
        // What is told of the whole range is told of all of it.
        asked.clip = self.clip || points <= 1;
        if let (Kind::Bar, false, Some(column)) =
            (self.kind, self.as_ordered, &self.measured.column)
        {
            (asked.order, asked.sort) = (None, Some(Sort::parse(&format!("-{column}"))));
        }
        asked
    }
}
