//! Clocks: the wall clock, read at the few places that may, and the CPU time of threads.

use std::time::Duration;

use rustix::thread::Pid;
use rustix::time::{ClockId, clock_gettime};

/// The time now, µs since 1970, UTC.
#[must_use]
pub fn now_us() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The CPU time that this thread has taken since it started.
#[must_use]
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The CPU time that another thread of this process has taken since it started, in steps of some
/// milliseconds; none if it has ended.
#[must_use]
pub fn cpu_of(thread: Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    let ticks = cpu_ticks(&std::fs::read_to_string(path).ok()?)?;
    Some(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).ok()?)
}

/// In user mode and in the kernel, of a line as in proc(5).
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name before may hold spaces and brackets; after it comes the third field.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let mut next = || times.next()?.parse::<u64>().ok();
    Some(next()?.saturating_add(next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_thread_are_found_behind_any_name() {
        let line = "30261 (a ) b) R 1 2 3 4 -1 5 100 0 0 0 17 25 0 0 20 0 1 0 5001111 3133440 380";
        assert_eq!(cpu_ticks(line), Some(42));
        assert_eq!(cpu_ticks("30261 (cut) R 1 2"), None);
    }

    #[test]
    fn a_thread_that_computes_is_seen_to_take_time() {
        let thread = rustix::thread::gettid();
        let before = cpu_of(thread).unwrap_or_default();
        while cpu_of(thread).unwrap_or_default() < before + Duration::from_millis(30) {}
        assert!(thread_cpu() >= Duration::from_millis(30));
    }
}
