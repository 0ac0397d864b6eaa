//! The `statmill` command: flags, and which function answers which subcommand.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage,
//! 3 an audit found differences.

mod audit;
mod check;
mod check_plugin;
pub(crate) mod client;
mod commands;
mod dashboards;
mod export;
mod import;
mod letters;
mod plugins;
mod progress;
mod run;
pub(crate) mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::client::ClientError;
use self::table::OutputFormat;
use crate::config::ConfigError;
use crate::query::QueryError;

/// Keeps exact statistics over a stream of messages.
#[derive(Debug, Parser)]
#[command(name = "statmill", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What is logged to standard error: a level, or filters like `statmill=debug`.
    #[arg(
        long,
        global = true,
        env = "STATMILL_LOG",
        default_value = "info",
        help_heading = "Logging"
    )]
    log: String,
    /// Log lines as JSON.
    #[arg(long, global = true, help_heading = "Logging")]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the sources and serve the answers.
    Run(run::RunArgs),
    /// List the stats of a data folder or of a running host.
    Stats(ListArgs),
    /// Print the rows of a stat.
    Show(ShowArgs),
    /// List the messages that plugins could not fold, and why; fold them again, or give them up.
    DeadLetters(letters::LettersArgs),
    /// Say of every file of the plugins folders what becomes of it; have a running host look at them again, or
    /// try a quarantined stat again.
    Plugins(plugins::PluginsArgs),
    /// Check or list the dashboards.
    Dashboards(dashboards::DashboardsArgs),
    /// Print every setting with where it comes from, or what is wrong with it.
    CheckConfig(run::RunArgs),
    /// Count a span of time again, from the history and the journals, and print where the rows of a stat differ.
    Audit(audit::AuditArgs),
    /// Write all rows and positions as JSON lines.
    Export(ExportArgs),
    /// Read what `export` wrote, or the database of a statscache, into a data folder.
    Import(ImportArgs),
}

/// A data folder at rest, or a running host.
#[derive(Debug, Args)]
struct From {
    /// Data folder that no running host has open.
    #[arg(long, env = "STATMILL_DATA", default_value = "statmill-data")]
    data: PathBuf,
    /// Address of a running host instead of a data folder: `http://…` or `https://…`.
    #[arg(long)]
    url: Option<String>,
    /// Token for that host. Others can see what is on a command line: rather set the variable, or
    /// `[tokens]` in the configuration.
    #[arg(long, env = "STATMILL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Configuration file whose tokens are used for that host.
    #[arg(long, env = "STATMILL_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    from: From,
    /// How to print: table, json, csv or ndjson.
    #[arg(long, default_value = "table")]
    format: OutputFormat,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The stat.
    ident: String,
    #[command(flatten)]
    from: From,
    /// How to print: table, json, csv or ndjson.
    #[arg(long, default_value = "table")]
    format: OutputFormat,
    /// Which of the stat's models; default its first.
    #[arg(long)]
    model: Option<String>,
    /// `asc` or `desc` by time.
    #[arg(long)]
    order: Option<String>,
    /// By this column instead of by time; `-count` has the largest first.
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    /// Oldest time, inclusive: Unix seconds, RFC 3339, or relative like `-7d`.
    #[arg(long, allow_hyphen_values = true)]
    start: Option<String>,
    /// Newest time, inclusive.
    #[arg(long, allow_hyphen_values = true)]
    stop: Option<String>,
    /// At most this many rows; default all.
    #[arg(long, allow_negative_numbers = true)]
    limit: Option<u64>,
    /// Only these columns, separated by commas.
    #[arg(long)]
    columns: Option<String>,
    /// A table that the stat's plugin computes of the rows, instead of them; with --url only.
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
    /// Any other parameter of the API, `name=value`: a filter like `topic=git` or `count__gt=5`.
    #[arg(long = "where", value_name = "NAME=VALUE")]
    filters: Vec<String>,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// Only these stats; default all.
    stats: Vec<String>,
    #[command(flatten)]
    from: From,
    /// File to write, there once it is whole; default standard output.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct ImportArgs {
    #[command(subcommand)]
    from: Option<ImportFrom>,
    /// File that `export` wrote; `-` is standard input.
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Data folder that no running host has open.
    #[arg(long, env = "STATMILL_DATA", default_value = "statmill-data")]
    data: PathBuf,
    /// Accept rows of logs that are not known here. Rows up to the time the export is complete until,
    /// or TIME, are kept, and counting goes on from there.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "")]
    as_base: Option<String>,
}

