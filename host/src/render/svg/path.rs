//! Path data: relative commands in tenths of a pixel, and no more points than pixels can show.

use std::fmt::Write;

/// Path data that is being written.
#[derive(Debug, Default)]
pub(super) struct Path {
    data: String,
    /// Where the pen is, in tenths: what was written, not what was meant, so errors do not add up.
    at: (i64, i64),
    command: char,
}

impl Path {
    /// Lifts the pen and puts it down.
    pub(super) fn start(&mut self, x: f64, y: f64) {
        self.step('m', tenths(x), tenths(y));
        // Pairs after those of a move are lines.
        self.command = 'l';
    }

    /// Draws a straight line.
    pub(super) fn line(&mut self, x: f64, y: f64) {
        let (x, y) = (tenths(x), tenths(y));
        if x == self.at.0 && y != self.at.1 {
            self.command('v');
            self.number(y - self.at.1);
        } else if y == self.at.1 {
            self.command('h');
            self.number(x - self.at.0);
        } else {
            return self.step('l', x, y);
        }
        self.at = (x, y);
    }

    /// Draws a line back to where the pen was put down, which is the place given.
    pub(super) fn close(&mut self, x: f64, y: f64) {
        self.data.push('z');
        self.command = 'z';
        self.at = (tenths(x), tenths(y));
    }

    /// Draws a rectangle.
    pub(super) fn rectangle(&mut self, left: f64, top: f64, right: f64, bottom: f64) {
        self.start(left, top);
        self.line(right, top);
        self.line(right, bottom);
        self.line(left, bottom);
        self.close(left, top);
    }

    /// Returns the data.
    pub(super) fn data(&self) -> &str {
        &self.data
    }

    /// Whether nothing was drawn.
    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    fn step(&mut self, command: char, x: i64, y: i64) {
        // The first move of a path counts from the corner, so relative is absolute there.
        self.command(command);
        self.number(x - self.at.0);
        self.number(y - self.at.1);
        self.at = (x, y);
    }

    fn command(&mut self, command: char) {
        if self.command != command || command == 'm' {
            self.data.push(command);
            self.command = command;
        }
    }

    fn number(&mut self, tenths: i64) {
        let after_number = self.data.ends_with(|last: char| last.is_ascii_digit());
        if after_number && tenths >= 0 {
            self.data.push(' ');
        }
        if tenths < 0 {
            self.data.push('-');
        }
        let (whole, rest) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
        let _ = match rest {
            0 => write!(self.data, "{whole}"),
            _ if whole == 0 => write!(self.data, ".{rest}"),
            _ => write!(self.data, "{whole}.{rest}"),
        };
    }
}

/// Returns the tenth of a pixel nearest to a place; the cast takes what is not a number as 0.
fn tenths(px: f64) -> i64 {
    (px.clamp(-1e6, 1e6) * 10.0).round() as i64
}

/// Returns the points to draw in place of `points`, which ascend by x (px): those of a column of
/// pixels with more than four become its first, lowest, highest and last. A `None` interrupts the
/// line; beyond two of a column they are too short to be seen and are dropped.
pub(super) fn thinned(points: impl Iterator<Item = Option<(f64, f64)>>) -> Vec<Vec<(f64, f64)>> {
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut column: Vec<(f64, f64)> = Vec::new();
    let (mut breaks, mut broken) = (true, false);
    let mut splits = 0;
    for point in points {
        let Some(point) = point else {
            broken = true;
            continue;
        };
        let same = column.last().is_some_and(|last| last.0.floor() == point.0.floor());
        if same && (!broken || splits == 2) {
            column.push(point);
            if column.len() > 64 {
                column = extremes(&column);
            }
        } else {
            splits = if same { splits + 1 } else { 0 };
            flush(&mut runs, &mut column, breaks);
            breaks = broken || runs.is_empty();
            column.push(point);
        }
        broken = false;
    }
    flush(&mut runs, &mut column, breaks);
    runs
}

fn flush(runs: &mut Vec<Vec<(f64, f64)>>, column: &mut Vec<(f64, f64)>, breaks: bool) {
    if column.is_empty() {
        return;
    }
    let kept = extremes(column);
    column.clear();
    match runs.last_mut() {
        Some(run) if !breaks => run.extend(kept),
        _ => runs.push(kept),
    }
}

fn extremes(column: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if column.len() <= 4 {
        return column.to_vec();
    }
    let by_height = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
    let places = 0..column.len();
    let mut kept = vec![0, column.len() - 1];
    kept.extend(places.clone().min_by(by_height));
    kept.extend(places.max_by(by_height));
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|place| column[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_relative_and_short() {
        let mut path = Path::default();
        path.start(10.0, 20.04);
        path.line(12.5, 19.0);
        path.line(13.0, 19.0);
        path.line(13.0, 30.0);
        path.line(14.0, 29.26);
        assert_eq!(path.data(), "m10 20 2.5-1h.5v11l1-.7");
    }

    #[test]
    fn rounding_does_not_add_up() {
        let mut path = Path::default();
        path.start(0.0, 0.0);
        (1..=100).for_each(|place| path.line(f64::from(place) * 0.04, f64::from(place)));
        assert_eq!(path.at, (40, 1000));
    }

    #[test]
    fn a_column_keeps_its_lowest_and_highest_point() {
        let points = (0..10_000).map(|place| {
            let y = if place == 5_001 { 500.0 } else { f64::from(place % 7) };
            Some((f64::from(place) / 100.0, y))
        });
        let runs = thinned(points);
        assert_eq!(runs.len(), 1);
        assert!(runs[0].len() <= 400);
        assert!(runs[0].iter().any(|point| point.1 == 500.0));
        assert!(runs[0].windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn a_gap_splits_the_line() {
        let points = [Some((0.0, 1.0)), Some((1.0, 1.0)), None, Some((3.0, 1.0))];
        assert_eq!(thinned(points.into_iter()).len(), 2);
    }

    #[test]
    fn any_number_of_gaps_gives_no_more_points_than_columns_can_show() {
        let points =
            (0..100_000).map(|place| (place % 2 == 0).then_some((f64::from(place) / 1000.0, 1.0)));
        assert!(thinned(points).iter().map(Vec::len).sum::<usize>() <= 800);
    }
}
