//! `plugins check`: would a host load this file, and are its stats what they should be?

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::config::{Config, Flags};
use crate::loader::{LoadOptions, Validated, validate};
use crate::trial::check::{Outcome, Step};

#[derive(Debug, Args)]
pub(super) struct CheckPluginArgs {
    /// The library.
    file: PathBuf,
    /// Also fold these messages: JSON, one on each line.
    #[arg(long, value_name = "FILE")]
    messages: Option<PathBuf>,
    /// Messages folded to measure speed and memory.
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER")]
    count: u64,
    /// Configuration file with the stats' own configuration, and which files are let in.
    #[arg(long, env = "STATMILL_CONFIG")]
    config: Option<PathBuf>,
    /// How to print: text or json.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// The plugin is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{} does not pass", .0.display())]
pub(super) struct DoesNotPass(PathBuf);

pub(super) fn check_plugin(args: &CheckPluginArgs) -> Result<()> {
    let copies = tempfile::TempDir::new()?;
    let mut options = LoadOptions::copying_to(copies.path());
    if let Some(config) = &args.config {
        let config = Config::load(Some(config), [], &Flags::default())?;
        options.configs = config.stat_configs();
        options.trust = config.vetting;
    }
    let validated = validate(&args.file, &options, args.messages.as_deref(), args.count);
    let out = &mut std::io::stdout().lock();
    match &*args.format {
        "json" => writeln!(out, "{}", serde_json::to_string_pretty(&validated)?)?,
        _ => print(&validated, out)?,
    }
    if validated.passed { Ok(()) } else { Err(DoesNotPass(args.file.clone()).into()) }
}

/// One line for each step, and one for what was measured.
fn print(validated: &Validated, out: &mut impl Write) -> std::io::Result<()> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    writeln!(out, "{}", name(&validated.path))?;
    if let Some(digest) = &validated.digest {
        writeln!(out, "  sha256 {digest}")?;
    }
    steps(&validated.steps, out)?;
    for stat in &validated.stats {
        writeln!(out, "\n{}: {}", stat.ident, stat.title)?;
        steps(&stat.steps, out)?;
        if let (Some(fold), Some(drain)) = (stat.fold_ns, stat.drain_ns) {
            let speed = format!(
                "{fold:.0} ns of CPU time for each message, {drain:.0} ns for each row drained"
            );
            writeln!(out, "        {:<12} {speed}", "speed")?;
        }
    }
    let verdict = if validated.passed { "passes" } else { "does not pass" };
    writeln!(out, "\n{} {verdict}", name(&validated.path))
}

fn steps(steps: &[Step], out: &mut impl Write) -> std::io::Result<()> {
    for step in steps {
        let mark = match step.outcome {
            Outcome::Passed => "ok",
            Outcome::Noted => "note",
            Outcome::Failed => "FAILED",
        };
        writeln!(out, "{mark:>6}  {:<12} {}", step.name, step.words)?;
    }
    Ok(())
}
