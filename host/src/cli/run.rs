//! `run`: a host from a configuration.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::progress::ShownProgress;
use crate::config::{Config, Flags};
use crate::query::{StatState, StatStatus, Status};
use crate::{Host, wait_for_signals};

/// Flags go before `STATMILL_…` variables, those before the file.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Configuration file.
    #[arg(long, env = "STATMILL_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of the store, the journals and all else that is written.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of plugins, or a single library; may be given again. `plugins` in the data folder comes last.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// Folder of dashboard files; default `dashboards` in the data folder.
    #[arg(long, value_name = "FOLDER")]
    dashboards: Option<PathBuf>,
    /// Where messages come from: `file:PATH`, `http:NAME`, `stdin:`, `demo:`, `zmq+tcp://HOST:PORT`,
    /// `amqp://HOST/VHOST?queue=NAME`, `amqps://…`; may be given again.
    #[arg(long = "source", value_name = "URL")]
    sources: Vec<String>,
    /// Where messages missed while no host ran are fetched from: `file:PATH`, `datagrepper+https://HOST/raw`,
    /// `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "URL")]
    history: Option<String>,
    /// Address to serve HTTP on; port 0 takes any.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Time between two commits, from 5ms up.
    #[arg(long, value_name = "TIME")]
    checkpoint: Option<String>,
    /// Time between two fsyncs of the store.
    #[arg(long, value_name = "TIME")]
    durable_every: Option<String>,
    /// Number of workers; default the number of cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Threads that read messages out of one log's text at a time; default the number of cores.
    #[arg(long, value_name = "THREADS")]
    ingest_threads: Option<usize>,
    /// Where the code of plugins runs: in-process, or process for a worker process for each stat.
    #[arg(long, value_name = "WHERE")]
    isolation: Option<String>,
    /// Read all sources to their ends, commit, make durable, and exit: 0 if every stat counted all of
    /// it.
    #[arg(long)]
    once: bool,
    /// Let a rebuild take over though it does not reach back as far as the rows it replaces; with
    /// --once, exit 0 though parts of a log are lost.
    #[arg(long)]
    accept_loss: bool,
}

impl RunArgs {
    /// The configuration of file, environment and these flags.
    pub(super) fn load(&self) -> Result<Config> {
        let flags = Flags {
            data: self.data.clone(),
            plugins: self.plugins.clone(),
            dashboards: self.dashboards.clone(),
            sources: self.sources.clone(),
            history: self.history.clone(),
            listen: self.listen.clone(),
            checkpoint: self.checkpoint.clone(),
            durable_every: self.durable_every.clone(),
            threads: self.threads,
            ingest_threads: self.ingest_threads,
            isolation: self.isolation.clone(),
        };
        Ok(Config::load(self.config.as_deref(), std::env::vars(), &flags)?)
    }
}

pub(super) fn run(args: RunArgs) -> Result<()> {
    let config = args.load()?;
    if config.sources.is_empty() {
        tracing::warn!("there is no source, so nothing new will be counted: add one with --source");
    }
    let builder = Host::builder().config(&config).accept_loss(args.accept_loss);
    if args.once {
        let host = builder.once().start()?;
        let progress = ShownProgress::of(host.catalog());
        host.wait_finished()?;
        drop(progress);
        let status = host.catalog().status();
        host.stop();
        let failed = failed_stats(&status);
        anyhow::ensure!(failed.is_empty(), "not all stats could count: {}", failed.join("; "));
        let lost = [dead_letters(&status), lost_parts(&status)].concat();
        anyhow::ensure!(
            lost.is_empty() || args.accept_loss,
            "what could be read is counted, but parts are lost: {}; with --accept-loss that is no failure",
            lost.join("; ")
        );
        return Ok(());
    }
    let host = builder.measured().listen(&config.listen.to_string()).start()?;
    if let Some(address) = host.address() {
        // A line of its own on standard output: what starts a host reads the address there.
        let mut out = std::io::stdout().lock();
        writeln!(out, "statmill: serving http://{address}")?;
        out.flush()?;
    }
    let progress = ShownProgress::of(host.catalog());
    wait_for_signals(|| reload(&args, &host))?;
    tracing::info!("stopping: what was taken is being committed");
    drop(progress);
    host.stop();
    Ok(())
}

/// Has a host go on with the plugins that are there now, and with what the configuration says of stats.
fn reload(args: &RunArgs, host: &Host) {
    let outcome = args.load().and_then(|config| Ok(host.reload(Some(&config))?));
    match outcome {
        Ok(plugins) => tracing::info!(plugins = plugins.len(), "reloaded"),
        Err(error) => tracing::error!("not reloaded, what ran before goes on: {error:#}"),
    }
}

/// The stats that were given up, each with the reason.
fn failed_stats(status: &Status) -> Vec<String> {
    let given_up =
        |stat: &&StatStatus| matches!(stat.state, StatState::Failed | StatState::Quarantined);
    let words = |stat: &StatStatus| {
        format!("{} is {}: {}", stat.ident, stat.state, stat.reason.as_deref().unwrap_or("?"))
    };
    status.stats.iter().filter(given_up).map(words).collect()
}

/// The messages that a plugin could not fold, by stat.
fn dead_letters(status: &Status) -> Vec<String> {
    let with_letters = status.stats.iter().filter_map(|stat| {
        let last = stat.letters.last()?;
        Some(format!(
            "{} passed over what its plugin cannot fold: {} of its messages \
             (`statmill dead-letters {}`), the last at {}: {}",
            stat.ident,
            stat.letters.len(),
            stat.ident,
            last.offset.0,
            last.reason
        ))
    });
    with_letters.collect()
}

/// The parts of logs that nobody could count.
fn lost_parts(status: &Status) -> Vec<String> {
    let lost = status.logs.iter().flat_map(|log| {
        let name = &log.name;
        let error =
            log.error.iter().map(move |error| format!("{name} is read no further: {error}"));
        let holes = log.holes.iter().map(move |hole| {
            format!("{name} from {} to {}: {}", hole.start.0, hole.end.0, hole.reason)
        });
        let losses = log.losses.iter().map(move |loss| format!("{name}: {}", loss.reason));
        error.chain(holes).chain(losses)
    });
    lost.collect()
}
