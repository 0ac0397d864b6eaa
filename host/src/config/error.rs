#![allow(missing_docs, reason = "variant docs describe their fields")]
//! Why a configuration is not accepted.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::layers::Origin;
use super::nearest::suggestion;

/// Why a configuration is not accepted. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path:?}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is no TOML.
    #[error("{path}:{line}: {reason}", path = path.display())]
    Syntax { path: PathBuf, line: usize, reason: String },
    /// There is no such key.
    #[error("{origin}: there is no setting {key:?}{}", suggestion(nearest.as_deref()))]
    UnknownKey { origin: Origin, key: String, nearest: Option<String> },
    /// A value makes no sense.
    #[error("{}: {reason}", place(origin, key))]
    BadValue { origin: Origin, key: String, reason: String },
    /// A table lacks a key it must have.
    #[error("{origin}: {table} has no {key:?}: add it")]
    Missing { origin: Origin, table: String, key: String },
    /// Anybody who reaches the address could send, read and change everything.
    #[error(
        "{}: {listen} can be reached from elsewhere, but there are no tokens: set \
         {missing}, or listen on 127.0.0.1:{port} behind a proxy",
        place(origin, "listen"),
        port = listen.port()
    )]
    OpenToAll { listen: SocketAddr, origin: Origin, missing: String },
}

/// Where a value was set and of what it is one; a flag says both.
fn place(origin: &Origin, key: &str) -> String {
    match origin {
        Origin::Flag(flag) => flag.clone(),
        origin => format!("{origin}: {key}"),
    }
}
