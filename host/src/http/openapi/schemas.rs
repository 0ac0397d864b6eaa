//! Bodies of answers, as OpenAPI describes them.

use serde_json::{Map, Value as Json, json};
use statmill_plugin_api::manifest::ValueKind;

use super::parameters::{columns, component, filters};
use crate::query::{Column, StatView};

/// Refers to a schema.
pub(super) fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An error.
pub(super) fn problem() -> Json {
    json!({ "$ref": "#/components/responses/Problem" })
}

pub(super) fn responses() -> Json {
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    json!({
        "Problem": {
            "description": "What is wrong, where, and what would be right (RFC 9457).",
            "headers": { "Retry-After": header("Retry-After") },
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        },
        "NotModified": {
            "description": "The client already has it.",
            "headers": {
                "ETag": header("ETag"),
                "Statmill-Complete-Until": header("Statmill-Complete-Until"),
            },
        },
    })
}

/// The cells of a column. Times are as the parameter `time` asks; a sum of ints beyond 128 bits is a
/// number with an exponent.
fn cell(column: &Column) -> Json {
    let mut cell = match column.kind {
        ValueKind::Text => json!({ "type": ["string", "null"] }),
        ValueKind::Int | ValueKind::Num => json!({ "type": ["number", "null"] }),
        ValueKind::Bool => json!({ "type": ["boolean", "null"] }),
        ValueKind::Time => json!({ "type": ["number", "string", "null"] }),
        ValueKind::Json => json!({}),
    };
    if !column.unit.is_empty() {
        cell["description"] = json!(column.unit);
    }
    cell
}

/// Rows in any of their JSON forms, each row like `row`.
fn rows_of(row: &Json) -> Json {
    json!({
        "anyOf": [
            { "type": "array", "items": row },
            { "type": "array", "items": { "type": "array" } },
            reference("Columns"),
            reference("Envelope"),
        ],
    })
}

/// The schemas that operations refer to: general ones, and for each statistic its rows and filters.
pub(super) fn components(stats: &[(String, StatView)]) -> Map<String, Json> {
    let text = json!({ "type": "string" });
    let whole = json!({ "type": "integer", "minimum": 0 });
    let general = json!({
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": text, "title": text, "detail": text,
                "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                "errors": {
                    "type": "array", "description": "each parameter that is wrong",
                    "items": {
                        "type": "object", "required": ["param", "reason", "allowed"],
                        "properties": { "param": text, "reason": text, "allowed": text },
                    },
                },
                "rejected": { "type": "array", "items": reference("Rejected") },
            },
        },
        "Rejected": {
            "type": "object", "required": ["line", "reason", "remedy"],
            "properties": { "line": whole, "reason": text, "remedy": text },
        },
        "Taken": {
            "type": "object", "required": ["accepted", "duplicates", "rejected"],
            "properties": {
                "accepted": whole, "duplicates": whole, "rejected_beyond": whole,
                "repeated": { "type": "boolean" },
                "rejected": { "type": "array", "items": reference("Rejected") },
            },
        },
        "Resumed": {
            "type": "object", "required": ["stat", "state"],
            "properties": { "stat": text, "state": text },
        },
        "Reloaded": {
            "type": "object", "required": ["plugins"],
            "properties": { "plugins": { "type": "array", "items": { "type": "object" } } },
        },
        "Settled": {
            "type": "object", "required": ["stat", "letters"],
            "properties": {
                "stat": text,
                "letters": {
                    "type": "array",
                    "items": {
                        "type": "object", "required": ["log", "offset", "outcome"],
                        "properties": {
                            "log": text, "offset": whole, "reason": text,
                            "outcome": { "enum": ["folded", "failed", "dropped", "kept"] },
                        },
                    },
                },
            },
        },
        "Column": {
            "type": "object", "required": ["name", "kind"],
            "properties": {
                "name": text, "unit": text,
                "kind": { "type": "string", "enum": ["text", "int", "num", "bool", "time", "json"] },
            },
        },
        "Columns": {
            "type": "object", "description": "one array of cells for each column (`shape=columns`)",
            "additionalProperties": { "type": "array" },
        },
        "Envelope": {
            "type": "object", "description": "rows and what they are (`envelope=1`)",
            "required": [
                "stat", "model", "version", "complete_until", "total", "page", "pages", "next",
                "cursor", "columns", "rows",
            ],
            "properties": {
                "stat": text, "model": text, "version": text, "complete_until": text,
                "step_s": whole, "total": whole, "page": whole, "pages": whole,
                "next": { "type": ["string", "null"] }, "cursor": { "type": ["string", "null"] },
                "columns": { "type": "array", "items": reference("Column") },
                "rows": { "type": ["array", "object"] },
            },
        },
        "Rows": rows_of(&json!({ "type": "object" })),
        "Event": {
            "type": "object", "description": "one event of a stream; its data is JSON text",
            "properties": {
                "event": {
                    "type": "string",
                    "enum": ["update", "plugin", "rows", "problem", "reset", "end"],
                },
                "id": text, "data": text,
            },
        },
        "Facets": rows_of(&json!({
            "type": "object", "properties": { "value": {}, "count": whole },
        })),
        "Idents": { "type": "array", "items": { "anyOf": [text, reference("Detail")] } },
        "Detail": {
            "type": "object",
            "required": ["ident", "title", "state", "version", "rows", "models", "links"],
            "properties": {
                "ident": text, "title": text, "summary": text, "description": text, "state": text,
                "version": text, "rows": whole, "complete_until": text,
                "first": { "type": ["string", "null"] }, "last": { "type": ["string", "null"] },
                "models": { "type": "array", "items": reference("Model") },
                "links": { "type": "object", "additionalProperties": text },
            },
        },
        "Model": {
            "type": "object", "required": ["name", "rows", "key_columns", "columns"],
            "properties": {
                "name": text, "rows": whole, "window_s": whole, "retention_s": whole, "index": text,
                "key_columns": whole, "columns": { "type": "array", "items": reference("Column") },
            },
        },
        "Schema": {
            "type": "object", "description": "JSON Schema of the rows, and more about them",
            "required": ["$schema", "title", "type", "items", "models", "views", "parameters"],
            "properties": { "models": { "type": "array", "items": reference("Model") } },
        },
        "Status": {
            "type": "object", "required": ["host", "stats", "logs", "plugins"],
            "properties": {
                "host": {
                    "type": "object", "required": ["version", "boot", "uptime_s", "ready", "stopping"],
                },
                "stats": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["ident", "state", "version", "rows", "complete_until"],
                    },
                },
                "logs": { "type": "array", "items": { "type": "object" } },
                "plugins": { "type": "array", "items": { "type": "object" } },
            },
        },
        "Readiness": {
            "type": "object", "required": ["ready"],
            "properties": {
                "ready": { "const": true },
                "stats": { "type": "array", "items": { "type": "object" } },
            },
        },
    });
    let Json::Object(mut components) = general else { return Map::new() };
    for (ident, view) in stats {
        let cells: Map<_, _> =
            columns(view).iter().map(|column| (column.name.clone(), cell(column))).collect();
        let row = json!({ "type": "object", "properties": cells });
        let name = component(ident);
        components.insert(format!("Rows.{name}"), rows_of(&row));
        components.insert(format!("Filters.{name}"), filters(view));
    }
    components
}
