//! Views of a statistic for which nobody defined any: they follow from its columns.

use std::collections::HashSet;

use statmill_plugin_api::manifest::{ModelManifest, StatManifest, ValueKind};

use super::check::drawable;
use super::definition::{Chart, Kind, Source, View};
use crate::query::{Description, Query, describe};
use crate::render::picture::{Asked, Fields, Kind as Picture, Plan};
use crate::render::svg::AxisForm;
use crate::store::stored_models;

/// Windows that a picture shows at first.
const WINDOWS: u64 = 336;

/// A picture of each model, as far as its rows can be drawn, and its rows as a table.
pub(super) fn views(ident: &str, manifest: &StatManifest) -> Vec<View> {
    let stored = stored_models(manifest);
    // Roll-ups show what their model shows.
    let models = manifest.models.iter().enumerate().filter_map(|(at, model)| {
        let query = Query { model: Some(model.name.clone()), ..Query::default() };
        let described = describe(&stored, &query).ok()?;
        Some(view(ident, (at, model), &described, manifest.models.len() == 1))
    });
    models.collect()
}

fn view(
    ident: &str,
    (at, model): (usize, &ModelManifest),
    described: &Description,
    is_only: bool,
) -> View {
    let (asked, query) = (Asked::default(), Query::default());
    let suited = Plan::new(&Fields::of_model(model, None), &asked, &query).ok();
    let can = |kind: &Kind| drawable(*kind, model, &asked, &query).is_ok();
    let mut kinds: Vec<Kind> = suited.iter().map(|plan| Kind::Picture(plan.kind())).collect();
    let others = [Picture::Line, Picture::Bar].map(Kind::Picture);
    kinds.extend(others.into_iter().chain([Kind::Table]).filter(can));
    let mut seen = HashSet::new();
    kinds.retain(|kind| seen.insert(*kind));
    let charts: Vec<_> =
        kinds.into_iter().map(|kind| Chart { kind, title: kind.title().to_owned() }).collect();
    let keys = described.all.iter().take(described.key_columns);
    let names: Vec<_> =
        keys.filter(|column| is_name(column.kind)).map(|column| column.name.clone()).collect();
    let mut params = Vec::new();
    if at > 0 {
        params.push(("model".to_owned(), described.model.clone()));
    }
    let title = match is_only {
        true => "Rows".to_owned(),
        false => described.model.replace(['_', '-'], " "),
    };
    View {
        name: plain(&described.model),
        title,
        stat: ident.to_owned(),
        source: Source::Rows,
        charts,
        params,
        span: described.window_s.map(|window_s| format!("{}s", window_s.saturating_mul(WINDOWS))),
        emits: names.clone(),
        listens: names,
        parent: None,
        pickers: Vec::new(),
        unit: None,
        y: AxisForm::Zero,
        width: super::Width::Full,
        default_load: true,
        pointer: String::new(),
    }
}

/// A model's name as one that can stand in addresses.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    match name {
        "" | "chart" => "rows".to_owned(),
        name => name.chars().take(64).map(plain).collect(),
    }
}

/// Whether values of a kind name things.
fn is_name(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Text | ValueKind::Int | ValueKind::Bool)
}
