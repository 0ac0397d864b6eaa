//! [`export_plugin!`](crate::export_plugin!): the door of a plugin.
//!
//! Everything the host can call ends here and goes on through a guard: no panic crosses the
//! boundary, an instance that failed answers an error for ever after, and what is handed out is
//! owned by who made it.

use std::marker::PhantomData;

use abi_stable::erased_types::TD_Opaque;
use abi_stable::library::{CheckTypeLayout, LibHeader, ROOT_MODULE_LOADER_NAME, RootModuleResult};
use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString};

pub use abi_stable::library::__call_root_module_loader as call_root_module_loader;
pub use abi_stable::prefix_type::PrefixTypeTrait;

use crate::abi::{
    BatchAbi, DictionaryAbi, FoldReport, PluginInstance, PluginModule_Ref, SinkAbi, StatObject,
    StatObject_TO, ViewObject, ViewObject_TO,
};
use crate::instance::{Instance, guard};
use crate::manifest::{PluginManifest, StatManifest};
use crate::stat::{self, PluginError, Stat};

/// Version of this crate: that of the ABI a plugin is built against.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes the crate a plugin that holds the named stats.
///
/// ```standalone_crate
/// # use statmill_plugin_api::prelude::*;
/// # #[derive(Models, Default)]
/// # pub struct Volume {
/// #     #[model(measures = ["count"])]
/// #     total: Rollup<(), (Count,)>,
/// # }
/// # impl Stat for Volume {
/// #     const INFO: StatInfo = StatInfo { ident: "volume", title: "V", ..StatInfo::DEFAULT };
/// #     fn fold(&mut self, _: &Batch<'_>) -> Result<(), PluginError> { Ok(()) }
/// # }
/// export_plugin!(Volume);
/// ```
///
/// Once in a crate, whose `Cargo.toml` says `crate-type = ["cdylib", "rlib"]`. A stat that is generic
/// over a constant is named once for each value: `export_plugin!(Total<1>, Total<60>);`.
#[macro_export]
macro_rules! export_plugin {
    ($($stat:ty),+ $(,)?) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "a plugin must unwind, else one panic ends the host: remove `panic = \"abort\"` from \
             the profile"
        );

        const _: () = {
            use $crate::export::{self, Exported, PrefixTypeTrait as _};

            const STATS: &[Exported] = &[$(Exported::of::<$stat>()),+];

            extern "C" fn describe() -> export::Answer {
                export::describe(
                    ::core::env!("CARGO_PKG_NAME"),
                    ::core::env!("CARGO_PKG_VERSION"),
                    STATS,
                )
            }

            extern "C" fn create(
                ident: export::Text<'_>,
                config: export::Text<'_>,
            ) -> export::Created {
                export::create(STATS, ident, config)
            }

            fn root() -> $crate::abi::PluginModule_Ref {
                $crate::abi::PluginModule { describe, create }.leak_into_prefix()
            }

            extern "C" fn erased() -> export::ErasedRoot {
                export::call_root_module_loader(root)
            }

            // By hand what `#[export_root_module]` writes: that names `::abi_stable`, which a
            // plugin's author should not have to depend on.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT: export::Header = export::header(erased);
        };
    };
}

const _: () = {
    let (ours, theirs) =
        (b"_1as_0lib_1header_0root_bmodule_bloader", ROOT_MODULE_LOADER_NAME.as_bytes());
    let mut at = 0;
    while at < ours.len() {
        assert!(ours.len() == theirs.len() && ours[at] == theirs[at], "the symbol hosts look for");
        at += 1;
    }
};

/// A text lent for the call.
pub type Text<'a> = RStr<'a>;
/// What `describe` answers.
pub type Answer = RResult<RString, RString>;
/// What `create` answers.
pub type Created = RResult<PluginInstance, RString>;
/// What the loader's function answers.
pub type ErasedRoot = RootModuleResult;
/// What a host finds in the library.
pub type Header = LibHeader;

