//! The macros of `statmill-plugin-api`; use them from there, its prelude has both.
//!
//! `fields!` declares what a stat reads of each message, `#[derive(Models)]` what it keeps. Every
//! error points at the word that is wrong and says what to write instead.

mod fields;
mod model;
mod models;
mod span;

use proc_macro::TokenStream;

/// Declares what a stat reads of each message.
///
/// ```
/// use statmill_plugin_api::prelude::*;
/// fields! {
///     /// What is read of each message.
///     pub struct Event {
///         key: sym "/key",
///         size: int "/msg/size",
///     }
/// }
/// # fn example(batch: &Batch<'_>) {
/// for message in batch.rows::<Event>() {
///     let key: Option<Sym> = message.key();
///     let size: FieldValue<i64> = message.size_value(); // tells missing from null and the like
///     let time = message.time(); // topic, time and offset are always there
/// }
/// # }
/// ```
///
/// Each field is a name, a kind and a JSON pointer (RFC 6901) from the message's root. The kinds:
///
/// | kind | method answers | for |
/// | --- | --- | --- |
/// | `sym` | `Option<Sym>` | text to group by |
/// | `str` | `Option<&str>` | any other text |
/// | `int` | `Option<i64>` | a number without a fraction |
/// | `num` | `Option<f64>` | any number |
/// | `bool` | `Option<bool>` | `true` and `false` |
/// | `time` | `Option<i64>` | seconds, milliseconds or RFC 3339, as µs since 1970 |
/// | `raw` | `Option<&[u8]>` | the JSON text of a sub-value, whatever its type |
/// | `doc` | `Option<&[u8]>` | the whole document; the pointer is `""` |
///
/// A second method, `<name>_value`, tells why a value is not there.
///
/// A pointer begins with `/`:
///
/// ```compile_fail
/// use statmill_plugin_api::prelude::*;
/// fields! { pub struct Event { key: sym "key" } } // error: write "/key"
/// ```
///
/// A text that is grouped by is a `sym`:
///
/// ```compile_fail
/// use statmill_plugin_api::prelude::*;
/// fields! { pub struct Event { key: text "/key" } } // error: the kinds are sym, str, ...
/// ```
///
/// Topic and time need not be declared:
///
/// ```compile_fail
/// use statmill_plugin_api::prelude::*;
/// fields! { pub struct Event { topic: sym "/topic" } } // error: every message has it
/// ```
#[proc_macro]
pub fn fields(input: TokenStream) -> TokenStream {
    let rows = syn::parse_macro_input!(input as fields::Rows);
    rows.expand().into()
}

/// Makes a struct of `Rollup`s the models of a stat.
///
/// ```
/// use statmill_plugin_api::prelude::*;
/// #[derive(Models, Default)]
/// pub struct Sizes {
///     #[model(
///         window = "1h",
///         dimensions = ["key"],
///         measures = ["count", "size"(unit = "bytes")],
///         retention = "90d",
///         rollups = ["1d", "30d:400d"],
///         index = "count"
///     )]
///     by_key: Rollup<(Sym,), (Count, Moments<i64>)>,
/// }
/// ```
///
/// | word | value | meaning |
/// | --- | --- | --- |
/// | `window` | `"1h"`, `interval` | length of the window; the stat's own interval; left out: totals over all time |
/// | `stamp` | `"start"`, `"end"` | column `time` with the window's start; column `timestamp` with its end, as statscache has it |
/// | `dimensions` | names | one for each dimension of the `Rollup`, in order |
/// | `measures` | names | one for each measure, in order; options in parentheses after a name |
/// | `retention` | `"90d"` | age after which windows are dropped |
/// | `rollups` | `["1d", "30d:400d"]` | coarser copies, `window` or `window:retention` |
/// | `index` | a measure, or a column of one | rows are kept in its order too: numbers and times only |
///
/// Options of a measure: `unit = "ms"`; of `Quantiles` `per_octave = 16` and `show = [0.5, 0.99]`;
/// of `Log` and `TopKApprox` `keep = 10`. Lengths of time are made of `s`, `m`, `h`, `d`, `w`:
/// `"1d12h"`. Fields without `#[model]` are the stat's own.
///
/// A name is needed for each dimension and measure:
///
/// ```compile_fail
/// # use statmill_plugin_api::prelude::*;
/// #[derive(Models, Default)]
/// pub struct Sizes {
///     #[model(measures = ["count"])] // error: name its 1 dimension: `dimensions = ["..."]`
///     by_key: Rollup<(Sym,), (Count,)>,
/// }
/// ```
///
/// A window is a length of time:
///
/// ```compile_fail
/// # use statmill_plugin_api::prelude::*;
/// #[derive(Models, Default)]
/// pub struct Sizes {
///     #[model(window = "hourly", measures = ["count"])] // error: write a length like "1h"
///     total: Rollup<(), (Count,)>,
/// }
/// ```
///
/// Words are checked:
///
/// ```compile_fail
/// # use statmill_plugin_api::prelude::*;
/// #[derive(Models, Default)]
/// pub struct Sizes {
///     #[model(windows = "1h", measures = ["count"])] // error: the words are window, stamp, ...
///     total: Rollup<(), (Count,)>,
/// }
/// ```
#[proc_macro_derive(Models, attributes(model))]
pub fn models(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    models::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
