//! `GET /api/_export`: rows and positions of stats, streamed as `statmill export` writes them.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use super::headers::{complete_until, pairs};
use super::index::together;
use super::problem::Problem;
use super::{Answer, App};
use crate::query::StatView;
use crate::store::{self, ExportedStat, StoreError};

/// Exports under way at once: each takes a thread for as long as its client reads.
pub(super) const MAX_EXPORTS: usize = 2;
/// Bytes sent at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that may wait for the client.
const CHUNKS: usize = 4;

pub(super) async fn get(State(app): State<Arc<App>>, RawQuery(raw): RawQuery) -> Answer {
    let stats = wanted(&app, raw.as_deref())?;
    let until = together(&stats);
    let idents: Vec<String> = stats.into_iter().map(|(ident, _)| ident).collect();
    let permit = app.exports.clone().try_acquire_owned().map_err(|_| {
        Problem::busy(format!("{MAX_EXPORTS} exports are under way, no more are run at once"), 10)
    })?;
    let (chunks, mut written) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut out = Chunks { pending: Vec::with_capacity(CHUNK_BYTES), chunks };
        if let Err(error) = write(&app, idents, &mut out) {
            out.break_off(&error);
        }
    });
    let body = Body::from_stream(stream::poll_fn(move |context| written.poll_recv(context)));
    let content = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    let mut response: Response = (content, body).into_response();
    complete_until(&mut response, until);
    Ok(response)
}

/// The stats named by `stat=`, each once; all if none is.
fn wanted(app: &App, raw: Option<&str>) -> Result<Vec<(String, StatView)>, Problem> {
    let known = app.catalog.idents();
    let mut idents = Vec::new();
    for (name, ident) in pairs(raw) {
        if name != "stat" {
            return Err(Problem::param(&name, "is not a parameter of the export", "`stat`"));
        }
        if !idents.contains(&ident) {
            idents.push(ident);
        }
    }
    let idents = if idents.is_empty() { known.clone() } else { idents };
    let view = |ident: String| match app.catalog.stat(&ident) {
        Some(view) => Ok((ident, view)),
        None => Err(Problem::unknown_stat(&ident, &known)),
    };
    idents.into_iter().map(view).collect()
}

/// Writes each stat as it is when its turn comes: an export that takes long pins the pages of one
/// commit of one stat, not of all.
fn write(app: &App, idents: Vec<String>, out: &mut Chunks) -> Result<(), StoreError> {
    let newest = |ident: String| {
        let view = app.catalog.stat(&ident).ok_or(StoreError::Unknown { ident })?;
        let complete_until_us = view.complete_until.time_us();
        Ok(ExportedStat { snapshot: view.snapshot, complete_until_us })
    };
    store::export(idents.into_iter().map(newest), out).map(|_| ())
}

/// Hands what is written to the connection, and waits while it takes no more.
struct Chunks {
    pending: Vec<u8>,
    chunks: mpsc::Sender<io::Result<Bytes>>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK_BYTES));
        self.chunks.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Ends the answer so that nobody takes it for a whole one.
    fn break_off(self, error: &StoreError) {
        if self.chunks.is_closed() {
            return tracing::debug!("an export was left by its client");
        }
        tracing::error!("an export is broken off: {error}");
        let _ = self.chunks.blocking_send(Err(io::Error::other(error.to_string())));
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() { Ok(()) } else { self.send() }
    }
}