/// A stat without its type.
#[derive(Clone, Copy)]
pub struct Exported {
    ident: fn() -> String,
    manifest: fn() -> Result<StatManifest, PluginError>,
    create: fn(&str) -> Result<PluginInstance, PluginError>,
}

impl Exported {
    /// The stat `S`.
    #[must_use]
    pub const fn of<S: Stat>() -> Self {
        Self { ident: ident::<S>, manifest: stat::manifest::<S>, create: instance::<S> }
    }
}

fn ident<S: Stat>() -> String {
    S::INFO.full_ident()
}

fn instance<S: Stat>(config: &str) -> Result<PluginInstance, PluginError> {
    let stat = StatObject_TO::from_value(Instance::<S>::new(config)?, TD_Opaque);
    let views = if S::COMPUTES {
        let views: Views<S> = Views(PhantomData);
        ROption::RSome(ViewObject_TO::from_value(views, TD_Opaque))
    } else {
        ROption::RNone
    };
    Ok(PluginInstance { stat, views, reserved: [0; 2] })
}

/// The plugin's manifest as JSON text.
#[must_use]
pub fn describe(name: &str, version: &str, stats: &[Exported]) -> Answer {
    answer(|| {
        let stats = stats.iter().map(|stat| (stat.manifest)()).collect::<Result<_, _>>()?;
        let manifest = PluginManifest {
            api: API_VERSION.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            requires: Vec::new(),
            stats,
        };
        Ok(serde_json::to_string(&manifest)?.into())
    })
}

/// A new instance of the stat `ident`.
#[must_use]
pub fn create(stats: &[Exported], ident: Text<'_>, config: Text<'_>) -> Created {
    answer(|| {
        let stat = (stats.iter().find(|stat| (stat.ident)() == ident.as_str()))
            .ok_or_else(|| PluginError::UnknownStat { ident: ident.to_string() })?;
        (stat.create)(config.as_str())
    })
}

/// The header that a host looks for in a library.
#[must_use]
pub const fn header(constructor: extern "C" fn() -> RootModuleResult) -> LibHeader {
    // SAFETY: `export_plugin!`, the only caller, gives a constructor whose module is a
    // `PluginModule_Ref`.
    unsafe { LibHeader::from_constructor::<PluginModule_Ref>(constructor, CheckTypeLayout::Yes) }
}

/// Runs `work` behind the guard and makes its error a text.
fn answer<T>(work: impl FnOnce() -> Result<T, PluginError>) -> RResult<T, RString> {
    match guard(work) {
        Ok(value) => RResult::ROk(value),
        Err(error) => RResult::RErr(error.to_string().into()),
    }
}

impl<S: Stat> StatObject for Instance<S> {
    fn fold(&mut self, batch: &BatchAbi<'_>) -> RResult<FoldReport, RString> {
        answer(|| Instance::fold(self, batch))
    }

    fn drain(
        &mut self,
        dictionaries: RSlice<'_, DictionaryAbi<'_>>,
        sink: SinkAbi<'_>,
    ) -> RResult<(), RString> {
        answer(|| {
            let mut rows = |model: u32, block: &[u8]| sink.rows(model, block);
            Instance::drain(self, dictionaries.as_slice(), &mut rows)
        })
    }

    fn restore(&mut self, model: u32, block: RSlice<'_, u8>) -> RResult<(), RString> {
        answer(|| Instance::restore(self, model, block.as_slice()))
    }

    fn command(&mut self, request: RStr<'_>) -> RResult<RString, RString> {
        RResult::RErr(format!("API {API_VERSION} has no commands; asked for {request}").into())
    }
}

/// The computed views of a stat.
struct Views<S>(PhantomData<fn() -> S>);

impl<S: Stat> ViewObject for Views<S> {
    fn compute(&self, view: RStr<'_>, rows: RStr<'_>) -> RResult<RString, RString> {
        answer(|| {
            let table = S::compute(view.as_str(), &serde_json::from_str(rows.as_str())?)?;
            Ok(serde_json::to_string(&table)?.into())
        })
    }
}
