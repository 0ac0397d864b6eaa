//! The servers and publishers of the Fedora bus as processes, each in its own group, killed when dropped.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use statmill_tests::wait_until;
use tempfile::TempDir;

/// Where `tests/servers/install.sh` puts programs of Python.
fn python(environment: &str) -> PathBuf {
    let found = root().join("target/servers").join(environment).join("bin/python");
    assert!(found.exists(), "{} is not there: run tests/servers/install.sh", found.display());
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A process and all that it started.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Self {
        Self(command.process_group(0).spawn().unwrap())
    }

    fn kill(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A RabbitMQ of its own.
pub(crate) struct Rabbit {
    folder: TempDir,
    ports: [u16; 3],
    /// The broker and what tells its processes of each other.
    running: Vec<Group>,
}

impl Rabbit {
    /// Starts it with nothing in it.
    pub(crate) fn start() -> Self {
        Self::configured("")
    }

    /// Starts it with a second door, at the port that is returned: it is `broker` of an authority, and lets
    /// in whom the authority has given a certificate.
    pub(crate) fn start_with_tls(authority: &Path) -> (Self, u16) {
        let port = free_port();
        let file = |name: &str| authority.join(name).display().to_string();
        let config = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
            file("ca.crt"),
            file("broker.crt"),
            file("broker.key"),
        );
        // The broker is run by another user.
        for entry in std::fs::read_dir(authority).unwrap() {
            let path = entry.unwrap().path();
            std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        }
        std::fs::set_permissions(authority, Permissions::from_mode(0o755)).unwrap();
        (Self::configured(&config), port)
    }

    fn configured(more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let ports = [free_port(), free_port(), free_port()];
        let config = format!("listeners.tcp.1 = 127.0.0.1:{}\n{more}", ports[0]);
        std::fs::write(folder.path().join("rabbitmq.conf"), config).unwrap();
        let mut rabbit = Self { folder, ports, running: Vec::new() };
        rabbit.start_again();
        rabbit
    }

    /// Starts it with what it has kept.
    pub(crate) fn start_again(&mut self) {
        let [_, dist, epmd] = self.ports;
        let mut names = self.command("/usr/bin/epmd");
        names.args(["-port", &epmd.to_string(), "-address", "127.0.0.1"]);
        self.running.push(Group::start(&mut names));
        let folder = self.folder.path();
        let mut server = self.command("/usr/lib/rabbitmq/bin/rabbitmq-server");
        server
            .env("RABBITMQ_NODENAME", format!("statmill-{dist}@localhost"))
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .stdout(std::fs::File::create(folder.join("out")).unwrap());
        self.running.push(Group::start(&mut server));
        wait_until(|| self.greets().then_some(()).ok_or_else(|| self.said()));
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        while let Some(mut group) = self.running.pop() {
            group.kill();
        }
    }

    /// `amqp://…`, without a queue.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2F", self.ports[0])
    }

    /// Whether it answers in its protocol.
    fn greets(&self) -> bool {
        let mut first = [0];
        let asked = TcpStream::connect(("127.0.0.1", self.ports[0])).and_then(|mut stream| {
            stream.write_all(b"AMQP\0\0\x09\x01")?;
            stream.read_exact(&mut first)
        });
        asked.is_ok() && first == [1]
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }

    /// The program, run by a user that may not do everything.
    fn command(&self, program: &str) -> Command {
        let is_root = std::fs::metadata("/proc/self")
            .is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
        let mut command = match is_root {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=rabbitmq", "--regid=rabbitmq", "--clear-groups", program]);
                command
            }
            false => Command::new(program),
        };
        command.env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

/// A publisher written in Python: it reads a document a line and prints a line when it is sent.
pub(crate) struct Publisher {
    _group: Group,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Publisher {
    /// Of fedora-messaging, to a broker.
    pub(crate) fn amqp(rabbit: &Rabbit) -> Self {
        Self::start("fedora-messaging", "publish_amqp.py", &[&rabbit.url()])
    }

    /// Of fedmsg, on a port; signing as one of those that have certificates in a folder.
    pub(crate) fn fedmsg(port: u16, signer: Option<(&Path, &str)>) -> Self {
        let port = port.to_string();
        let mut args = vec![port.as_str()];
        if let Some((folder, name)) = signer {
            args.extend([folder.to_str().unwrap(), name]);
        }
        let mut publisher = Self::start("fedmsg", "publish_fedmsg.py", &args);
        assert_eq!(publisher.answer(), "ready");
        publisher
    }

    fn start(environment: &str, script: &str, args: &[&str]) -> Self {
        let mut command = Command::new(python(environment));
        command.arg(root().join("tests/servers").join(script)).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::start(&mut command);
        let input = group.0.stdin.take();
        let output = BufReader::new(group.0.stdout.take().unwrap()).lines();
        Self { _group: group, input, output }
    }

    /// Sends one document, and returns what is said of it.
    pub(crate) fn send(&mut self, document: &Value) -> String {
        self.begin(document);
        self.answer()
    }

    /// Sends one document; [`Publisher::answer`] then waits for what is said of it.
    pub(crate) fn begin(&mut self, document: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{document}").unwrap();
    }

    /// What is said of a document.
    pub(crate) fn answer(&mut self) -> String {
        self.output.next().expect("the publisher has ended").unwrap()
    }
}

/// An authority, and names that it has given certificates, as fedmsg wants them in a folder.
pub(crate) fn authority(names: &[&str], revoked: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let config = "[ca]\ndefault_ca = ours\n[ours]\ndatabase = index.txt\nserial = serial\n\
                  new_certs_dir = .\ncertificate = ca.crt\nprivate_key = ca.key\n\
                  default_md = sha256\ndefault_days = 30\ndefault_crl_days = 30\npolicy = any\n\
                  [any]\ncommonName = supplied\n[req]\ndistinguished_name = dn\n[dn]\n\
                  [authority]\nbasicConstraints = critical,CA:TRUE\n\
                  keyUsage = critical,keyCertSign,cRLSign\n[leaf]\nbasicConstraints = CA:FALSE\n\
                  subjectAltName = IP:127.0.0.1\n";
    for (name, text) in [("openssl.cnf", config), ("index.txt", ""), ("serial", "1001\n")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let openssl = |args: &str| {
        let out = Command::new("openssl")
            .args(args.split(' '))
            .env("OPENSSL_CONF", folder.path().join("openssl.cnf"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(out.status.success(), "{args}: {}", String::from_utf8_lossy(&out.stderr));
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=authority -extensions authority",
    );
    for name in names {
        openssl(&format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        openssl(&format!("ca -batch -notext -extensions leaf -in {name}.csr -out {name}.crt"));
    }
    for name in revoked {
        openssl(&format!("ca -revoke {name}.crt"));
    }
    openssl("ca -gencrl -out crl.pem");
    folder
}
