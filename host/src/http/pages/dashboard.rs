//! Dashboards, and the parts of them that are asked for again.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use maud::Markup;
use serde_json::json;
use statmill_plugin_api::encoding::Value;

use super::Wish;
use crate::dashboards::{self, Dashboard, Dashboards, Shown, State, View};
use crate::http::headers::{self, pairs};
use crate::http::problem::Problem;
use crate::http::{Answer, App};
use crate::query::{self, CompleteUntil, Query};
use crate::render::html::{self, Drawn, Page, Picker, When, card, empty_card};

/// Widths of pictures are asked for in steps, so that equal pictures are asked for by equal addresses.
const WIDTH_STEP: u32 = 20;
/// The narrowest and the widest picture, px.
const WIDTHS: (u32, u32) = (160, 2_400);
/// Values that a picker offers.
const PICKED: u64 = 200;

type Named<T> = Result<Path<T>, PathRejection>;

/// The page a person sees first: a dashboard, or else all statistics.
pub(in crate::http) async fn home(
    Shared(app): Shared<Arc<App>>,
    RawQuery(raw): RawQuery,
    request: HeaderMap,
) -> Answer {
    let wish = Wish::of(&request);
    app.blocking(move |app| {
        let dashboards = app.dashboards();
        match dashboards.first() {
            Some(dashboard) => whole(app, dashboard, raw.as_deref(), wish),
            None => super::host::all(app, wish),
        }
    })
    .await?
}

pub(in crate::http) async fn get(
    Shared(app): Shared<Arc<App>>,
    path: Named<String>,
    RawQuery(raw): RawQuery,
    request: HeaderMap,
) -> Answer {
    let Path(name) = path.map_err(|error| Problem::path(&error))?;
    let wish = Wish::of(&request);
    app.blocking(move |app| {
        let dashboards = app.dashboards();
        whole(app, find(&dashboards, &name)?, raw.as_deref(), wish)
    })
    .await?
}

/// What is inside the element of a view.
pub(in crate::http) async fn view(
    Shared(app): Shared<Arc<App>>,
    path: Named<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Answer {
    of_view(app, path, raw, |app, dashboard, view, asked| {
        let (shown, until) = shown(app, dashboard, view, &asked.state);
        let drawn = asked.drawn(dashboard, view);
        let content = html::content(&drawn, shown.as_ref().map_err(String::as_str));
        Ok(app.answer(content.into_string(), until))
    })
    .await
}

/// The exact values of a picture over time.
pub(in crate::http) async fn rows(
    Shared(app): Shared<Arc<App>>,
    path: Named<(String, String)>,
    RawQuery(raw): RawQuery,
) -> Answer {
    of_view(app, path, raw, |app, dashboard, view, asked| {
        let shown =
            dashboards::show(&*app.catalog, dashboard, view, &asked.state, &app.options.limits)?;
        let mut response = Json(columns(dashboard, view, asked, &shown)).into_response();
        headers::complete_until(&mut response, shown.complete_until);
        Ok(response)
    })
    .await
}

/// Finds a view and what is asked of it, and has `answer` answer.
async fn of_view(
    app: Arc<App>,
    path: Named<(String, String)>,
    raw: Option<String>,
    answer: impl FnOnce(&App, &Dashboard, &View, &Asked) -> Answer + Send + 'static,
) -> Answer {
    let Path((name, view)) = path.map_err(|error| Problem::path(&error))?;
    app.blocking(move |app| {
        let dashboards = app.dashboards();
        let (dashboard, view) = find_view(&dashboards, &name, &view)?;
        answer(app, dashboard, view, &Asked::new(dashboard, raw.as_deref())?)
    })
    .await?
}

/// What is above the views.
pub(in crate::http) async fn bar(
    Shared(app): Shared<Arc<App>>,
    path: Named<String>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let Path(name) = path.map_err(|error| Problem::path(&error))?;
    app.blocking(move |app| {
        let dashboards = app.dashboards();
        let dashboard = find(&dashboards, &name)?;
        let asked = Asked::new(dashboard, raw.as_deref())?;
        Ok(app.answer(bar_of(app, dashboard, &asked).into_string(), CompleteUntil::default()))
    })
    .await?
}

/// Times in milliseconds, and for each line its values at them.
fn columns(dashboard: &Dashboard, view: &View, asked: &Asked, shown: &Shown) -> serde_json::Value {
    let series = dashboards::series(dashboard, view, &asked.state, shown);
    let mut times: Vec<i64> =
        series.iter().flat_map(|series| series.points.iter().map(|point| point.0 as i64)).collect();
    times.sort_unstable();
    times.dedup();
    let lines = series.iter().filter(|series| !series.points.is_empty()).map(|series| {
        let mut points = series.points.iter().peekable();
        let values = times.iter().map(|time_us| {
            points.next_if(|point| point.0 as i64 == *time_us).and_then(|point| point.1)
        });
        json!({
            "name": series.name,
            "colour": series.colour,
            "values": values.collect::<Vec<_>>(),
        })
    });
    let texts = times.iter().map(|time_us| asked.when.text(*time_us));
    json!({
        "times": times.iter().map(|time_us| time_us.div_euclid(1_000)).collect::<Vec<_>>(),
        "texts": texts.collect::<Vec<_>>(),
        "series": lines.collect::<Vec<_>>(),
        "step_s": shown.window_s,
    })
}

/// What is asked of a dashboard or a part of it.
struct Asked {
    state: State,
    when: When,
    /// Width of the picture, px; that of its place on a page otherwise.
    width: Option<u32>,
    /// Other forms of a view cannot be chosen where it stands.
    plain: bool,
}

impl Asked {
    fn new(dashboard: &Dashboard, raw: Option<&str>) -> Result<Self, Problem> {
        let pairs = pairs(raw);
        let given = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let state = State::parse(dashboard, given).map_err(Problem::params)?;
        let width = pairs.iter().find(|(name, _)| name == "w").and_then(|(_, w)| w.parse().ok());
        let width = width.map(|width: u32| {
            let width = width.clamp(WIDTHS.0, WIDTHS.1);
            width - width % WIDTH_STEP
        });
        let when = When::named(state.zone.as_deref());
        let plain = pairs.iter().any(|(name, _)| name == "plain");
        Ok(Self { state, when, width, plain })
    }

    fn drawn<'a>(&'a self, dashboard: &'a Dashboard, view: &'a View) -> Drawn<'a> {
        Drawn {
            dashboard,
            view,
            state: &self.state,
            when: &self.when,
            width: self.width.unwrap_or_else(|| view.width.pixels()),
            forms: !self.plain,
        }
    }
}

