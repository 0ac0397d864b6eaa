//! Types of the key of a [`Rollup`](super::Rollup): what an author hands in, what is kept until the
//! drain, and how it is written.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};

use super::Ranks;
use crate::abi::DictionaryAbi;
use crate::aggregate::{Text, Time};
use crate::batch::Sym;
use crate::encoding;
use crate::manifest::ValueKind;
use crate::stat::PluginError;

/// A type of dimension: [`Sym`], [`Text`] (`&str`, hashed at each use as a [`Sym`] is not),
/// [`SymOrText`], `i64`, `bool`, [`Time`] (`i64` µs since 1970), and an [`Option`] of each.
pub trait Dimension: 'static {
    /// What [`at`](super::Rollup::at) takes.
    type Value<'a>: Copy;
    /// What is kept until the drain.
    type Key: Send;
    /// Type of the column.
    const KIND: ValueKind;

    /// Feeds the value to the hash.
    fn hash(value: Self::Value<'_>, hasher: &mut FxHasher);
    /// Whether `key` was made of an equal value.
    fn is(key: &Self::Key, value: Self::Value<'_>) -> bool;
    /// Makes the key.
    fn own(value: Self::Value<'_>) -> Self::Key;
    /// Size of the key on the heap.
    fn heap_bytes(key: &Self::Key) -> usize {
        let _ = key;
        0
    }
    /// A small number by which rows can be found without a hash: equal for equal values.
    fn hint(value: Self::Value<'_>) -> Option<u32> {
        let _ = value;
        None
    }
    /// Ranks all keys of a drain in the order of their cells.
    ///
    /// # Errors
    ///
    /// [`PluginError::UnknownCode`] where the dictionaries are not those they were folded with.
    fn rank<'k>(
        keys: &mut dyn Iterator<Item = &'k Self::Key>,
        dictionaries: Dictionaries<'k>,
    ) -> Result<Ranks, PluginError>;
    /// Appends the key's cell.
    ///
    /// # Errors
    ///
    /// As [`rank`](Self::rank).
    fn encode(
        key: &Self::Key,
        dictionaries: Dictionaries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PluginError>;
}

/// The dictionaries of a drain: topics first, then one for each field, empty where it is no `sym`.
#[derive(Clone, Copy)]
pub struct Dictionaries<'a>(pub(crate) &'a [DictionaryAbi<'a>]);

impl<'a> Dictionaries<'a> {
    /// Text of a coded value.
    ///
    /// # Errors
    ///
    /// [`PluginError::UnknownCode`] if there is none.
    pub fn text(self, sym: Sym) -> Result<&'a str, PluginError> {
        let (column, code) = (sym.column(), sym.code());
        (self.0.get(column as usize).and_then(|dictionary| dictionary.get(code)))
            .ok_or(PluginError::UnknownCode { column, code })
    }
}

/// Dimension: a text that is coded in some messages and not in others ([`Label`]).
#[derive(Clone, Copy, Debug)]
pub struct SymOrText;

/// A value of a [`SymOrText`] dimension. Equal texts are one row, however they were given.
#[derive(Clone, Copy, Debug)]
pub enum Label<'a> {
    /// A coded text.
    Sym(Sym),
    /// A plain text.
    Text(&'a str),
}

/// Key of a [`SymOrText`] dimension.
#[doc(hidden)]
#[derive(Debug)]
pub enum LabelKey {
    Sym(Sym),
    Text(Box<str>),
}

impl Dimension for Sym {
    type Value<'a> = Sym;
    type Key = Sym;
    const KIND: ValueKind = ValueKind::Text;

    #[inline]
    fn hash(value: Sym, hasher: &mut FxHasher) {
        hasher.write_u64(value.bits());
    }

    #[inline]
    fn is(key: &Sym, value: Sym) -> bool {
        *key == value
    }

    #[inline]
    fn own(value: Sym) -> Sym {
        value
    }

    #[inline]
    fn hint(value: Sym) -> Option<u32> {
        Some(value.code())
    }

    fn rank<'k>(
        keys: &mut dyn Iterator<Item = &'k Sym>,
        dictionaries: Dictionaries<'k>,
    ) -> Result<Ranks, PluginError> {
        let codes: Vec<Sym> = keys.copied().collect();
        // Each text is looked at once, however many rows have it.
        let mut known = codes.clone();
        known.sort_unstable_by_key(|code| code.bits());
        known.dedup();
        let texts = known.iter().map(|&code| dictionaries.text(code));
        let ranks = Ranks::of(texts.collect::<Result<Vec<_>, _>>()?);
        let by_code: FxHashMap<Sym, u32> = known.into_iter().zip(ranks.of).collect();
        let of = codes.iter().filter_map(|code| by_code.get(code).copied()).collect();
        Ok(Ranks { of, count: ranks.count })
    }

    fn encode(
        key: &Sym,
        dictionaries: Dictionaries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PluginError> {
        encoding::push_text(dictionaries.text(*key)?, out);
        Ok(())
    }
}

impl Dimension for Text {
    type Value<'a> = &'a str;
    type Key = Box<str>;
    const KIND: ValueKind = ValueKind::Text;

    #[inline]
    fn hash(value: &str, hasher: &mut FxHasher) {
        hasher.write(value.as_bytes());
    }

    #[inline]
    fn is(key: &Box<str>, value: &str) -> bool {
        **key == *value
    }

    fn own(value: &str) -> Box<str> {
        value.into()
    }

    fn heap_bytes(key: &Box<str>) -> usize {
        key.len()
    }

    fn rank<'k>(
        keys: &mut dyn Iterator<Item = &'k Box<str>>,
        _: Dictionaries<'k>,
    ) -> Result<Ranks, PluginError> {
        Ok(Ranks::of(keys.map(|key| &**key).collect()))
    }

    fn encode(key: &Box<str>, _: Dictionaries<'_>, out: &mut Vec<u8>) -> Result<(), PluginError> {
        encoding::push_text(key, out);
        Ok(())
    }
}

impl Dimension for SymOrText {
    type Value<'a> = Label<'a>;
    type Key = LabelKey;
    const KIND: ValueKind = ValueKind::Text;

    #[inline]
    fn hash(value: Label<'_>, hasher: &mut FxHasher) {
        match value {
            Label::Sym(sym) => Sym::hash(sym, hasher),
            Label::Text(text) => Text::hash(text, hasher),
        }
    }

    #[inline]
    fn is(key: &LabelKey, value: Label<'_>) -> bool {
        match (key, value) {
            (LabelKey::Sym(key), Label::Sym(sym)) => *key == sym,
            (LabelKey::Text(key), Label::Text(text)) => **key == *text,
            _ => false,
        }
    }

    fn own(value: Label<'_>) -> LabelKey {
        match value {
            Label::Sym(sym) => LabelKey::Sym(sym),
            Label::Text(text) => LabelKey::Text(text.into()),
        }
    }

    fn heap_bytes(key: &LabelKey) -> usize {
        match key {
            LabelKey::Sym(_) => 0,
            LabelKey::Text(text) => text.len(),
        }
    }

    #[inline]
    fn hint(value: Label<'_>) -> Option<u32> {
        match value {
            Label::Sym(sym) => Some(sym.code()),
            Label::Text(_) => None,
        }
    }

    fn rank<'k>(
        keys: &mut dyn Iterator<Item = &'k LabelKey>,
        dictionaries: Dictionaries<'k>,
    ) -> Result<Ranks, PluginError> {
        let text = |key: &'k LabelKey| match key {
            LabelKey::Sym(code) => dictionaries.text(*code),
            LabelKey::Text(text) => Ok(&**text),
        };
        Ok(Ranks::of(keys.map(text).collect::<Result<Vec<_>, _>>()?))
    }

    fn encode(
        key: &LabelKey,
        dictionaries: Dictionaries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PluginError> {
        match key {
            LabelKey::Sym(sym) => Sym::encode(sym, dictionaries, out),
            LabelKey::Text(text) => Text::encode(text, dictionaries, out),
        }
    }
}

