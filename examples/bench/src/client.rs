//! One kept connection to the host's HTTP server: as little work for the client as there can be, for it
//! runs on the machine that is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};

/// A connection that is kept from request to request.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// The host does not listen.
    pub fn connect(host: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host })
    }

    /// Sends a body of one document a line; returns when it is accepted.
    ///
    /// # Errors
    /// It was not accepted, or the connection broke.
    pub fn ingest(&mut self, source: &str, body: &[u8]) -> Result<()> {
        let head = format!(
            "POST /ingest/{source} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        match self.answer()? {
            (202, _) => Ok(()),
            (status, text) => bail!("{status}: {}", String::from_utf8_lossy(&text)),
        }
    }

    /// Reads what is at `path`.
    ///
    /// # Errors
    /// The status is not 200, or the connection broke.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.get_mut().write_all(head.as_bytes())?;
        match self.answer()? {
            (200, body) => Ok(body),
            (status, text) => bail!("{status}: {}", String::from_utf8_lossy(&text)),
        }
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split_whitespace().nth(1).context("no status line")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}
