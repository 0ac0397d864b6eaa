//! The only place that maps a library into the process.

use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{LibraryError, lib_header_from_path};
use statmill_plugin_api::abi::{PluginInstance, PluginModule_Ref, RResult};

use super::LoadError;

/// A plugin's code in this process. It stays mapped until the process ends: instances may outlive any owner.
pub(crate) struct Module(PluginModule_Ref);

impl Module {
    /// Maps `private`, the copy of `file`.
    ///
    /// # Errors
    /// [`LoadError::Incompatible`].
    pub(crate) fn map(file: &Path, private: &Path) -> Result<Self, LoadError> {
        root_module(file, private).map(Self)
    }

    /// The plugin's manifest, JSON text.
    ///
    /// # Errors
    /// The plugin's own words.
    pub(crate) fn describe(&self) -> Result<String, String> {
        match self.0.describe()() {
            RResult::ROk(text) => Ok(text.into_string()),
            RResult::RErr(reason) => Err(reason.into_string()),
        }
    }

    /// Makes an instance of the stat `ident` with `config` (JSON text).
    ///
    /// # Errors
    /// The plugin's own words when it refuses or panics.
    pub(crate) fn create(&self, ident: &str, config: &str) -> Result<PluginInstance, String> {
        match self.0.create()(ident.into(), config.into()) {
            RResult::ROk(instance) => Ok(instance),
            RResult::RErr(reason) => Err(reason.into_string()),
        }
    }
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
