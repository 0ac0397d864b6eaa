//! A whole host on a lively stream: builds nothing else, needs nothing else.
//!
//! Loads the shipped plugins as shared libraries, fills them with thirty days of past messages, follows
//! the live ones, and serves the answers. With `--check` it counts a finite stream itself and compares.

mod check;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use statmill::{Host, loader, wait_for_signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The dashboards that it opens on.
const DASHBOARDS: [(&str, &str); 2] = [
    ("overview.json", include_str!("../dashboards/overview.json")),
    ("durations.json", include_str!("../dashboards/durations.json")),
];

/// Runs a stream of messages through the shipped plugins and serves the answers.
#[derive(Parser)]
struct Args {
    /// Address to serve on; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8040")]
    listen: String,
    /// Live messages per second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Days of past messages.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Past messages per day.
    #[arg(long, default_value_t = 10_000)]
    per_day: u64,
    /// Another seed gives another stream.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder that is kept between runs; default one that is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Compare the answers over a finite stream with a direct count, and exit.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    statmill::serve_as_child();
    let args = Args::parse();
    let level = tracing_subscriber::filter::LevelFilter::WARN;
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    let plugins = ["statmill-volume", "statmill-activity"].map(|name| {
        loader::library_beside_program(name).with_context(|| format!("no plugin {name}"))
    });
    let temporary = tempfile::TempDir::new()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    let mut builder = Host::builder().data(data).measured();
    for plugin in plugins {
        builder = builder.plugin(plugin?);
    }
    for (file, definition) in DASHBOARDS {
        builder = builder.dashboard(file, definition);
    }
    if args.check {
        return check::run(builder, args.seed);
    }
    let source = format!(
        "demo:?rate={}&days={}&per_day={}&seed={}",
        args.rate, args.days, args.per_day, args.seed
    );
    let host = builder
        .source(&source)?
        .listen(&args.listen)
        .start()
        .context("the demo cannot start; another address is given with --listen 127.0.0.1:0")?;
    let address = host.address().context("no address")?;
    println!("statmill demo: http://{address}/");
    let stats = host.catalog().idents().len();
    println!(
        "  {stats} stats over {} days of past messages, then {} a second",
        args.days, args.rate
    );
    println!("  try http://{address}/stats and http://{address}/api/volume-by-category-1d");
    println!("  Ctrl-C ends it");
    wait_for_signal()?;
    host.stop();
    Ok(())
}
