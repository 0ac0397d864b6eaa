//! Every address there is: who may ask it, what answers it, and how it is described. The router and
//! the description of the API are made of this table, so that neither has what the other lacks.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};

use super::auth::Use;
use super::openapi::operations::{self as describe, Describe};
use super::{
    App, admin, badge, events, export, facets, index, ingest, login, messages, openapi, pages,
    rows, schema, status, views,
};

/// One address.
pub(super) struct Route {
    /// As axum and OpenAPI both write it.
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    /// None: everybody may ask it.
    pub(super) access: Option<Use>,
    pub(super) answer: fn() -> MethodRouter<Arc<App>>,
    pub(super) describe: Describe,
}

const fn repairing(
    path: &'static str,
    answer: fn() -> MethodRouter<Arc<App>>,
    describe: Describe,
) -> Route {
    Route { path, method: "post", access: Some(Use::Repair), answer, describe }
}

const fn reading(
    path: &'static str,
    answer: fn() -> MethodRouter<Arc<App>>,
    describe: Describe,
) -> Route {
    Route { path, method: "get", access: Some(Use::Query), answer, describe }
}

pub(super) const ROUTES: &[Route] = &[
    reading("/", || get(pages::home), describe::home),
    reading("/d/{dashboard}", || get(pages::dashboard), describe::dashboard),
    reading("/stats", || get(pages::stats), describe::stats),
    reading("/status", || get(pages::status), describe::status_page),
    reading("/start", || get(pages::start), describe::start),
    reading("/ui/view/{dashboard}/{view}", || get(pages::view), describe::view_part),
    reading("/ui/data/{dashboard}/{view}", || get(pages::view_rows), describe::view_rows),
    reading("/ui/bar/{dashboard}", || get(pages::bar), describe::bar_part),
    reading("/ui/status", || get(pages::status_part), describe::status_part),
    reading("/api", || get(index::redirect), describe::redirect),
    reading("/api/", || get(index::list), describe::list),
    reading("/api/docs", || get(pages::reference), describe::reference_page),
    reading("/api/openapi.json", || get(openapi::get), describe::openapi),
    reading("/api/events", || get(events::all), describe::all_events),
    reading("/api/_status", || get(status::status), describe::status),
    reading("/api/_messages/{log}/{offset}", || get(messages::get), describe::message),
    reading("/api/{ident}", || get(rows::get), describe::rows),
    reading("/api/{ident}/badge.svg", || get(badge::get), describe::badge),
    reading("/api/{ident}/facets", || get(facets::get), describe::facets),
    reading("/api/{ident}/events", || get(events::one), describe::events),
    reading("/api/{ident}/schema", || get(schema::get), describe::schema),
    reading("/api/{ident}/layout", || get(schema::layout), describe::layout),
    reading("/api/{ident}/views/{view}", || get(views::get), describe::view),
    reading("/metrics", || get(status::metrics), describe::metrics),
    repairing("/api/_admin/{ident}/retry", || post(admin::retry), describe::retry),
    repairing("/api/_admin/{ident}/drop", || post(admin::drop_letters), describe::drop_letters),
    repairing("/api/_admin/{ident}/resume", || post(admin::resume), describe::resume),
    repairing("/api/_admin/reload", || post(admin::reload), describe::reload),
    Route {
        path: "/api/_export",
        method: "get",
        access: Some(Use::Admin),
        answer: || get(export::get),
        describe: describe::export,
    },
    Route {
        path: "/ingest/{source}",
        method: "post",
        access: Some(Use::Ingest),
        answer: || post(ingest::post),
        describe: describe::ingest,
    },
    Route {
        path: "/login",
        method: "post",
        access: None,
        answer: || post(login::enter).layer(DefaultBodyLimit::max(login::MAX_FORM)),
        describe: describe::enter,
    },
    Route {
        path: "/logout",
        method: "post",
        access: None,
        answer: || post(login::leave),
        describe: describe::leave,
    },
    Route {
        path: "/healthz",
        method: "get",
        access: None,
        answer: || get(status::alive),
        describe: describe::alive,
    },
    Route {
        path: "/readyz",
        method: "get",
        access: None,
        answer: || get(status::ready),
        describe: describe::ready,
    },
    Route {
        path: "/assets/{file}",
        method: "get",
        access: None,
        answer: || get(pages::asset),
        describe: describe::asset,
    },
];
