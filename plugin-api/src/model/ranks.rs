//! The order of a drain's rows, found without comparing encoded keys.

/// Where the values of one column stand among each other.
#[derive(Debug, Default)]
pub struct Ranks {
    /// For each row the number of different values that are less.
    pub(super) of: Vec<u32>,
    /// How many different values there are, at least.
    pub(super) count: u32,
}

impl Ranks {
    /// Ranks values, one for each row.
    pub(super) fn of<T: Copy + Ord>(values: Vec<T>) -> Self {
        let mut known = values.clone();
        known.sort_unstable();
        known.dedup();
        // Rows are far fewer than 2^32: the host drains at 65,536.
        let rank = |value| known.binary_search(value).unwrap_or_default() as u32;
        Self { of: values.iter().map(rank).collect(), count: known.len() as u32 }
    }
}

/// The numbers of `rows` rows in the order of their columns, the first column foremost.
pub(super) fn order(rows: usize, columns: &[Ranks]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    let mut next = vec![0; rows];
    // By the last column first: each pass keeps what the one before it put in order.
    for column in columns.iter().rev().filter(|column| column.count > 1) {
        let mut places = vec![0_u32; column.count as usize + 1];
        for &rank in &column.of {
            places[rank as usize + 1] += 1;
        }
        for rank in 1..places.len() {
            places[rank] += places[rank - 1];
        }
        for &row in &order {
            let place = &mut places[column.of[row as usize] as usize];
            next[*place as usize] = row;
            *place += 1;
        }
        std::mem::swap(&mut order, &mut next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_of_the_first_column_then_of_the_next() {
        let rows = [(2, "b"), (1, "z"), (2, "a"), (1, "z"), (0, "m"), (2, "c")];
        let columns = [
            Ranks::of(rows.iter().map(|row| row.0).collect()),
            Ranks::of(rows.iter().map(|row| row.1).collect()),
        ];
        assert_eq!(columns[0].of, [2, 1, 2, 1, 0, 2]);
        assert_eq!(order(rows.len(), &columns), [4, 1, 3, 2, 0, 5]);
        assert!(order(0, &[]).is_empty());
    }
}
