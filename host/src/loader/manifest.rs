//! What later code relies on in a manifest.

use std::collections::HashSet;

use statmill_plugin_api::aggregate;
use statmill_plugin_api::manifest::StatManifest;

use crate::project::{Mapping, Projection};
use crate::query::shape::ModelShape;

/// A manifest is hostile input: what later code relies on is checked here.
pub(crate) fn check(stat: &StatManifest) -> Result<(), String> {
    let ident_ok = !stat.ident.is_empty()
        && stat.ident.len() <= 128
        && stat.ident.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !stat.ident.starts_with(['.', '_']);
    if !ident_ok {
        return Err(
            "an ident has 1 to 128 of a-z A-Z 0-9 - _ . and does not start with . or _".to_owned()
        );
    }
    if stat.models.is_empty() {
        return Err("it has no model".to_owned());
    }
    let wanted: Vec<_> =
        stat.fields.iter().map(|field| (field.pointer.clone(), field.kind)).collect();
    // One projection serves all stats: what it cannot look up must not get that far.
    Projection::compile(&Mapping::auto(), &wanted).map_err(|error| error.to_string())?;
    let mut names = HashSet::new();
    for model in &stat.models {
        if model.name.is_empty() || !names.insert(&model.name) {
            return Err(format!("model name {:?} is empty or used twice", model.name));
        }
        if model.window_s == Some(0) || model.window_s.is_some_and(|s| s > 10_000 * 86_400) {
            return Err(format!("model {:?} has an impossible window", model.name));
        }
        if model.measures.is_empty() {
            return Err(format!("model {:?} has no measures", model.name));
        }
        if let Some(reason) = crate::store::index_refusal(model) {
            return Err(format!("model {:?}: its index {reason}", model.name));
        }
        for rollup in &model.rollups {
            let fits =
                model.window_s.is_some_and(|s| rollup.window_s > s && rollup.window_s % s == 0);
            if !fits {
                return Err(format!(
                    "model {:?}: a roll-up's window is a larger multiple of the model's",
                    model.name
                ));
            }
        }
        for measure in &model.measures {
            aggregate::validate(measure)
                .map_err(|error| format!("model {:?}: {error}", model.name))?;
        }
        let dimensions = model.dimensions.iter().map(|dimension| &dimension.name);
        let measures = model.measures.iter().map(|measure| &measure.name);
        if dimensions.chain(measures).any(String::is_empty) {
            return Err(format!("model {:?}: a column has no name", model.name));
        }
        // A measure may read as several columns, and a window is one as well.
        let mut columns = HashSet::new();
        for column in ModelShape::new(model).columns() {
            if !columns.insert(column.name.clone()) {
                return Err(format!(
                    "model {:?}: two columns are called {:?}",
                    model.name, column.name
                ));
            }
        }
    }
    Ok(())
}
