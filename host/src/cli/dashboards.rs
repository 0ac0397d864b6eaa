//! `dashboards`: which there are, and what is wrong with their definitions.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::table::{self, OutputFormat};
use crate::dashboards::{Dashboards, Definitions, Manifests};
use crate::loader::{self, LoadOptions};

#[derive(Debug, Args)]
pub(super) struct DashboardsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Name everything that is wrong with the definitions, by file and JSON pointer.
    Check(Where),
    /// List the dashboards: those of files, and one for each statistic.
    List(Where),
}

#[derive(Debug, Args)]
struct Where {
    /// Folder of dashboard files; default `dashboards` in the data folder.
    #[arg(long, value_name = "FOLDER")]
    dashboards: Option<PathBuf>,
    /// Folders of plugins, or single libraries; default `plugins` in the data folder.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// The data folder.
    #[arg(long, env = "STATMILL_DATA", default_value = "statmill-data")]
    data: PathBuf,
    /// How to print: table, json, csv or ndjson.
    #[arg(long, default_value = "table")]
    format: OutputFormat,
}

impl Where {
    fn find(&self) -> Result<Dashboards> {
        let folders = match &self.plugins[..] {
            [] => vec![self.data.join("plugins")],
            folders => folders.to_vec(),
        };
        let copies = tempfile::TempDir::new()?;
        let loaded = loader::load_folders(&folders, &LoadOptions::copying_to(copies.path()));
        let stats = loaded.stats.into_iter().map(|(_, stat)| (stat.ident.clone(), stat.into()));
        let stats: Manifests = stats.collect();
        let mut definitions = Definitions::default();
        match &self.dashboards {
            Some(folder) => definitions.read(folder),
            None => definitions.read(&self.data.join("dashboards")),
        }
        Ok(Dashboards::new(&definitions, &stats))
    }
}

pub(super) fn dashboards(args: &DashboardsArgs) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match &args.what {
        What::Check(place) => {
            let found = place.find()?;
            table::faults(&found.faults, place.format, &mut out)?;
            let count = found.faults.len();
            anyhow::ensure!(count == 0, "{count} definitions are wrong");
        }
        What::List(place) => {
            let found = place.find()?;
            table::dashboards(&found.list, place.format, &mut out)?;
        }
    }
    Ok(())
}
