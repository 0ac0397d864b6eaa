//! One set of plugins after another, within a process.

use std::path::Path;
use std::sync::Arc;

use super::{Loaded, Plugin, PluginReport};

impl Loaded {
    /// Leaves out the plugin of `file`, as if it could not be loaded, and says why.
    pub(crate) fn refuse(&mut self, file: &Path, reason: &str) {
        self.plugins.retain(|plugin| plugin.path != file);
        self.stats.retain(|(plugin, _)| plugin.path != file);
        for report in self.reports.iter_mut().filter(|report| report.path == file) {
            report.stats.clear();
            report.error = Some(reason.to_owned());
        }
    }

    /// Where a file cannot be loaded, goes on with the plugin that it held in `before`: it is mapped, from a
    /// copy of its own. A folder that cannot be read stands for all its files. The report says so.
    pub(crate) fn keep_from(&mut self, before: &Self) {
        let (refused, reports): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.reports).into_iter().partition(|it| it.stats.is_empty());
        self.reports = reports;
        for report in refused {
            let is_meant = |file: &Path| file == report.path || file.parent() == Some(&report.path);
            let held = before.plugins.iter().filter(|plugin| is_meant(&plugin.path));
            let error = report.error.clone().unwrap_or_default();
            let kept: Vec<_> = held.filter_map(|held| self.keep(held, before, &error)).collect();
            self.reports.extend(if kept.is_empty() { vec![report] } else { kept });
        }
        self.reports.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Goes on with what `held` provided in `before`, if anybody else does not now; its report.
    fn keep(&mut self, held: &Arc<Plugin>, before: &Self, error: &str) -> Option<PluginReport> {
        let provided: Vec<_> = self.stats.iter().map(|(_, stat)| stat.ident.clone()).collect();
        let reports = before.reports.iter().filter(|report| report.path == held.path);
        let admitted: Vec<_> = reports.flat_map(|report| &report.stats).collect();
        let kept: Vec<_> = (held.manifest.stats.iter())
            .filter(|stat| admitted.contains(&&stat.ident) && !provided.contains(&stat.ident))
            .collect();
        if kept.is_empty() {
            return None;
        }
        let mut report = PluginReport {
            stats: kept.iter().map(|stat| stat.ident.clone()).collect(),
            error: Some(format!("{error}; what the file held before goes on")),
            ..PluginReport::of(&held.path)
        };
        report.tell(held);
        self.stats.extend(kept.into_iter().map(|stat| (Arc::clone(held), stat.clone())));
        self.plugins.push(Arc::clone(held));
        Some(report)
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
        let same = |(plugin, stat): &(Arc<Plugin>, _)| {
            other.stats.iter().any(|(of, known)| of.digest == plugin.digest && known == stat)
        };
        self.stats.len() == other.stats.len() && self.stats.iter().all(same)
    }
}
