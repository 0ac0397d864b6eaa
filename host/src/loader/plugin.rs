//! A loaded plugin, and where its code runs.

use std::path::PathBuf;

use statmill_plugin_api::manifest::PluginManifest;

use super::map::Module;
use crate::instance::Isolated;

/// A loaded plugin.
pub struct Plugin {
    /// The file it was found as.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: PluginManifest,
    /// Digest of the file, hexadecimal.
    pub digest: String,
    pub(crate) code: Code,
    /// How its code would run should one of its stats hang here; none = it is left alone then.
    pub(crate) outside: Option<Isolated>,
}

/// Where a plugin's code runs.
pub(crate) enum Code {
    /// Mapped into this process.
    Mapped(Module),
    /// In worker processes only.
    Isolated(Isolated),
}

impl Plugin {
    /// The same plugin in worker processes, if it is mapped into this one and may be moved.
    pub(crate) fn moved_out(&self) -> Option<Self> {
        let code = Code::Isolated(self.outside.clone()?);
        let (path, manifest) = (self.path.clone(), self.manifest.clone());
        Some(Self { path, manifest, digest: self.digest.clone(), code, outside: None })
    }
}
