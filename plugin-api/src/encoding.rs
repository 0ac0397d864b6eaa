//! Bytes of rows: keys that sort as their values do, and blocks of rows.
//!
//! **Block**: rows in ascending key order, keys unique; each row is
//! `key length (LEB128), key, value length (LEB128), value`.
//! **Key**: window start (only where the model has a window), then each dimension, in an encoding whose
//! byte order is the values' order. **Value**: the measures' states one after the other, each
//! self-delimiting ([`crate::aggregate`]).
