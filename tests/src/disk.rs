//! Small file systems of their own, to be filled up and broken.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::wait_until;

/// A file system of its own. Unmounted when dropped.
pub struct Disk {
    folder: TempDir,
    /// What ext4 is in; none: a file system in memory.
    image: Option<(TempDir, PathBuf)>,
}

impl Disk {
    /// One in memory, as large as it says; `None`, loudly, where nothing can be mounted.
    #[must_use]
    pub fn mount(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={size},mode=0777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        done(&mut mount).then_some(Self { folder, image: None })
    }

    /// An ext4 in a file; `None`, loudly, where that cannot be had.
    #[must_use]
    pub fn mount_ext4() -> Option<Self> {
        let (folder, beside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let path = beside.path().join("ext4");
        File::create(&path).unwrap().set_len(64 << 20).unwrap();
        // Without a journal a turn to read-only leaves nothing behind that a later mount would undo.
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F", "-O", "^has_journal"]).arg(&path);
        let disk = Self { folder, image: Some((beside, path)) };
        (done(&mut make) && disk.mount_image()).then_some(disk)
    }

    fn mount_image(&self) -> bool {
        let Some((_, path)) = &self.image else { return false };
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop,errors=remount-ro"]).arg(path).arg(self.path());
        done(&mut mount)
    }

    /// Unmounts it, once nobody uses it, and mounts it as it is now.
    pub fn mount_again(&mut self) {
        wait_until(|| {
            let unmounted = Command::new("umount").arg(self.path()).output().unwrap();
            let said = String::from_utf8_lossy(&unmounted.stderr).into_owned();
            if unmounted.status.success() { Ok(()) } else { Err(said) }
        });
        assert!(self.mount_image());
    }

    /// Has the kernel meet an error on it; whether it can be asked to.
    #[must_use]
    pub fn turn_read_only(&self) -> bool {
        let of = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(self.path()).output();
        let device = String::from_utf8(of.unwrap().stdout).unwrap();
        let device = Path::new(device.trim()).file_name().unwrap().to_owned();
        let trigger = Path::new("/sys/fs/ext4").join(device).join("trigger_fs_error");
        std::fs::write(trigger, "1").is_ok()
    }

    /// Lets nothing in its folder `name` be written any more, or all again.
    pub fn freeze(&self, name: &str, freezes: bool) {
        let mut change = Command::new("chattr");
        change.args(["-R", "-f", if freezes { "+i" } else { "-i" }]).arg(self.path().join(name));
        assert!(change.status().unwrap().success());
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Mounts it with another option, `ro` or `rw`, while no file on it is open for writing.
    pub fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let done = Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap();
        assert!(done.success());
    }

    /// Writes until nothing more fits; answers the file that takes the room.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = File::options().create(true).append(true).open(&ballast).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write(&vec![0; size]).is_ok() {}
        }
        ballast
    }
}

/// Whether a command went well; loudly if not.
fn done(command: &mut Command) -> bool {
    match command.output() {
        Ok(done) if done.status.success() => true,
        other => {
            eprintln!("NOT TESTED: no file system can be mounted here: {command:?}: {other:?}");
            false
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a host that a failed test leaves behind may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
