//! What a stat computed from a coded text, kept until the code changes its meaning.

use crate::batch::{Message, Sym};

/// Values by the code of a [`Sym`], computed once for each distinct text.
///
/// It empties itself when the host may have started a new dictionary, so it can never answer with
/// what belonged to another text.
///
/// ```
/// # use statmill_plugin_api::prelude::*;
/// # fn count(message: &Message<'_>, words: &mut Memo<usize>) -> usize {
/// *words.get(message, message.topic_sym(), |topic| topic.split('.').count())
/// # }
/// ```
#[derive(Debug)]
pub struct Memo<T> {
    values: Vec<Option<T>>,
    /// Number of drains and column the values belong to.
    of: Option<(u64, u32)>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { values: Vec::new(), of: None }
    }
}

impl<T> Memo<T> {
    /// The value for `sym`, a code of `message`'s batch; `compute` gets its text.
    #[inline]
    pub fn get(&mut self, message: &Message<'_>, sym: Sym, compute: impl FnOnce(&str) -> T) -> &T {
        let of = Some((message.epoch(), sym.column()));
        if self.of != of {
            self.values.clear();
            self.of = of;
        }
        let index = sym.code() as usize;
        if index >= self.values.len() {
            self.values.resize_with(index + 1, || None);
        }
        self.values[index].get_or_insert_with(|| compute(message.text_of(sym)))
    }
}
