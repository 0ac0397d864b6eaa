//! Plugins: from a file in a folder to instances of its stats.
//!
//! A file is vetted (`vet`), copied to a private content-addressed file, mapped (`map`) and asked
//! to describe itself. What fails is reported in one line and left out; the rest loads.

mod map;
mod vet;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use statmill_plugin_api::manifest::{PluginManifest, StatManifest};

pub(crate) use self::map::Module;

/// A loaded plugin.
pub struct Plugin {
    /// The file it was found as.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: PluginManifest,
    /// Digest of the file, hexadecimal.
    pub digest: String,
    pub(crate) module: Module,
}

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
    /// Why it, or one of its stats, was left out.
    pub error: Option<String>,
}

/// Why a plugin was not admitted. The host keeps running without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum LoadError {
    /// The folder or file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// The file is not a shared library this machine can map; `reason` tells why.
    #[error("{path:?} is not a usable shared library: {reason}")]
    Unfit { path: PathBuf, reason: String },
    /// The library is not a statmill plugin, or was built against an incompatible API.
    #[error("{path:?} is not a plugin for this host: {reason}")]
    Incompatible { path: PathBuf, reason: String },
    /// `describe` failed or answered nonsense.
    #[error("plugin {path:?} does not describe itself: {reason}")]
    Describe { path: PathBuf, reason: String },
    /// The plugin needs features this host does not have.
    #[error("plugin {path:?} needs {feature:?}, which this host does not have; update the host")]
    Requires { path: PathBuf, feature: String },
}

/// The plugins of some folders and what became of each file.
#[derive(Default)]
pub struct Loaded {
    /// Plugins with at least one admitted stat.
    pub plugins: Vec<Arc<Plugin>>,
    /// The admitted stats: each with its plugin.
    pub stats: Vec<(Arc<Plugin>, StatManifest)>,
    /// One report for each file.
    pub reports: Vec<PluginReport>,
}

/// Loads every shared library of `folders`, in name order; `copies` is where private copies go.
///
/// Nothing fails as a whole: a file that cannot be loaded is in the reports with its reason.
#[must_use]
pub fn load_folders(folders: &[PathBuf], copies: &Path) -> Loaded {
    let mut loaded = Loaded::default();
    let mut owners: HashMap<String, PathBuf> = HashMap::new();
    for folder in folders {
        match library_files(folder) {
            Ok(files) => {
                for file in files {
                    admit(&file, copies, &mut owners, &mut loaded);
                }
            }
            Err(error) => loaded
                .reports
                .push(PluginReport { error: Some(error.to_string()), ..PluginReport::of(folder) }),
        }
    }
    for report in &loaded.reports {
        match &report.error {
            Some(error) => {
                tracing::error!(path = %report.path.display(), "plugin left out: {error}")
            }
            None => tracing::info!(
                path = %report.path.display(),
                stats = report.stats.len(),
                "plugin {} {} loaded",
                report.name.as_deref().unwrap_or_default(),
                report.version.as_deref().unwrap_or_default(),
            ),
        }
    }
    loaded
}

