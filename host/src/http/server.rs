//! The server: its runtime, its thread, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::connections::{Connections, Peer};
use super::events::Hub;
use super::export::MAX_EXPORTS;
use super::router::router;
use super::{App, HttpOptions, ingest, metrics};
use crate::query::{Catalog, Watcher};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "variant docs describe their fields")]
pub enum HttpError {
    /// Other machines could read and write without a token.
    #[error(
        "refusing to answer other machines at {address} without tokens: set that for {}, or listen \
         on 127.0.0.1",
        .missing.join(", ")
    )]
    Open { address: SocketAddr, missing: Vec<&'static str> },
    /// The system refused.
    #[error("cannot serve: {what}: {source}")]
    Io { what: &'static str, source: std::io::Error },
}

/// Asks a server to stop, from any thread. Clones ask the same server.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Nothing is asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks: no new connection is accepted, no message taken; answers under way are given.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is asked.
    pub async fn asked(&self) {
        // The sender lives as long as `self`, so that this ends only with the value.
        let _ = self.0.subscribe().wait_for(|asked| *asked).await;
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to stop and waits for its end, [`HttpOptions::stop_time`] at most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shutdown.ask();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the HTTP server's thread panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves `catalog` on `listener` until `shutdown` is asked, on a thread of its own.
///
/// # Errors
///
/// [`HttpError::Open`] if other machines could connect and not every use needs a token (unless the
/// options say `open`); [`HttpError::Io`] if the system refuses a thread or the socket.
pub fn serve(
    listener: std::net::TcpListener,
    catalog: Arc<dyn Catalog>,
    options: HttpOptions,
    shutdown: Shutdown,
) -> Result<Server, HttpError> {
    let io = |what| move |source| HttpError::Io { what, source };
    let address = listener.local_addr().map_err(io("no address"))?;
    let missing = options.tokens.missing();
    if !(address.ip().is_loopback() || options.open || missing.is_empty()) {
        return Err(HttpError::Open { address, missing });
    }
    listener.set_nonblocking(true).map_err(io("the socket cannot be shared"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads.max(1))
        .max_blocking_threads(options.max_queries + options.max_ingests + MAX_EXPORTS + 3)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(io("no runtime"))?;
    let measured = options.metrics.clone();
    let (most, idle_time, stop_time) =
        (options.max_connections, options.idle_time, options.stop_time);
    let hub = Arc::new(Hub::new());
    catalog.watch(&(Arc::clone(&hub) as Arc<dyn Watcher>));
    let app = Arc::new(App {
        catalog,
        hub,
        streams: Arc::new(Semaphore::new(options.max_streams)),
        queries: Arc::new(Semaphore::new(options.max_queries.max(1))),
        ingests: Arc::new(Semaphore::new(options.max_ingests.max(1))),
        bodies: Arc::new(Semaphore::new(ingest::places(
            options.max_ingest_bytes.max(options.max_body_bytes),
        ) as usize)),
        dashboards: parking_lot::Mutex::default(),
        exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
        repairs: Arc::new(Semaphore::new(1)),
        options,
        shutdown: shutdown.clone(),
    });
    // What is wrong with them is said at the start.
    drop(app.dashboards());
    let asked = shutdown.clone();
    let run = move || {
        runtime.block_on(async {
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => Connections::new(listener, most, idle_time),
                Err(error) => return tracing::error!(%error, "cannot serve"),
            };
            let draining = asked.clone();
            let serving =
                axum::serve(listener, router(app).into_make_service_with_connect_info::<Peer>())
                    .with_graceful_shutdown(async move { draining.asked().await });
            tokio::select! {
                _ = serving => {}
                () = metrics::keep_up(measured) => {}
                () = overdue(&asked, stop_time) => {
                    tracing::warn!("answers still under way at the stop were cut off");
                }
            }
        });
        // A query cannot be interrupted; it ends by its own time limit, without anyone waiting.
        runtime.shutdown_background();
    };
    let thread =
        std::thread::Builder::new().name("http".to_owned()).spawn(run).map_err(io("no thread"))?;
    Ok(Server { address, shutdown, thread: Some(thread) })
}

async fn overdue(shutdown: &Shutdown, stop_time: Duration) {
    shutdown.asked().await;
    tokio::time::sleep(stop_time).await;
}
