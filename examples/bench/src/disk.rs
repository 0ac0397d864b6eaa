//! How fast a folder's disk takes what is written to it in order.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

const WRITE: usize = 1 << 20;

/// Writes `total` MiB to a new file in `folder`, with an fsync after every `between`, and returns MB/s.
///
/// # Errors
/// The disk refuses.
pub fn write_speed(folder: &Path, total: usize, between: usize) -> Result<f64> {
    let path = folder.join("write-speed");
    let mut file = File::create(&path)?;
    // Not compressible, in case the disk would gain by it.
    let mut bytes = vec![0; WRITE];
    std::io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut bytes)?;
    let start = Instant::now();
    for written in 1..=total {
        file.write_all(&bytes)?;
        if written % between == 0 {
            file.sync_data()?;
        }
    }
    file.sync_data()?;
    let took = start.elapsed();
    std::fs::remove_file(&path)?;
    Ok((total * WRITE) as f64 / 1e6 / took.as_secs_f64())
}
