//! Which tables a statistic's rows are stored in: its models and their roll-ups.

use statmill_plugin_api::manifest::{ModelManifest, StatManifest};

/// A table of rows: a model or one of its roll-ups.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredModel {
    /// `by_key`, or `by_key@1d` for a roll-up.
    pub name: String,
    /// The model, with window and retention of the roll-up.
    pub model: ModelManifest,
    /// Number of the model in the manifest that its increments come from.
    pub source: usize,
}

impl StoredModel {
    /// Window length in µs.
    #[must_use]
    pub fn window_us(&self) -> Option<i64> {
        self.model.window_s.map(window_us)
    }
}

/// Lists the tables of a statistic: each model, followed by its roll-ups.
#[must_use]
pub fn stored_models(manifest: &StatManifest) -> Vec<StoredModel> {
    let mut stored = Vec::new();
    for (source, model) in manifest.models.iter().enumerate() {
        stored.push(StoredModel { name: model.name.clone(), model: model.clone(), source });
        // Totals over all time have no window to make coarser.
        let rollups = model.rollups.iter().filter(|_| model.window_s.is_some());
        for rollup in rollups {
            let mut coarser = model.clone();
            coarser.window_s = Some(rollup.window_s);
            coarser.retention_s = rollup.retention_s;
            coarser.rollups.clear();
            let name = format!("{}@{}", model.name, short_duration(rollup.window_s));
            stored.push(StoredModel { name, model: coarser, source });
        }
    }
    stored
}

/// Do keys and values of both mean the same, under the same name?
#[must_use]
pub fn same_rows(old: &StoredModel, new: &StoredModel) -> bool {
    old.name == new.name
        && old.model.window_s == new.model.window_s
        && old.model.dimensions == new.model.dimensions
        && old.model.measures == new.model.measures
}

/// The shortest span of which every model's window is a part, µs: where one begins, a window of each
/// begins. None if a model has no windows.
#[must_use]
pub fn common_window_us(models: &[StoredModel]) -> Option<i64> {
    models.iter().try_fold(1, |common, stored| Some(common_multiple(common, stored.window_us()?)))
}

fn common_multiple(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

fn window_us(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000).max(1)
}

/// Seconds in the largest unit that divides them: `90s`, `15m`, `1h`, `30d`.
fn short_duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let unit = units.iter().find(|(_, length)| seconds > 0 && seconds.is_multiple_of(*length));
    unit.map_or_else(
        || format!("{seconds}s"),
        |(name, length)| format!("{}{name}", seconds / length),
    )
}
