//! Views and dashboards: which pictures of which rows stand on which page, and what a choice in one
//! of them does to the others.
//!
//! Definitions are JSON, from files or from the manifests of plugins (`read`); they are held against
//! the statistics there are (`check`), and a statistic without any gets views that follow from its
//! columns (`defaults`). What is wrong is named by file and JSON pointer and left out; the rest works. The
//! menu and every address are made of the same value. What a reader has chosen is a [`State`], which is
//! a query string and nothing else.

mod check;
mod data;
mod defaults;
mod definition;
mod keys;
mod picture;
mod read;
mod state;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub use self::data::{Shown, ViewError, show};
pub use self::definition::{Chart, Dashboard, Kind, Origin, Scale, Source, View, Width};
pub use self::picture::{picture, series, spark, total, window_name};
pub use self::read::{Definitions, Fault};
pub(crate) use self::state::query_of;
pub use self::state::{Choice, State};
pub use self::summary::{Line, summary};
use statmill_plugin_api::manifest::StatManifest;

/// What there is to show: the manifests of all statistics, by ident.
pub type Manifests = BTreeMap<String, Arc<StatManifest>>;

/// All dashboards of a host, and what is wrong with the definitions of others.
#[derive(Clone, Debug, Default)]
pub struct Dashboards {
    /// Those of files first, in the files' order; then one for each statistic.
    pub list: Vec<Dashboard>,
    /// What was left out, and why.
    pub faults: Vec<Fault>,
}

impl Dashboards {
    /// The dashboards of these definitions over these statistics.
    #[must_use]
    pub fn new(definitions: &Definitions, stats: &Manifests) -> Self {
        let mut faults = definitions.faults.clone();
        let mut list = Vec::new();
        let mut names = HashSet::new();
        for dashboard in &definitions.dashboards {
            if !names.insert(dashboard.name.clone()) {
                let reason = format!("{:?} is the name of another dashboard", dashboard.name);
                faults.push(dashboard.origin.fault("/name", reason));
                continue;
            }
            list.push(check::dashboard(dashboard.clone(), stats, &mut faults));
        }
        for (ident, manifest) in stats {
            if names.insert(ident.clone()) {
                list.push(of_stat(ident, manifest, stats, &mut faults));
            }
        }
        Self { list, faults }
    }

    /// The dashboard of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Dashboard> {
        self.list.iter().find(|dashboard| dashboard.name == name)
    }

    /// The dashboard that is shown first; none where no file defines one.
    #[must_use]
    pub fn first(&self) -> Option<&Dashboard> {
        let mut of_files = self.list.iter().filter(|dashboard| dashboard.origin.is_file());
        of_files.clone().find(|dashboard| dashboard.is_default).or_else(|| of_files.next())
    }

    /// The dashboard of a statistic: the views that its plugin defines, or those of its columns.
    #[must_use]
    pub fn of_stat(&self, ident: &str) -> Option<&Dashboard> {
        self.find(ident).filter(|dashboard| !dashboard.origin.is_file())
    }

    /// The dashboards of files by the sections of the menu, in the order in which sections are first
    /// named.
    #[must_use]
    pub fn sections(&self) -> Vec<(&str, Vec<&Dashboard>)> {
        let mut sections: Vec<(&str, Vec<&Dashboard>)> = Vec::new();
        for dashboard in self.list.iter().filter(|dashboard| dashboard.origin.is_file()) {
            match sections.iter_mut().find(|(name, _)| *name == dashboard.section) {
                Some((_, entries)) => entries.push(dashboard),
                None => sections.push((&dashboard.section, vec![dashboard])),
            }
        }
        sections
    }
}

fn of_stat(
    ident: &str,
    manifest: &StatManifest,
    stats: &Manifests,
    faults: &mut Vec<Fault>,
) -> Dashboard {
    let (views, wrong) = read::of_manifest(ident, manifest);
    faults.extend(wrong);
    let origin = Origin::Stat(ident.to_owned());
    let mut dashboard = Dashboard {
        name: ident.to_owned(),
        title: manifest.title.clone(),
        section: String::new(),
        summary: manifest.summary.clone(),
        is_default: false,
        span: None,
        views,
        origin,
    };
    dashboard = check::dashboard(dashboard, stats, faults);
    let is_drawn = |view: &View| matches!(view.source, Source::Rows);
    if !dashboard.views.iter().any(is_drawn) {
        let defaults = defaults::views(ident, manifest);
        dashboard.views.splice(0..0, defaults);
    }
    dashboard
}
