//! What is said of a file of the plugins folder.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Code, Isolation, Plugin};

/// What became of one file of the plugins folder.
#[derive(Clone, Debug, Serialize)]
pub struct PluginReport {
    /// The file.
    pub path: PathBuf,
    /// Name and version the plugin gives itself.
    pub name: Option<String>,
    /// See `name`.
    pub version: Option<String>,
    /// API version it was built with.
    pub api: Option<String>,
    /// Digest of the file, hexadecimal.
    pub digest: Option<String>,
    /// Idents of its stats.
    pub stats: Vec<String>,
    /// Where its code runs.
    pub isolation: Isolation,
    /// What of the sandbox this kernel does not have for its processes, in words.
    pub sandbox_lacks: Vec<String>,
    /// Why it, or which of its stats, was left out.
    pub error: Option<String>,
}

impl PluginReport {
    /// Of a file of which nothing is known.
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.into(),
            name: None,
            version: None,
            api: None,
            digest: None,
            stats: Vec::new(),
            isolation: Isolation::InProcess,
            sandbox_lacks: Vec::new(),
            error: None,
        }
    }

    /// Says who `plugin` is, and where its code runs.
    pub(super) fn tell(&mut self, plugin: &Plugin) {
        self.name = Some(plugin.manifest.name.clone());
        self.version = Some(plugin.manifest.version.clone());
        self.api = Some(plugin.manifest.api.clone());
        self.digest = Some(plugin.digest.clone());
        if let Code::Isolated(code) = &plugin.code {
            self.isolation = Isolation::Process;
            self.sandbox_lacks.clone_from(&code.lacks);
        }
    }
}
