//! Which address is answered by what.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::auth::{Use, check};
use super::problem::Problem;
use super::{
    App, events, export, facets, headers, index, ingest, messages, rows, schema, status, views,
};
use crate::render::html::{STYLE, STYLE_PATH};

/// Everything that is answered.
pub(super) fn router(app: Arc<App>) -> Router {
    let guarded = |wanted| middleware::from_fn_with_state((Arc::clone(&app), wanted), guard);
    let administration =
        Router::new().route("/api/_export", get(export::get)).route_layer(guarded(Use::Admin));
    let reading = Router::new()
        .route("/", get(index::home))
        .route("/api", get(index::redirect))
        .route("/api/", get(index::list))
        .route("/api/events", get(events::all))
        .route("/api/_status", get(status::status))
        .route("/api/_messages/{log}/{offset}", get(messages::get))
        .route("/api/{ident}", get(rows::get))
        .route("/api/{ident}/events", get(events::one))
        .route("/api/{ident}/facets", get(facets::get))
        .route("/api/{ident}/schema", get(schema::get))
        .route("/api/{ident}/layout", get(schema::layout))
        .route("/api/{ident}/views/{view}", get(views::get))
        .route("/metrics", get(status::metrics))
        .route_layer(guarded(Use::Query));
    let sending = Router::new()
        .route("/ingest/{source}", post(ingest::post))
        .layer(DefaultBodyLimit::max(app.options.max_body_bytes))
        .route_layer(guarded(Use::Ingest));
    Router::new()
        .merge(reading)
        .merge(sending)
        .merge(administration)
        .route("/healthz", get(status::alive))
        .route("/readyz", get(status::ready))
        .route(STYLE_PATH, get(style))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(measure))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CompressionLayer::new())
        .layer(headers::cors())
        .layer(middleware::from_fn(headers::common))
        .with_state(app)
}

/// Lets pass who has the token for a use.
async fn guard(
    State((app, wanted)): State<(Arc<App>, Use)>,
    request: Request,
    next: Next,
) -> Response {
    match check(&app.options.tokens, wanted, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn nothing(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {:?}; GET /api/ lists the statistics", uri.path());
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!("{method} is not possible here; the header Allow says what is");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// Counts requests and their time by route, never by path: paths are strangers' and without end.
async fn measure(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("statmill_http_requests_total", "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("statmill_http_request_duration_seconds", "route" => route)
        .record(start.elapsed());
    response
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "an answer panicked");
    Problem::internal().into_response()
}