/// The libraries of a folder; a file stands for itself.
fn library_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if folder.is_file() {
        return Ok(vec![folder.into()]);
    }
    let io = |source| LoadError::Io { path: folder.into(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "so") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn admit(file: &Path, copies: &Path, owners: &mut HashMap<String, PathBuf>, loaded: &mut Loaded) {
    let mut report = PluginReport::of(file);
    let plugin = match load(file, copies) {
        Ok(plugin) => Arc::new(plugin),
        Err(error) => {
            report.error = Some(error.to_string());
            loaded.reports.push(report);
            return;
        }
    };
    report.name = Some(plugin.manifest.name.clone());
    report.version = Some(plugin.manifest.version.clone());
    report.api = Some(plugin.manifest.api.clone());
    report.digest = Some(plugin.digest.clone());
    for stat in &plugin.manifest.stats {
        if let Some(owner) = owners.get(&stat.ident) {
            report.error = Some(format!(
                "stat {:?} is already provided by {}; remove one of the two files",
                stat.ident,
                owner.display()
            ));
            continue;
        }
        if let Err(reason) = check_manifest(stat) {
            report.error = Some(format!("stat {:?}: {reason}", stat.ident));
            continue;
        }
        owners.insert(stat.ident.clone(), file.into());
        report.stats.push(stat.ident.clone());
        loaded.stats.push((Arc::clone(&plugin), stat.clone()));
    }
    if !report.stats.is_empty() {
        loaded.plugins.push(plugin);
    }
    loaded.reports.push(report);
}

/// A manifest is hostile input: what later code relies on is checked here.
fn check_manifest(stat: &StatManifest) -> Result<(), String> {
    let ident_ok = !stat.ident.is_empty()
        && stat.ident.len() <= 128
        && stat.ident.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !stat.ident.starts_with(['.', '_']);
    if !ident_ok {
        return Err(
            "an ident has 1 to 128 of a-z A-Z 0-9 - _ . and does not start with . or _".to_owned()
        );
    }
    if stat.models.is_empty() {
        return Err("it has no model".to_owned());
    }
    let mut names = std::collections::HashSet::new();
    for model in &stat.models {
        if model.name.is_empty() || !names.insert(&model.name) {
            return Err(format!("model name {:?} is empty or used twice", model.name));
        }
        if model.window_s == Some(0) || model.window_s.is_some_and(|s| s > 10_000 * 86_400) {
            return Err(format!("model {:?} has an impossible window", model.name));
        }
        if model.measures.is_empty() {
            return Err(format!("model {:?} has no measures", model.name));
        }
        if let Some(reason) = crate::store::index_refusal(model) {
            return Err(format!("model {:?}: its index {reason}", model.name));
        }
        for rollup in &model.rollups {
            let fits =
                model.window_s.is_some_and(|s| rollup.window_s > s && rollup.window_s % s == 0);
            if !fits {
                return Err(format!(
                    "model {:?}: a roll-up's window is a larger multiple of the model's",
                    model.name
                ));
            }
        }
        let mut columns = std::collections::HashSet::new();
        let dimensions = model.dimensions.iter().map(|d| d.name.as_str());
        let measures = model.measures.iter().map(|m| m.name.as_str());
        for name in dimensions.chain(measures) {
            if name.is_empty() || !columns.insert(name) {
                return Err(format!(
                    "model {:?}: column name {name:?} is empty or used twice",
                    model.name
                ));
            }
        }
    }
    Ok(())
}

/// Vets, copies and maps one file and asks it to describe itself.
///
/// # Errors
/// See [`LoadError`].
pub fn load(file: &Path, copies: &Path) -> Result<Plugin, LoadError> {
    let vetted = vet::vet(file)?;
    let private = vet::private_copy(&vetted, copies)?;
    let module = Module::map(file, &private)?;
    let describe = |reason: String| LoadError::Describe { path: file.into(), reason };
    let text = module.describe().map_err(describe)?;
    let manifest: PluginManifest =
        serde_json::from_str(&text).map_err(|error| describe(error.to_string()))?;
    if let Some(feature) = manifest.requires.first() {
        return Err(LoadError::Requires { path: file.into(), feature: feature.clone() });
    }
    Ok(Plugin { path: file.into(), manifest, digest: vetted.digest, module })
}

impl PluginReport {
    fn of(path: &Path) -> Self {
        Self {
            path: path.into(),
            name: None,
            version: None,
            api: None,
            digest: None,
            stats: Vec::new(),
            error: None,
        }
    }
}

/// Finds the library of the crate `name` where cargo leaves it: beside the running program, or in
/// its `deps` folder. For programs that have a plugin's crate as a dependency only to build it.
///
/// # Errors
/// [`LoadError::Io`] naming the first place where it was looked for.
pub fn library_beside_program(name: &str) -> Result<PathBuf, LoadError> {
    let program =
        std::env::current_exe().map_err(|source| LoadError::Io { path: name.into(), source })?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let file = format!("lib{}.so", name.replace('-', "_"));
    // `deps` first: the copy beside the program is made only for a crate built by its own name.
    let places = [folder.join("deps").join(&file), folder.join(&file)];
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| LoadError::Io {
        path: places[0].clone(),
        source: std::io::ErrorKind::NotFound.into(),
    })
}
