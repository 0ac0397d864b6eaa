//! A plugin that does whatever a plugin must not.
//!
//! Input: `/do`. Models: `by_topic`, messages per topic, which is right as long as nothing evil is done;
//! `many`, rows without end.
//!
//! What it does wrong its stat is told by its configuration: `evil`, the `deeds` or the forged rows
//! (`forge`), `at`, the entry in which it is done, and `on = "message"` where only messages with
//! `"do": "evil"` bring it about. What comes before any configuration (a constructor, lies in the manifest,
//! the idents) is written into the library itself: `mark`. A view does what its name says.

mod constructor;
mod deeds;
mod forge;
mod lies;
mod mark;
mod stat;

use statmill_plugin_api::export::{self, Exported, PrefixTypeTrait as _};
use statmill_plugin_api::serde_json::Value as Json;

use crate::forge::Forger;
use crate::stat::{Evil, Restoring};

const STATS: &[Exported] = &[Exported::of::<Evil>()];
const RESTORING: &[Exported] = &[Exported::of::<Restoring>()];

fn stats() -> &'static [Exported] {
    if mark::before() == "restores" { RESTORING } else { STATS }
}

// By hand what `export_plugin!` writes, so that it can lie.
extern "C" fn describe() -> export::Answer {
    // Outside of any guard.
    if let Some(deed) = mark::before().strip_prefix("describe: ") {
        deeds::commit(deed);
    }
    export::describe(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), stats())
        .map(|text| lies::told(&text).into())
}

extern "C" fn create(ident: export::Text<'_>, config: export::Text<'_>) -> export::Created {
    if !mark::stats().any(|(known, _)| known == ident.as_str()) {
        return export::create(stats(), ident, config);
    }
    let told: Json = statmill_plugin_api::serde_json::from_str(&config).unwrap_or_default();
    match told["evil"].as_str().and_then(Forger::named) {
        Some(forger) => forger.instance(),
        None => export::create(stats(), "evil".into(), config),
    }
}

fn root() -> statmill_plugin_api::abi::PluginModule_Ref {
    statmill_plugin_api::abi::PluginModule { describe, create }.leak_into_prefix()
}

extern "C" fn erased() -> export::ErasedRoot {
    export::call_root_module_loader(root)
}

// SAFETY: the name and the type are those that hosts look for; nothing else has the name.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static ROOT: export::Header = export::header(erased);
