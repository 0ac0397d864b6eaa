//! Pages about the host: its statistics, what it does, how to begin, the reference.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use maud::html;

use super::Wish;
use crate::http::headers::base;
use crate::http::index::{stats as all_stats, together};
use crate::http::{Answer, App, openapi};
use crate::query::{self, CompleteUntil, Limits, Query, StatView, Table};
use crate::render::html::{self, StatLine, StatPanel, StatusPage, When};

/// Rows of each statistic on the page of all.
const NEWEST: u64 = 8;

/// Every statistic with its newest rows and a picture.
pub(in crate::http) async fn stats(State(app): State<Arc<App>>, request: HeaderMap) -> Answer {
    let wish = Wish::of(&request);
    app.blocking(move |app| all(app, wish)).await?
}

pub(super) fn all(app: &App, wish: Wish) -> Answer {
    let stats = all_stats(app);
    let panels: Vec<_> = stats.iter().map(|(ident, view)| panel(app, ident, view)).collect();
    let main = html::stats(&panels, &When::default());
    Ok(app.answer(app.page("All statistics", "/stats", wish, &main), together(&stats)))
}

fn panel(app: &App, ident: &str, view: &StatView) -> StatPanel {
    let query = Query { limit: Some(NEWEST), ..Query::default() };
    // One statistic whose rows are damaged does not take the page from the others.
    let limits = Limits { max_time: app.options.limits.max_time / 4, ..app.options.limits.clone() };
    let newest = query::run(&view.snapshot, &query, &limits).map(|answer| answer.table);
    let has_rows = view.snapshot.rows(0) > 0;
    let picture = has_rows.then(|| format!("/api/{}.svg?w=540&h=160", html::encode(ident)));
    StatPanel {
        picture,
        line: line(ident, view),
        summary: view.snapshot.manifest().summary.clone(),
        newest: newest.unwrap_or_else(|_| Table::default()),
    }
}

fn line(ident: &str, view: &StatView) -> StatLine {
    let manifest = view.snapshot.manifest();
    StatLine {
        ident: ident.to_owned(),
        title: super::stat_title(&manifest.title, ident),
        state: view.state.to_string(),
        rows: view.snapshot.rows(0),
        complete_until: view.complete_until,
    }
}

/// The list of statistics as a page, and up to when it is complete.
pub(in crate::http) fn list(app: &App, wish: Wish) -> (String, CompleteUntil) {
    let stats = all_stats(app);
    let lines: Vec<_> = stats.iter().map(|(ident, view)| line(ident, view)).collect();
    let main = html::index(&lines, &When::default());
    (app.page("Statistics", "/api/", wish, &main), together(&stats))
}

/// What the host is doing.
pub(in crate::http) async fn status(State(app): State<Arc<App>>, request: HeaderMap) -> Answer {
    let wish = Wish::of(&request);
    app.blocking(move |app| {
        let (content, until) = status_content(app);
        let main = html! {
            h1 { "Status" }
            div.part data-src="/ui/status" data-stat="*" { (content) }
        };
        let page = html::Page {
            title: "Status",
            current: "/status",
            theme: wish.theme,
            live: true,
            ..html::Page::default()
        };
        Ok(app.answer(app.page_with(page, &main), until))
    })
    .await?
}

/// The part of that page that changes.
pub(in crate::http) async fn status_part(State(app): State<Arc<App>>) -> Answer {
    app.blocking(|app| {
        let (content, until) = status_content(app);
        Ok(app.answer(content.into_string(), until))
    })
    .await?
}

fn status_content(app: &App) -> (maud::Markup, CompleteUntil) {
    let status = app.catalog.status();
    let dashboards = app.dashboards();
    let until = status.stats.iter().map(|stat| stat.complete_until).reduce(CompleteUntil::and);
    let page = StatusPage { status: &status, faults: &dashboards.faults, when: When::default() };
    (html::status(&page), until.unwrap_or_default())
}

/// How to begin.
pub(in crate::http) async fn start(
    State(app): State<Arc<App>>,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let wish = Wish::of(&request);
    let base = base(app.options.base_url.as_deref(), &uri, &request);
    app.blocking(move |app| {
        let stats = all_stats(app);
        let has_time = |view: &StatView| {
            view.snapshot.models().first().is_some_and(|stored| stored.model.window_s.is_some())
        };
        let example = stats.iter().find(|(_, view)| has_time(view)).or_else(|| stats.first());
        let main = html::start(&base, example.map(|(ident, _)| ident.as_str()));
        Ok(app.answer(app.page("Getting started", "/start", wish, &main), CompleteUntil::default()))
    })
    .await?
}

/// Every address and parameter.
pub(in crate::http) async fn reference(State(app): State<Arc<App>>, request: HeaderMap) -> Answer {
    let wish = Wish::of(&request);
    app.blocking(move |app| {
        // What holds for every statistic, once.
        let document = openapi::document(&[], app);
        let main = html::reference(&document);
        Ok(app.answer(app.page("Reference", "/api/docs", wish, &main), CompleteUntil::default()))
    })
    .await?
}
