//! One set of plugins after another, within a process.

use super::{Loaded, PluginReport};

impl Loaded {
    /// Leaves out the plugin of `file`, as if it could not be loaded, and says why.
    pub(crate) fn refuse(&mut self, file: &std::path::Path, reason: &str) {
        self.plugins.retain(|plugin| plugin.path != file);
        self.stats.retain(|(plugin, _)| plugin.path != file);
        for report in self.reports.iter_mut().filter(|report| report.path == file) {
            report.stats.clear();
            report.error = Some(reason.to_owned());
        }
    }

    /// Where a file cannot be loaded, goes on with the plugin that it held in `before`: it is mapped, from a
    /// copy of its own. The report says so.
    pub(crate) fn keep_from(&mut self, before: &Self) {
        for at in 0..self.reports.len() {
            let (file, refused) =
                (self.reports[at].path.clone(), self.reports[at].stats.is_empty());
            let held = before.plugins.iter().find(|plugin| plugin.path == file);
            let Some(held) = held.filter(|_| refused) else { continue };
            let provided: Vec<_> = self.stats.iter().map(|(_, stat)| stat.ident.clone()).collect();
            let was_admitted = |ident: &String| {
                let reports = before.reports.iter().filter(|report| report.path == file);
                reports.flat_map(|report| &report.stats).any(|admitted| admitted == ident)
            };
            let kept = held.manifest.stats.iter().filter(|stat| was_admitted(&stat.ident));
            let kept: Vec<_> = kept.filter(|stat| !provided.contains(&stat.ident)).collect();
            if kept.is_empty() {
                continue;
            }
            let error = self.reports[at].error.take().unwrap_or_default();
            self.reports[at] = PluginReport {
                name: Some(held.manifest.name.clone()),
                version: Some(held.manifest.version.clone()),
                api: Some(held.manifest.api.clone()),
                digest: Some(held.digest.clone()),
                stats: kept.iter().map(|stat| stat.ident.clone()).collect(),
                error: Some(format!("{error}; what the file held before goes on")),
                ..PluginReport::of(&file)
            };
            self.stats.extend(kept.into_iter().map(|stat| (held.clone(), stat.clone())));
            self.plugins.push(held.clone());
        }
    }

    /// Says of the files that `tried` lists with other contents that the host did not start with them.
    pub(crate) fn report_failure(&mut self, mut tried: Vec<PluginReport>, reason: &str) {
        for report in &mut tried {
            let runs = self.plugins.iter().any(|it| Some(&it.digest) == report.digest.as_ref());
            if !runs && report.error.is_none() {
                report.error = Some(format!("not in use, what ran before goes on: {reason}"));
            }
        }
        self.reports = tried;
    }

    /// Whether the same builds give the same stats.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |(plugin, stat): &(std::sync::Arc<super::Plugin>, _)| {
            other.stats.iter().any(|(of, known)| of.digest == plugin.digest && known == stat)
        };
        self.stats.len() == other.stats.len() && self.stats.iter().all(same)
    }
}
