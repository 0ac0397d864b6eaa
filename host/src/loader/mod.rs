//! Plugins: from a file in a folder to instances of its stats.
//!
//! A file is vetted (`vet`), copied to a private content-addressed file, tried in a child process
//! (`dry_run`, in the child `probe`), mapped (`map`) and asked to describe itself. What fails is reported
//! in one line and left out; the rest loads.

mod copies;
mod dry_run;
mod exchange;
#[cfg(test)]
mod fuzz;
mod isolation;
mod manifest;
mod map;
mod plugin;
mod probe;
mod report;
mod trust;
mod validate;
mod verdicts;
mod vet;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use statmill_plugin_api::manifest::{PluginManifest, StatManifest};

use self::dry_run::DryRunError;
pub use self::isolation::{Isolation, Isolations};
pub(crate) use self::manifest::check as check_manifest;
pub(crate) use self::map::{Module, words};
pub(crate) use self::plugin::Code;
pub use self::plugin::Plugin;
pub(crate) use self::probe::serve as serve_probe;
pub use self::report::PluginReport;
pub use self::trust::{Digest, Trust, TrustError, TrustedKey};
pub(crate) use self::validate::{Validated, validate};
use self::verdicts::{Loading, Verdict};
use crate::child::Program;
use crate::instance::Isolated;
use crate::query::UtcTime;

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
    /// The operator has said which files are let in, and it is none of them.
    #[error("plugin {path:?} is not let in: {reason}")]
    Untrusted { path: PathBuf, reason: String },
    /// It is to have a process of its own, and none can be started.
    #[error("plugin {path:?} is to run in a process of its own: {reason}")]
    NoProcess { path: PathBuf, reason: String },
    /// The host ended twice while it was mapped.
    #[error("plugin {path:?} was not mapped: {reason}")]
    TookHostDown { path: PathBuf, reason: String },
    /// In a child process it did what would have ended the host; `reason` tells what.
    #[error("plugin {path:?} failed its dry run and was not mapped: {reason}")]
    DryRun { path: PathBuf, reason: String },
    /// The plugin needs features this host does not have.
    #[error("plugin {path:?} needs {feature:?}, which this host does not have; update the host")]
    Requires { path: PathBuf, feature: String },
}

/// How plugins are loaded.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Where private copies go.
    pub copies: PathBuf,
    /// The program that is started as child process for a dry run; none = this one, if its `main` calls
    /// [`serve_as_child`](crate::serve_as_child).
    pub child_program: Option<PathBuf>,
    /// Configuration of the stats that have one, JSON text.
    pub configs: BTreeMap<String, String>,
    /// Which files are let in.
    pub trust: Trust,
    /// Where the code of each plugin runs.
    pub isolations: Isolations,
}

impl LoadOptions {
    /// Private copies go to `folder`; all else is at its default.
    #[must_use]
    pub fn copying_to(folder: impl Into<PathBuf>) -> Self {
        Self { copies: folder.into(), ..Self::default() }
    }
}

/// The plugins of some folders and what became of each file.
#[derive(Clone, Default)]
pub struct Loaded {
    /// Plugins with at least one admitted stat.
    pub plugins: Vec<Arc<Plugin>>,
    /// The admitted stats: each with its plugin.
    pub stats: Vec<(Arc<Plugin>, StatManifest)>,
    /// One report for each file.
    pub reports: Vec<PluginReport>,
    /// Digests of the libraries that stand in the folders, also of those that were left out.
    pub(crate) standing: BTreeSet<String>,
}

