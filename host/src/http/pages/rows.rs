//! The page of a statistic, or of a computed view of it.

use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use statmill_plugin_api::manifest::ValueKind;

use super::Wish;
use super::dashboard::shown;
use crate::dashboards::{Dashboard, Kind, Source, State, View};
use crate::http::App;
use crate::http::links::Place;
use crate::http::rows::Found;
use crate::query::shape::ModelShape;
use crate::query::{Answer, Column, Format, Order, Query, StatState, computed_views};
use crate::render::html::{self, Drawn, Field, RowsPage, Sorted, When, card, encode};

/// What a page answers.
pub(in crate::http) struct Asked<'a> {
    pub(in crate::http) found: &'a Found,
    pub(in crate::http) query: &'a Query,
    pub(in crate::http) answer: &'a Answer,
    pub(in crate::http) place: &'a Place,
    pub(in crate::http) wish: Wish,
    /// Name of the time zone in which times are shown.
    pub(in crate::http) zone: Option<&'a str>,
    /// The title of the computed view that it shows; none = the rows themselves.
    pub(in crate::http) computed: Option<&'a str>,
}

/// The address that a form meant: it sends the names of all its fields, with or without a value.
pub(in crate::http) fn clean(uri: &Uri, place: &Place) -> Option<Response> {
    let is_form = place.pairs().any(|pair| pair == ("_", "form"));
    if !is_form {
        return None;
    }
    let kept = place.pairs().filter(|(name, value)| *name != "_" && !value.is_empty());
    let kept: Vec<_> =
        kept.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    // The path as it came, so that nothing in it can lead elsewhere; `//host` would.
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    let mark = if kept.is_empty() { "" } else { "?" };
    let address = format!("{path}{mark}{}", kept.join("&"));
    Some((StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response())
}

/// The page with the rows of an answer.
pub(in crate::http) fn page(app: &App, asked: &Asked<'_>) -> String {
    let Asked { found, query, answer, place, wish, zone, computed } = *asked;
    let manifest = found.view.snapshot.manifest();
    let when = When::named(zone);
    let is_rows = computed.is_none();
    let forms = [("JSON", Format::Json), ("CSV", Format::Csv), ("NDJSON", Format::Ndjson)];
    let mut pages = Vec::new();
    if answer.page.number > 1 && query.cursor.is_none() {
        pages.push((
            "Previous page",
            place.query(&["page"], Some(("page", &(answer.page.number - 1).to_string()))),
        ));
    }
    if answer.page.number < answer.page.count && query.cursor.is_none() {
        pages.push((
            "Next page",
            place.query(&["page"], Some(("page", &(answer.page.number + 1).to_string()))),
        ));
    }
    let more = answer
        .next
        .as_ref()
        .map(|cursor| place.query(&["page", "cursor"], Some(("cursor", &cursor.to_string()))));
    let sort = |column: &Column| is_rows.then(|| sort(query, place, column)).flatten();
    let views = if is_rows { computed_views(manifest) } else { Vec::new() };
    let views = views.into_iter().map(|view| {
        let title = if view.title.is_empty() { view.name.clone() } else { view.title };
        (title, format!("/api/{}/views/{}.html", encode(&found.ident), encode(&view.name)))
    });
    let about = RowsPage {
        ident: &found.ident,
        title: computed.unwrap_or(&manifest.title),
        summary: &manifest.summary,
        description: if is_rows { &manifest.description } else { "" },
        state: state(found),
        is_broken: matches!(found.view.state, StatState::Failed | StatState::Quarantined),
        complete_until: found.view.complete_until,
        page: answer.page,
        cards: cards(app, asked, &when),
        when,
        forms: forms.map(|(label, format)| (label, place.form(format))).to_vec(),
        pages,
        more,
        fields: fields(found, query, place, is_rows),
        views: views.collect(),
        sort: &sort,
    };
    let main = html::rows(&about, &answer.table);
    let current = format!("/api/{}.html", encode(&found.ident));
    app.page(about.title, &current, wish, &main)
}

/// What a statistic does, where its rows alone do not tell.
fn state(found: &Found) -> Option<String> {
    let what = match found.view.state {
        StatState::Live | StatState::Loading => return None,
        StatState::Quarantined => "is quarantined: it failed too often, and counts nothing more",
        StatState::Failed => "has failed, and counts nothing more",
        StatState::Detached => "has no plugin here: its rows stay as they are",
        StatState::Backfilling => "still reads the past",
        StatState::Lagging => "cannot keep up, and reads its log by itself",
        StatState::Replaying => "reads again what a fault made it lose",
        StatState::Rebuilding => "is being made anew; these are the rows of before",
    };
    Some(format!("This statistic {what}. The status says more."))
}

/// The pictures of a statistic, under the same filters as its rows.
fn cards(app: &App, asked: &Asked<'_>, when: &When) -> Vec<Markup> {
    let dashboards = app.dashboards();
    let Some(dashboard) = dashboards.of_stat(&asked.found.ident) else { return Vec::new() };
    let Ok(state) = State::parse(dashboard, asked.place.pairs()) else { return Vec::new() };
    let draw = |view: &View| picture(app, dashboard, view, &state, when);
    let is_shown = |view: &&View| match (asked.computed, &view.source) {
        (None, _) => view.default_load,
        // The page has the table itself.
        (Some(name), Source::Computed(own)) => own == name && state.kind(view) != Kind::Table,
        (Some(_), Source::Rows) => false,
    };
    dashboard.views.iter().filter(is_shown).map(draw).collect()
}

fn picture(app: &App, dashboard: &Dashboard, view: &View, state: &State, when: &When) -> Markup {
    let width = view.width.pixels();
    let drawn = Drawn { dashboard, view, state, when, width, forms: false };
    let (shown, _) = shown(app, dashboard, view, state);
    card(&drawn, shown.as_ref().map_err(String::as_str))
}

/// Where rows are ordered by a column, and whether they are.
fn sort(query: &Query, place: &Place, column: &Column) -> Option<Sorted> {
    if column.kind == ValueKind::Json {
        return None;
    }
    let known = query.sort.as_ref().filter(|sort| sort.column == column.name);
    let (wanted, sorted) = match known.map(|sort| sort.order) {
        Some(Order::Desc) => (column.name.clone(), Some("descending")),
        Some(Order::Asc) => (format!("-{}", column.name), Some("ascending")),
        None => (format!("-{}", column.name), None),
    };
    let without = ["sort", "order", "page", "cursor"];
    Some((place.query(&without, Some(("sort", &wanted))), sorted))
}

fn fields(found: &Found, query: &Query, place: &Place, is_rows: bool) -> Vec<Field> {
    let given = |name: &str| {
        place.pairs().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    let field = |name: &str, label: &str, options: &[(&str, &str)]| Field {
        name: name.to_owned(),
        label: label.to_owned(),
        value: given(name).unwrap_or_default(),
        options: options.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
    };
    let models = found.view.snapshot.models();
    let is_asked = |name: &str| query.model.as_ref().is_none_or(|model| model == name);
    let Some(model) = models.iter().find(|stored| is_asked(&stored.name)) else {
        return Vec::new();
    };
    let shape = ModelShape::new(&model.model);
    let mut fields = Vec::new();
    if models.len() > 1 && is_rows {
        let names: Vec<_> =
            models.iter().map(|stored| (stored.name.as_str(), stored.name.as_str())).collect();
        fields.push(Field { value: model.name.clone(), ..field("model", "Model", &names) });
    }
    if shape.has_time() {
        fields.push(field("start", "From", &[]));
        fields.push(field("stop", "To", &[]));
        let orders = [("", "default"), ("desc", "newest first"), ("asc", "oldest first")];
        if query.sort.is_none() && is_rows {
            fields.push(field("order", "Order", &orders));
        }
    }
    let keys = shape.columns().iter().take(shape.key_columns());
    for column in keys.filter(|column| column.kind != ValueKind::Time) {
        fields.push(field(&column.name, &column.name, &[]));
    }
    fields.push(field("tz", "Time zone", &[]));
    // What the form does not ask is kept.
    let asked: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let left = ["page", "cursor", "_"];
    let others = place
        .pairs()
        .filter(|(name, _)| !left.contains(name) && !asked.iter().any(|known| known == name));
    let others: Vec<Field> = others
        .map(|(name, value)| Field {
            name: name.to_owned(),
            label: name.to_owned(),
            value: value.to_owned(),
            options: Vec::new(),
        })
        .collect();
    fields.extend(others);
    fields
}
