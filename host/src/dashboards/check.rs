//! Holds the definitions of a dashboard against the statistics there are: what cannot be shown is left
//! out, and it is said why.

use statmill_plugin_api::manifest::ValueKind;

use super::Manifests;
use super::definition::{Dashboard, Kind, Source, View};
use super::keys::escaped;
use super::read::Fault;
use super::state::RESERVED;
use crate::config::nearest::{nearest, suggestion};
use crate::query::{Column, Description, ParamError, QueryError, computed_views, describe, params};
use crate::store::stored_models;

/// The dashboard without the views that cannot be shown.
pub(super) fn dashboard(
    mut dashboard: Dashboard,
    stats: &Manifests,
    faults: &mut Vec<Fault>,
) -> Dashboard {
    let mut kept: Vec<View> = Vec::new();
    for view in std::mem::take(&mut dashboard.views) {
        let wrong = match kept.iter().any(|other| other.name == view.name) {
            true => Err((
                "/name".to_owned(),
                format!("{:?} is the name of another view of the dashboard", view.name),
            )),
            false => check(&view, stats),
        };
        match wrong {
            Ok(()) => kept.push(view),
            Err((place, reason)) => {
                let pointer = format!("{}{place}", view.pointer);
                faults.push(dashboard.origin.fault(&pointer, reason));
            }
        }
    }
    // Without its parent a view follows nobody; it is left out, for its choices would be others' then.
    while let Some(at) = kept.iter().position(|view| !has_parent(view, &kept)) {
        let view = kept.remove(at);
        let reason = match &view.parent {
            Some(parent) if *parent == view.name => "a view is not its own parent".to_owned(),
            parent => format!("there is no view {:?} here", parent.as_deref().unwrap_or_default()),
        };
        faults.push(dashboard.origin.fault(&format!("{}/parent", view.pointer), reason));
    }
    dashboard.views = kept;
    dashboard
}

fn has_parent(view: &View, views: &[View]) -> bool {
    let Some(parent) = &view.parent else { return true };
    *parent != view.name && views.iter().any(|other| other.name == *parent)
}

/// What is wrong with a view: the place in it, and the reason.
fn check(view: &View, stats: &Manifests) -> Result<(), (String, String)> {
    let Some(manifest) = stats.get(&view.stat) else {
        let known = stats.keys().map(String::as_str);
        let hint = suggestion(nearest(&view.stat, known));
        return Err(("/stat".to_owned(), format!("there is no statistic {:?}{hint}", view.stat)));
    };
    let pairs = view.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query =
        params::parse(pairs, crate::clock::now_us()).map_err(|errors| params_wrong(&errors))?;
    let described = describe(&stored_models(manifest), &query).map_err(|error| match error {
        QueryError::Params(errors) => params_wrong(&errors),
        other => (String::new(), other.to_string()),
    })?;
    if let Source::Computed(name) = &view.source {
        let known = computed_views(manifest);
        if known.iter().any(|computed| computed.name == *name) {
            // What columns it has is known only once it was computed.
            return Ok(());
        }
        let reason = format!("the plugin of {:?} computes no view {name:?}", view.stat);
        return Err(("/data_adapter".to_owned(), reason));
    }
    columns(view, &described)?;
    for (at, chart) in view.charts.iter().enumerate() {
        drawable(chart.kind, &described).map_err(|reason| {
            let place = if at == 0 { "/type".to_owned() } else { "/charts".to_owned() };
            (place, reason)
        })?;
    }
    Ok(())
}

fn params_wrong(errors: &[ParamError]) -> (String, String) {
    match errors.first() {
        Some(error) => (
            format!("/params/{}", escaped(&error.param)),
            format!("{}; allowed: {}", error.reason, error.allowed),
        ),
        None => ("/params".to_owned(), "are wrong".to_owned()),
    }
}

/// Every name that a view sends, follows or has a picker for is a column of its model.
fn columns(view: &View, described: &Description) -> Result<(), (String, String)> {
    let keys = described.all.iter().take(described.key_columns).collect::<Vec<_>>();
    for (key, names) in
        [("emits", &view.emits), ("listens", &view.listens), ("control_panel", &view.pickers)]
    {
        for name in names {
            let place = format!("/{key}");
            if RESERVED.contains(&name.as_str()) {
                return Err((place, format!("{name:?} has another meaning in addresses")));
            }
            if !keys.iter().any(|column| column.name == *name) {
                let known: Vec<_> = keys.iter().map(|column| column.name.as_str()).collect();
                let hint = suggestion(nearest(name, known.iter().copied()));
                let reason = format!("model {:?} has no dimension {name:?}{hint}", described.model);
                return Err((place, reason));
            }
        }
    }
    Ok(())
}

/// Whether rows of these columns can be drawn so; else why not.
pub(super) fn drawable(kind: Kind, described: &Description) -> Result<(), String> {
    let values = numbers(described);
    let has_time = described.columns.iter().any(|column| column.kind == ValueKind::Time);
    let additive = |column: &&Column| described.additive.contains(&column.name);
    let names = described.columns.iter().any(|column| is_name(column.kind));
    let over_time = described.window_s.is_some();
    match kind {
        Kind::Table | Kind::Count => Ok(()),
        _ if values.is_empty() => Err(format!("{} needs a column of numbers", kind.name())),
        Kind::Line | Kind::Area if !(has_time && over_time) => Err(format!(
            "{} needs a model with windows, and its time among the columns",
            kind.name()
        )),
        Kind::Bar | Kind::Summary if !names => {
            Err(format!("{} needs a column of names", kind.name()))
        }
        Kind::Summary if !over_time => Err("summary needs a model with windows".to_owned()),
        Kind::Bar | Kind::Heatmap | Kind::Summary if over_time && !values.iter().any(additive) => {
            Err(format!(
                "{} adds up the windows, and no column of the model can be added up",
                kind.name()
            ))
        }
        Kind::Heatmap if described.window_s.is_none_or(|window_s| 3_600 % window_s != 0) => {
            Err("heatmap needs a model with windows of an hour or a part of one".to_owned())
        }
        _ => Ok(()),
    }
}

/// The columns that hold values: numbers that are no part of the key.
pub(super) fn numbers(described: &Description) -> Vec<&Column> {
    let keys: Vec<_> = described.all.iter().take(described.key_columns).collect();
    let is_number = |column: &&Column| matches!(column.kind, ValueKind::Int | ValueKind::Num);
    let is_key = |column: &Column| keys.iter().any(|key| key.name == column.name);
    described.columns.iter().filter(is_number).filter(|column| !is_key(column)).collect()
}

/// Whether values of a kind name things.
pub(super) fn is_name(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Text | ValueKind::Int | ValueKind::Bool)
}
