//! Checks made on a file before a byte of it is mapped.
//!
//! A truncated library kills the process in `dlopen` (SIGBUS), a FIFO hangs it, and a file that is
//! overwritten while mapped kills it later; hence the checks and the private copy.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use rustix::fs::OFlags;

use super::LoadError;
use super::trust::{Admission, Trust};

/// Larger files are refused: no plugin is, but a mistake may be.
const MAX_LIBRARY_BYTES: u64 = 512 << 20;

/// As much of a library's name is in that of its copy.
const MAX_STEM: usize = 60;

#[cfg(target_arch = "x86_64")]
const MACHINE: (u16, &str) = (elf::EM_X86_64, "x86-64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (u16, &str) = (elf::EM_AARCH64, "aarch64");

/// A file that may be tried.
pub(super) struct Vetted {
    path: PathBuf,
    bytes: Vec<u8>,
    /// SHA-256 of `bytes`, hexadecimal.
    pub(super) digest: String,
    /// What let it in.
    pub(super) admission: Admission,
}

impl Vetted {
    /// Its size in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Reads `path` and checks that it is a whole shared library for this machine, which `trust` lets in.
pub(super) fn vet(path: &Path, trust: &Trust) -> Result<Vetted, LoadError> {
    let io = |source| LoadError::Io { path: path.into(), source };
    let unfit = |reason: String| LoadError::Unfit { path: path.into(), reason };
    let file = open_regular(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => unfit(error.to_string()),
        _ => io(error),
    })?;
    let too_large = || unfit(format!("it has more than {MAX_LIBRARY_BYTES} bytes"));
    if file.metadata().map_err(io)?.len() > MAX_LIBRARY_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_LIBRARY_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_LIBRARY_BYTES {
        return Err(too_large());
    }
    check_elf(&bytes).map_err(unfit)?;
    let digest = hexadecimal(ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref());
    let admission = trust
        .admit(path, &bytes, &digest)
        .map_err(|reason| LoadError::Untrusted { path: path.into(), reason })?;
    Ok(Vetted { path: path.into(), bytes, digest, admission })
}

/// Opens a regular file for reading, and nothing else: a FIFO would hang who opens it, and a device may act.
/// A link is followed, for what counts is its end.
pub(super) fn open_regular(path: &Path) -> std::io::Result<File> {
    let refused = || std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file");
    if !std::fs::metadata(path)?.is_file() {
        return Err(refused());
    }
    // It may have become another since: then neither waits nor is read.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused()) }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_elf(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err("not an ELF file".into());
    }
    let header = elf::FileHeader64::<Endianness>::parse(bytes)
        .map_err(|error| format!("not a 64-bit ELF file: {error}"))?;
    let endian = header.endian().map_err(|error| error.to_string())?;
    if header.e_machine(endian) != MACHINE.0 {
        return Err(format!("built for another machine, this host is {}", MACHINE.1));
    }
    if header.e_type(endian) != elf::ET_DYN {
        return Err("not a shared library; build it with crate-type = [\"cdylib\"]".into());
    }
    let segments = header
        .program_headers(endian, bytes)
        .map_err(|error| format!("truncated or damaged: {error}"))?;
    for segment in segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD) {
        let end = segment.p_offset(endian).checked_add(segment.p_filesz(endian));
        if end.is_none_or(|end| end > bytes.len() as u64) {
            return Err("truncated: a loadable segment ends past the end of the file".into());
        }
    }
    // The section headers come last in the file: without them its tail was cut off.
    header
        .section_headers(endian, bytes)
        .map_err(|error| format!("truncated or damaged: {error}"))?;
    Ok(())
}

/// Writes the vetted bytes into `folder` under their digest, unless they are there, and returns the
/// absolute path: what is mapped can be overwritten by nobody else.
pub(super) fn private_copy(vetted: &Vetted, folder: &Path) -> Result<PathBuf, LoadError> {
    let io = |source| LoadError::Io { path: folder.into(), source };
    std::fs::create_dir_all(folder).map_err(io)?;
    let folder = folder.canonicalize().map_err(io)?;
    let stem = vetted.path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().take(MAX_STEM).collect();
    let target = folder.join(format!("{stem}-{}.so", vetted.digest));
    let whole = std::fs::read(&target).is_ok_and(|bytes| bytes == vetted.bytes);
    if !whole {
        let mut copy = tempfile::NamedTempFile::new_in(&folder).map_err(io)?;
        copy.write_all(&vetted.bytes).map_err(io)?;
        copy.persist(&target).map_err(|error| io(error.error))?;
    }
    Ok(target)
}