fn find<'a>(dashboards: &'a Dashboards, name: &str) -> Result<&'a Dashboard, Problem> {
    dashboards.find(name).ok_or_else(|| {
        let known: Vec<_> = dashboards.list.iter().map(|known| known.name.clone()).collect();
        Problem::unknown("dashboard", name, &known, "/status")
    })
}

fn find_view<'a>(
    dashboards: &'a Dashboards,
    name: &str,
    view: &str,
) -> Result<(&'a Dashboard, &'a View), Problem> {
    let dashboard = find(dashboards, name)?;
    let found = dashboard.views.iter().find(|known| known.name == view);
    found.map(|found| (dashboard, found)).ok_or_else(|| {
        let known: Vec<_> = dashboard.views.iter().map(|known| known.name.clone()).collect();
        Problem::unknown("view", view, &known, "/status")
    })
}

fn whole(app: &App, dashboard: &Dashboard, raw: Option<&str>, wish: Wish) -> Answer {
    let asked = Asked::new(dashboard, raw)?;
    let mut together: Option<CompleteUntil> = None;
    let cards: Vec<Markup> = dashboard
        .views
        .iter()
        .map(|view| {
            let drawn = asked.drawn(dashboard, view);
            if !asked.state.shows(view) {
                return empty_card(&drawn);
            }
            let (shown, until) = shown(app, dashboard, view, &asked.state);
            together = Some(together.map_or(until, |known| known.and(until)));
            card(&drawn, shown.as_ref().map_err(String::as_str))
        })
        .collect();
    let main = html::dashboard(dashboard, &asked.state, &bar_of(app, dashboard, &asked), &cards);
    let current = format!("/d/{}", html::encode(&dashboard.name));
    let page = Page {
        title: &dashboard.title,
        current: &current,
        theme: wish.theme,
        kiosk: asked.state.kiosk,
        live: true,
        ..Page::default()
    };
    Ok(app.answer(app.page_with(page, &main), together.unwrap_or_default()))
}

/// What a view shows, or why it shows nothing; and up to when that is complete.
pub(super) fn shown(
    app: &App,
    dashboard: &Dashboard,
    view: &View,
    state: &State,
) -> (Result<Shown, String>, CompleteUntil) {
    match dashboards::show(&*app.catalog, dashboard, view, state, &app.options.limits) {
        Ok(shown) => {
            let until = shown.complete_until;
            (Ok(shown), until)
        }
        Err(error) => (Err(error.to_string()), CompleteUntil::default()),
    }
}

fn bar_of(app: &App, dashboard: &Dashboard, asked: &Asked) -> Markup {
    let pickers: Vec<Picker> = dashboard
        .views
        .iter()
        .flat_map(|view| view.pickers.iter().map(move |name| (view, name)))
        .filter_map(|(view, name)| picker(app, dashboard, view, name))
        .collect();
    html::bar(dashboard, &asked.state, &asked.when, &pickers)
}

/// The values that a dimension has; no picker where they cannot be counted.
fn picker(app: &App, dashboard: &Dashboard, view: &View, name: &str) -> Option<Picker> {
    let stat = app.catalog.stat(&view.stat)?;
    let model = view.params.iter().find(|(name, _)| name == "model");
    let query = Query {
        model: model.map(|(_, model)| model.clone()),
        rows_per_page: Some(PICKED),
        ..Query::default()
    };
    let found = query::facets(&stat.snapshot, &query, name, &app.options.limits).ok()?;
    let values = found.table.rows.iter().filter_map(|row| match &row[0] {
        Value::Null => None,
        value => Some(crate::render::cell::text(value, query::TimeStyle::Rfc3339).into_owned()),
    });
    let mut values: Vec<String> = values.collect();
    values.sort_unstable();
    let key = dashboard.choice(view, name, "").key();
    Some(Picker { name: name.to_owned(), key, values })
}

impl From<dashboards::ViewError> for Problem {
    fn from(error: dashboards::ViewError) -> Self {
        use axum::http::StatusCode;
        use dashboards::ViewError;
        match error {
            ViewError::Query(error) => error.into(),
            ViewError::Compute(error) => error.into(),
            ViewError::NoStat(_) => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            other => Self::new(StatusCode::UNPROCESSABLE_ENTITY, other.to_string()),
        }
    }
}
