//! The only place that maps a library into the process.

use std::collections::BTreeSet;
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{LibraryError, lib_header_from_path};
use parking_lot::Mutex;
use statmill_plugin_api::abi::{PluginInstance, PluginModule_Ref, RResult, RString};

use super::LoadError;

/// The longest manifest that is read.
const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// As much of a plugin's words is passed on.
const MAX_WORDS_BYTES: usize = 2_000;

/// Names of the copies that were mapped into this process.
static MAPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Whether a copy with that digest was mapped into this process, where it then stays.
pub(super) fn is_mapped(digest: &str) -> bool {
    MAPPED.lock().iter().any(|name| name.contains(digest))
}

/// A plugin's code in this process. It stays mapped until the process ends: instances may outlive any owner.
pub(crate) struct Module(PluginModule_Ref);

impl Module {
    /// Maps `private`, the copy of `file`.
    ///
    /// # Errors
    /// [`LoadError::Incompatible`].
    pub(crate) fn map(file: &Path, private: &Path) -> Result<Self, LoadError> {
        let name = private.file_name().unwrap_or_default().to_string_lossy().into_owned();
        MAPPED.lock().insert(name);
        root_module(file, private).map(Self)
    }

    /// The plugin's manifest, JSON text.
    ///
    /// # Errors
    /// The plugin's own words.
    pub(crate) fn describe(&self) -> Result<String, String> {
        match self.0.describe()() {
            RResult::ROk(text) if text.len() > MAX_MANIFEST_BYTES => Err(format!(
                "its manifest has {} bytes, more than the {MAX_MANIFEST_BYTES} that are taken",
                text.len()
            )),
            RResult::ROk(text) => String::from_utf8(text.as_bytes().to_vec())
                .map_err(|_| "its manifest is not UTF-8".to_owned()),
            RResult::RErr(reason) => Err(words(&reason)),
        }
    }

    /// Makes an instance of the stat `ident` with `config` (JSON text).
    ///
    /// # Errors
    /// The plugin's own words when it refuses or panics.
    pub(crate) fn create(&self, ident: &str, config: &str) -> Result<PluginInstance, String> {
        match self.0.create()(ident.into(), config.into()) {
            RResult::ROk(instance) => Ok(instance),
            RResult::RErr(reason) => Err(words(&reason)),
        }
    }
}

/// What a plugin says, as far as it is passed on. That it is text is a promise of the plugin's side only.
pub(crate) fn words(said: &RString) -> String {
    let bytes = &said.as_bytes()[..said.len().min(MAX_WORDS_BYTES)];
    String::from_utf8_lossy(bytes).into_owned()
}

/// The default layout check admits plugins with the same or a newer API; the swapped one admits
/// older plugins, whose API is a prefix of ours.
fn root_module(file: &Path, private: &Path) -> Result<PluginModule_Ref, LoadError> {
    let incompatible = |reason: String| LoadError::Incompatible { path: file.into(), reason };
    // Not `RootModule::load_from`: it caches one library per root module type, so a second plugin
    // would silently get the first one's code.
    let header =
        lib_header_from_path(private).map_err(|error| incompatible(brief(&error.to_string())))?;
    header.init_root_module::<PluginModule_Ref>().or_else(|error| {
        let refused = |error: LibraryError| incompatible(brief(&error.to_string()));
        let Some(theirs) = header.layout() else { return Err(refused(error)) };
        if check_layout_compatibility(theirs, <PluginModule_Ref as StableAbi>::LAYOUT).is_err() {
            return Err(refused(error));
        }
        // SAFETY: the check above showed that the plugin's layout is a prefix of ours: fields it
        // lacks read as `None`. The major version is still checked by this call.
        unsafe { header.init_root_module_with_unchecked_layout::<PluginModule_Ref>() }
            .map_err(refused)
    })
}

/// The lines of a layout report that say what is wrong: the whole has hundreds.
fn brief(report: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut rest = report.lines();
    while let Some(line) = rest.next() {
        if line.trim_start().starts_with("Error:") {
            lines.push(line.trim());
            lines.extend(rest.by_ref().take(4).map(str::trim));
        }
        if lines.len() >= 5 {
            break;
        }
    }
    if lines.is_empty() {
        lines.extend(report.lines().map(str::trim).filter(|line| !line.is_empty()).take(4));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("; ")
}