/// A type that is its own key and has one way to be written.
macro_rules! plain {
    ($dimension:ty, $value:ty, $kind:ident, $hash:ident, $push:expr) => {
        impl Dimension for $dimension {
            type Value<'a> = $value;
            type Key = $value;
            const KIND: ValueKind = ValueKind::$kind;

            #[inline]
            fn hash(value: $value, hasher: &mut FxHasher) {
                hasher.$hash(value.into());
            }

            #[inline]
            fn is(key: &$value, value: $value) -> bool {
                *key == value
            }

            #[inline]
            fn own(value: $value) -> $value {
                value
            }

            fn rank<'k>(
                keys: &mut dyn Iterator<Item = &'k $value>,
                _: Dictionaries<'k>,
            ) -> Result<Ranks, PluginError> {
                Ok(Ranks::of(keys.copied().collect()))
            }

            fn encode(
                key: &$value,
                _: Dictionaries<'_>,
                out: &mut Vec<u8>,
            ) -> Result<(), PluginError> {
                $push((*key).into(), out);
                Ok(())
            }
        }
    };
}

plain!(i64, i64, Int, write_i64, encoding::push_int);
plain!(Time, i64, Time, write_i64, encoding::push_time);
plain!(bool, bool, Bool, write_u8, encoding::push_bool);

impl<D: Dimension> Dimension for Option<D> {
    type Value<'a> = Option<D::Value<'a>>;
    type Key = Option<D::Key>;
    const KIND: ValueKind = D::KIND;

    #[inline]
    fn hash(value: Self::Value<'_>, hasher: &mut FxHasher) {
        match value {
            Some(value) => D::hash(value, hasher),
            // Any number will do: equality decides, and a null row is found as often as any other.
            None => hasher.write_u8(0xff),
        }
    }

    #[inline]
    fn is(key: &Self::Key, value: Self::Value<'_>) -> bool {
        match (key, value) {
            (Some(key), Some(value)) => D::is(key, value),
            (None, None) => true,
            _ => false,
        }
    }

    fn own(value: Self::Value<'_>) -> Self::Key {
        value.map(D::own)
    }

    fn heap_bytes(key: &Self::Key) -> usize {
        key.as_ref().map_or(0, D::heap_bytes)
    }

    #[inline]
    fn hint(value: Self::Value<'_>) -> Option<u32> {
        value.and_then(D::hint)
    }

    fn rank<'k>(
        keys: &mut dyn Iterator<Item = &'k Self::Key>,
        dictionaries: Dictionaries<'k>,
    ) -> Result<Ranks, PluginError> {
        let keys: Vec<&'k Self::Key> = keys.collect();
        let ranks = D::rank(&mut keys.iter().copied().flatten(), dictionaries)?;
        let mut values = ranks.of.into_iter();
        // Null first, as in a key.
        let rank = |key: &&Self::Key| match key {
            Some(_) => values.next().map_or(0, |rank| rank + 1),
            None => 0,
        };
        Ok(Ranks { of: keys.iter().map(rank).collect(), count: ranks.count + 1 })
    }

    fn encode(
        key: &Self::Key,
        dictionaries: Dictionaries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PluginError> {
        match key {
            Some(key) => D::encode(key, dictionaries, out),
            None => {
                encoding::push_null(out);
                Ok(())
            }
        }
    }
}
