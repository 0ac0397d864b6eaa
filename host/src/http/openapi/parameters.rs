//! Parameters and headers, as OpenAPI describes them, of the tables that requests are read by.

use serde_json::{Map, Value as Json, json};
use statmill_plugin_api::manifest::ValueKind;

use crate::query::filter::{OPERATORS, Operator};
use crate::query::params::{PARAMS, Param, Values};
use crate::query::shape::ModelShape;
use crate::query::{Column, StatView};
use crate::render::html::encode;
use crate::render::picture;

/// The largest whole number that is taken.
const MOST: u64 = u64::MAX;

fn query(name: &str, meaning: &str, schema: Json) -> Json {
    json!({ "name": name, "in": "query", "description": meaning, "schema": schema })
}

/// A parameter without a value counts as not given: a form sends those that were not filled in.
fn or_nothing(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "const": "" }] })
}

/// A parameter of the path.
pub(super) fn path(name: &str, meaning: &str) -> Json {
    json!({
        "name": name, "in": "path", "required": true, "description": meaning,
        "schema": { "type": "string", "minLength": 1 },
    })
}

/// A parameter that only one address has.
pub(super) fn own(name: &str, meaning: &str, schema: Json, required: bool) -> Json {
    let mut parameter = query(name, meaning, schema);
    parameter["required"] = json!(required);
    parameter
}

/// One that may be given several times.
pub(super) fn repeated(name: &str, meaning: &str) -> Json {
    let schema = json!({ "type": "array", "items": { "type": "string" } });
    let mut parameter = query(name, meaning, schema);
    parameter["style"] = json!("form");
    parameter["explode"] = json!(true);
    parameter
}

/// A switch.
pub(super) fn flag() -> Json {
    json!({ "type": "string", "enum": ["1", "0", "true", "false"] })
}

/// References to parameters of the table.
pub(super) fn named(names: &[&str]) -> Vec<Json> {
    let given = PARAMS.iter().flat_map(|param| {
        std::iter::once(param.name)
            .chain(param.aliases.iter().copied())
            .map(move |name| (param, name))
    });
    let wanted = given.filter(|(param, _)| names.contains(&param.name));
    wanted.map(|(_, name)| json!({ "$ref": format!("#/components/parameters/{name}") })).collect()
}

/// All parameters of the table but those named `without`, and the filters of a statistic; what these
/// may be is told of one statistic alone.
pub(super) fn of_rows(stat: Option<(&str, &StatView)>, without: &[&str]) -> Vec<Json> {
    let names: Vec<_> = PARAMS.iter().map(|param| param.name).collect();
    let of_columns = ["model", "sort", "columns"];
    let Some((ident, view)) = stat else {
        let rest: Vec<_> = names.into_iter().filter(|name| !without.contains(name)).collect();
        return named(&rest);
    };
    let general: Vec<_> = names
        .into_iter()
        .filter(|name| !without.contains(name) && !of_columns.contains(name))
        .collect();
    let mut parameters = named(&general);
    let meaning = |name: &str| {
        PARAMS.iter().find(|param| param.name == name).map_or("", |param| param.meaning)
    };
    let models: Vec<_> = view.snapshot.models().iter().map(|model| &model.name).collect();
    let columns = columns(view);
    let all: Vec<_> = columns.iter().map(|column| &column.name).collect();
    let ordered = columns.iter().filter(|column| column.kind != ValueKind::Json);
    let sorts: Vec<_> =
        ordered.flat_map(|column| [column.name.clone(), format!("-{}", column.name)]).collect();
    for (name, schema) in [
        ("model", or_nothing(json!({ "type": "string", "enum": models }))),
        ("sort", or_nothing(json!({ "type": "string", "enum": sorts }))),
        (
            "columns",
            json!({
                "type": "array", "uniqueItems": true, "minItems": 1,
                "items": { "type": "string", "enum": all },
            }),
        ),
    ] {
        if without.contains(&name) || (name == "sort" && sorts.is_empty()) {
            continue;
        }
        let mut parameter = query(name, meaning(name), schema);
        if name == "columns" {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(false);
        }
        parameters.push(parameter);
    }
    parameters.push(json!({
        "name": "filters", "in": "query", "style": "form", "explode": true,
        "description": "Each member is a parameter of its own; all of them must hold.",
        "schema": { "$ref": format!("#/components/schemas/Filters.{}", component(ident)) },
    }));
    parameters
}

