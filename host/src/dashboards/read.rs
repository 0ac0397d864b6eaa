//! Definitions as JSON: from a folder of files, and from the manifests of plugins.
//!
//! In a file every key must be known. In a manifest unknown ones are passed over, as everywhere in it:
//! an older host reads a newer plugin.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use statmill_plugin_api::manifest::StatManifest;

use super::definition::{Chart, Dashboard, Kind, Origin, Source, View, Width};
use super::keys::{escaped, flag, known_keys, length, names, plain_name, typed};
use crate::config::nearest::{nearest, suggestion};
use crate::render::picture::Kind as Picture;
use crate::render::svg::AxisForm;

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;
/// The most views on a dashboard.
const MAX_VIEWS: usize = 64;

const DASHBOARD_KEYS: &[&str] =
    &["name", "read_name", "section", "summary", "default", "span", "views"];
const VIEW_KEYS: &[&str] = &[
    "name",
    "read_name",
    "title",
    "default_load",
    "signals",
    "control_panel",
    "data_adapter",
    "charts",
    "type",
    "stat",
    "params",
    "span",
    "emits",
    "listens",
    "parent",
    "unit",
    "y",
    "width",
    "compute",
];

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{file}: {}: {reason}", if .pointer.is_empty() { "/" } else { .pointer })]
pub struct Fault {
    /// The file, or whose manifest it is.
    pub file: String,
    /// The place in it, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

/// The dashboards of files, read but not yet held against statistics.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    pub(super) dashboards: Vec<Dashboard>,
    pub(super) faults: Vec<Fault>,
}

