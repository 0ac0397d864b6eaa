//! `GET /api/{ident}/schema`: what the rows of a stat look like; `…/layout`: how to show them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value, json};
use statmill_plugin_api::manifest::{StatManifest, ValueKind};

use super::headers::{complete_until, pairs};
use super::negotiate::choose;
use super::problem::Problem;
use super::rows::find_plain;
use super::{Answer, App};
use crate::query::params::{self, PARAMS};
use crate::query::shape::ModelShape;
use crate::query::{Column, Format, StatView, computed_views};
use crate::render::html::encode;
use crate::render::json;

/// A model as schema and list show it.
#[derive(Serialize)]
pub(super) struct ModelSchema {
    name: String,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_s: Option<u64>,
    /// The column by which the largest rows of a window are found without reading all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    /// How many of the columns, from the first, make a row the only one of its kind.
    key_columns: usize,
    columns: Vec<Column>,
}

pub(super) fn models(view: &StatView) -> Vec<ModelSchema> {
    let models = view.snapshot.models();
    let schema = models.iter().enumerate().map(|(at, stored)| {
        let (name, model) = (&stored.name, &stored.model);
        let shape = ModelShape::new(model);
        ModelSchema {
            name: name.clone(),
            rows: view.snapshot.rows(at),
            window_s: model.window_s,
            retention_s: model.retention_s,
            index: view.snapshot.index_column(at).map(str::to_owned),
            key_columns: shape.key_columns(),
            columns: shape.columns().to_vec(),
        }
    });
    schema.collect()
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    let found = find_plain(&app, &ident)?.view;
    let models = models(&found);
    let manifest = found.snapshot.manifest();
    let first = models.first().map(|model| model.columns.as_slice()).unwrap_or_default();
    let properties: Map<String, Value> =
        first.iter().map(|column| (column.name.clone(), property(column))).collect();
    let names: Vec<_> = first.iter().map(|column| &column.name).collect();
    let mut response = Json(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": manifest.title,
        "description": manifest.summary,
        "type": "array",
        "items": { "type": "object", "properties": properties, "required": names },
        "models": models,
        "views": views(manifest),
        "parameters": PARAMS,
    }))
    .into_response();
    complete_until(&mut response, found.complete_until);
    Ok(response)
}

/// The computed views, and where they are.
fn views(manifest: &StatManifest) -> Vec<Value> {
    let address = |name: &str| format!("/api/{}/views/{}", encode(&manifest.ident), encode(name));
    let views = computed_views(manifest).into_iter().map(|view| {
        json!({ "href": address(&view.name), "name": view.name, "title": view.title, "model": view.model })
    });
    views.collect()
}

/// What the plugin's author says of how to show the stat.
pub(super) async fn layout(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    request: HeaderMap,
) -> Answer {
    let Path(ident) = path.map_err(|error| Problem::path(&error))?;
    let found = find_plain(&app, &ident)?.view;
    let pairs = pairs(raw.as_deref());
    let asked = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = params::parse(asked, crate::clock::now_us()).map_err(Problem::params)?;
    let chosen = choose(query.format, &request, &[Format::Json])?;
    let manifest = found.snapshot.manifest();
    if manifest.layout.is_null() {
        let reason = format!("the statistic {:?} has no layout", manifest.ident);
        return Err(Problem::new(StatusCode::NOT_FOUND, reason));
    }
    let body = serde_json::to_vec(&manifest.layout).map_err(|_| Problem::internal())?;
    let (content_type, body) = match &query.callback {
        Some(callback) => ("application/javascript; charset=utf-8", json::script(callback, &body)),
        None => (chosen.content_type, body),
    };
    let mut response = ([(CONTENT_TYPE, content_type)], body).into_response();
    complete_until(&mut response, found.complete_until);
    Ok(response)
}

/// The JSON Schema of a column's cells; `unit` and `kind` are our own words.
fn property(column: &Column) -> Value {
    let mut property = match column.kind {
        ValueKind::Text => json!({ "type": ["string", "null"] }),
        ValueKind::Int => json!({ "type": ["integer", "null"] }),
        ValueKind::Num => json!({ "type": ["number", "null"] }),
        ValueKind::Bool => json!({ "type": ["boolean", "null"] }),
        ValueKind::Time => {
            json!({ "type": ["number", "null"], "description": "seconds since 1970, UTC" })
        }
        ValueKind::Json => json!({}),
    };
    property["kind"] = json!(column.kind);
    if !column.unit.is_empty() {
        property["unit"] = json!(column.unit);
    }
    property
}
