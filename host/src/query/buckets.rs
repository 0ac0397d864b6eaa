//! How often values of which size were counted: the buckets of a measure of quantiles, merged over
//! rows. That is exact, while of the quantiles of several rows nobody knows a quantile.

use std::collections::BTreeMap;

use statmill_plugin_api::aggregate::{self, quantiles};
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::{Aggregator, Measure};

use super::params::Query;
use super::run::{Limits, QueryError};
use super::select::{Selection, refused};
use crate::store::Snapshot;

/// The most buckets of all values of a dimension together.
const MOST_BUCKETS: usize = 1 << 20;
/// The most bytes of the values themselves.
const MOST_BYTES: usize = 16 << 20;

/// What was counted of one value of a dimension, or of all.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// The value.
    pub of: Value,
    /// Number and count of each bucket, ascending.
    pub counts: Vec<(i32, u64)>,
}

/// Merges the buckets of `measure` over all rows that match, by the values of `by` if it is given.
///
/// # Errors
///
/// [`QueryError`] if there is no such measure or dimension, or there are too many values.
pub fn buckets(
    snapshot: &Snapshot,
    query: &Query,
    measure: &str,
    by: Option<&str>,
    limits: &Limits,
) -> Result<Vec<Buckets>, QueryError> {
    let selection = Selection::new(snapshot, query, limits)?;
    let measures = selection.scan.shape.measures();
    let wanted = measures.iter().position(|known| known.name == measure);
    let per_octave = wanted.and_then(|place| match &measures[place].aggregator {
        Aggregator::Quantiles { per_octave, .. } => Some(*per_octave),
        _ => None,
    });
    let (Some(wanted), Some(per_octave)) = (wanted, per_octave) else {
        return Err(refused("measure", format!("{measure:?} keeps no quantiles"), &[]));
    };
    let columns = selection.scan.shape.columns();
    let place = |name: &str| columns.iter().position(|column| column.name == name);
    let by_place = by.and_then(place);
    let mut found: BTreeMap<Value, BTreeMap<i32, u64>> = BTreeMap::new();
    let (mut size, mut bytes) = (0, 0);
    let mut cells = Vec::new();
    for row in selection.scan.all() {
        let (key, value) = row?;
        cells.clear();
        selection.scan.shape.key_cells(&key, &mut cells)?;
        let of = by_place.map_or(Value::Null, |place| cells.swap_remove(place));
        let mut state = value.as_slice();
        let skip = |measure: &Measure| aggregate::check_state(measure, &mut state);
        measures[..wanted].iter().try_for_each(skip)?;
        let counts = match found.get_mut(&of) {
            Some(counts) => counts,
            None => {
                bytes += key.len();
                found.entry(of).or_default()
            }
        };
        for (bucket, count) in quantiles::buckets(per_octave, &mut state)? {
            let known = counts.entry(bucket).or_insert_with(|| {
                size += 1;
                0
            });
            *known = known.saturating_add(count);
        }
        if size > MOST_BUCKETS || bytes > MOST_BYTES {
            let by = by.unwrap_or(measure).to_owned();
            return Err(QueryError::TooManyValues { by, max_values: MOST_BUCKETS });
        }
    }
    let buckets = |(of, counts): (Value, BTreeMap<i32, u64>)| Buckets {
        of,
        counts: counts.into_iter().collect(),
    };
    Ok(found.into_iter().map(buckets).collect())
}
