//! All rows and records as JSON lines: the way out of a store, and into another one.
//!
//! First line `{"statmill_export":1}`; then for each statistic a line with its manifest and
//! record, and a line for each row. `key` and `value` are the stored bytes in base 16 and are what
//! [`super::import`] reads; `cells` says the same for people.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use statmill_plugin_api::aggregate;
use statmill_plugin_api::encoding::{Value, decode_key};
use statmill_plugin_api::manifest::StatManifest;

use super::models::StoredModel;
use super::record::StatRecord;
use super::rows::{SHARD, bare};
use super::snapshot::Snapshot;
use super::{StoreError, chunks};

/// Version of the lines.
pub(crate) const VERSION: u32 = 1;

/// A statistic to write out.
pub struct ExportedStat {
    /// Its rows.
    pub snapshot: Arc<Snapshot>,
    /// Up to which event time they account for everything, µs since 1970, where that is known: what
    /// an import without the logs rests on.
    pub complete_until_us: Option<i64>,
}

#[derive(Serialize)]
struct FileLine {
    statmill_export: u32,
}

#[derive(Serialize)]
struct StatLine<'a> {
    stat: &'a str,
    complete_until_us: Option<i64>,
    rows: Vec<u64>,
    record: &'a StatRecord,
    manifest: &'a StatManifest,
}

#[derive(Serialize)]
struct RowLine<'a> {
    stat: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    shard: u16,
    key: String,
    value: String,
    cells: serde_json::Map<String, serde_json::Value>,
}

fn is_zero(shard: &u16) -> bool {
    *shard == 0
}

/// What was written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Statistics.
    pub stats: u64,
    /// Rows of all of them.
    pub rows: u64,
}

/// Writes statistics to `out`, row by row.
///
/// Each is asked for when its turn comes and let go before the next: what it pins is not kept longer.
/// Equal rows and records give equal bytes.
///
/// # Errors
/// [`StoreError::Io`] if `out` fails; [`StoreError::Damaged`], [`StoreError::Backend`]; those of `stats`.
pub fn export(
    stats: impl IntoIterator<Item = Result<ExportedStat, StoreError>>,
    out: &mut dyn Write,
) -> Result<Exported, StoreError> {
    line(out, &FileLine { statmill_export: VERSION })?;
    let mut exported = Exported::default();
    for stat in stats {
        let stat = stat?;
        exported.stats += 1;
        let snapshot = &stat.snapshot;
        let ident = &snapshot.manifest().ident;
        let models = snapshot.models();
        line(
            out,
            &StatLine {
                stat: ident,
                complete_until_us: stat.complete_until_us,
                rows: (0..models.len()).map(|model| snapshot.rows(model)).collect(),
                record: snapshot.record(),
                manifest: snapshot.manifest(),
            },
        )?;
        for (number, model) in models.iter().enumerate() {
            let mut stored = snapshot.stored(number)?;
            while let Some((key, value)) = stored.next_stored()? {
                let shard = [key[key.len() - SHARD], key[key.len() - 1]];
                let row = RowLine {
                    stat: ident,
                    model: &model.name,
                    shard: u16::from_be_bytes(shard),
                    key: chunks::hex(bare(key)),
                    value: chunks::hex(value),
                    cells: cells(ident, model, bare(key), value)?,
                };
                line(out, &row)?;
                exported.rows += 1;
            }
        }
    }
    out.flush().map_err(StoreError::io("write the export"))?;
    Ok(exported)
}

fn line(out: &mut dyn Write, content: &impl Serialize) -> Result<(), StoreError> {
    let failed = || StoreError::io("write the export");
    serde_json::to_writer(&mut *out, content).map_err(|error| failed()(error.into()))?;
    out.write_all(b"\n").map_err(failed())
}

/// The columns of a row by name, for people.
fn cells(
    ident: &str,
    stored: &StoredModel,
    key: &[u8],
    value: &[u8],
) -> Result<serde_json::Map<String, serde_json::Value>, StoreError> {
    let model = &stored.model;
    let damaged = |error| StoreError::damaged(ident, format!("row of {}: {error}", stored.name));
    let mut cells = serde_json::Map::new();
    let (window_us, dimensions) =
        decode_key(model.window_s.is_some(), &model.dimensions, key).map_err(damaged)?;
    if let Some(window_us) = window_us {
        cells.insert("time".to_owned(), readable(Value::Time(window_us)));
    }
    for (dimension, value) in model.dimensions.iter().zip(dimensions) {
        cells.insert(dimension.name.clone(), readable(value));
    }
    let mut values = Vec::new();
    aggregate::row_values(&model.measures, value, &mut values).map_err(damaged)?;
    let columns = model.measures.iter().flat_map(aggregate::columns);
    cells.extend(columns.zip(values).map(|(column, value)| (column.name, readable(value))));
    Ok(cells)
}

fn readable(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => value.into(),
            (_, Ok(value)) => value.into(),
            _ => value.to_string().into(),
        },
        Value::Num(value) => value.into(),
        Value::Text(text) => text.as_ref().into(),
        Value::Time(time_us) => match jiff::Timestamp::from_microsecond(time_us) {
            Ok(time) => time.to_string().into(),
            Err(_) => time_us.into(),
        },
        Value::Json(text) => serde_json::from_str(&text).unwrap_or_else(|_| text.as_ref().into()),
    }
}
