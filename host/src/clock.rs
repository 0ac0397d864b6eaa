//! Clocks: the wall clock, read at the few places that may, and the CPU time of a thread.

use std::time::Duration;

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