#[derive(Debug, Subcommand)]
enum ImportFrom {
    /// Read the tables of an original statscache as a base to go on from.
    Statscache(StatscacheArgs),
}

#[derive(Debug, Args)]
struct StatscacheArgs {
    /// The database: `sqlite:PATH` or `postgres://user@host/database`. Others can see what is on a command line:
    /// rather give the password in the variable.
    #[arg(env = "STATMILL_STATSCACHE_URL", hide_env_values = true)]
    database: String,
    /// Data folder that no running host has open.
    #[arg(long, env = "STATMILL_DATA", default_value = "statmill-data")]
    data: PathBuf,
    /// Folders of plugins, or single libraries, whose stats take the rows; default `plugins` in the data folder.
    #[arg(long)]
    plugins: Vec<PathBuf>,
    /// Time zone of the machine that the statscache ran on.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Up to when the rows account for everything; default the newest event they show.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// A table of a plugin of your own, and the stat that takes its rows.
    #[arg(long = "table", value_name = "TABLE=IDENT")]
    tables: Vec<String>,
    /// Import what can be, although some tables are refused.
    #[arg(long)]
    partial: bool,
}

/// Parses the command line, does what it says and answers the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = log_to_stderr(&cli.log, cli.log_json) {
        eprintln!("statmill: --log {:?}: {error}", cli.log);
        return ExitCode::from(2);
    }
    let outcome = match cli.command {
        Command::Run(args) => run::run(args),
        Command::CheckConfig(args) => check::check_config(&args),
        Command::Stats(args) => commands::stats(&args),
        Command::Show(args) => commands::show(&args),
        Command::DeadLetters(args) => letters::dead_letters(&args),
        Command::Plugins(args) => plugins::plugins(&args),
        Command::Dashboards(args) => dashboards::dashboards(&args),
        Command::Audit(args) => audit::audit(&args),
        Command::Export(args) => export::export(&args),
        Command::Import(args) => import::import(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has enough: `statmill show … | head`.
        Err(error) if error.is::<audit::Differs>() => {
            eprintln!("statmill: {error}");
            ExitCode::from(3)
        }
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("statmill: {}", words(&error));
            if is_wrong_usage(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// What was asked for on the command line makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

fn is_wrong_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<ConfigError>()
            || cause.is::<WrongUsage>()
            || matches!(cause.downcast_ref(), Some(QueryError::Params(_)))
            || matches!(cause.downcast_ref(), Some(ClientError::Refused { status: 400, .. }))
    })
}

/// The error and its causes, each said once: most say their cause themselves.
fn words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| {
        if said.is_empty() {
            cause
        } else if said.contains(&cause) {
            said
        } else {
            format!("{said}: {cause}")
        }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    kinds.into_iter().any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn log_to_stderr(filter: &str, json: bool) -> Result<(), tracing_subscriber::filter::ParseError> {
    // The HTTP client's trace shows what goes over the wire, tokens and all. The broker's client calls
    // every lost connection an error several times; the source says it once, with its address.
    let quiet = ["ureq=info", "ureq_proto=info", "lapin=off"].map(str::parse);
    let mut filter = tracing_subscriber::EnvFilter::builder().parse(filter)?;
    for directive in quiet {
        filter = filter.add_directive(directive?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr);
    if json {
        builder.json().init()
    } else {
        builder.with_target(false).init()
    }
    Ok(())
}
