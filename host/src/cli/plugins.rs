//! `plugins`: what becomes of plugin files, and repairs of a running host.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::From;
use super::check_plugin::{CheckPluginArgs, check_plugin};
use super::commands::client;
use super::table::{self, OutputFormat};
use crate::admin::Reloaded;
use crate::catalog::report;
use crate::config::Tokens;
use crate::loader::{self, LoadOptions};
use crate::query::PluginReport;
use crate::render::html::encode;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct PluginsArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: FilesArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the files (what the command does by itself).
    List(FilesArgs),
    /// Say whether a host would load a library and whether its stats are what they should be, and explain.
    Check(CheckPluginArgs),
    /// Have a running host look into its plugins folders: new plugins begin, changed ones take over at the
    /// positions of their stats, those that are gone leave their rows. What is refused leaves the old one running.
    Reload(HostArgs),
    /// Have a quarantined stat of a running host go on at its last commit, or one that was moved to a worker process
    /// because it hung go on in the host.
    Resume {
        /// The stat.
        ident: String,
        #[command(flatten)]
        host: HostArgs,
    },
}

#[derive(Debug, Args)]
struct FilesArgs {
    /// Folders of plugins, or single libraries; default `plugins` in the data folder.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    host: HostArgs,
}

#[derive(Debug, Args)]
struct HostArgs {
    #[command(flatten)]
    from: From,
    /// How to print: table, json, csv or ndjson.
    #[arg(long, default_value = "table")]
    format: OutputFormat,
}

/// Some file is not in use as it is.
#[derive(Debug, thiserror::Error)]
#[error("{0} of {1} plugin files are refused")]
struct Refused(usize, usize);

pub(super) fn plugins(args: &PluginsArgs) -> Result<()> {
    match &args.what {
        None => list(&args.list),
        Some(What::List(args)) => list(args),
        Some(What::Check(args)) => check_plugin(args),
        Some(What::Reload(args)) => reload(args),
        Some(What::Resume { ident, host }) => resume(ident, host),
    }
}

fn list(args: &FilesArgs) -> Result<()> {
    let from = &args.host.from;
    if let Some(url) = &from.url {
        return print(&client(from, url, Tokens::for_query)?.status()?.plugins, args.host.format);
    }
    let folders = match &args.plugins[..] {
        [] => vec![from.data.join("plugins")],
        named => named.to_vec(),
    };
    let copies = tempfile::TempDir::new()?;
    let loaded = loader::load_folders(&folders, &LoadOptions::copying_to(copies.path()));
    print(&loaded.reports.iter().map(report).collect::<Vec<_>>(), args.host.format)
}

fn print(reports: &[PluginReport], format: OutputFormat) -> Result<()> {
    table::plugins(reports, format, &mut std::io::stdout().lock())?;
    Ok(())
}

fn reload(args: &HostArgs) -> Result<()> {
    let client = client(&args.from, running(args)?, Tokens::for_admin)?;
    let Reloaded { plugins } = client.post("/api/_admin/reload", &json!({}))?;
    print(&plugins, args.format)?;
    match plugins.iter().filter(|report| report.error.is_some()).count() {
        0 => Ok(()),
        refused => Err(Refused(refused, plugins.len()).into()),
    }
}

fn resume(ident: &str, args: &HostArgs) -> Result<()> {
    let client = client(&args.from, running(args)?, Tokens::for_admin)?;
    let path = format!("/api/_admin/{}/resume", encode(ident));
    let answer: serde_json::Value = client.post(&path, &json!({}))?;
    tracing::info!("{ident} is {}", answer["state"].as_str().unwrap_or("resumed"));
    Ok(())
}

fn running(args: &HostArgs) -> Result<&str> {
    match &args.from.url {
        Some(url) => Ok(url),
        None => bail!(
            "name the running host with --url; one that is started looks at {} anew by itself",
            args.from.data.join("plugins").display()
        ),
    }
}
