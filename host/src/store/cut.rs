//! Places between rows, and the bounds of a scan.

use std::ops::Bound;

use statmill_plugin_api::encoding::push_window;

/// A place between two bare keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut<'a> {
    /// Before all rows.
    Lowest,
    /// Just before a key.
    Before(&'a [u8]),
    /// Just after a key.
    After(&'a [u8]),
    /// After all rows.
    Highest,
}

impl Cut<'_> {
    /// Does the cut lie after the row of this bare key?
    pub(crate) fn is_after(self, key: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Before(cut) => key < cut,
            Self::After(cut) => key <= cut,
            Self::Highest => true,
        }
    }
}

/// Which rows a scan wants: bounds of encoded keys, without shards. The default wants all.
///
/// A bound need not be a whole key: `Included` of a window start begins with the window's first
/// row, `Excluded` of one as `end` ends before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBounds {
    /// Where the rows begin.
    pub start: Bound<Vec<u8>>,
    /// Where they end.
    pub end: Bound<Vec<u8>>,
}

impl Default for KeyBounds {
    fn default() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }
}

impl KeyBounds {
    /// The rows of the windows that start at `from_us` or later and at `to_us` or earlier.
    ///
    /// For models with windows only.
    #[must_use]
    pub fn windows(from_us: Option<i64>, to_us: Option<i64>) -> Self {
        let start = from_us.map_or(Bound::Unbounded, |from_us| Bound::Included(window(from_us)));
        let end = to_us.and_then(|to_us| to_us.checked_add(1));
        let end = end.map_or(Bound::Unbounded, |after_us| Bound::Excluded(window(after_us)));
        Self { start, end }
    }

    /// The rows whose keys begin with `prefix` (a window start, and dimensions from the first on).
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let kept = prefix.iter().rposition(|&byte| byte < u8::MAX);
        let end = kept.map_or(Bound::Unbounded, |last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bound::Excluded(end)
        });
        Self { start: Bound::Included(prefix.to_vec()), end }
    }

    /// The bounds of a single key.
    #[must_use]
    pub fn key(key: &[u8]) -> Self {
        Self { start: Bound::Included(key.to_vec()), end: Bound::Included(key.to_vec()) }
    }

    pub(crate) fn start(&self) -> Cut<'_> {
        match &self.start {
            Bound::Included(key) => Cut::Before(key),
            Bound::Excluded(key) => Cut::After(key),
            Bound::Unbounded => Cut::Lowest,
        }
    }

    pub(crate) fn end(&self) -> Cut<'_> {
        match &self.end {
            Bound::Included(key) => Cut::After(key),
            Bound::Excluded(key) => Cut::Before(key),
            Bound::Unbounded => Cut::Highest,
        }
    }

    /// The same bounds, without the rows below the window `floor_us`.
    pub(crate) fn above(&self, floor_us: Option<i64>) -> Self {
        let mut bounds = self.clone();
        if let Some(floor) = floor_us.map(window) {
            let (Bound::Included(start) | Bound::Excluded(start)) = &self.start else {
                bounds.start = Bound::Included(floor);
                return bounds;
            };
            if *start < floor {
                bounds.start = Bound::Included(floor);
            }
        }
        bounds
    }
}

fn window(start_us: i64) -> Vec<u8> {
    let mut key = Vec::new();
    push_window(start_us, &mut key);
    key
}
