//! What a run took of the machine: CPU time in all and of each thread, and memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// How often the threads are looked at: what a thread takes after the last look at it is not counted.
const PERIOD: Duration = Duration::from_millis(20);

/// CPU time of this process, all threads, those that have ended too.
#[must_use]
pub fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of the worker processes that have ended, in steps of 10 ms.
///
/// # Errors
/// The kernel does not tell.
pub fn workers_cpu() -> Result<Duration> {
    const TICK_MS: u64 = 10;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    // Of children that were waited for, in user mode and in the kernel.
    let times = fields.split_ascii_whitespace().skip(13).take(2);
    let ticks = times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * TICK_MS))
}

/// The most memory that was resident at once, MiB.
///
/// # Errors
/// The kernel does not tell.
pub fn peak_resident_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no VmHWM")?.parse()?;
    Ok(kib / 1024.0)
}

/// Watches the CPU time of every thread of this process until it is asked.
///
/// A thread's time is gone with the thread, so it is looked at from time to time.
#[derive(Debug)]
pub struct Threads {
    stop: Sender<()>,
    watcher: JoinHandle<BTreeMap<String, Duration>>,
}

/// CPU-seconds by name of thread; threads of one name together.
pub type ThreadSeconds = BTreeMap<String, f64>;

/// What was last seen of a thread.
struct Seen {
    name: String,
    cpu: Duration,
}

impl Threads {
    /// Begins to watch.
    #[must_use]
    pub fn watch() -> Self {
        let (stop, stopped) = channel();
        let watcher = std::thread::spawn(move || {
            let (mut seen, mut ended) = (HashMap::new(), BTreeMap::new());
            let before = look();
            loop {
                let over = stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout);
                note(&mut seen, &mut ended, look());
                if over {
                    break;
                }
            }
            seen.drain().for_each(|(_, thread)| add(&mut ended, thread));
            for (_, thread) in before {
                let cpu = ended.entry(thread.name).or_default();
                *cpu = cpu.saturating_sub(thread.cpu);
            }
            ended
        });
        Self { stop, watcher }
    }

    /// What each took since the watch began.
    #[must_use]
    pub fn finish(self) -> ThreadSeconds {
        // It ends only when asked.
        let _ = self.stop.send(());
        let threads = self.watcher.join().unwrap_or_default();
        threads.into_iter().map(|(name, cpu)| (name, cpu.as_secs_f64())).collect()
    }
}

/// Takes over what is seen now; a thread whose id is another's now has ended.
fn note(
    seen: &mut HashMap<u64, Seen>,
    ended: &mut BTreeMap<String, Duration>,
    now: Vec<(u64, Seen)>,
) {
    for (id, thread) in now {
        match seen.insert(id, thread) {
            Some(before) if before.cpu > seen[&id].cpu => add(ended, before),
            _ => {}
        }
    }
}

fn add(sums: &mut BTreeMap<String, Duration>, thread: Seen) {
    *sums.entry(thread.name).or_default() += thread.cpu;
}

/// The threads there are. One that ends meanwhile is left out.
fn look() -> Vec<(u64, Seen)> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let thread = |task: std::fs::DirEntry| {
        let id = task.file_name().to_str()?.parse().ok()?;
        let read = |file| std::fs::read_to_string(task.path().join(file)).ok();
        let nanoseconds = read("schedstat")?.split_whitespace().next()?.parse().ok()?;
        let name = read("comm")?.trim_end().to_owned();
        Some((id, Seen { name, cpu: Duration::from_nanos(nanoseconds) }))
    };
    tasks.filter_map(thread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ended_keeps_its_time_though_another_got_its_id() {
        let seen_at = |cpu| Seen { name: "lane".to_owned(), cpu: Duration::from_secs(cpu) };
        let (mut seen, mut ended) = (HashMap::new(), BTreeMap::new());
        for cpu in [1, 3, 2] {
            note(&mut seen, &mut ended, vec![(7, seen_at(cpu))]);
        }
        seen.drain().for_each(|(_, thread)| add(&mut ended, thread));
        assert_eq!(ended["lane"], Duration::from_secs(5));
    }
}
