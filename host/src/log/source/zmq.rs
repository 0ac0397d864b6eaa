//! Addresses of fedmsg publishers: `zmq+tcp://host:port,host:port?topic=PREFIX&validate=x509`.

use std::path::PathBuf;

use super::options::{Options, boolean, one_of};
use super::{SourceError, redacted};

/// Options of the address, besides those of every journaled source.
pub(super) const OPTIONS: [&str; 7] =
    ["endpoint", "topic", "validate", "ca", "crl", "policy", "nitpicky"];

/// Most publishers of one source.
const MAX_ENDPOINTS: usize = 1024;

/// Publishers, what is subscribed to, and what is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZmqParams {
    /// Publishers, `host:port`; those of IPv6 in brackets.
    pub endpoints: Vec<String>,
    /// Beginnings of topics; an empty one is all.
    pub topics: Vec<String>,
    /// What a message's signature must satisfy; none = nothing is checked.
    pub signatures: Option<SignatureParams>,
}

/// Whose messages are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureParams {
    /// Certificates of authorities, PEM.
    pub ca: PathBuf,
    /// Revoked certificates, PEM or DER.
    pub crl: Option<PathBuf>,
    /// Which names may sign which topics: a JSON object of arrays.
    pub policy: Option<PathBuf>,
    /// A topic that the policy does not name may be signed by nobody.
    pub nitpicky: bool,
}

/// Reads the publishers behind the scheme and the options.
pub(super) fn params(
    text: &str,
    place: &str,
    options: &Options<'_>,
) -> Result<ZmqParams, SourceError> {
    let bad_place = |reason: String| SourceError::BadPlace { url: redacted(text), reason };
    let hosts = place.strip_prefix("//").unwrap_or_default().trim_end_matches('/');
    let more = options.texts("endpoint");
    let mut endpoints: Vec<String> = Vec::new();
    for part in hosts.split(',').filter(|part| !part.is_empty()).chain(more.iter().map(|it| &**it))
    {
        let endpoint = part.strip_prefix("tcp://").unwrap_or(part);
        check_endpoint(endpoint).map_err(bad_place)?;
        if !endpoints.iter().any(|known| known == endpoint) {
            endpoints.push(endpoint.to_owned());
        }
    }
    if endpoints.is_empty() || endpoints.len() > MAX_ENDPOINTS {
        let reason = format!(
            "it names {} publishers, not 1 to {MAX_ENDPOINTS}; write `zmq+tcp://host:port`",
            endpoints.len()
        );
        return Err(bad_place(reason));
    }
    // As fedmsg's configuration writes "all": a star means nothing on the wire.
    let mut topics: Vec<String> =
        options.texts("topic").iter().map(|it| it.trim_end_matches('*').to_owned()).collect();
    if topics.is_empty() || topics.iter().any(String::is_empty) {
        topics = vec![String::new()];
    }
    Ok(ZmqParams { endpoints, topics, signatures: signatures(text, options)? })
}

impl ZmqParams {
    /// Name of the source: the same in whatever order its publishers are named.
    pub(super) fn name(&self) -> String {
        let mut sorted = self.endpoints.clone();
        sorted.sort();
        format!("zmq+tcp:{}", sorted.join(","))
    }
}

fn signatures(text: &str, options: &Options<'_>) -> Result<Option<SignatureParams>, SourceError> {
    let validate = options.get("validate", |it| one_of(it, &["x509", "none"]))?;
    let path = |option: &str| options.text(option).map(PathBuf::from);
    let nitpicky = options.get("nitpicky", boolean)?;
    let bad = |option: &str, reason: &str| SourceError::BadValue {
        url: redacted(text),
        option: option.to_owned(),
        reason: reason.to_owned(),
    };
    if validate != Some("x509") {
        let given = ["ca", "crl", "policy", "nitpicky"];
        let idle = given.into_iter().find(|option| options.text(option).is_some());
        return match idle {
            Some(option) => Err(bad(option, "nothing is checked without `validate=x509`")),
            None => Ok(None),
        };
    }
    let Some(ca) = path("ca") else {
        return Err(bad("validate", "it takes the authority's certificate: add `ca=FILE`"));
    };
    let nitpicky = nitpicky.unwrap_or(false);
    Ok(Some(SignatureParams { ca, crl: path("crl"), policy: path("policy"), nitpicky }))
}

fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let bad = || format!("{endpoint:?} is no publisher: write `host:port`");
    let (host, port) = endpoint.rsplit_once(':').ok_or_else(bad)?;
    let is_fine = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.len() <= 253 && host.chars().all(is_fine),
    };
    match port.parse::<u16>() {
        Ok(1..) if is_host => Ok(()),
        _ => Err(bad()),
    }
}
