//! What a plugin must not do, by name.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

/// Panics when it is dropped.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Takes about as long as a hundred batches of an honest fold.
const SLOW: Duration = Duration::from_millis(100);

/// Does what `deed` names; answers an error where it is one that is told.
pub(crate) fn commit(deed: &str) -> Option<&'static str> {
    match deed {
        "panic" => panic!("asked to"),
        "payload" => std::panic::panic_any(Bomb),
        "double panic" => {
            let _bomb = Bomb;
            panic!("asked to");
        }
        "error" => return Some("asked to fail"),
        "abort" => std::process::abort(),
        // The worst of all codes: whoever started the host takes it for success.
        "exit" => std::process::exit(0),
        // SAFETY: there is none; it is what is to be survived.
        "segfault" => unsafe {
            black_box(std::ptr::without_provenance_mut::<u8>(8)).write_volatile(1)
        },
        "stack overflow" => drop(black_box(deeper(1))),
        "memory" => loop {
            black_box(vec![1_u8; 64 << 20].leak());
        },
        "endless" => loop {
            black_box(());
        },
        "blocked" => loop {
            std::thread::park();
        },
        "slow" => {
            let start = Instant::now();
            while start.elapsed() < SLOW {
                black_box(());
            }
        }
        "leak" => drop(black_box(vec![1_u8; 8 << 20].leak())),
        "thread" => {
            let outlives = || loop {
                std::thread::sleep(Duration::from_millis(1));
                drop(black_box(vec![1_u8; 1 << 10]));
            };
            drop(std::thread::spawn(outlives));
        }
        "thread and panic" => {
            commit("thread");
            panic!("asked to");
        }
        "thread panic" => drop(std::thread::spawn(|| panic!("asked to"))),
        "flood" => {
            let line = b"plugins may not say so much\n".repeat(4096);
            // Whether it is read is of no interest.
            let _ = std::io::stdout().write_all(&line);
            let _ = std::io::stderr().write_all(&line);
        }
        _ => {}
    }
    None
}

#[allow(unconditional_recursion, reason = "asked to")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 512]);
    deeper(depth + 1) + frame[black_box(0)]
}
