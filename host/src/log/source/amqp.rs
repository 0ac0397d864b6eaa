//! Addresses of AMQP queues: `amqp://user:password@host:port/vhost?queue=NAME&bind=PATTERN`.

use std::fmt;
use std::path::PathBuf;

use lapin::uri::{AMQPScheme, AMQPUri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::options::{Options, boolean, integer};
use super::{SourceError, redacted};

/// Options of the address, besides those of every journaled source.
pub(super) const OPTIONS: [&str; 13] = [
    "queue",
    "exchange",
    "bind",
    "durable",
    "exclusive",
    "auto_delete",
    "passive",
    "prefetch",
    "dead_letter",
    "ca",
    "cert",
    "key",
    "auth",
];

/// Longest name of a queue, an exchange or a pattern, bytes.
const MAX_NAME: usize = 255;

/// A queue of a broker, and how it is to be consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpParams {
    /// Over TLS.
    pub tls: bool,
    /// The broker's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who consumes.
    pub user: String,
    /// Their password.
    pub password: Secret,
    /// The virtual host.
    pub vhost: String,
    /// The queue; none = one of our own, which the broker names and which goes with the connection.
    pub queue: Option<String>,
    /// Exchange the queue is bound to.
    pub exchange: String,
    /// Patterns of topics by which it is bound.
    pub bind: Vec<String>,
    /// The queue survives the broker.
    pub durable: bool,
    /// Nobody else may consume it, and it goes with the connection.
    pub exclusive: bool,
    /// It goes with its last consumer.
    pub auto_delete: bool,
    /// It must be there already.
    pub passive: bool,
    /// Deliveries that may be waiting for their acknowledgement.
    pub prefetch: u16,
    /// Exchange to which the broker sends what is refused; none = it is dropped there.
    pub dead_letter: Option<String>,
    /// Certificates to trust, PEM; none = those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate and key of our own, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// We are who the certificate says; else who the password proves.
    pub external: bool,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl AmqpParams {
    /// The broker without whoever asks it.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        format!("{scheme}://{}", self.authority())
    }

    /// Name of the source: the same with and without TLS, and whoever asks.
    pub(super) fn name(&self) -> String {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let queue = self.queue.as_deref().unwrap_or_default();
        format!("amqp:{}/{}/{queue}", self.authority(), encoded(&self.vhost))
    }

    fn authority(&self) -> String {
        let is_bare_ipv6 = self.host.contains(':') && !self.host.starts_with('[');
        match is_bare_ipv6 {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Reads `scheme:place` and its options.
pub(super) fn params(
    text: &str,
    scheme: &str,
    place: &str,
    options: &Options<'_>,
) -> Result<AmqpParams, SourceError> {
    let bad_place = |reason: &str| SourceError::BadPlace {
        url: redacted(text),
        reason: format!("{reason}; write `{scheme}://user:password@host:port/vhost`"),
    };
    let authority = place.strip_prefix("//").and_then(|place| place.split('/').next());
    let host = authority.and_then(|it| it.rsplit('@').next()).unwrap_or_default();
    if host.is_empty() || host.starts_with(':') {
        return Err(bad_place("it names no broker"));
    }
    // The reason may hold a part of the password.
    let uri: AMQPUri =
        format!("{scheme}:{place}").parse().map_err(|_| bad_place("it is no address"))?;
    let tls = uri.scheme == AMQPScheme::AMQPS;
    let flag = |name: &str| options.get(name, boolean);
    let name = |option: &str| options.get(option, |text| short(text, option));
    let queue = name("queue")?;
    let passive = flag("passive")?.unwrap_or(false);
    let bad = |option: &str, reason: &str| SourceError::BadValue {
        url: redacted(text),
        option: option.to_owned(),
        reason: reason.to_owned(),
    };
    if passive && queue.is_none() {
        return Err(bad("passive", "a queue that must be there already has a name: add `queue=`"));
    }
    let is_ours = queue.is_none();
    let mut bind = options.texts("bind");
    for pattern in &bind {
        short(pattern, "bind").map_err(|reason| bad("bind", &reason))?;
    }
    if bind.is_empty() && !passive {
        bind.push("#".to_owned());
    }
    let path = |option: &str| options.text(option).map(PathBuf::from);
    let identity = match (path("cert"), path("key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(bad("cert", "it has no key: add `key=FILE`")),
        (None, Some(_)) => return Err(bad("key", "it has no certificate: add `cert=FILE`")),
    };
    for option in ["ca", "cert"] {
        if !tls && options.text(option).is_some() {
            return Err(bad(option, "there are no certificates without TLS: write `amqps://`"));
        }
    }
    let external = match options.text("auth").as_deref() {
        None => identity.is_some(),
        Some("plain") => false,
        Some("external") if identity.is_some() => true,
        Some("external") => return Err(bad("auth", "it takes `cert=FILE` and `key=FILE`")),
        Some(other) => {
            return Err(bad("auth", &format!("{other:?} is not one of plain, external")));
        }
    };
    Ok(AmqpParams {
        tls,
        host: uri.authority.host,
        port: uri.authority.port,
        user: uri.authority.userinfo.username,
        password: Secret(uri.authority.userinfo.password),
        vhost: if uri.vhost.is_empty() { "/".to_owned() } else { uri.vhost },
        exchange: name("exchange")?.unwrap_or_else(|| "amq.topic".to_owned()),
        bind,
        durable: flag("durable")?.unwrap_or(!is_ours),
        exclusive: flag("exclusive")?.unwrap_or(is_ours),
        auto_delete: flag("auto_delete")?.unwrap_or(is_ours),
        passive,
        prefetch: options.get("prefetch", |it| integer(it, 1, 10_000))?.unwrap_or(100) as u16,
        dead_letter: name("dead_letter")?,
        ca: path("ca"),
        identity,
        external,
        queue,
    })
}

fn short(text: &str, option: &str) -> Result<String, String> {
    if text.len() > MAX_NAME {
        return Err(format!("{option:?} has at most {MAX_NAME} bytes"));
    }
    Ok(text.to_owned())
}
