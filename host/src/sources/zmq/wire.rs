//! The subscriber's side of ZMTP 3.0 over TCP, as far as PUB and SUB need it.
//!
//! A frame is read as its bytes come, never by what its header promises: what a publisher can make us
//! hold is bounded by the largest message, and larger ones are read past.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::sources::network::PATIENCE;

/// Flags of a frame.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Largest command that is read; those of the handshake are far smaller.
const MAX_COMMAND: u64 = 4 << 10;
/// Frames of a message that are kept: one more than there may be.
const MAX_FRAMES: usize = 3;
/// Bytes taken from the network at once.
const BUFFER: usize = 64 << 10;

/// Who has not sent anything for so long is asked for a sign of life, so often, so many times.
const IDLE: Duration = Duration::from_secs(60);
const BETWEEN: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub(super) enum WireError {
    /// The network failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nothing came within the time that a handshake may take.
    #[error("the other side does not answer")]
    Silent,
    /// The other side speaks something else.
    #[error("the other side speaks no ZMTP 3: {0}")]
    Protocol(&'static str),
    /// The other side ended the connection in its own words.
    #[error("the other side refuses: {0:?}")]
    Refused(String),
}

/// A message as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Its frames, of which there may be more than are kept.
    Frames(Vec<Vec<u8>>),
    /// It has more bytes than allowed and was read past.
    TooLarge,
}

/// A connection to a publisher that sends us what we subscribed to.
#[derive(Debug)]
pub(super) struct Subscription {
    stream: BufReader<TcpStream>,
    max_message: usize,
}

impl Subscription {
    /// Connects to `endpoint` and subscribes to the topics that begin with one of `topics`.
    pub(super) async fn open(
        endpoint: &str,
        topics: &[String],
        max_message: usize,
    ) -> Result<Self, WireError> {
        let connect = async {
            let stream = TcpStream::connect(endpoint).await?;
            stream.set_nodelay(true)?;
            // A publisher that vanished without a word is noticed by this alone.
            let keepalive =
                TcpKeepalive::new().with_time(IDLE).with_interval(BETWEEN).with_retries(PROBES);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
            let mut stream = BufReader::with_capacity(BUFFER, stream);
            greet(&mut stream).await?;
            for topic in topics {
                let mut subscribe = vec![1];
                subscribe.extend_from_slice(topic.as_bytes());
                stream.write_all(&frame(0, &subscribe)).await?;
            }
            Ok(Self { stream, max_message })
        };
        timeout(PATIENCE, connect).await.map_err(|_| WireError::Silent)?
    }

    /// Waits for the next message. What was read of it is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Message, WireError> {
        let mut frames = Vec::new();
        let (mut bytes, mut too_large) = (0, false);
        loop {
            let (flags, length) = header(&mut self.stream).await?;
            if flags & COMMAND != 0 {
                let command = command_body(&mut self.stream, length).await?;
                if let Some(answer) = answer(&command)? {
                    self.stream.write_all(&answer).await?;
                }
                continue;
            }
            too_large |= length > (self.max_message.saturating_sub(bytes)) as u64;
            if too_large || frames.len() == MAX_FRAMES {
                skip(&mut self.stream, length).await?;
            } else {
                let frame = body(&mut self.stream, length).await?;
                bytes += frame.len();
                frames.push(frame);
            }
            if flags & MORE == 0 {
                return Ok(if too_large { Message::TooLarge } else { Message::Frames(frames) });
            }
        }
    }
}

/// Greets, and checks that the other side publishes.
async fn greet(stream: &mut BufReader<TcpStream>) -> Result<(), WireError> {
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).await?;

    let mut theirs = [0; 64];
    // Older versions send less than a whole greeting and wait.
    stream.read_exact(&mut theirs[..11]).await?;
    if theirs[0] != 0xff || theirs[9] & 1 == 0 {
        return Err(WireError::Protocol("it has no such greeting"));
    }
    if theirs[10] < 3 {
        return Err(WireError::Protocol("its version is older"));
    }
    stream.read_exact(&mut theirs[11..]).await?;
    if theirs[12..32] != greeting[12..32] {
        return Err(WireError::Protocol("it demands a password or a key"));
    }
    let mut ready = b"\x05READY".to_vec();
    for (name, value) in [("Socket-Type", "SUB"), ("Identity", "")] {
        ready.push(name.len() as u8);
        ready.extend_from_slice(name.as_bytes());
        ready.extend_from_slice(&(value.len() as u32).to_be_bytes());
        ready.extend_from_slice(value.as_bytes());
    }
    stream.write_all(&frame(COMMAND, &ready)).await?;
    let (flags, length) = header(stream).await?;
    if flags & COMMAND == 0 {
        return Err(WireError::Protocol("it begins with a message"));
    }
    let theirs = command_body(stream, length).await?;
    answer(&theirs)?;
    let properties =
        theirs.strip_prefix(b"\x05READY").ok_or(WireError::Protocol("it is not ready"))?;
    match property(properties, "socket-type") {
        Some(b"PUB" | b"XPUB") => Ok(()),
        _ => Err(WireError::Protocol("it is no publisher")),
    }
}

/// What a command is answered with, if with anything.
fn answer(command: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
    if let Some(reason) = command.strip_prefix(b"\x05ERROR") {
        let reason = reason.get(1..).unwrap_or_default();
        return Err(WireError::Refused(String::from_utf8_lossy(reason).into_owned()));
    }
    // A sign of life is asked for: two bytes of patience, then what is to be sent back.
    let context = command.strip_prefix(b"\x04PING").map(|rest| rest.get(2..).unwrap_or_default());
    Ok(context.map(|context| frame(COMMAND, &[b"\x04PONG", context].concat())))
}

/// The value of a property, whose name may be written in any case.
fn property<'a>(mut properties: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    while let Some((&length, rest)) = properties.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            return Some(value);
        }
        properties = rest;
    }
    None
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(length) => vec![flags, length],
        Err(_) => [&[flags | LONG][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    frame.extend_from_slice(body);
    frame
}

async fn header(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, u64), WireError> {
    let flags = stream.read_u8().await?;
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(WireError::Protocol("a frame has flags that do not exist"));
    }
    let length = match flags & LONG {
        0 => u64::from(stream.read_u8().await?),
        _ => stream.read_u64().await?,
    };
    Ok((flags, length))
}

async fn command_body(
    stream: &mut (impl AsyncRead + Unpin),
    length: u64,
) -> Result<Vec<u8>, WireError> {
    if length > MAX_COMMAND {
        return Err(WireError::Protocol("a command is too long"));
    }
    body(stream, length).await
}

async fn body(stream: &mut (impl AsyncRead + Unpin), length: u64) -> Result<Vec<u8>, WireError> {
    let mut body = Vec::new();
    let read = stream.take(length).read_to_end(&mut body).await?;
    if (read as u64) < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(body)
}

async fn skip(stream: &mut (impl AsyncRead + Unpin), length: u64) -> Result<(), WireError> {
    let skipped = tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
    if skipped < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
