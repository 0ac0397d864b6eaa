//! Measures a whole host on a file of messages: the five statistics of the `activity` plugin through
//! the default durable store, answers by the public query after the last commit.
//!
//! An embedder like any other: the plugin is a loaded shared library. Writes a result (JSON) and a
//! folder with six tables (`.tsv`) beside it, and tells on stderr where the CPU time went.

mod stages;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use measure::usage::{Threads, peak_resident_mib, process_cpu, workers_cpu};
use serde_json::json;
use stages::Stages;
use statmill::Host;
use statmill::clock::thread_cpu;
use statmill::loader::{self, Isolation};
use statmill::project::Caps;
use statmill::query::{Limits, Order, Query, Selection, Table, Value};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Folds the five statistics over a file and tells how long it took.
#[derive(Parser)]
struct Args {
    /// NDJSON file of messages.
    file: PathBuf,
    /// Where the result goes; the tables go to a folder of that name with `.answers` appended.
    #[arg(long)]
    out: PathBuf,
    /// Number of workers, and of threads that project.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Entries after which the dictionaries begin anew.
    #[arg(long, default_value_t = Caps::default().entries)]
    dictionary: usize,
    /// Every stat in a worker process of its own, whose CPU time is counted with that of the host.
    #[arg(long)]
    isolated: bool,
    /// Folder for the store; removed afterwards where it was made here.
    #[arg(long)]
    tmp: Option<PathBuf>,
}

/// One table of the answers: its name, the model it is read from, and how a row is written.
struct Answer {
    table: &'static str,
    ident: &'static str,
    model: &'static str,
    columns: &'static [(&'static str, Form)],
}

/// How a cell is written.
#[derive(Clone, Copy)]
enum Form {
    /// As it is.
    Plain,
    /// A time, as a number of windows of this many seconds since 1970.
    Window(i64),
    /// A time, as seconds with six decimals.
    Seconds,
}

const ANSWERS: [Answer; 6] = [
    Answer {
        table: "volume",
        ident: "activity-volume",
        model: "per_minute",
        columns: &[("time", Form::Window(60)), ("count", Form::Plain)],
    },
    Answer {
        table: "topic_hour",
        ident: "activity-volume",
        model: "topic_hour",
        columns: &[("topic", Form::Plain), ("time", Form::Window(3600)), ("count", Form::Plain)],
    },
    Answer {
        table: "users",
        ident: "activity-users",
        model: "by_user",
        columns: &[("username", Form::Plain), ("count", Form::Plain)],
    },
    Answer {
        table: "packages",
        ident: "activity-packages",
        model: "by_package",
        columns: &[("package", Form::Plain), ("count", Form::Plain)],
    },
    Answer {
        table: "latest",
        ident: "activity-latest",
        model: "latest",
        columns: &[
            ("topic", Form::Plain),
            ("username", Form::Plain),
            ("timestamp", Form::Seconds),
            ("msg_id", Form::Plain),
        ],
    },
    Answer {
        table: "hist",
        ident: "activity-elapsed",
        model: "histogram",
        columns: &[("topic", Form::Plain), ("bucket", Form::Plain), ("count", Form::Plain)],
    },
];

