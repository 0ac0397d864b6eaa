//! A connection to a broker, plain or over TLS.

use std::path::{Path, PathBuf};

use lapin::tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig};
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{Connection, ConnectionProperties, Error};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::log::source::AmqpParams;

/// Seconds between two signs of life; after two without one the connection is given up.
const HEARTBEAT_S: u16 = 30;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub(super) enum ConnectError {
    /// A file of certificates or keys cannot be used.
    #[error("{path:?} cannot be used: {reason}")]
    File { path: PathBuf, reason: String },
    /// The certificates do not go together, or those of the system cannot be read.
    #[error("TLS cannot be set up: {0}")]
    Tls(std::io::Error),
    /// The broker cannot be reached, or does not let us in.
    #[error(transparent)]
    Broker(#[from] Error),
}

/// Connects to the broker; files are read anew each time, so that certificates can be renewed.
pub(super) async fn connect(params: &AmqpParams) -> Result<Connection, ConnectError> {
    let connector = if params.tls { Some(connector(params)?) } else { None };
    let properties = ConnectionProperties::default().with_connection_name("statmill".into());
    let runtime = lapin::runtime::default_runtime()?;
    let open = async move |uri: AMQPUri, runtime: _| {
        let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = tokio::net::lookup_host((name, port)).await.map_err(Error::from)?;
        let addresses: Vec<_> = addresses.collect();
        let stream = AsyncTcpStream::connect(&runtime, &addresses[..]).await?;
        match &connector {
            Some(connector) => Ok(stream.into_rustls(connector, name).await?),
            None => Ok(stream),
        }
    };
    Ok(Connection::connector(uri(params), runtime, open, properties).await?)
}

fn uri(params: &AmqpParams) -> AMQPUri {
    let mechanism = if params.external { SASLMechanism::External } else { SASLMechanism::Plain };
    AMQPUri {
        scheme: if params.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: params.user.clone(),
                password: params.password.0.clone(),
            },
            host: params.host.clone(),
            port: params.port,
        },
        vhost: params.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: Some(HEARTBEAT_S),
            auth_mechanism: Some(mechanism),
            ..AMQPQueryString::default()
        },
    }
}

/// TLS that trusts the given certificates and no others, or those of the system.
fn connector(params: &AmqpParams) -> Result<RustlsConnector, ConnectError> {
    let config = match &params.ca {
        Some(ca) => RustlsConnectorConfig::default().with_parsable_certificates(certificates(ca)?),
        None => RustlsConnectorConfig::new_with_native_certs().map_err(ConnectError::Tls)?,
    };
    let connector = match &params.identity {
        Some((cert, key)) => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
            config.connector_with_single_cert(certificates(cert)?, secret)
        }
        None => config.connector_with_no_client_auth(),
    };
    connector.map_err(ConnectError::Tls)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| unusable(path, error))?;
    match found.is_empty() {
        true => Err(unusable(path, "there is no certificate in it")),
        false => Ok(found),
    }
}

fn unusable(path: &Path, reason: impl ToString) -> ConnectError {
    ConnectError::File { path: path.to_owned(), reason: reason.to_string() }
}
