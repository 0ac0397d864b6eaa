//! `check-config`: every setting, and which limits keep less than the models need.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::run::RunArgs;
use crate::config::{Config, Keep};
use crate::host::{LongestKept, longest_kept};
use crate::loader::{self, LoadOptions};

pub(super) fn check_config(args: &RunArgs) -> Result<()> {
    let config = args.load()?;
    let mut out = std::io::stdout().lock();
    for setting in config.settings() {
        writeln!(out, "{setting}")?;
    }
    out.flush()?;
    for warning in warnings(&config)? {
        eprintln!("statmill: warning: {warning}");
    }
    Ok(())
}

/// What the limits of the journals take from a rebuild.
fn warnings(config: &Config) -> Result<Vec<String>> {
    let (max_age, max_bytes) = (config.journal.max_age, config.journal.max_bytes);
    if max_age.is_none() && max_bytes.is_none() {
        return Ok(Vec::new());
    }
    let longest = match longest(config)? {
        Some(longest) => words(&longest),
        None => (None, "no model is known: everything is kept".to_owned()),
    };
    let mut warnings = Vec::new();
    for source in config.sources.iter().filter(|source| source.url.is_journaled()) {
        let name = source.url.name();
        let keep = source.url.keep.unwrap_or(config.journal.keep);
        let (kept, why) = match keep {
            Keep::Forever => (None, "it is to be kept for ever".to_owned()),
            Keep::Models => longest.clone(),
        };
        if let (Keep::Models, Some(max_age)) = (keep, max_age)
            && kept.is_none_or(|kept| kept > max_age)
        {
            warnings.push(format!(
                "{}: the journal of {name} ends before its rows do ({why}); a rebuild cannot reach \
                 what is older",
                setting(config, "journal.max_age")
            ));
        }
        if max_bytes.is_some() {
            warnings.push(format!(
                "{}: what the journal of {name} holds beyond it is dropped whatever needs it ({why}): \
                 a recorded loss if unread, and out of reach of a rebuild",
                setting(config, "journal.max_bytes")
            ));
        }
    }
    Ok(warnings)
}

/// The model of the configured plugins that is kept longest.
fn longest(config: &Config) -> Result<Option<LongestKept>> {
    let default = Some(config.data.join("plugins")).filter(|folder| folder.is_dir());
    let folders: Vec<PathBuf> = config.plugins.iter().cloned().chain(default).collect();
    let copies = tempfile::TempDir::new()?;
    let options = LoadOptions {
        isolations: config.isolations.clone(),
        ..LoadOptions::copying_to(copies.path())
    };
    let mut loaded = loader::load_folders(&folders, &options);
    let runs = |ident: &str| config.stats.get(ident).is_none_or(|stat| stat.enabled);
    loaded.stats.retain(|(_, stat)| runs(&stat.ident));
    Ok(longest_kept(&loaded))
}

/// How long the model is kept, and that in words.
fn words(longest: &LongestKept) -> (Option<Duration>, String) {
    let LongestKept { ident, model, kept_us } = longest;
    let Some(kept_us) = kept_us else {
        return (None, format!("model {model} of {ident} is kept for ever"));
    };
    let kept = Duration::from_micros(kept_us.unsigned_abs());
    (Some(kept), format!("model {model} of {ident} is kept for {} s", kept.as_secs()))
}

/// A setting as it was given, with its origin.
fn setting(config: &Config, key: &str) -> String {
    let found = config.settings().iter().find(|setting| setting.key == key);
    found.map(|it| format!("{}: {} = {}", it.origin, it.key, it.value)).unwrap_or_default()
}