/// All parameters of pictures but those named `without`. Of a statistic that has a column of such a
/// name, under the other name.
pub(super) fn of_pictures(stat: Option<(&str, &StatView)>, without: &[&str]) -> Vec<Json> {
    let columns = stat.map(|(_, view)| columns(view)).unwrap_or_default();
    let taken = |name: &str| columns.iter().any(|column| column.name == name);
    let wanted = picture::PARAMS.iter().filter(|param| !without.contains(&param.name));
    let described = wanted.filter_map(|param| {
        let name = [param.name, param.alias].into_iter().find(|name| !taken(name))?;
        let meaning = format!("Of pictures: {}. It takes {}.", param.meaning, param.allowed);
        Some(query(name, &meaning, or_nothing(schema(&param.values))))
    });
    described.collect()
}

/// The columns of all models of a statistic, each name once.
pub(super) fn columns(view: &StatView) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for stored in view.snapshot.models() {
        for column in ModelShape::new(&stored.model).columns() {
            if !columns.iter().any(|known| known.name == column.name) {
                columns.push(column.clone());
            }
        }
    }
    columns
}

/// An ident as the name of a component, which takes few characters.
pub(super) fn component(ident: &str) -> String {
    encode(ident).replace('%', "_").replace('~', "_7E")
}

/// The filters on the columns of a statistic's first model.
pub(super) fn filters(view: &StatView) -> Json {
    let mut members = Map::new();
    let first = view.snapshot.models().first();
    let shape = first.map(|stored| ModelShape::new(&stored.model));
    for column in shape.iter().flat_map(|shape| shape.columns()) {
        for &(name, operator) in OPERATORS {
            if !operator.is_for(column.kind) {
                continue;
            }
            let schema = match operator {
                Operator::In | Operator::Contains | Operator::Glob => json!({ "type": "string" }),
                _ => literal(column.kind),
            };
            if operator == Operator::Eq {
                members.insert(column.name.clone(), schema.clone());
            }
            members.insert(format!("{}__{name}", column.name), schema);
        }
    }
    json!({ "type": "object", "properties": members, "additionalProperties": false })
}

/// What a filter compares with.
fn literal(kind: ValueKind) -> Json {
    match kind {
        ValueKind::Int => json!({ "type": "integer" }),
        ValueKind::Num => json!({ "type": "number" }),
        ValueKind::Bool => json!({ "type": "boolean" }),
        ValueKind::Time => schema(&Values::Time),
        ValueKind::Text | ValueKind::Json => json!({ "type": "string" }),
    }
}

fn schema(values: &Values) -> Json {
    match values {
        Values::Text | Values::Names => json!({ "type": "string" }),
        Values::OneOf(names) => json!({ "type": "string", "enum": names }),
        Values::Whole(least) => json!({ "type": "integer", "minimum": least, "maximum": MOST }),
        Values::Time => json!({
            "type": "string",
            "examples": ["-7d", "now-6h", "2017-07-14T02:40:00Z", "1500000000", "2017-07-14"],
        }),
        Values::Span => {
            json!({ "type": "string", "examples": ["1h", "7d", "3600"] })
        }
        Values::Flag => flag(),
        Values::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
    }
}

/// Every parameter of the table, under each of its names.
pub(super) fn components() -> Map<String, Json> {
    let mut components = Map::new();
    for Param { name, aliases, allowed, values, meaning, .. } in PARAMS {
        for known in std::iter::once(name).chain(*aliases) {
            let same =
                if known == name { String::new() } else { format!("The same as `{name}`: ") };
            let meaning = format!("{same}{meaning}. It takes {allowed}.");
            let schema = or_nothing(schema(values));
            components.insert((*known).to_owned(), query(known, &meaning, schema));
        }
    }
    for (name, meaning) in [
        ("If-None-Match", "tags of answers that are known: they are not sent again"),
        ("Last-Event-ID", "the place behind which a stream of events is to go on"),
    ] {
        let parameter = json!({
            "name": name, "in": "header", "description": meaning, "schema": { "type": "string" },
        });
        components.insert(name.to_owned(), parameter);
    }
    components
}

/// Headers of answers.
pub(super) fn headers() -> Json {
    let text = |meaning: &str| json!({ "description": meaning, "schema": { "type": "string" } });
    let whole = |meaning: &str| json!({ "description": meaning, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "Statmill-Complete-Until": text(
            "up to when the answer accounts for all that reached the host: RFC 3339, `end` or `unknown`"
        ),
        "Statmill-Step-Seconds": whole("length of the windows that stored ones were joined to"),
        "ETag": text("names what the answer says; changes with the rows"),
        "Cache-Control": text("how long the answer may be kept"),
        "Link": text("addresses of other pages, other forms and the schema (RFC 8288)"),
        "X-Link-Number": whole("number of the page, from 1 on"),
        "X-Link-Count": whole("number of pages"),
        "X-Total-Count": whole("rows on all pages together"),
        "Retry-After": whole("seconds after which to try again"),
    })
}
