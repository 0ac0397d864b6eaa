//! HTTP: the only part of the host that knows it.
//!
//! Everything is answered from a [`Catalog`]; queries and ingest block, so they run on threads of
//! their own, of which there is a bounded number. The server has its own runtime and thread: the
//! engine knows neither.

mod admin;
mod auth;
mod badge;
mod connections;
mod events;
mod export;
mod facets;
mod headers;
mod index;
mod ingest;
mod links;
mod login;
mod messages;
pub mod metrics;
mod negotiate;
mod openapi;
mod pages;
mod problem;
mod router;
mod routes;
mod rows;
mod schema;
mod server;
mod status;
mod svg;
#[cfg(test)]
mod tests;
mod views;

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use server::{HttpError, Server, Shutdown, serve};

use crate::config::Tokens;
use crate::dashboards::{Dashboards, Definitions, Manifests};
use crate::query::{Catalog, Limits};
use problem::Problem;

/// How the server behaves.
#[derive(Clone)]
pub struct HttpOptions {
    /// What a query may cost.
    pub limits: Limits,
    /// Who may do what.
    pub tokens: Tokens,
    /// Answer other machines though no token is asked for.
    pub open: bool,
    /// The address under which clients know this server (`https://stats.example.org`); the
    /// request's own otherwise.
    pub base_url: Option<String>,
    /// The longest body of a request, bytes.
    pub max_body_bytes: usize,
    /// The longest a client may take to send a body.
    pub body_time: Duration,
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// A connection on which nothing moves for so long is closed.
    pub idle_time: Duration,
    /// Queries run at once; more wait.
    pub max_queries: usize,
    /// Requests written to journals at once; more wait.
    pub max_ingests: usize,
    /// Bodies held in memory at once, bytes together; more wait.
    pub max_ingest_bytes: usize,
    /// Streams of events open at once; more are refused.
    pub max_streams: usize,
    /// Changes that come faster than this are told of together.
    pub events_every: Duration,
    /// A stream on which nothing happens shows so often that it lives.
    pub heartbeat: Duration,
    /// A client that leaves events lying so long is let go.
    pub stall_time: Duration,
    /// After a stop was asked for, answers still under way are given so long.
    pub stop_time: Duration,
    /// Threads that serve connections.
    pub threads: usize,
    /// The dashboards that are defined.
    pub dashboards: Definitions,
    /// Where the process's own metrics are read; see [`metrics::install`].
    pub metrics: Option<metrics::Handle>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            tokens: Tokens::default(),
            open: false,
            base_url: None,
            max_body_bytes: 32 << 20,
            body_time: Duration::from_secs(60),
            max_connections: 1024,
            idle_time: Duration::from_secs(75),
            max_queries: 8,
            max_ingests: 32,
            max_ingest_bytes: 64 << 20,
            max_streams: 256,
            events_every: Duration::from_millis(100),
            heartbeat: Duration::from_secs(15),
            stall_time: Duration::from_secs(30),
            stop_time: Duration::from_secs(10),
            threads: 2,
            dashboards: Definitions::default(),
            metrics: None,
        }
    }
}

/// What every handler sees.
struct App {
    catalog: Arc<dyn Catalog>,
    options: HttpOptions,
    shutdown: Shutdown,
    queries: Arc<Semaphore>,
    ingests: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    /// The dashboards of the statistics there were when they were last asked for, and what those said of themselves.
    dashboards: Mutex<Option<(Manifests, Arc<Dashboards>)>>,
    /// One repair at a time.
    repairs: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    hub: Arc<events::Hub>,
    /// One permit per KiB of body.
    bodies: Arc<Semaphore>,
}

type Answer = Result<Response, Problem>;

impl App {
    /// Whether answers are for who has a token alone.
    fn is_private(&self) -> bool {
        self.options.tokens.query.is_some()
    }

    /// Runs `work`, which blocks, on a thread for that.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.queries.clone().acquire_owned().await;
        let app = Arc::clone(self);
        let outcome = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&app)
        });
        outcome.await.map_err(|_| Problem::internal())
    }
}
