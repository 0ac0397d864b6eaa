//! Types of the key of a [`Rollup`](super::Rollup): what an author hands in, what is kept until the
//! drain, and how it is written.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::abi::DictionaryAbi;
use crate::batch::Sym;
use crate::encoding;
use crate::manifest::ValueKind;
use crate::stat::PluginError;

/// A type of dimension: [`Sym`], [`Text`], [`SymOrText`], `i64`, `bool`, [`Time`], and an [`Option`]
/// of each.
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
    /// Appends the key's cell.
    ///
    /// # Errors
    ///
    /// [`PluginError::UnknownCode`] where the dictionaries are not those it was folded with.
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
        let Sym { code, column } = sym;
        (self.0.get(column as usize).and_then(|dictionary| dictionary.get(code)))
            .ok_or(PluginError::UnknownCode { column, code })
    }
}

/// Dimension: a text that is not coded (`&str`). Each use hashes the text; a [`Sym`] does not.
#[derive(Clone, Copy, Debug)]
pub struct Text;

/// Dimension: a text that is coded in some messages and not in others ([`Label`]).
#[derive(Clone, Copy, Debug)]
pub struct SymOrText;

/// Dimension: a time, given as `i64` µs since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Time;

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
        Some(value.code)
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

    fn encode(
        key: &Box<str>,
        _: Dictionaries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PluginError> {
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
            Label::Sym(sym) => Some(sym.code),
            Label::Text(_) => None,
        }
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

impl Dimension for i64 {
    type Value<'a> = i64;
    type Key = i64;
    const KIND: ValueKind = ValueKind::Int;

    #[inline]
    fn hash(value: i64, hasher: &mut FxHasher) {
        hasher.write_i64(value);
    }

    #[inline]
    fn is(key: &i64, value: i64) -> bool {
        *key == value
    }

    #[inline]
    fn own(value: i64) -> i64 {
        value
    }

    fn encode(key: &i64, _: Dictionaries<'_>, out: &mut Vec<u8>) -> Result<(), PluginError> {
        encoding::push_int(i128::from(*key), out);
        Ok(())
    }
}

impl Dimension for Time {
    type Value<'a> = i64;
    type Key = i64;
    const KIND: ValueKind = ValueKind::Time;

    #[inline]
    fn hash(value: i64, hasher: &mut FxHasher) {
        hasher.write_i64(value);
    }

    #[inline]
    fn is(key: &i64, value: i64) -> bool {
        *key == value
    }

    #[inline]
    fn own(value: i64) -> i64 {
        value
    }

    fn encode(key: &i64, _: Dictionaries<'_>, out: &mut Vec<u8>) -> Result<(), PluginError> {
        encoding::push_time(*key, out);
        Ok(())
    }
}

impl Dimension for bool {
    type Value<'a> = bool;
    type Key = bool;
    const KIND: ValueKind = ValueKind::Bool;

    #[inline]
    fn hash(value: bool, hasher: &mut FxHasher) {
        hasher.write_u8(value.into());
    }

    #[inline]
    fn is(key: &bool, value: bool) -> bool {
        *key == value
    }

    #[inline]
    fn own(value: bool) -> bool {
        value
    }

    fn encode(key: &bool, _: Dictionaries<'_>, out: &mut Vec<u8>) -> Result<(), PluginError> {
        encoding::push_bool(*key, out);
        Ok(())
    }
}

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

/// All dimensions of a key: a tuple of up to six, `()` for none.
pub trait Dimensions: 'static {
    /// What [`at`](super::Rollup::at) takes.
    type Values<'a>: Copy;
    /// What is kept until the drain.
    type Keys: Send;
    /// Types of the columns.
    const KINDS: &'static [ValueKind];

    /// Feeds the values to the hash.
    fn hash(values: Self::Values<'_>, hasher: &mut FxHasher);
    /// Whether `keys` were made of equal values.
    fn are(keys: &Self::Keys, values: Self::Values<'_>) -> bool;
    /// Makes the keys.
    fn own(values: Self::Values<'_>) -> Self::Keys;
    /// Size of the keys on the heap.
    fn heap_bytes(keys: &Self::Keys) -> usize;
    /// As [`Dimension::hint`]; only of a key with at most one dimension.
    fn hint(values: Self::Values<'_>) -> Option<u32>;
    /// Appends the keys' cells.
    ///
    /// # Errors
    ///
    /// As [`Dimension::encode`].
    fn encode(
        keys: &Self::Keys,
        dictionaries: Dictionaries<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PluginError>;
}

macro_rules! dimensions {
    ($($name:ident $index:tt),*; $hint:expr) => {
        impl<$($name: Dimension),*> Dimensions for ($($name,)*) {
            type Values<'a> = ($($name::Value<'a>,)*);
            type Keys = ($($name::Key,)*);
            const KINDS: &'static [ValueKind] = &[$($name::KIND),*];

            #[inline]
            fn hash(_values: Self::Values<'_>, _hasher: &mut FxHasher) {
                $($name::hash(_values.$index, _hasher);)*
            }

            #[inline]
            fn are(_keys: &Self::Keys, _values: Self::Values<'_>) -> bool {
                true $(&& $name::is(&_keys.$index, _values.$index))*
            }

            #[inline]
            fn own(_values: Self::Values<'_>) -> Self::Keys {
                ($($name::own(_values.$index),)*)
            }

            fn heap_bytes(_keys: &Self::Keys) -> usize {
                0 $(+ $name::heap_bytes(&_keys.$index))*
            }

            #[inline]
            fn hint(values: Self::Values<'_>) -> Option<u32> {
                let hint: fn(Self::Values<'_>) -> Option<u32> = $hint;
                hint(values)
            }

            fn encode(
                _keys: &Self::Keys,
                _dictionaries: Dictionaries<'_>,
                _out: &mut Vec<u8>,
            ) -> Result<(), PluginError> {
                $($name::encode(&_keys.$index, _dictionaries, _out)?;)*
                Ok(())
            }
        }
    };
}

dimensions!(; |()| Some(0));
dimensions!(A 0; |values| A::hint(values.0));
dimensions!(A 0, B 1; |_| None);
dimensions!(A 0, B 1, C 2; |_| None);
dimensions!(A 0, B 1, C 2, D 3; |_| None);
dimensions!(A 0, B 1, C 2, D 3, E 4; |_| None);
dimensions!(A 0, B 1, C 2, D 3, E 4, F 5; |_| None);
