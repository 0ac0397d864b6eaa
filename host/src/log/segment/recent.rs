//! The few things used last, up to a cost.

/// A small cache: what was used longest ago is dropped when the cost of all exceeds the limit.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    /// Newest last.
    items: Vec<(K, V, usize)>,
    limit: usize,
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { items: Vec::new(), limit }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        let at = self.items.iter().position(|(have, _, _)| have == key)?;
        let item = self.items.remove(at);
        let value = item.1.clone();
        self.items.push(item);
        Some(value)
    }

    /// Adds a value; it is kept even if it costs more than the limit by itself.
    pub(super) fn put(&mut self, key: K, value: V, cost: usize) {
        self.items.retain(|(have, _, _)| *have != key);
        self.items.push((key, value, cost));
        let mut total: usize = self.items.iter().map(|(_, _, cost)| cost).sum();
        while total > self.limit && self.items.len() > 1 {
            total -= self.items.remove(0).2;
        }
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
    }
}
