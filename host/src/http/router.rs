//! Which address is answered by what.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::auth::{Use, check};
use super::connections::Peer;
use super::problem::Problem;
use super::routes::ROUTES;
use super::{App, headers, pages};

/// Everything that is answered.
pub(super) fn router(app: Arc<App>) -> Router {
    let of = |access: Option<Use>| {
        let routes = ROUTES.iter().filter(|route| route.access == access);
        let router =
            routes.fold(Router::new(), |router, route| router.route(route.path, (route.answer)()));
        match access {
            None => router,
            Some(wanted) => router
                .route_layer(middleware::from_fn_with_state((Arc::clone(&app), wanted), guard)),
        }
    };
    let body_limit = DefaultBodyLimit::max(app.options.max_body_bytes);
    Router::new()
        .merge(of(None))
        .merge(of(Some(Use::Query)))
        .merge(of(Some(Use::Ingest)).layer(body_limit))
        .merge(of(Some(Use::Admin)))
        .merge(of(Some(Use::Repair)))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), pages::readable))
        .layer(middleware::from_fn(headers::conditional))
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
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.0);
    match check(&app.options.tokens, wanted, request.headers(), peer) {
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
