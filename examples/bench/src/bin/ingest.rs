//! Measures what a host takes over HTTP: bodies of one message a line from several connections, journaled
//! and fsynced before they are acknowledged, and the disk's own speed beside it.
//!
//! Sender and host are one process on one machine: what the sender costs is in the figures.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use measure::client::Client;
use measure::disk::write_speed;
use measure::messages::{Template, templates};
use measure::times::quantile;
use measure::usage::{Threads, peak_resident_mib, process_cpu};
use serde_json::json;
use statmill::{Host, loader};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Templates that bodies are made of.
const TEMPLATES: usize = 10_000;
/// MiB written to learn the disk's speed.
const DISK_MIB: usize = 256;

/// Sends bodies to a host of its own and tells how fast they were accepted.
#[derive(Parser)]
struct Args {
    /// NDJSON file of messages with a `msg_id`; each is sent again and again under other ids.
    file: PathBuf,
    /// Folder in which the journal is kept while it runs.
    #[arg(long, default_value = ".")]
    tmp: PathBuf,
    /// Connections that send at once.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Size of a body, bytes.
    #[arg(long, default_value_t = 1_000_000)]
    body: usize,
    /// How much is sent in all, MB.
    #[arg(long, default_value_t = 2_000)]
    total: u64,
    /// Load the five statistics, which then fold at the same time.
    #[arg(long)]
    fold: bool,
}

fn main() -> Result<()> {
    statmill::serve_as_child();
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let folder = tempfile::TempDir::new_in(&args.tmp)?;
    let templates = templates(&args.file, TEMPLATES)?;
    let [disk_small, disk_large] =
        [1, 8].map(|between| write_speed(folder.path(), DISK_MIB, between));

    let builder = Host::builder()
        .data(folder.path().join("data"))
        .source("http:bench")?
        .listen("127.0.0.1:0");
    let host = match args.fold {
        true => builder.plugin(loader::library_beside_program("statmill_activity")?),
        false => builder,
    }
    .start()?;
    let address = host.address().context("no address")?;
    let bodies = args.total * 1_000_000 / args.body as u64;
    let next = AtomicU64::new(0);
    let (threads, cpu, wall) = (Threads::watch(), process_cpu(), Instant::now());
    let sent = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..args.connections.max(1))
            .map(|_| {
                let sender = std::thread::Builder::new().name("sender".to_owned());
                sender.spawn_scoped(scope, || {
                    send(&args, &templates, Client::connect(address)?, &next, bodies)
                })
            })
            .collect::<Result<_, _>>()?;
        let sent = senders.into_iter().map(|sender| sender.join().expect("no panic"));
        sent.collect::<Result<Vec<_>>>()
    })?;
    let wall_s = wall.elapsed().as_secs_f64();
    let cpu_s = (process_cpu() - cpu).as_secs_f64();
    let bytes: u64 = sent.iter().map(|sent| sent.bytes).sum();
    let messages: u64 = sent.iter().map(|sent| sent.messages).sum();
    let mut times: Vec<_> = sent.into_iter().flat_map(|sent| sent.times).collect();
    host.stop();
    let stored = bytes_in(&folder.path().join("data"))?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let result = json!({
        "mb_per_s": bytes as f64 / 1e6 / wall_s,
        "messages_per_s": messages as f64 / wall_s,
        "mb_per_cpu_s": bytes as f64 / 1e6 / cpu_s,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "bytes": bytes,
        "stored_bytes": stored,
        "body_ms_median": ms(quantile(&mut times, 0.5)),
        "body_ms_p99": ms(quantile(&mut times, 0.99)),
        "rss_mib": peak_resident_mib()?,
        "disk_mb_per_s": {"fsync_each_1_mib": disk_small?, "fsync_each_8_mib": disk_large?},
        "threads_cpu_s": threads.finish(),
    });
    println!("{result:#}");
    Ok(())
}

/// What one connection sent.
#[derive(Default)]
struct Sent {
    bytes: u64,
    messages: u64,
    /// From the first byte of a body to its acknowledgement.
    times: Vec<Duration>,
}

/// Sends bodies until there were `bodies` of all connections together.
fn send(
    args: &Args,
    templates: &[Template],
    mut client: Client,
    next: &AtomicU64,
    bodies: u64,
) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut body = Vec::with_capacity(args.body + (64 << 10));
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= bodies {
            return Ok(sent);
        }
        body.clear();
        let mut line = 0;
        while body.len() < args.body {
            let which = (number as usize * 31 + line as usize) % templates.len();
            templates[which].write(number << 24 | line, &mut body);
            line += 1;
        }
        let start = Instant::now();
        client.ingest("bench", &body)?;
        sent.times.push(start.elapsed());
        sent.bytes += body.len() as u64;
        sent.messages += line;
    }
}

/// Bytes of all files in a folder.
fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_in(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
