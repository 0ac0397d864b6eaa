//! Named places at which a test may kill the process. Nothing at all without the feature `fault-points`.
//!
//! With the feature, `STATMILL_FAULT="name:count"` kills the process (SIGKILL) at the count-th time the
//! place `name` is reached, and `STATMILL_FAULT_LOG=path` appends the name of each place reached.

/// A place worth being killed at: just before or just after something becomes durable.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

#[cfg(feature = "fault-points")]
pub use armed::point;

#[cfg(feature = "fault-points")]
mod armed {
    use std::fs::{File, OpenOptions};
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Plan {
        fatal: Option<(String, u64)>,
        log: Option<File>,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
        fatal: std::env::var("STATMILL_FAULT").ok().and_then(|text| {
            let (name, count) = text.rsplit_once(':')?;
            Some((name.to_owned(), count.parse().ok()?))
        }),
        log: std::env::var_os("STATMILL_FAULT_LOG")
            .and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok()),
    });
    static HITS: AtomicU64 = AtomicU64::new(0);

    /// A place worth being killed at: just before or just after something becomes durable.
    pub fn point(name: &'static str) {
        // One write call for each line: processes may share the file, and none may be half there.
        if let Some(mut log) = PLAN.log.as_ref() {
            let _ = log.write_all(format!("{name}\n").as_bytes());
        }
        if let Some((fatal, count)) = &PLAN.fatal
            && fatal == name
            && HITS.fetch_add(1, Ordering::Relaxed) + 1 == *count
        {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }
}
