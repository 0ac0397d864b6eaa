//! `GET /api/{ident}/badge.svg`: one number of a stat, the size of a line of text.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;

use super::links::Place;
use super::negotiate::Chosen;
use super::pages::Wish;
use super::problem::Problem;
use super::rows::{self, find_plain};
use super::{Answer, App, headers, svg};
use crate::query::{self, Format, params};
use crate::render::picture::{Plan, completeness, summary};
use crate::render::svg::{Badge, BadgeColour, badge};

/// What the label is, in words.
pub(super) const LABEL: &str = "what the number is; the stat's title by default";
/// What the colour is, in words.
pub(super) const COLOUR: &str = "what lies behind the number; `blue` by default";
/// Which colours there are.
const COLOURS: &str = "`blue`, `green`, `amber`, `red` or `grey`";

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    uri: Uri,
    request: HeaderMap,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    let found = find_plain(&app, &ident)?;
    let place = Place::new(&app, (&uri, &request), (&ident, "/badge.svg"), None, raw.as_deref());
    let own = |name: &str| place.pairs().find(|pair| pair.0 == name && !pair.1.is_empty());
    let label = own("label").map(|(_, label)| label.to_owned());
    let colour = match own("colour") {
        None => BadgeColour::default(),
        Some((_, name)) => {
            let named = BadgeColour::NAMED.iter().find(|(known, _)| *known == name);
            named.ok_or_else(|| Problem::param("colour", "is no colour of badges", COLOURS))?.1
        }
    };
    let rest = place.pairs().filter(|(name, _)| !["label", "colour"].contains(name));
    let mut query = params::parse(rest, crate::clock::now_us()).map_err(Problem::params)?;
    let asked = svg::asked(&found, &mut query)?;
    let chosen = Chosen::of(Format::Svg);
    let etag = rows::etag(
        &found,
        &format!("badge {label:?} {colour:?} {asked:?}"),
        &query,
        (chosen, Wish::default()),
    );
    if let Some(known) = rows::known(&app, &found, &etag, &request) {
        return Ok(known);
    }
    app.blocking(move |app| {
        let limits = svg::limits(app);
        let snapshot = &found.view.snapshot;
        let Some(model) = svg::model(&found, &query) else {
            query::run(snapshot, &query, &limits)?;
            return Err(Problem::internal());
        };
        let wrong = |error| Problem::params(vec![error]);
        let plan = Plan::number(model, &asked, &query).map_err(wrong)?;
        let answer = query::run(snapshot, &plan.summary_query(&query), &limits)?;
        svg::check_rows(&answer)?;
        let summary = summary(&plan, &answer.table).map_err(wrong)?;
        let title = &snapshot.manifest().title;
        let label = label
            .unwrap_or_else(|| if title.is_empty() { found.ident.clone() } else { title.clone() });
        let body = badge(&Badge {
            label,
            value: summary.value,
            unit: summary.unit,
            colour,
            description: format!(
                "{}. {}.",
                summary.measure,
                completeness(found.view.complete_until)
            ),
        });
        let mut response = ([(CONTENT_TYPE, chosen.content_type)], body).into_response();
        headers::describe(&mut response, found.view.complete_until, &etag, app.is_private());
        Ok(response)
    })
    .await?
}
