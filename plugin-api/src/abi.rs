//! The boundary between host and plugin: everything `abi_stable` sees.
//!
//! Rules of evolution: append only; `last_prefix_field` never moves; new trait methods have default
//! bodies; new root fields read as `None` where missing; plain structs are frozen and carry
//! `reserved` space. Borrowed data lives for the call; who allocates frees; data enters the host
//! only through [`SinkAbi`]. `docs/plugin-abi.md` is the specification.
#![allow(non_local_definitions, non_camel_case_types, missing_docs, reason = "abi_stable's macros")]
#![allow(clippy::all, reason = "abi_stable's macros")]

use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, ROption};
// The boundary's own types, for those who call across it.
pub use abi_stable::std_types::{RResult, RSlice, RStr, RString};
use abi_stable::{StableAbi, package_version_strings, sabi_trait};

/// The root module every plugin exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModule_Ref)))]
#[sabi(missing_field(option))]
pub struct PluginModule {
    /// The [`PluginManifest`](crate::manifest::PluginManifest) as JSON.
    pub describe: extern "C" fn() -> RResult<RString, RString>,
    /// Makes an instance of the stat `ident` with its configuration (JSON text).
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(RStr<'_>, RStr<'_>) -> RResult<PluginInstance, RString>,
}

impl RootModule for PluginModule_Ref {
    abi_stable::declare_root_module_statics! {PluginModule_Ref}
    const BASE_NAME: &'static str = "statmill_plugin";
    const NAME: &'static str = "statmill_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// What `create` returns: the fold and, where the stat has computed views, their computer.
#[repr(C)]
#[derive(StableAbi)]
pub struct PluginInstance {
    pub stat: StatBox,
    pub views: ROption<ViewBox>,
    pub reserved: [usize; 2],
}

pub type StatBox = StatObject_TO<'static, RBox<()>>;
pub type ViewBox = ViewObject_TO<'static, RBox<()>>;

/// A stat behind the ABI. Panics never cross it: they come back as errors.
#[sabi_trait]
pub trait StatObject: Send {
    /// Folds `batch`, ascending by offset; it is valid until the call returns.
    ///
    /// Thread: worker. State: not after an error; the instance is then only dropped.
    fn fold(&mut self, batch: &BatchAbi<'_>) -> RResult<FoldReport, RString>;

    /// Hands all increments since the last drain to `sink`, in key order, and forgets them.
    ///
    /// The dictionaries are those of the batches folded since the last drain: topics first, then one
    /// for each wanted field in the order of the manifest, [`DictionaryAbi::empty`] where the field
    /// is not `Sym`.
    /// Thread: worker. State: not after an error.
    fn drain(
        &mut self,
        dictionaries: RSlice<'_, DictionaryAbi<'_>>,
        sink: SinkAbi<'_>,
    ) -> RResult<(), RString>;

    /// Takes earlier rows (a block, see [`crate::encoding`]) of model number `model`; before the first fold only.
    ///
    /// Thread: worker.
    fn restore(&mut self, model: u32, block: RSlice<'_, u8>) -> RResult<(), RString>;

    /// Answers a request (JSON text) with JSON text: the door for what comes later.
    ///
    /// Thread: worker.
    #[sabi(last_prefix_field)]
    fn command(&mut self, request: RStr<'_>) -> RResult<RString, RString>;
}

/// Computes views that need the whole table. Stateless; never called on a worker thread.
#[sabi_trait]
pub trait ViewObject: Send + Sync {
    /// Computes `view` (its name) over `rows` (JSON array of row objects); answers a JSON table.
    #[sabi(last_prefix_field)]
    fn compute(&self, view: RStr<'_>, rows: RStr<'_>) -> RResult<RString, RString>;
}

/// What a fold holds after a batch.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default)]
pub struct FoldReport {
    /// Rows with increments not yet drained.
    pub rows: u64,
    /// Their approximate size in bytes.
    pub bytes: u64,
}

/// A value's state in a column, [`ColumnAbi::states`].
pub mod state {
    /// The pointer leads nowhere.
    pub const MISSING: u8 = 0;
    /// JSON `null`.
    pub const NULL: u8 = 1;
    /// There, but not of the wanted kind.
    pub const WRONG_TYPE: u8 = 2;
    /// There, but not well-formed JSON (bad escape, bad number, not UTF-8).
    pub const INVALID: u8 = 3;
    /// There: the column holds it.
    pub const VALUE: u8 = 4;
}

/// The selected messages of a range of one log, wanted fields as columns.
#[repr(C)]
#[derive(StableAbi)]
pub struct BatchAbi<'a> {
    /// Orders logs where times are equal (first, last, log).
    pub log_key: u64,
    /// Offset of each message of the batch, ascending.
    pub offsets: RSlice<'a, u64>,
    /// Event time of each message, µs since 1970.
    pub times: RSlice<'a, i64>,
    /// Code of each message's topic in `topic_names`.
    pub topics: RSlice<'a, u32>,
    /// The messages this stat shall fold: ascending indices into the slices above.
    pub rows: RSlice<'a, u32>,
    /// The stat's wanted fields, in the order of its manifest.
    pub columns: RSlice<'a, ColumnAbi<'a>>,
    pub topic_names: DictionaryAbi<'a>,
    /// The messages' text: what spans point into ([`span`]).
    pub text: RSlice<'a, u8>,
    /// Unescaped strings: what spans with the top bit set point into.
    pub unescaped: RSlice<'a, u8>,
    pub reserved: [usize; 4],
}

/// One wanted field of every message of a batch.
#[repr(C)]
#[derive(StableAbi)]
pub struct ColumnAbi<'a> {
    /// A [`FieldKind`](crate::manifest::FieldKind) as a number.
    pub kind: u8,
    /// A [`state`] for each message.
    pub states: RSlice<'a, u8>,
    /// `Sym`: the dictionary code of each message; else empty.
    pub codes: RSlice<'a, u32>,
    /// `Int`, `Time`: the `i64`; `Num`: the `f64`'s bits; `Bool`: 0 or 1; `Str`, `Raw`, `Doc`: a
    /// [`span`]; `Sym`: empty.
    pub words: RSlice<'a, u64>,
    /// `Sym`: the dictionary of the codes.
    pub dictionary: DictionaryAbi<'a>,
    pub reserved: [usize; 2],
}

/// Spans: `start << 32 | length`; with the top bit of `start` set into `unescaped`, else into `text`.
pub mod span {
    /// The top bit of a span: it points into `unescaped`.
    pub const UNESCAPED: u64 = 1 << 63;

