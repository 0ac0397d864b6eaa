//! Measures what more stats on the same fields cost: five of the `volume` plugin's against twenty (total, by
//! category, topic and user, in windows of 5 s to a day), in turn over one file.
//!
//! The twenty have many more rows than the five, for short windows have: the ratio is that of both.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use measure::usage::{peak_resident_mib, process_cpu};
use serde_json::json;
use statmill::{Host, loader};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KINDS: [&str; 4] = ["volume", "volume-by-category", "volume-by-topic", "volume-by-user"];
const WINDOWS: [&str; 6] = ["1s", "5s", "15s", "1m", "1h", "1d"];

/// Folds five and twenty statistics over a file in turn and tells what each took.
#[derive(Parser)]
struct Args {
    /// NDJSON file of messages.
    file: PathBuf,
    /// Folder for the stores, which are removed.
    #[arg(long, default_value = ".")]
    tmp: PathBuf,
    /// Number of workers.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How often each is run; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let plugin = loader::library_beside_program("statmill_volume")?;
    let all = || KINDS.iter().flat_map(|kind| WINDOWS.map(|window| format!("{kind}-{window}")));
    let twenty: Vec<_> = all().filter(|ident| !ident.ends_with("-1s")).collect();
    let mut five: Vec<_> = all().filter(|ident| ident.ends_with("-1m")).collect();
    five.push("volume-1h".to_owned());
    let mut runs = [(five, Vec::new()), (twenty, Vec::new())];
    for _ in 0..args.rounds.max(1) {
        for (kept, taken) in &mut runs {
            let left_out = all().filter(|ident| !kept.contains(ident));
            taken.push(run(&args, &plugin, left_out)?);
        }
    }
    let [five, twenty] = runs.map(|(_, mut taken)| {
        taken.sort_by(|a, b| a.0.total_cmp(&b.0));
        taken[taken.len() / 2]
    });
    let result = json!({
        "five": {"cpu_s": five.0, "wall_s": five.1},
        "twenty": {"cpu_s": twenty.0, "wall_s": twenty.1},
        "cpu_ratio": twenty.0 / five.0,
        "rss_mib": peak_resident_mib()?,
    });
    println!("{result:#}");
    Ok(())
}

/// CPU-seconds and seconds of one run over the whole file.
fn run(args: &Args, plugin: &Path, left_out: impl Iterator<Item = String>) -> Result<(f64, f64)> {
    let folder = tempfile::TempDir::new_in(&args.tmp)?;
    let (cpu, wall) = (process_cpu(), Instant::now());
    let host = left_out
        .fold(Host::builder(), |builder, ident| builder.disable(&ident))
        .data(folder.path().join("data"))
        .plugin(plugin)
        .source(&format!("file:{}", args.file.display()))?
        .threads(args.threads)
        .once()
        .start()?;
    host.wait_finished()?;
    let took = ((process_cpu() - cpu).as_secs_f64(), wall.elapsed().as_secs_f64());
    ensure!(host.counters().messages > 0, "{} has no messages", args.file.display());
    host.stop();
    Ok(took)
}
