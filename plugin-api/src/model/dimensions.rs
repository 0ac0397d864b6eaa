//! The whole key of a [`Rollup`](super::Rollup), as one type.

use rustc_hash::FxHasher;

use super::{Dictionaries, Dimension, Ranks};
use crate::manifest::ValueKind;
use crate::stat::PluginError;

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
    /// As [`Dimension::rank`], for each dimension; `keys` begins anew at each call.
    ///
    /// # Errors
    ///
    /// As [`Dimension::rank`].
    fn rank<'k>(
        keys: &dyn Fn() -> Box<dyn Iterator<Item = &'k Self::Keys> + 'k>,
        dictionaries: Dictionaries<'k>,
    ) -> Result<Vec<Ranks>, PluginError>;
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

impl Dimensions for () {
    type Values<'a> = ();
    type Keys = ();
    const KINDS: &'static [ValueKind] = &[];

    #[inline]
    fn hash((): (), _: &mut FxHasher) {}

    #[inline]
    fn are((): &(), (): ()) -> bool {
        true
    }

    #[inline]
    fn own((): ()) {}

    fn heap_bytes((): &()) -> usize {
        0
    }

    #[inline]
    fn hint((): ()) -> Option<u32> {
        Some(0)
    }

    fn rank<'k>(
        _: &dyn Fn() -> Box<dyn Iterator<Item = &'k ()> + 'k>,
        _: Dictionaries<'k>,
    ) -> Result<Vec<Ranks>, PluginError> {
        Ok(Vec::new())
    }

    fn encode((): &(), _: Dictionaries<'_>, _: &mut Vec<u8>) -> Result<(), PluginError> {
        Ok(())
    }
}

macro_rules! dimensions {
    ($hint:expr; $($name:ident $index:tt),+) => {
        impl<$($name: Dimension),+> Dimensions for ($($name,)+) {
            type Values<'a> = ($($name::Value<'a>,)+);
            type Keys = ($($name::Key,)+);
            const KINDS: &'static [ValueKind] = &[$($name::KIND),+];

            #[inline]
            fn hash(values: Self::Values<'_>, hasher: &mut FxHasher) {
                $($name::hash(values.$index, hasher);)+
            }

            #[inline]
            fn are(keys: &Self::Keys, values: Self::Values<'_>) -> bool {
                $($name::is(&keys.$index, values.$index))&&+
            }

            #[inline]
            fn own(values: Self::Values<'_>) -> Self::Keys {
                ($($name::own(values.$index),)+)
            }

            fn heap_bytes(keys: &Self::Keys) -> usize {
                0 $(+ $name::heap_bytes(&keys.$index))+
            }

            #[inline]
            fn hint(values: Self::Values<'_>) -> Option<u32> {
                let hint: fn(Self::Values<'_>) -> Option<u32> = $hint;
                hint(values)
            }

            fn rank<'k>(
                keys: &dyn Fn() -> Box<dyn Iterator<Item = &'k Self::Keys> + 'k>,
                dictionaries: Dictionaries<'k>,
            ) -> Result<Vec<Ranks>, PluginError> {
                Ok(vec![$($name::rank(&mut keys().map(|keys| &keys.$index), dictionaries)?),+])
            }

            fn encode(
                keys: &Self::Keys,
                dictionaries: Dictionaries<'_>,
                out: &mut Vec<u8>,
            ) -> Result<(), PluginError> {
                $($name::encode(&keys.$index, dictionaries, out)?;)+
                Ok(())
            }
        }
    };
}

dimensions!(|values| A::hint(values.0); A 0);
dimensions!(|_| None; A 0, B 1);
dimensions!(|_| None; A 0, B 1, C 2);
dimensions!(|_| None; A 0, B 1, C 2, D 3);
dimensions!(|_| None; A 0, B 1, C 2, D 3, E 4);
dimensions!(|_| None; A 0, B 1, C 2, D 3, E 4, F 5);