fn main() -> Result<()> {
    statmill::serve_as_child();
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let made = tempfile::TempDir::new_in(args.tmp.as_deref().map_or_else(
        || args.out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).into(),
        |tmp| {
            // An existing folder is as good as a new one.
            let _ = std::fs::create_dir_all(tmp);
            tmp.to_path_buf()
        },
    ))?;
    let plugin = loader::library_beside_program("statmill_activity")?;

    let recorder = statmill::http::metrics::install();
    let (threads, cpu, wall) = (Threads::watch(), process_cpu(), Instant::now());
    let host = Host::builder()
        .data(made.path().join("data"))
        .plugin(&plugin)
        .source(&format!("file:{}", args.file.display()))?
        .threads(args.threads)
        .ingest_threads(args.threads)
        .isolation(if args.isolated { Isolation::Process } else { Isolation::InProcess })
        .dictionaries(Caps { entries: args.dictionary, ..Caps::default() })
        .once()
        .start()?;
    host.wait_finished()?;
    let wall_s = wall.elapsed().as_secs_f64();
    let host_cpu = process_cpu() - cpu;
    let rss_mib = peak_resident_mib()?;

    let folder = PathBuf::from(format!("{}.answers", args.out.display()));
    std::fs::create_dir_all(&folder)?;
    let mut query = Duration::ZERO;
    for answer in &ANSWERS {
        let before = thread_cpu();
        let file = File::create(folder.join(format!("{}.tsv", answer.table)))?;
        write_answer(&host, answer, &mut BufWriter::new(file))?;
        query += thread_cpu() - before;
    }
    let counters = host.counters();
    let stages = Stages {
        threads: threads.finish(),
        drain: stages::drain(&recorder.map(|recorder| recorder.render()).unwrap_or_default()),
        query: query.as_secs_f64(),
    };
    host.stop();
    // Those that tried the plugin before have ended too: some milliseconds.
    let cpu_s = (host_cpu + workers_cpu()?).as_secs_f64();
    let bytes = std::fs::metadata(&args.file)?.len();
    let result = json!({
        "peer": format!("statmill-{}t{}", args.threads, if args.isolated { "-isolated" } else { "" }),
        "version": env!("CARGO_PKG_VERSION"),
        "file": args.file.file_name().map(|name| name.to_string_lossy()),
        "bytes": bytes,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "rss_mib": rss_mib,
        "durable": true,
        "mode": "whole host, one loaded plugin, sled",
        "messages": counters.messages,
        "checkpoints": counters.commits,
        "fsyncs": counters.syncs,
        "messages_per_cpu_s": counters.messages as f64 / cpu_s,
        "mb_per_s": bytes as f64 / 1e6 / wall_s,
        "stages_cpu_s": stages.seconds(),
    });
    eprintln!(
        "{:.0} messages per CPU-second, {:.0} MB/s, {rss_mib:.0} MiB at most; share of CPU: {stages}",
        counters.messages as f64 / cpu_s,
        bytes as f64 / 1e6 / wall_s,
    );
    std::fs::write(&args.out, serde_json::to_string_pretty(&result)?)?;
    println!("{result}");
    Ok(())
}

/// Writes a table, some rows in memory at a time.
fn write_answer(host: &Host, answer: &Answer, out: &mut impl Write) -> Result<()> {
    const ROWS_AT_ONCE: u64 = 8_192;
    let stat = host.catalog().stat(answer.ident);
    let stat = stat.with_context(|| format!("there is no stat {}", answer.ident))?;
    let (model, order) = (Some(answer.model.to_owned()), Some(Order::Asc));
    let query = Query { model, order, ..Query::default() };
    let selection = Selection::new(&stat.snapshot, &query, &Limits::none())?;
    for skip in (0..selection.total()).step_by(ROWS_AT_ONCE as usize) {
        write_rows(answer, &selection.part(skip, ROWS_AT_ONCE)?, out)?;
    }
    Ok(out.flush()?)
}

fn write_rows(answer: &Answer, table: &Table, out: &mut impl Write) -> Result<()> {
    let places = answer
        .columns
        .iter()
        .map(|(name, form)| {
            let place = table.columns.iter().position(|column| column.name == *name);
            Ok((place.with_context(|| format!("{} has no column {name}", answer.ident))?, *form))
        })
        .collect::<Result<Vec<_>>>()?;
    for row in &table.rows {
        for (number, (place, form)) in places.iter().enumerate() {
            if number > 0 {
                out.write_all(b"\t")?;
            }
            match (&row[*place], form) {
                (Value::Text(text), _) => out.write_all(text.as_bytes())?,
                (Value::Int(number), _) => write!(out, "{number}")?,
                (Value::Time(us), Form::Window(s)) => write!(out, "{}", us / (s * 1_000_000))?,
                (Value::Time(us), _) => write!(out, "{}.{:06}", us / 1_000_000, us % 1_000_000)?,
                (other, _) => anyhow::bail!("{}: unexpected cell {other:?}", answer.ident),
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}
