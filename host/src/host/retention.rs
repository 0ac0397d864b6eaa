//! How long journals must be kept for the models that read them.

use std::time::Duration;

use super::builder::micros;
use crate::loader::Loaded;

/// The model that is kept longest.
pub(crate) struct LongestKept {
    /// Its stat.
    pub(crate) ident: String,
    /// The model, or a roll-up of it.
    pub(crate) model: String,
    /// How long its rows are kept, µs; none = for ever.
    pub(crate) kept_us: Option<i64>,
}

/// The model that is kept longest, roll-ups included; none without models: nobody knows then what will
/// be asked.
pub(crate) fn longest_kept(loaded: &Loaded) -> Option<LongestKept> {
    let models =
        loaded.stats.iter().flat_map(|(_, stat)| stat.models.iter().map(move |it| (stat, it)));
    let all = models.flat_map(|(stat, model)| {
        let rollups = model.rollups.iter().map(|rollup| rollup.retention_s);
        std::iter::once(model.retention_s).chain(rollups).map(move |kept_s| LongestKept {
            ident: stat.ident.clone(),
            model: model.name.clone(),
            kept_us: kept_s.map(|kept_s| micros(Duration::from_secs(kept_s))),
        })
    });
    // The first of those that are kept equally long.
    all.reduce(|a, b| if a.span_us() >= b.span_us() { a } else { b })
}

impl LongestKept {
    fn span_us(&self) -> i64 {
        self.kept_us.unwrap_or(i64::MAX)
    }
}
