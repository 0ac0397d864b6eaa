//! Measures what more stats on the same fields cost: the five of the `activity` plugin, alone and beside some of
//! the `volume` plugin's, in turn over one file.
//!
//! Rows are told too: a stat by the hour costs what its fold costs, one by the quarter of a minute has as many
//! rows as a thin stream has messages, and each must be stored.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use measure::usage::process_cpu;
use serde_json::json;
use statmill::{Host, loader};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KINDS: [&str; 4] = ["volume", "volume-by-category", "volume-by-topic", "volume-by-user"];
const WINDOWS: [&str; 6] = ["1s", "5s", "15s", "1m", "1h", "1d"];

/// Folds five, thirteen and twenty statistics over a file in turn and tells what each took.
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

/// What a run took.
#[derive(Clone, Copy)]
struct Taken {
    cpu_s: f64,
    wall_s: f64,
    rows: u64,
}

fn main() -> Result<()> {
    statmill::serve_as_child();
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let plugins = ["statmill_activity", "statmill_volume"].map(loader::library_beside_program);
    let [activity, volume] = plugins;
    let plugins = [activity?, volume?];
    let coarse: Vec<_> = idents().filter(|it| it.ends_with("-1h") || it.ends_with("-1d")).collect();
    let fine = idents().filter(|it| it.ends_with("-1m") || it.ends_with("-15s"));
    let fine = fine.filter(|it| it != "volume-by-user-15s");
    let all = coarse.iter().cloned().chain(fine).collect();
    let mut runs = [(Vec::new(), Vec::new()), (coarse, Vec::new()), (all, Vec::new())];
    for _ in 0..args.rounds.max(1) {
        for (kept, taken) in &mut runs {
            taken.push(run(&args, &plugins, kept)?);
        }
    }
    let mut five_cpu_s = None;
    let results = runs.map(|(kept, mut taken)| {
        taken.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
        let Taken { cpu_s, wall_s, rows } = taken[taken.len() / 2];
        json!({
            "stats": 5 + kept.len(),
            "cpu_s": cpu_s,
            "wall_s": wall_s,
            "rows": rows,
            "cpu_of_five": cpu_s / *five_cpu_s.get_or_insert(cpu_s),
        })
    });
    println!("{:#}", json!(results));
    Ok(())
}

/// All stats of the `volume` plugin.
fn idents() -> impl Iterator<Item = String> {
    KINDS.iter().flat_map(|kind| WINDOWS.map(|window| format!("{kind}-{window}")))
}

/// One run over the whole file with these of the `volume` plugin's stats.
fn run(args: &Args, plugins: &[PathBuf], kept: &[String]) -> Result<Taken> {
    let folder = tempfile::TempDir::new_in(&args.tmp)?;
    let (cpu, wall) = (process_cpu(), Instant::now());
    let builder = Host::builder()
        .data(folder.path().join("data"))
        .source(&format!("file:{}", args.file.display()))?
        .threads(args.threads)
        .once();
    let builder = plugins.iter().fold(builder, |builder, plugin| builder.plugin(plugin));
    let left_out = idents().filter(|ident| !kept.contains(ident));
    let host = left_out.fold(builder, |builder, ident| builder.disable(&ident)).start()?;
    host.wait_finished()?;
    let (cpu_s, wall_s) = ((process_cpu() - cpu).as_secs_f64(), wall.elapsed().as_secs_f64());
    ensure!(host.counters().messages > 0, "{} has no messages", args.file.display());
    let stats = host.catalog().status().stats;
    ensure!(stats.len() == 5 + kept.len(), "{} stats ran", stats.len());
    let rows = stats.iter().flat_map(|stat| &stat.models).map(|(_, rows)| *rows).sum();
    host.stop();
    Ok(Taken { cpu_s, wall_s, rows })
}
