//! Computed views tried on the rows that a trial came to.

use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use statmill_plugin_api::manifest::StatManifest;

use super::{Rows, words};
use crate::instance::Computer;
use crate::loader::Plugin;
use crate::query::TimeStyle;
use crate::query::computed::{ComputedView, MAX_ROWS, read_table};
use crate::query::shape::ModelShape;
use crate::render::json;

/// Why a view has no table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ViewFault {
    /// It is computed still, by a thread that nobody can end.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The plugin's own words, or what is wrong with its table.
    #[error("{0}")]
    Wrong(String),
}

/// Has `view` computed over `rows` twice, within a time for both, and answers how many rows its table has;
/// `None` where it is of no model that the plugin declares, but of a roll-up.
///
/// # Errors
/// See [`ViewFault`].
pub(crate) fn compute(
    plugin: &Plugin,
    stat: &StatManifest,
    config: &str,
    view: &ComputedView,
    rows: &Rows,
    within: Duration,
) -> Result<Option<usize>, ViewFault> {
    let is_its = |name: &str| view.model.as_ref().is_none_or(|wanted| wanted == name);
    let Some(model) = stat.models.iter().position(|model| is_its(&model.name)) else {
        return Ok(None);
    };
    let rows = text(stat, model, rows).map_err(ViewFault::Wrong)?;
    let wrong = |reason: String| ViewFault::Wrong(reason);
    let mut computer =
        Computer::create(plugin, &stat.ident, config).map_err(|failure| wrong(words(failure)))?;
    let name = view.name.clone();
    let (answer, answers) = bounded(1);
    let job = move || {
        let both = computer
            .compute(&name, &rows, within)
            .and_then(|first| Ok((first, computer.compute(&name, &rows, within)?)));
        // Who waited may have gone.
        let _ = answer.send(both);
    };
    std::thread::Builder::new().name("view".to_owned()).spawn(job).map_err(|e| wrong(words(e)))?;
    let (first, second) = match answers.recv_timeout(within) {
        Ok(both) => both.map_err(|failure| wrong(words(failure)))?,
        Err(RecvTimeoutError::Timeout) => return Err(ViewFault::Late(within)),
        Err(RecvTimeoutError::Disconnected) => {
            return Err(wrong("its thread ended without an answer".to_owned()));
        }
    };
    if first != second {
        return Err(wrong("computed twice over the same rows it gives other tables".to_owned()));
    }
    let table = read_table(&first).map_err(|reason| wrong(format!("no table: {reason}")))?;
    Ok(Some(table.rows.len()))
}

/// Rows of a model as its plugin gets them: JSON objects.
fn text(stat: &StatManifest, model: usize, rows: &Rows) -> Result<String, String> {
    let shape = ModelShape::new(&stat.models[model]);
    let most = usize::try_from(MAX_ROWS).unwrap_or(usize::MAX);
    let mut text = b"[".to_vec();
    for (key, value) in rows[model].iter().take(most) {
        let mut cells = Vec::new();
        shape.key_cells(key, &mut cells).map_err(words)?;
        shape.value_cells(value, &mut cells).map_err(words)?;
        if text.len() > 1 {
            text.push(b',');
        }
        json::object(shape.columns(), &cells, TimeStyle::Unix, &mut text);
    }
    text.push(b']');
    String::from_utf8(text).map_err(words)
}
