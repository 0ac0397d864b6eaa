//! Holds the definitions of a dashboard against the statistics there are: what cannot be shown is left
//! out, and it is said why.

use statmill_plugin_api::manifest::ModelManifest;

use super::Manifests;
use super::definition::{Dashboard, Kind, Source, View};
use super::keys::escaped;
use super::read::Fault;
use super::state::RESERVED;
use crate::config::nearest::{nearest, suggestion};
use crate::query::{Description, ParamError, Query, QueryError, computed_views, describe, params};
use crate::render::picture::{Asked, Fields, Kind as Picture, Plan, model};
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
    let models = stored_models(manifest);
    let pairs = view.params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut query =
        params::parse(pairs, crate::clock::now_us()).map_err(|errors| params_wrong(&errors))?;
    let asked = Asked::of(&models, &mut query).map_err(|errors| params_wrong(&errors))?;
    let described = describe(&models, &query).map_err(|error| match error {
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
    let Some(model) = model(&models, &query) else { return Ok(()) };
    for (at, chart) in view.charts.iter().enumerate() {
        drawable(chart.kind, model, &asked, &query).map_err(|error| {
            match error.param.as_str() {
                "type" if at == 0 => ("/type".to_owned(), error.reason),
                "type" => ("/charts".to_owned(), error.reason),
                _ => params_wrong(&[error]),
            }
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

/// Whether the rows that a query asks of a model can be shown so; else why not.
pub(super) fn drawable(
    kind: Kind,
    model: &ModelManifest,
    asked: &Asked,
    query: &Query,
) -> Result<(), ParamError> {
    let wanted = match kind {
        Kind::Table | Kind::Count => return Ok(()),
        Kind::Suited => None,
        Kind::Picture(picture) => Some(picture),
        Kind::Summary => Some(Picture::Line),
    };
    let wrong = |reason: String| ParamError {
        param: "type".to_owned(),
        reason,
        allowed: "another one".to_owned(),
    };
    let named = |error: ParamError| match error.param.as_str() {
        "type" => wrong(format!("{} {}", kind.name(), error.reason)),
        _ => error,
    };
    let fields = Fields::of_model(model, query.agg);
    let asked = Asked { kind: wanted, ..asked.clone() };
    let plan = Plan::new(&fields, &asked, query).map_err(named)?;
    // The picture of a single name is another one; a reader who wants names has none.
    if wanted.is_some_and(|wanted| wanted != plan.kind()) {
        return Err(wrong(format!("{} needs a column of names", kind.name())));
    }
    if kind == Kind::Summary && plan.by().is_none() {
        return Err(wrong("summary needs a column of names".to_owned()));
    }
    if kind == Kind::Summary && (!plan.is_additive() || model.window_s.is_none()) {
        return Err(wrong(
            "summary adds up windows: it needs a model with windows, and a count or sum".to_owned(),
        ));
    }
    Ok(())
}
