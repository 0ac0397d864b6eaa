//! A child that really tries: this test program started again, confined, told what to do.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use super::*;

/// Names what the child tries.
const TRY: &str = "STATMILL_TEST_TRY";
/// A file that the child is told of.
const FILE: &str = "STATMILL_TEST_FILE";

const LIMITS: Limits = Limits { memory_bytes: 256 << 20, cpu_s: Some(1), readable: Vec::new() };

fn tries(what: &str, file: &Path) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::sandbox::tests::a_child_tries", "--ignored", "--nocapture"])
        .envs([(TRY, what), (FILE, file.to_str().unwrap())])
        .output()
        .unwrap()
}

/// What the child answered: `done`, or the error it got.
fn answer(what: &str, file: &Path) -> String {
    let output = tries(what, file);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = text.lines().find_map(|line| line.split_once("answer: "));
    answer.unwrap_or_else(|| panic!("{what}: {output:?}")).1.to_owned()
}

/// How the child died.
fn signal(what: &str) -> Option<i32> {
    tries(what, Path::new("/")).status.signal()
}

#[test]
#[ignore = "the child's part of the other tests"]
fn a_child_tries() {
    let Ok(what) = std::env::var(TRY) else { return };
    let file = PathBuf::from(std::env::var_os(FILE).unwrap());
    // Opened before, as what a parent gives.
    let mut before = File::options().append(true).open(&file);
    let protection = confine(&LIMITS);
    assert!(protection.lacks().is_empty(), "this machine lacks {:?}", protection.lacks());
    let outcome = attempt(&what, &file, &mut before);
    println!(
        "\nanswer: {}",
        outcome.map_or_else(|error| error.to_string(), |()| "done".to_owned())
    );
}

fn attempt(what: &str, file: &Path, before: &mut std::io::Result<File>) -> std::io::Result<()> {
    use std::io::Write;
    match what {
        "nothing" => Ok(()),
        "thread" => {
            std::thread::Builder::new().spawn(|| ())?.join().unwrap();
            Ok(())
        }
        "read a library" => std::fs::read("/etc/ld.so.cache").map(drop),
        "read" => std::fs::read(file).map(drop),
        "list" => std::fs::read_dir("/").map(drop),
        "write" => std::fs::write(file, "x"),
        "create" => File::create(file.with_extension("new")).map(drop),
        "truncate" => File::options().read(true).custom_flags(libc::O_TRUNC).open(file).map(drop),
        "grow" => before.as_mut().unwrap().write_all(b"x"),
        "remove" => std::fs::remove_file(file),
        "rename" => std::fs::rename(file, file.with_extension("moved")),
        "folder" => std::fs::create_dir(file.with_extension("d")),
        "link" => std::os::unix::fs::symlink("/", file.with_extension("l")),
        "tcp" => TcpStream::connect("127.0.0.1:9").map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "unix" => std::os::unix::net::UnixDatagram::unbound().map(drop),
        "exec" => Command::new("/bin/true").status().map(drop),
        // Its command is made, not found, so that only the fork can fail.
        "fork" => Command::new("/proc/self/exe").spawn().map(drop),
        "kill" => Ok(rustix::process::kill_process(
            rustix::process::getppid().unwrap(),
            rustix::process::Signal::USR1,
        )?),
        "outlive" => Ok(rustix::process::set_parent_process_death_signal(None)?),
        "leave" => Ok(rustix::process::setsid().map(drop)?),
        "more memory" => {
            let much = Rlimit { current: None, maximum: None };
            Ok(setrlimit(Resource::As, much)?)
        }
        "allocate" => {
            let blocks: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 16 << 20]).collect();
            std::hint::black_box(&blocks);
            Ok(())
        }
        "loop" => loop {
            std::hint::spin_loop();
        },
        other => panic!("{other}"),
    }
}

#[test]
fn what_a_plugin_needs_is_left_to_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for what in ["nothing", "thread", "read a library"] {
        assert_eq!(answer(what, file.path()), "done", "{what}");
    }
}

#[test]
fn files_are_neither_written_nor_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "content").unwrap();
    let all = ["read", "list", "write", "create", "truncate", "remove", "rename", "folder", "link"];
    for what in all {
        let got = answer(what, &file);
        let refused = got.contains("Permission denied") || got.contains("not permitted");
        assert!(refused, "{what}: {got}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "content");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn a_file_that_was_open_before_does_not_grow() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(tries("grow", file.path()).status.signal(), Some(libc::SIGXFSZ));
    assert_eq!(file.path().metadata().unwrap().len(), 0);
}

#[test]
fn nobody_else_is_reached() {
    let nothing = Path::new("/");
    let all = ["tcp", "udp", "unix", "exec", "fork", "kill", "outlive", "leave", "more memory"];
    for what in all {
        let got = answer(what, nothing);
        assert!(got.contains("not permitted"), "{what}: {got}");
    }
}

#[test]
fn too_much_memory_and_too_much_time_end_the_child() {
    assert_eq!(signal("allocate"), Some(libc::SIGABRT));
    assert_eq!(signal("loop"), Some(libc::SIGXCPU));
}
