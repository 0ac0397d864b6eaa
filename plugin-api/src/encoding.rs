//! Bytes of rows: keys that sort as their values do, and blocks of rows.
//!
//! The encoding is public: plugins write it, stores keep it, exports carry it. It is version
//! [`VERSION`]; another one would get another number, never another meaning. Everything has exactly
//! one way to be written, and only that one is read. All bytes are taken as hostile: what is not
//! well-formed is a [`DecodeError`], at a cost bounded by the length of the bytes.
//!
//! # Block
//!
//! Rows in ascending key order, keys unique; each row is
//! `key length (LEB128), key, value length (LEB128), value`. **Value**: the measures' states one after
//! the other, each self-delimiting ([`crate::aggregate`]).
//!
//! # Key
//!
//! Window start, only where the model has a window: 8 bytes, big-endian, of µs since 1970 with the
//! sign bit flipped. Then each dimension as a cell.
//!
//! # Cell
//!
//! No cell is the beginning of another one and the order of cells is the order of their values, so
//! keys compare as their values do, by `memcmp`. `null` sorts first.
//!
//! | kind | bytes |
//! | --- | --- |
//! | null, of any kind | `00` |
//! | text, JSON text | `01`, the UTF-8 with `00` → `01 01` and `01` → `01 02`, `00` |
//! | int, time (µs) | `80 + n` and the n bytes of v ≥ 0, or `7f − n` and the n low bytes of v < 0; big-endian, n the least with which v (or −1 − v) is written |
//! | num | `01` and the `f64`'s 8 bytes, big-endian, sign bit flipped if it is clear, else all bits; finite, no −0 |
//! | bool | `01` false, `02` true |

mod block;
mod cell;
mod error;
mod key;
pub mod leb128;
#[cfg(test)]
mod tests;
mod value;

pub use block::{BlockReader, BlockWriter};
pub(crate) use cell::{is_json, read_cell, take_cell, take_int};
pub use cell::{push_bool, push_int, push_json, push_null, push_num, push_text, push_time};
pub use error::DecodeError;
pub use key::{
    WINDOW_LEN, check_key, decode_key, encode_key, key_window, push_value, push_window, rekey,
    window_start,
};
pub use value::Value;

/// Version of the encoding of keys, blocks and states.
pub const VERSION: u32 = 1;
