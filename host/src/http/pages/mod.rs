//! Pages: which data stand on which page, and what is around them.

mod dashboard;
mod host;
mod rows;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use maud::Markup;

pub(super) use self::dashboard::{bar, get as dashboard, home, rows as view_rows, view};
pub(super) use self::host::{list, reference, start, stats, status, status_part};
pub(super) use self::rows::{Asked, clean, page as rows_page};
use super::auth::{Use, check};
use super::problem::{Problem, Told};
use super::{Answer, App, headers, login};
use crate::dashboards::{Dashboards, Manifests};
use crate::query::CompleteUntil;
use crate::render::html::assets::Asset;
use crate::render::html::{self, Entry, Group, Nav, Page, Theme, encode};

/// How a reader wants pages, whatever is on them.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Wish {
    theme: Theme,
}

impl Wish {
    pub(super) fn of(request: &HeaderMap) -> Self {
        let theme = headers::cookies(request).find(|(name, _)| *name == "theme");
        Self { theme: theme.map(|(_, name)| Theme::named(name)).unwrap_or_default() }
    }
}

impl App {
    /// The dashboards of the statistics there are now.
    pub(super) fn dashboards(&self) -> Arc<Dashboards> {
        let manifests = super::index::stats(self)
            .into_iter()
            .map(|(ident, view)| (ident, Arc::clone(&view.snapshot.manifest)));
        let manifests: Manifests = manifests.collect();
        let mut known = self.dashboards.lock();
        if let Some((found, dashboards)) = known.as_ref()
            && are_same(found, &manifests)
        {
            return Arc::clone(dashboards);
        }
        let made = Arc::new(Dashboards::new(&self.options.dashboards, &manifests));
        for fault in &made.faults {
            tracing::warn!(pointer = fault.pointer, "a dashboard is wrong: {fault}");
        }
        *known = Some((manifests, Arc::clone(&made)));
        made
    }

    /// A whole page. `current` is its address in the menu.
    pub(super) fn page(&self, title: &str, current: &str, wish: Wish, main: &Markup) -> String {
        let page = Page { title, current, theme: wish.theme, ..Page::default() };
        self.page_with(page, main)
    }

    fn page_with(&self, page: Page<'_>, main: &Markup) -> String {
        let nav = Nav {
            can_log_out: self.options.tokens.query.is_some(),
            groups: groups(&self.dashboards()),
        };
        html::page(&Page { nav: Some(nav), ..page }, main)
    }
}

impl App {
    /// An answer that is a page or a part of one.
    fn answer(&self, page: String, until: CompleteUntil) -> Response {
        let etag = headers::etag(page.as_bytes());
        let mut response = Html(page).into_response();
        headers::describe(&mut response, until, &etag, self.is_private());
        response
    }
}

fn are_same(a: &Manifests, b: &Manifests) -> bool {
    let is_same =
        |(a, b): ((&String, &Arc<_>), (&String, &Arc<_>))| a.0 == b.0 && Arc::ptr_eq(a.1, b.1);
    a.len() == b.len() && a.iter().zip(b).all(is_same)
}

/// The menu, of the same definitions that answer its addresses.
fn groups(dashboards: &Dashboards) -> Vec<Group> {
    let entry = |title: &str, href: String| Entry { title: title.to_owned(), href };
    let sections = dashboards.sections().into_iter().map(|(section, entries)| Group {
        title: section.to_owned(),
        entries: entries
            .into_iter()
            .map(|dashboard| entry(&dashboard.title, format!("/d/{}", encode(&dashboard.name))))
            .collect(),
    });
    let stats = dashboards.list.iter().filter(|dashboard| !dashboard.origin.is_file());
    let stats = stats.map(|dashboard| {
        let href = format!("/api/{}.html", encode(&dashboard.name));
        entry(&stat_title(&dashboard.title, &dashboard.name), href)
    });
    let host = [
        entry("All statistics", "/stats".to_owned()),
        entry("Status", "/status".to_owned()),
        entry("Getting started", "/start".to_owned()),
        entry("Reference", "/api/docs".to_owned()),
    ];
    let mut groups: Vec<Group> = sections.collect();
    groups.push(Group { title: "Host".to_owned(), entries: host.to_vec() });
    groups.push(Group { title: "Statistics".to_owned(), entries: stats.collect() });
    groups
}

/// Statistics for several intervals have one title: the ident's end tells them apart.
fn stat_title(title: &str, ident: &str) -> String {
    match ident.rsplit_once('-') {
        Some((_, interval)) if interval.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{title}, {interval}")
        }
        _ if title.is_empty() => ident.to_owned(),
        _ => title.to_owned(),
    }
}

/// `GET /assets/{file}`: what pages are made with.
pub(super) async fn asset(path: Result<Path<String>, PathRejection>) -> Answer {
    let Path(file) = path.map_err(|error| Problem::path(&error))?;
    let asset = Asset::named(&file).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "there is no such file; pages name those there are")
    })?;
    // The name changes with the content.
    let headers = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.body).into_response())
}

/// Says to people on a page what it says to programs as a problem, and asks them for a token where one is
/// needed.
pub(super) async fn readable(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let (uri, method) = (request.uri(), request.method());
    let is_person = (method == Method::GET || uri.path() == "/login")
        && request.headers().get_all(ACCEPT).iter().any(|value| {
            // Browsers name it first; who names it among others gets what programs get.
            value.as_bytes().starts_with(b"text/html")
        });
    let wish = Wish::of(request.headers());
    let may_read = check(&app.options.tokens, Use::Query, request.headers(), None).is_ok();
    let place = uri.path_and_query().map(ToString::to_string);
    let mut response = next.run(request).await;
    let Some(told) = response.extensions_mut().remove::<Told>().filter(|_| is_person) else {
        return response;
    };
    let refused = response.extensions_mut().remove::<login::Next>();
    let main = match (response.status(), refused) {
        (_, Some(login::Next(next))) => html::login(&next, Some(&told.detail)),
        (StatusCode::UNAUTHORIZED, None) => html::login(&place.unwrap_or_default(), None),
        _ => html::error(told.title, &told.detail),
    };
    let page = match may_read {
        true => app.page(told.title, "", wish, &main),
        // The menu names what there is.
        false => {
            html::page(&Page { title: told.title, theme: wish.theme, ..Page::default() }, &main)
        }
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_TYPE);
    (parts.status, parts.headers, Html(page)).into_response()
}