    /// Packs a span into `text` (or `unescaped`).
    #[must_use]
    pub fn pack(start: usize, len: usize, unescaped: bool) -> u64 {
        debug_assert!(start < 1 << 31 && len < 1 << 32);
        (start as u64) << 32 | len as u64 | if unescaped { UNESCAPED } else { 0 }
    }

    /// Bytes of a span; an out-of-range span is a bug of the host and panics.
    #[must_use]
    pub fn get<'a>(span: u64, text: &'a [u8], unescaped: &'a [u8]) -> &'a [u8] {
        let start = ((span & !UNESCAPED) >> 32) as usize;
        let len = (span & 0xffff_ffff) as usize;
        let from = if span & UNESCAPED != 0 { unescaped } else { text };
        &from[start..start + len]
    }
}

/// A dictionary of one column: codes `0..len` to texts, stable while borrowed.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct DictionaryAbi<'a> {
    /// Handed back to `lookup`.
    pub context: *const (),
    /// Text of a code below `len`; called from any thread.
    pub lookup: unsafe extern "C" fn(*const (), u32) -> RStr<'a>,
    /// Number of codes at the time of the call.
    pub len: u32,
}

// SAFETY: `context` is only read through `lookup`, which the host promises may be called from any
// thread while the dictionary is borrowed.
unsafe impl Send for DictionaryAbi<'_> {}
// SAFETY: as above.
unsafe impl Sync for DictionaryAbi<'_> {}

extern "C" fn no_text<'a>(_: *const (), _: u32) -> RStr<'a> {
    RStr::from_str("")
}

/// # Safety
///
/// `texts` is a `&'a Vec<Box<str>>`.
unsafe extern "C" fn text_of<'a>(texts: *const (), code: u32) -> RStr<'a> {
    // SAFETY: the caller's promise, kept by `DictionaryAbi::of`.
    let texts: &'a Vec<Box<str>> = unsafe { &*texts.cast() };
    texts.get(code as usize).map_or(RStr::from_str(""), |text| RStr::from_str(text))
}

impl<'a> DictionaryAbi<'a> {
    /// A dictionary without entries: for columns that are not `Sym`.
    #[must_use]
    pub const fn empty() -> Self {
        Self { context: std::ptr::null(), lookup: no_text, len: 0 }
    }

    /// The dictionary of `texts`, whose codes are their places; for tests and for short lists.
    #[must_use]
    pub fn of(texts: &'a Vec<Box<str>>) -> Self {
        let context = std::ptr::from_ref(texts).cast();
        Self { context, lookup: text_of, len: texts.len() as u32 }
    }

    /// Text of `code`; `None` where no such code exists.
    #[must_use]
    pub fn get(&self, code: u32) -> Option<&'a str> {
        if code >= self.len {
            return None;
        }
        // SAFETY: `code < len`, and the host keeps `context` alive for 'a.
        Some(unsafe { (self.lookup)(self.context, code) }.as_str())
    }
}

/// Takes drained increments into the host.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct SinkAbi<'a> {
    /// Handed back to `rows`.
    pub context: *mut (),
    /// Takes a block of rows (see [`crate::encoding`]) of model number `model`, copied before it
    /// returns; answers `false` when the host does not want more (the drain then fails).
    pub rows: unsafe extern "C" fn(*mut (), u32, RSlice<'_, u8>) -> bool,
    pub lifetime: RSlice<'a, u8>,
}

/// # Safety
///
/// `take` is a `&mut &mut dyn FnMut(u32, &[u8]) -> bool` that nobody else uses.
unsafe extern "C" fn rows_of(take: *mut (), model: u32, block: RSlice<'_, u8>) -> bool {
    // SAFETY: the caller's promise, kept by `SinkAbi::of`.
    let take = unsafe { &mut *take.cast::<&mut dyn FnMut(u32, &[u8]) -> bool>() };
    take(model, block.as_slice())
}

impl<'a> SinkAbi<'a> {
    /// A sink that gives model number and block to `take`, which must not panic.
    #[must_use]
    pub fn of(take: &'a mut &mut dyn FnMut(u32, &[u8]) -> bool) -> Self {
        let context = std::ptr::from_mut(take).cast();
        Self { context, rows: rows_of, lifetime: RSlice::EMPTY }
    }

    /// Hands over a block of rows of model number `model`; `false` = the host refused it.
    #[must_use]
    pub fn rows(&self, model: u32, block: &[u8]) -> bool {
        // SAFETY: the host made `context` for `rows` and keeps both for the sink's lifetime.
        unsafe { (self.rows)(self.context, model, RSlice::from_slice(block)) }
    }
}
