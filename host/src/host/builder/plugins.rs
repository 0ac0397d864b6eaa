//! Which plugins a host has, and what is set for their stats: what can be another while it runs.

use std::path::{Path, PathBuf};

use super::HostBuilder;
use crate::config::Config;
use crate::instance::Instance;
use crate::loader::{self, Isolations, LoadOptions, Loaded, Plugin};

impl HostBuilder {
    /// Takes of a configuration where plugins are and how stats are set, in place of what an earlier one said.
    pub(in crate::host) fn take_stats(&mut self, config: &Config) {
        self.plugins.clone_from(&config.plugins);
        self.disabled.clear();
        self.backlogs.clear();
        self.stat_config.clear();
        self.set_stats(config);
    }

    /// Whether another builder says the same of stats.
    pub(in crate::host) fn has_same_stats(&self, other: &Self) -> bool {
        self.backlogs == other.backlogs && self.stat_config == other.stat_config
    }

    /// The plugins that are there.
    pub(in crate::host) fn load(&self) -> Loaded {
        loader::load_folders(&self.plugin_folders(), &self.load_options(&self.copies()))
    }

    /// Where private copies of plugins lie.
    pub(in crate::host) fn copies(&self) -> PathBuf {
        self.data.join("plugin-copies")
    }

    /// Changes what is loaded as the settings of stats say.
    pub(in crate::host) fn adjust(&self, loaded: &mut Loaded) {
        loaded.stats.retain(|(_, stat)| !self.disabled.contains(&stat.ident));
        for (_, stat) in &mut loaded.stats {
            if let Some(backlog) = self.backlogs.get(&stat.ident) {
                stat.backlog_delta_s = Some(backlog.as_secs());
            }
        }
    }

    /// Why a plugin is not to begin, if there is a reason: one of its stats makes no instance.
    pub(in crate::host) fn refusal(&self, plugin: &Plugin) -> Option<String> {
        let stats = plugin.manifest.stats.iter().map(|stat| &stat.ident);
        stats.filter(|ident| !self.disabled.contains(ident)).find_map(|ident| {
            let config = self.stat_config.get(ident).map_or("{}", String::as_str);
            let made = Instance::create(plugin, ident, config);
            made.err().map(|failure| format!("stat {ident:?} does not begin: {failure}"))
        })
    }

    pub(super) fn load_options(&self, copies: &Path) -> LoadOptions {
        LoadOptions {
            copies: copies.into(),
            child_program: self.child_program.clone(),
            configs: self.stat_config.clone(),
            trust: self.trust.clone(),
            isolations: Isolations {
                deadline: self.stat_limits.deadline,
                ..self.isolations.clone()
            },
        }
    }

    /// Those that were named, then `plugins` in the data folder, where there is one.
    pub(super) fn plugin_folders(&self) -> Vec<PathBuf> {
        let default = Some(self.data.join("plugins")).filter(|folder| folder.is_dir());
        self.plugins.iter().cloned().chain(default).collect()
    }
}
