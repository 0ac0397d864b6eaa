//! Views of a statistic for which nobody defined any: they follow from its columns.

use super::check::{drawable, is_name, numbers};
use super::definition::{Chart, Kind, Scale, Source, View};
use statmill_plugin_api::manifest::StatManifest;

use crate::query::{Description, Query, describe};
use crate::store::stored_models;

/// Windows that a picture shows at first.
const WINDOWS: u64 = 336;
/// Rows in the order of a column, the largest of which a picture shows.
const LARGEST: &str = "20";

/// A picture of each model, as far as its rows can be drawn, and its rows as a table.
pub(super) fn views(ident: &str, manifest: &StatManifest) -> Vec<View> {
    let stored = stored_models(manifest);
    // Roll-ups show what their model shows.
    let models = manifest.models.iter().enumerate().filter_map(|(at, model)| {
        let query = Query { model: Some(model.name.clone()), ..Query::default() };
        let described = describe(&stored, &query).ok()?;
        Some(view(ident, at, &described, manifest.models.len() == 1))
    });
    models.collect()
}

fn view(ident: &str, at: usize, described: &Description, is_only: bool) -> View {
    let can = |kind: &Kind| drawable(*kind, described).is_ok();
    let wanted = [Kind::Line, Kind::Bar, Kind::Table];
    let charts = wanted.into_iter().filter(can);
    let charts: Vec<_> =
        charts.map(|kind| Chart { kind, title: kind.title().to_owned() }).collect();
    let keys = described.all.iter().take(described.key_columns);
    let names: Vec<_> =
        keys.filter(|column| is_name(column.kind)).map(|column| column.name.clone()).collect();
    let mut params = Vec::new();
    if at > 0 {
        params.push(("model".to_owned(), described.model.clone()));
    }
    if described.window_s.is_none()
        && charts[0].kind == Kind::Bar
        && let Some(value) = numbers(described).first()
    {
        params.push(("sort".to_owned(), format!("-{}", value.name)));
        params.push(("limit".to_owned(), LARGEST.to_owned()));
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
        y: Scale::Zero,
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
