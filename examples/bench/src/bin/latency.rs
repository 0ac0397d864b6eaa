//! Measures how soon a message is in the answers: from its acknowledgement over HTTP to the first
//! `GET /api/{ident}` that shows it, while others come at a steady rate.
//!
//! Of some requests the last message has a user of its own; it is asked for until its row is there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use measure::client::Client;
use measure::messages::small;
use measure::times::quantile;
use measure::usage::{Threads, process_cpu};
use serde_json::json;
use statmill::clock::now_us;
use statmill::{Host, loader};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long is slept between two questions for one row.
const ASK_AGAIN: Duration = Duration::from_millis(1);
/// After this a row is missing, not late.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Sends small messages at a steady rate and tells how soon they are visible.
#[derive(Parser)]
struct Args {
    /// Folder in which the host's data is kept while it runs.
    #[arg(long, default_value = ".")]
    tmp: PathBuf,
    /// Messages a second.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Messages in a request.
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// Connections that send in turn, each after the answer to its last request.
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Every so many requests one is timed.
    #[arg(long, default_value_t = 4)]
    probe_every: u64,
    /// The host's `checkpoint`, ms.
    #[arg(long, default_value_t = 20)]
    checkpoint: u64,
    /// How long messages are sent, seconds; the first is not counted.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

fn main() -> Result<()> {
    statmill::serve_as_child();
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN).init();
    let folder = tempfile::TempDir::new_in(&args.tmp)?;
    let host = Host::builder()
        .data(folder.path().join("data"))
        .plugin(loader::library_beside_program("statmill_activity")?)
        .source("http:bench")?
        .checkpoint(Duration::from_millis(args.checkpoint))
        .listen("127.0.0.1:0")
        .start()?;
    let address = host.address().context("no address")?;
    let (threads, cpu, wall) = (Threads::watch(), process_cpu(), Instant::now());
    let (probes, asked) = channel();
    let asker =
        std::thread::Builder::new().name("asker".to_owned()).spawn(move || ask(address, &asked))?;
    let mut accepted = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..args.connections)
            .map(|first| {
                let (args, probes) = (&args, probes.clone());
                let sender = std::thread::Builder::new().name("sender".to_owned());
                sender.spawn_scoped(scope, move || send(args, first, address, &probes))
            })
            .collect::<Result<_, _>>()?;
        drop(probes);
        let sent = senders.into_iter().map(|sender| sender.join().expect("no panic"));
        anyhow::Ok(sent.collect::<Result<Vec<_>>>()?.concat())
    })?;
    let mut visible = asker.join().expect("no panic")?;
    let wall_s = wall.elapsed().as_secs_f64();
    let cpu_s = (process_cpu() - cpu).as_secs_f64();
    host.stop();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let result = json!({
        "messages_per_s": args.rate,
        "checkpoint_ms": args.checkpoint,
        "probes": visible.len(),
        "visible_ms_median": ms(quantile(&mut visible, 0.5)),
        "visible_ms_p90": ms(quantile(&mut visible, 0.9)),
        "visible_ms_p99": ms(quantile(&mut visible, 0.99)),
        "visible_ms_max": ms(quantile(&mut visible, 1.0)),
        "accepted_ms_median": ms(quantile(&mut accepted, 0.5)),
        "accepted_ms_p99": ms(quantile(&mut accepted, 0.99)),
        "cpu_share": cpu_s / wall_s,
        "threads_cpu_s": threads.finish(),
    });
    println!("{result:#}");
    Ok(())
}

/// A message that was acknowledged: its user, and when.
struct Probe {
    user: String,
    accepted: Instant,
}

/// Sends the requests of one connection when each is due, and returns how long each took.
fn send(
    args: &Args,
    first: u64,
    address: SocketAddr,
    probes: &Sender<Probe>,
) -> Result<Vec<Duration>> {
    let mut client = Client::connect(address)?;
    let requests = args.rate * args.seconds / args.batch;
    let first_counted = args.rate / args.batch;
    let start = Instant::now();
    let mut times = Vec::new();
    for request in (first..requests).step_by(args.connections as usize) {
        let due = Duration::from_secs_f64((request * args.batch) as f64 / args.rate as f64);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(early);
        }
        let is_probe = request % args.probe_every == 0 && request >= first_counted;
        let mut body = String::new();
        for place in 0..args.batch {
            let number = request * args.batch + place;
            let user = match is_probe && place + 1 == args.batch {
                true => format!("probe{request}"),
                false => format!("user{}", number * 7919 % 3000),
            };
            body.push_str(&small(&user, number, now_us()));
        }
        let sent = Instant::now();
        client.ingest("bench", body.as_bytes())?;
        let accepted = Instant::now();
        times.push(accepted - sent);
        if is_probe {
            probes.send(Probe { user: format!("probe{request}"), accepted })?;
        }
    }
    let late = start.elapsed().as_secs_f64() - args.seconds as f64;
    ensure!(late < 1.0, "the rate was not reached: {late:.1} s too late at the end");
    Ok(times)
}

/// Asks for the row of each probe until it is there. Those waiting are asked for in turn.
fn ask(address: SocketAddr, probes: &Receiver<Probe>) -> Result<Vec<Duration>> {
    let mut client = Client::connect(address)?;
    let mut visible = Vec::new();
    let mut waiting: Vec<Probe> = Vec::new();
    loop {
        if waiting.is_empty() {
            match probes.recv() {
                Ok(probe) => waiting.push(probe),
                Err(_) => return Ok(visible),
            }
        }
        waiting.extend(probes.try_iter());
        let mut open = Vec::with_capacity(waiting.len());
        for probe in waiting.drain(..) {
            let path = format!("/api/activity-users?username={}", probe.user);
            let rows = client.get(&path)?;
            if rows.windows(probe.user.len()).any(|part| part == probe.user.as_bytes()) {
                visible.push(probe.accepted.elapsed());
            } else {
                ensure!(probe.accepted.elapsed() < GIVE_UP, "{} never came", probe.user);
                open.push(probe);
            }
        }
        waiting = open;
        std::thread::sleep(ASK_AGAIN);
    }
}