/// Loads every shared library of `folders`, in name order.
///
/// Nothing fails as a whole: a file that cannot be loaded is in the reports with its reason.
#[must_use]
pub fn load_folders(folders: &[PathBuf], options: &LoadOptions) -> Loaded {
    let mut loaded = Loaded::default();
    let mut owners: HashMap<String, PathBuf> = HashMap::new();
    for folder in folders {
        match library_files(folder) {
            Ok(files) => {
                for file in files {
                    admit(&file, options, &mut owners, &mut loaded);
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

fn admit(
    file: &Path,
    options: &LoadOptions,
    owners: &mut HashMap<String, PathBuf>,
    loaded: &mut Loaded,
) {
    let mut report = PluginReport::of(file);
    let vetted = vet::vet(file, &options.trust);
    loaded.standing.extend(vetted.as_ref().map(|vetted| vetted.digest.clone()));
    let plugin = match vetted.and_then(|vetted| load_vetted(file, &vetted, options)) {
        Ok(plugin) => Arc::new(plugin),
        Err(error) => {
            report.error = Some(error.to_string());
            loaded.reports.push(report);
            return;
        }
    };
    report.tell(&plugin);
    let mut left_out = Vec::new();
    for stat in &plugin.manifest.stats {
        if let Some(owner) = owners.get(&stat.ident) {
            left_out.push(format!(
                "stat {:?} is already provided by {}; remove one of the two files",
                stat.ident,
                owner.display()
            ));
            continue;
        }
        if let Err(reason) = manifest::check(stat) {
            left_out.push(format!("stat {:?}: {reason}", stat.ident));
            continue;
        }
        owners.insert(stat.ident.clone(), file.into());
        report.stats.push(stat.ident.clone());
        loaded.stats.push((Arc::clone(&plugin), stat.clone()));
    }
    report.error = (!left_out.is_empty()).then(|| left_out.join("; "));
    if !report.stats.is_empty() {
        loaded.plugins.push(plugin);
    }
    loaded.reports.push(report);
}

/// Vets and copies one file and asks it to describe itself: tried and mapped, or in a process of its own.
///
/// # Errors
/// See [`LoadError`].
pub fn load(file: &Path, options: &LoadOptions) -> Result<Plugin, LoadError> {
    load_vetted(file, &vet::vet(file, &options.trust)?, options)
}

fn load_vetted(
    file: &Path,
    vetted: &vet::Vetted,
    options: &LoadOptions,
) -> Result<Plugin, LoadError> {
    let digest = vetted.digest.clone();
    let private = vet::private_copy(vetted, &options.copies)?;
    let own_process = options.isolations.of(file) == Isolation::Process;
    if own_process || moved_out(file, &private, options) {
        return isolate(file, private, digest, options);
    }
    try_once(file, &private, options)?;
    let loading = Loading::begin(&private)
        .map_err(|source| LoadError::Io { path: private.clone(), source })?;
    let plugin = map_plugin(file, &private, digest);
    drop(loading);
    let outside = isolated(file, private, options).filter(|_| options.isolations.takes_hung);
    plugin.map(|plugin| Plugin { outside, ..plugin })
}

/// Whether a plugin took the host down when it was mapped, and there is a way to run it elsewhere.
fn moved_out(file: &Path, private: &Path, options: &LoadOptions) -> bool {
    Loading::settle(private, &options.configs);
    let Some(Verdict::TookHostDown { at_us }) = verdicts::find(private, &options.configs) else {
        return false;
    };
    let there_is_one = Program::find(options.child_program.as_deref()).is_some();
    if there_is_one {
        let at = UtcTime(at_us);
        tracing::warn!(
            path = %file.display(),
            "the host ended twice while this plugin was mapped, last at {at}: it gets a process of its own; \
             to have it mapped again remove {}",
            verdicts::file(private).display()
        );
    }
    there_is_one
}

/// The plugin of `private`, the vetted copy of `file`, without a byte of it mapped here.
fn isolate(
    file: &Path,
    private: PathBuf,
    digest: String,
    options: &LoadOptions,
) -> Result<Plugin, LoadError> {
    let mut code = isolated(file, private, options).ok_or_else(|| LoadError::NoProcess {
        path: file.into(),
        reason: "this program does not call statmill::serve_as_child() first in its main, and \
                 names no other that does"
            .to_owned(),
    })?;
    let describe = |reason: String| LoadError::Describe { path: file.into(), reason };
    let text;
    (text, code.lacks) = code.describe().map_err(|failure| describe(failure.to_string()))?;
    if !code.lacks.is_empty() {
        static SAID: Once = Once::new();
        let lacks = code.lacks.join("; ");
        SAID.call_once(|| tracing::warn!("processes of plugins are less protected: {lacks}"));
    }
    described(file, digest, Code::Isolated(code), &text)
}

/// How worker processes are started for `private`, the vetted copy of `file`, if any can be.
fn isolated(file: &Path, private: PathBuf, options: &LoadOptions) -> Option<Isolated> {
    Some(Isolated {
        program: Program::find(options.child_program.as_deref())?,
        file: file.into(),
        library: private,
        max_memory: options.isolations.max_memory,
        deadline: options.isolations.deadline,
        lacks: Vec::new(),
    })
}

/// The dry run of `private`, the vetted copy of `file`, unless its outcome is known.
fn try_once(file: &Path, private: &Path, options: &LoadOptions) -> Result<(), LoadError> {
    let failed = |reason| LoadError::DryRun { path: file.into(), reason };
    Loading::settle(private, &options.configs);
    match verdicts::find(private, &options.configs) {
        Some(Verdict::TookHostDown { at_us }) => {
            return Err(LoadError::TookHostDown {
                path: file.into(),
                reason: format!(
                    "the host ended twice while it was mapped, last at {}; put another version in its place, or \
                     remove {} to have it mapped again",
                    UtcTime(at_us),
                    verdicts::file(private).display()
                ),
            });
        }
        Some(Verdict::Failed(reason)) => return Err(failed(reason)),
        Some(Verdict::Passed(_)) => return Ok(()),
        None => {}
    }
    let Some(program) = Program::find(options.child_program.as_deref()) else {
        warn_once("this program does not serve as child process, see statmill::serve_as_child()");
        return Ok(());
    };
    match dry_run::run(&program, private, &options.configs) {
        Ok(passed) => {
            for (ident, error) in passed.errors() {
                // Made messages are odd ones: what comes of real ones is seen when they come.
                tracing::info!(stat = ident, "in its dry run it answered an error: {error}");
            }
            verdicts::keep(private, &options.configs, Verdict::Passed(passed));
            Ok(())
        }
        Err(DryRunError::Died(reason)) => {
            verdicts::keep(private, &options.configs, Verdict::Failed(reason.clone()));
            Err(failed(reason))
        }
        Err(DryRunError::Failed(reason)) => Err(failed(reason)),
        Err(DryRunError::NoChild(error)) => {
            warn_once(&error.to_string());
            Ok(())
        }
    }
}

/// Says once why no plugin is tried before it is mapped.
fn warn_once(reason: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "plugins are mapped without a dry run, and all run in this process: {reason}"
        );
    });
}

/// Maps `private`, the vetted copy of `file`, and asks it to describe itself.
pub(crate) fn map_plugin(file: &Path, private: &Path, digest: String) -> Result<Plugin, LoadError> {
    let module = Module::map(file, private)?;
    let describe = |reason: String| LoadError::Describe { path: file.into(), reason };
    let text = module.describe().map_err(describe)?;
    described(file, digest, Code::Mapped(module), &text)
}

fn described(file: &Path, digest: String, code: Code, text: &str) -> Result<Plugin, LoadError> {
    let describe = |reason: String| LoadError::Describe { path: file.into(), reason };
    let manifest: PluginManifest =
        serde_json::from_str(text).map_err(|error| describe(error.to_string()))?;
    if let Some(feature) = manifest.requires.first() {
        return Err(LoadError::Requires { path: file.into(), feature: feature.clone() });
    }
    Ok(Plugin { path: file.into(), manifest, digest, code, outside: None })
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
