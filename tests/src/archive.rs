//! The archive of a message bus as it really runs: PostgreSQL, datanommer's tables, datagrepper.
//!
//! `tests/servers/install.sh` installs what is started here. Each server has its own folder and port, runs
//! as a user without rights where we are root, and ends with the value that stands for it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::wait_until;

/// A program that serves, and all that it started.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        // A group of its own, which is ended whole.
        let child = command.process_group(0).spawn();
        Self(
            child.unwrap_or_else(|error| {
                panic!("{name}: {error}; run tests/servers/install.sh first")
            }),
        )
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("-QUIT");
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.signal("-KILL");
        let _ = self.0.wait();
    }
}

fn servers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The programs of the newest PostgreSQL that is installed.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|folders| {
        let folders = folders.flatten().map(|folder| folder.path().join("bin"));
        folders.filter(|bin| bin.join("initdb").exists()).max()
    });
    versions.ok().flatten().expect("no PostgreSQL; run tests/servers/install.sh first")
}

/// User and group of PostgreSQL, which does not run as root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> u32 {
        let out = Command::new("id").args(args).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().parse().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

/// A PostgreSQL server with the database `messages`.
pub struct Postgres {
    server: Option<Server>,
    folder: TempDir,
    /// Its port at 127.0.0.1.
    pub port: u16,
}

impl Postgres {
    /// Makes and starts a server.
    #[must_use]
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        if let Some((user, group)) = unprivileged() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = folder.path().join("data");
        let made = Self::program("initdb")
            .args(["-D", data.to_str().unwrap(), "-A", "trust", "-U", "postgres", "--no-sync"])
            .args(["-E", "UTF8", "--locale=C"])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let mut postgres = Self { server: None, folder, port: free_port() };
        postgres.serve();
        postgres.run("postgres", "create database messages");
        postgres
    }

    fn program(name: &str) -> Command {
        let mut command = Command::new(postgres_programs().join(name));
        if let Some((user, group)) = unprivileged() {
            command.uid(user).gid(group);
        }
        command.current_dir("/").env("TZ", "UTC");
        command
    }

    fn serve(&mut self) {
        let (data, sockets) = (self.folder.path().join("data"), self.folder.path());
        self.server = Some(Server::start(
            Self::program("postgres")
                .args(["-D", data.to_str().unwrap(), "-p", &self.port.to_string()])
                .args(["-k", sockets.to_str().unwrap(), "-h", "127.0.0.1"])
                .args(["-c", "timezone=UTC", "-c", "fsync=off", "-c", "log_min_messages=panic"])
                .stderr(Stdio::null()),
        ));
        wait_until(|| match self.psql("postgres", "select 1").success() {
            true => Ok(()),
            false => Err("PostgreSQL does not answer".to_owned()),
        });
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::ExitStatus {
        Command::new(postgres_programs().join("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"])
            .args(["-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    }

    /// Runs a statement in a database. Panics if it fails.
    pub fn run(&self, database: &str, sql: &str) {
        assert!(self.psql(database, sql).success(), "{sql}");
    }

    /// Ends the server at once, as a failure would; what was committed stays.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts the server again.
    pub fn restart(&mut self) {
        self.serve();
    }

    /// Where the messages are, as a history.
    #[must_use]
    pub fn history(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/messages", self.port)
    }
}

/// Stores messages as datanommer does.
pub struct Archive {
    input: ChildStdin,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
    _server: Server,
}

impl Archive {
    /// Makes the tables in the database `messages`.
    #[must_use]
    pub fn create(postgres: &Postgres) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/archive.py");
        let url = format!("postgresql://postgres@127.0.0.1:{}/messages", postgres.port);
        let mut server = Server::start(
            Command::new(servers().join("datagrepper/bin/python"))
                .args([script.to_str().unwrap(), &url])
                .env("TZ", "UTC")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        );
        let input = server.0.stdin.take().unwrap();
        let mut answers = BufReader::new(server.0.stdout.take().unwrap()).lines();
        assert_eq!(answers.next().unwrap().unwrap(), "ready");
        Self { input, answers, _server: server }
    }

    /// Stores messages, each the text that was sent, and returns when they can be asked for.
    pub fn store<'a>(&mut self, messages: impl IntoIterator<Item = &'a String>) {
        for message in messages {
            writeln!(self.input, "{message}").unwrap();
            assert_eq!(self.answers.next().unwrap().unwrap(), "stored");
        }
    }
}

/// A datagrepper over a database.
pub struct Datagrepper {
    _server: Server,
    _folder: TempDir,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Datagrepper {
    /// Starts one.
    #[must_use]
    pub fn start(postgres: &Postgres) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("datagrepper.cfg");
        let text = format!(
            "DATANOMMER_SQLALCHEMY_URL = 'postgresql://postgres@127.0.0.1:{}/messages'\n\
             DATAGREPPER_APPROXIMATE_COUNT = False\nDEFAULT_QUERY_DELTA = 0\n",
            postgres.port
        );
        std::fs::write(&config, text).unwrap();
        let mut server = Server::start(
            Command::new(servers().join("datagrepper/bin/gunicorn"))
                .args(["-b", "127.0.0.1:0", "-w", "2", "datagrepper.app:app"])
                .env("DATAGREPPER_CONFIG", config)
                .env("TZ", "UTC")
                .current_dir(folder.path())
                .stderr(Stdio::piped()),
        );
        let mut lines = BufReader::new(server.0.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("datagrepper ended").unwrap();
            if let Some((_, rest)) = line.split_once("Listening at: http://") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { _server: server, _folder: folder, address }
    }

    /// Where it is asked, as a history.
    #[must_use]
    pub fn history(&self, path: &str, options: &str) -> String {
        format!("datagrepper+http://{}/{path}?{options}", self.address)
    }
}