impl Definitions {
    /// Adds the dashboards of every `*.json` of a folder, by name. A folder that is not there has none.
    pub fn read(&mut self, folder: &Path) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(folder, format!("cannot be read: {error}")),
        };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        for path in paths {
            match read_bounded(&path) {
                Ok(text) => self.add(&path.display().to_string(), &text),
                Err(reason) => self.refuse(&path, reason),
            }
        }
    }

    /// Adds a dashboard by its text; `file` names it where something is wrong.
    pub fn add(&mut self, file: &str, text: &str) {
        let origin = Origin::File(file.to_owned());
        match serde_json::from_str(text) {
            Ok(json) => match dashboard(&json, &origin, &mut self.faults) {
                Ok(dashboard) => self.dashboards.push(dashboard),
                Err(fault) => self.faults.push(fault),
            },
            Err(error) => self.faults.push(origin.fault("", format!("is no JSON: {error}"))),
        }
    }

    fn refuse(&mut self, path: &Path, reason: String) {
        let origin = Origin::File(path.display().to_string());
        self.faults.push(origin.fault("", reason));
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let found = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !found.is_file() {
        return Err("is no file".to_owned());
    }
    if found.len() > MAX_BYTES {
        return Err(format!("has more than {MAX_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

/// The views among the definitions in a manifest, and what is wrong with others.
pub(super) fn of_manifest(ident: &str, manifest: &StatManifest) -> (Vec<View>, Vec<Fault>) {
    let origin = Origin::Stat(ident.to_owned());
    let (mut views, mut faults) = (Vec::new(), Vec::new());
    for (at, json) in manifest.views.iter().take(MAX_VIEWS).enumerate() {
        match view(json, &format!("/views/{at}"), &origin) {
            Ok(view) => views.push(view),
            Err(fault) => faults.push(fault),
        }
    }
    (views, faults)
}

fn dashboard(json: &Json, origin: &Origin, faults: &mut Vec<Fault>) -> Result<Dashboard, Fault> {
    #[derive(Deserialize)]
    struct Written {
        name: String,
        read_name: Option<String>,
        section: Option<String>,
        #[serde(default)]
        summary: String,
        #[serde(default, deserialize_with = "flag")]
        default: Option<bool>,
        span: Option<String>,
        views: Vec<Json>,
    }
    known_keys(json, "", DASHBOARD_KEYS, origin)?;
    let written: Written = typed(json, "", origin)?;
    plain_name(&written.name, "/name", origin)?;
    if let Some(span) = &written.span {
        length(span, "/span", origin)?;
    }
    if written.views.len() > MAX_VIEWS {
        return Err(origin.fault("/views", format!("has more than {MAX_VIEWS} views")));
    }
    let mut views: Vec<View> = Vec::new();
    for (at, json) in written.views.iter().enumerate() {
        let pointer = format!("/views/{at}");
        let read = known_keys(json, &pointer, VIEW_KEYS, origin)
            .and_then(|()| view(json, &pointer, origin));
        match read {
            Ok(view) => views.push(view),
            Err(fault) => faults.push(fault),
        }
    }
    Ok(Dashboard {
        title: written.read_name.unwrap_or_else(|| written.name.clone()),
        name: written.name,
        section: written.section.unwrap_or_else(|| "Dashboards".to_owned()),
        summary: written.summary,
        is_default: written.default.unwrap_or(false),
        span: written.span,
        views,
        origin: origin.clone(),
    })
}

/// A view as it is written.
#[derive(Deserialize)]
struct WrittenView {
    name: String,
    #[serde(alias = "title")]
    read_name: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    default_load: Option<bool>,
    #[serde(default, deserialize_with = "names")]
    signals: Option<Vec<String>>,
    #[serde(default, deserialize_with = "names")]
    control_panel: Option<Vec<String>>,
    data_adapter: Option<String>,
    #[serde(default)]
    charts: Vec<WrittenChart>,
    r#type: Option<String>,
    stat: Option<String>,
    #[serde(default)]
    params: Map<String, Json>,
    span: Option<String>,
    #[serde(default, deserialize_with = "names")]
    emits: Option<Vec<String>>,
    #[serde(default, deserialize_with = "names")]
    listens: Option<Vec<String>>,
    parent: Option<String>,
    unit: Option<String>,
    y: Option<String>,
    width: Option<String>,
    compute: Option<Map<String, Json>>,
}

impl WrittenView {
    fn is_computed(&self) -> bool {
        self.data_adapter.is_some() || self.compute.is_some()
    }
}

#[derive(Deserialize)]
struct WrittenChart {
    name: String,
    read_name: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    default: Option<bool>,
}

fn view(json: &Json, pointer: &str, origin: &Origin) -> Result<View, Fault> {
    let written: WrittenView = typed(json, pointer, origin)?;
    let at = |key: &str| format!("{pointer}/{key}");
    plain_name(&written.name, &at("name"), origin)?;
    let charts = charts(&written, pointer, origin)?;
    let stat = match (&written.stat, origin) {
        (Some(stat), _) => stat.clone(),
        (None, Origin::Stat(ident)) => ident.clone(),
        (None, Origin::File(_)) => {
            return Err(origin.fault(pointer, "names no `stat`"));
        }
    };
    let source = match (written.data_adapter, &written.compute) {
        (Some(name), _) => Source::Computed(name),
        (None, Some(_)) => Source::Computed(written.name.clone()),
        (None, None) => Source::Rows,
    };
    if let Some(span) = &written.span {
        length(span, &at("span"), origin)?;
    }
    let y = match written.y.as_deref() {
        None | Some("zero") => AxisForm::Zero,
        Some("auto") => AxisForm::Auto,
        Some("log") => AxisForm::Log,
        Some(other) => {
            let reason = format!("{other:?} is none of `zero`, `auto` and `log`");
            return Err(origin.fault(&at("y"), reason));
        }
    };
    let width = match written.width.as_deref() {
        None => default_width(charts[0].kind),
        Some("full") => Width::Full,
        Some("half") => Width::Half,
        Some("quarter") => Width::Quarter,
        Some(other) => {
            let reason = format!("{other:?} is none of `full`, `half` and `quarter`");
            return Err(origin.fault(&at("width"), reason));
        }
    };
    let signals = written.signals.unwrap_or_default();
    Ok(View {
        title: written.read_name.unwrap_or_else(|| written.name.clone()),
        name: written.name,
        stat,
        source,
        charts,
        params: params(&written.params, &at("params"), origin)?,
        span: written.span,
        emits: written.emits.unwrap_or_else(|| signals.clone()),
        listens: written.listens.unwrap_or(signals),
        parent: written.parent.filter(|parent| !parent.is_empty()),
        pickers: written.control_panel.unwrap_or_default(),
        unit: written.unit,
        y,
        width,
        default_load: written.default_load.unwrap_or(true),
        pointer: pointer.to_owned(),
    })
}

/// The forms of a view, that which is shown first. Without any it is a table, of what is computed the picture
/// that suits it.
fn charts(written: &WrittenView, pointer: &str, origin: &Origin) -> Result<Vec<Chart>, Fault> {
    let kind = |name: &str, place: String| {
        Kind::named(name).ok_or_else(|| {
            let names = Kind::names();
            let hint = suggestion(nearest(name, names.iter().copied()));
            let reason = format!("{name:?} is no chart; there are {}{hint}", names.join(", "));
            origin.fault(&place, reason)
        })
    };
    let (mut charts, mut first) = (Vec::new(), 0);
    for (at, chart) in written.charts.iter().enumerate() {
        let kind = kind(&chart.name, format!("{pointer}/charts/{at}/name"))?;
        if chart.default == Some(true) {
            first = at;
        }
        let title = chart.read_name.clone().unwrap_or_else(|| kind.title().to_owned());
        charts.push(Chart { kind, title });
    }
    if !charts.is_empty() {
        charts[..=first].rotate_right(1);
    }
    if let Some(name) = &written.r#type {
        let kind = kind(name, format!("{pointer}/type"))?;
        match charts.iter().position(|chart| chart.kind == kind) {
            Some(at) => charts[..=at].rotate_right(1),
            None => charts.insert(0, Chart { kind, title: kind.title().to_owned() }),
        }
    }
    if charts.is_empty() && written.is_computed() {
        charts.push(Chart { kind: Kind::Suited, title: Kind::Suited.title().to_owned() });
    }
    if !charts.iter().any(|chart| chart.kind != Kind::Suited) {
        charts.push(Chart { kind: Kind::Table, title: Kind::Table.title().to_owned() });
    }
    Ok(charts)
}

fn default_width(kind: Kind) -> Width {
    match kind {
        Kind::Picture(Picture::Tile | Picture::Sparkline) | Kind::Count => Width::Quarter,
        Kind::Picture(
            Picture::Bar
            | Picture::StackedBar
            | Picture::Week
            | Picture::Histogram
            | Picture::Scatter
            | Picture::Box,
        ) => Width::Half,
        Kind::Picture(_) | Kind::Suited | Kind::Table | Kind::Summary => Width::Full,
    }
}

/// Parameters as names and values; an array stands for a name that is given again.
fn params(
    written: &Map<String, Json>,
    pointer: &str,
    origin: &Origin,
) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    for (name, value) in written {
        let values = match value {
            Json::Array(values) => &values[..],
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = match value {
                Json::String(text) => text.clone(),
                Json::Number(number) => number.to_string(),
                Json::Bool(flag) => u8::from(*flag).to_string(),
                _ => {
                    let place = format!("{pointer}/{}", escaped(name));
                    return Err(origin.fault(&place, "is neither text, number nor flag"));
                }
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}
