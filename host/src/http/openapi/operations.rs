//! What is asked and answered at each address.

use serde_json::{Map, Value as Json, json};

use super::Subject;
use super::parameters::{component, flag, named, of_pictures, of_rows, own, path, repeated};
use super::schemas::{problem, reference};
use crate::http::negotiate::Chosen;
use crate::http::{badge as badge_route, events, facets as facets_route, views};
use crate::query::Format;
use crate::render::svg::BadgeColour;

/// Describes an operation; who asks adds its name and who may use it.
pub(in crate::http) type Describe = fn(&Subject<'_>) -> Json;

const IDENT: &str = "ident of a statistic, as `GET /api/` lists them";
const JSONP: &str = "application/javascript";

/// An operation with its answer and the problems it may end in.
fn operation(summary: &str, parameters: Vec<Json>, success: Json, problems: &[&str]) -> Json {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success);
    for status in problems {
        responses.insert((*status).to_owned(), problem());
    }
    json!({ "summary": summary, "parameters": parameters, "responses": responses })
}

fn header(name: &str) -> Json {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// An answer in one form.
fn one(meaning: &str, content_type: &str, schema: Json) -> Json {
    let content = json!({ content_type: { "schema": schema } });
    json!({ "description": meaning, "content": content })
}

fn complete(mut response: Json) -> Json {
    response["headers"]["Statmill-Complete-Until"] = header("Statmill-Complete-Until");
    response
}

/// An answer of rows: in each of its forms, with all headers.
fn rows_answer(meaning: &str, forms: &[Format], schema: &Json) -> Json {
    let mut content = Map::new();
    for &form in forms {
        let schema =
            if form == Format::Json { schema.clone() } else { json!({ "type": "string" }) };
        let media = Chosen::of(form).content_type.split(';').next().unwrap_or_default();
        content.insert(media.to_owned(), json!({ "schema": schema }));
    }
    if forms.contains(&Format::Csv) {
        content.insert("application/csv".to_owned(), json!({ "schema": { "type": "string" } }));
    }
    content.insert(JSONP.to_owned(), json!({ "schema": { "type": "string" } }));
    let names = [
        "Statmill-Complete-Until",
        "Statmill-Step-Seconds",
        "ETag",
        "Cache-Control",
        "Link",
        "X-Link-Number",
        "X-Link-Count",
        "X-Total-Count",
    ];
    let headers: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), header(name))).collect();
    json!({ "description": meaning, "headers": headers, "content": content })
}

fn known(mut operation: Json) -> Json {
    let tag = json!({ "$ref": "#/components/parameters/If-None-Match" });
    if let Some(parameters) = operation["parameters"].as_array_mut() {
        parameters.push(tag);
    }
    operation["responses"]["304"] = json!({ "$ref": "#/components/responses/NotModified" });
    operation
}

/// The parameters of the path that are not told by the address itself.
fn place(subject: &Subject<'_>) -> Vec<Json> {
    match subject {
        Subject::Any => vec![path("ident", IDENT)],
        _ => Vec::new(),
    }
}

fn text(meaning: &str, content_type: &str) -> Json {
    one(meaning, content_type, json!({ "type": "string" }))
}

pub(in crate::http) fn home(_: &Subject<'_>) -> Json {
    operation("The page a person sees first", vec![], complete(text("A page.", "text/html")), &[])
}

/// A page or a part of one.
fn page(summary: &str, parameters: Vec<Json>, problems: &[&str]) -> Json {
    operation(summary, parameters, complete(text("A page.", "text/html")), problems)
}

fn of_dashboard(with_view: bool) -> Vec<Json> {
    let mut parameters = vec![path("dashboard", "name of a dashboard")];
    if with_view {
        parameters.push(path("view", "name of a view of it"));
    }
    parameters
}

pub(in crate::http) fn dashboard(_: &Subject<'_>) -> Json {
    page("A page of views; its query says what is chosen", of_dashboard(false), &["400", "404"])
}

pub(in crate::http) fn stats(_: &Subject<'_>) -> Json {
    page("Every statistic with its newest rows and a picture", vec![], &[])
}

pub(in crate::http) fn status_page(_: &Subject<'_>) -> Json {
    page("What the host is doing", vec![], &[])
}

pub(in crate::http) fn start(_: &Subject<'_>) -> Json {
    page("How to begin", vec![], &[])
}

pub(in crate::http) fn reference_page(_: &Subject<'_>) -> Json {
    page("Every address and parameter", vec![], &[])
}

pub(in crate::http) fn view_part(_: &Subject<'_>) -> Json {
    page("The part of a page that is a view", of_dashboard(true), &["400", "404"])
}

pub(in crate::http) fn bar_part(_: &Subject<'_>) -> Json {
    page("The part of a page that says what is chosen", of_dashboard(false), &["400", "404"])
}

pub(in crate::http) fn status_part(_: &Subject<'_>) -> Json {
    page("The part of the status that changes", vec![], &[])
}

pub(in crate::http) fn view_rows(_: &Subject<'_>) -> Json {
    let answer = one("Times and values.", "application/json", json!({ "type": "object" }));
    let problems = ["400", "404", "409", "422", "500", "504"];
    operation(
        "The exact values of a view over time",
        of_dashboard(true),
        complete(answer),
        &problems,
    )
}

pub(in crate::http) fn redirect(_: &Subject<'_>) -> Json {
    let mut operation = operation("Leads to the list", vec![], json!({}), &[]);
    operation["responses"] = json!({ "308": { "description": "The list is one slash further." } });
    operation
}

pub(in crate::http) fn list(_: &Subject<'_>) -> Json {
    let mut parameters = vec![own("detail", "objects instead of names", flag(), false)];
    parameters.extend(named(&["format", "callback"]));
    let forms = [Format::Json, Format::Csv, Format::Html];
    let mut answer = rows_answer("Idents, or what is known of each.", &forms, &reference("Idents"));
    for name in ["Link", "X-Link-Number", "X-Link-Count", "X-Total-Count", "Statmill-Step-Seconds"]
    {
        answer["headers"].as_object_mut().map(|headers| headers.remove(name));
    }
    known(operation("The statistics there are", parameters, answer, &["400", "406"]))
}

pub(in crate::http) fn openapi(_: &Subject<'_>) -> Json {
    let answer = one("This description.", "application/json", json!({ "type": "object" }));
    known(operation("The API, described", vec![], complete(answer), &[]))
}

pub(in crate::http) fn status(_: &Subject<'_>) -> Json {
    let answer = one("Everything there is.", "application/json", reference("Status"));
    operation("Host, statistics, logs and plugins", vec![], complete(answer), &[])
}

pub(in crate::http) fn message(_: &Subject<'_>) -> Json {
    let mut offset = path("offset", "offset of the message in it");
    offset["schema"] = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    let parameters = vec![path("log", "id or name of a log, as the status lists them"), offset];
    let mut answer = one("The message, byte for byte.", "application/json", json!({}));
    answer["content"]["application/octet-stream"] = json!({ "schema": { "type": "string" } });
    operation("One message as it was received", parameters, answer, &["400", "404"])
}

/// The name of a statistic's own schema of rows.
fn rows_schema(subject: &Subject<'_>) -> Json {
    match subject.stat() {
        Some((ident, _)) => reference(&format!("Rows.{}", component(ident))),
        None => reference("Rows"),
    }
}

/// The title of a statistic and more words.
fn titled(subject: &Subject<'_>, words: &str) -> String {
    match subject.stat() {
        Some((ident, view)) => match view.snapshot.manifest().title.as_str() {
            "" => format!("{ident}: {words}"),
            title => format!("{title}: {words}"),
        },
        None => format!("A statistic's {words}"),
    }
}

pub(in crate::http) fn rows(subject: &Subject<'_>) -> Json {
    let mut parameters = place(subject);
    parameters.extend(of_rows(subject.stat(), &[]));
    parameters.extend(of_pictures(subject.stat(), &[]));
    let answer = rows_answer(
        "The rows of one page, or a picture of them.",
        &Format::ALL,
        &rows_schema(subject),
    );
    let problems = ["400", "404", "406", "422"];
    known(operation(&titled(subject, "rows"), parameters, answer, &problems))
}

pub(in crate::http) fn badge(subject: &Subject<'_>) -> Json {
    let mut parameters = place(subject);
    parameters.push(own("label", badge_route::LABEL, json!({ "type": "string" }), false));
    let colours: Vec<_> = BadgeColour::NAMED.iter().map(|(name, _)| *name).chain([""]).collect();
    let schema = json!({ "type": "string", "enum": colours });
    parameters.push(own("colour", badge_route::COLOUR, schema, false));
    let without = ["order", "sort", "columns", "cursor", "page", "step", "points", "format"];
    parameters.extend(of_rows(subject.stat(), &without));
    parameters.extend(of_pictures(subject.stat(), &["type", "y", "w", "h", "theme", "tz"]));
    let mut answer = complete(text("One number, the size of a line of text.", "image/svg+xml"));
    for name in ["ETag", "Cache-Control"] {
        answer["headers"][name] = header(name);
    }
    let problems = ["400", "404", "422"];
    known(operation(&titled(subject, "badge"), parameters, answer, &problems))
}

pub(in crate::http) fn facets(subject: &Subject<'_>) -> Json {
    let mut parameters = place(subject);
    let text = json!({ "type": "string", "minLength": 1 });
    let schema = subject.stat().map_or(text, |(_, view)| {
        let first = view.snapshot.models().first();
        let names: Vec<_> = first
            .map(|stored| crate::query::shape::ModelShape::new(&stored.model))
            .iter()
            .flat_map(|shape| &shape.columns()[..shape.key_columns()])
            .map(|column| column.name.clone())
            .collect();
        json!({ "type": "string", "enum": names })
    });
    let meaning = format!("what rows are counted by: {}", facets_route::BY_ALLOWED);
    parameters.push(own("by", &meaning, schema, true));
    parameters.extend(of_rows(subject.stat(), &["order", "sort", "columns", "cursor"]));
    let answer = rows_answer(
        "Values and how many rows have each, most frequent first.",
        &facets_route::FORMATS,
        &reference("Facets"),
    );
    let problems = ["400", "404", "406", "422"];
    known(operation(&titled(subject, "values of a dimension"), parameters, answer, &problems))
}

fn stream(summary: &str, mut parameters: Vec<Json>, problems: &[&str]) -> Json {
    parameters.push(json!({ "$ref": "#/components/parameters/Last-Event-ID" }));
    let meaning = "Server-sent events without end: `update` when rows changed, `plugin` when only \
                   what the statistic does, `rows` if asked for, `problem` instead of rows, `reset` \
                   where the place is not known any more, `end` with the reason.";
    let answer = one(meaning, "text/event-stream", reference("Event"));
    operation(summary, parameters, answer, problems)
}

pub(in crate::http) fn all_events(_: &Subject<'_>) -> Json {
    let stat = repeated("stat", "only of this statistic; may be given several times");
    stream("What changes, as it does", vec![stat], &["400", "404"])
}

pub(in crate::http) fn events(subject: &Subject<'_>) -> Json {
    let mut parameters = place(subject);
    let meaning = format!(
        "also the rows that the other parameters ask for, with each update: {}",
        events::ROWS_ALLOWED
    );
    parameters.push(own("rows", &meaning, flag(), false));
    parameters.extend(of_rows(subject.stat(), &[]));
    stream(&titled(subject, "changes, as they happen"), parameters, &["400", "404", "422"])
}

pub(in crate::http) fn schema(subject: &Subject<'_>) -> Json {
    let answer = complete(one("JSON Schema.", "application/json", reference("Schema")));
    operation(&titled(subject, "columns and models"), place(subject), answer, &["400", "404"])
}

pub(in crate::http) fn layout(subject: &Subject<'_>) -> Json {
    let mut answer = complete(one("Whatever its plugin says.", "application/json", json!({})));
    answer["content"][JSONP] = json!({ "schema": { "type": "string" } });
    let mut parameters = place(subject);
    parameters.extend(named(&["callback"]));
    let problems = ["400", "404", "406"];
    operation(&titled(subject, "hints how to show it"), parameters, answer, &problems)
}

pub(in crate::http) fn view(subject: &Subject<'_>) -> Json {
    let mut parameters = place(subject);
    if matches!(subject, Subject::Any) {
        parameters.push(path("view", "name of a computed view, as the schema lists them"));
    }
    let title = match subject {
        Subject::View { name, .. } => titled(subject, &format!("computed view {name}")),
        _ => titled(subject, "computed view"),
    };
    parameters.extend(of_rows(subject.stat(), &["model", "columns", "agg", "cursor"]));
    parameters.extend(of_pictures(subject.stat(), &[]));
    let answer = rows_answer(
        "A table made of the rows, or a picture of it.",
        &views::FORMATS,
        &reference("Rows"),
    );
    let problems = ["400", "404", "406", "409", "422", "500", "504"];
    known(operation(&title, parameters, answer, &problems))
}

pub(in crate::http) fn metrics(_: &Subject<'_>) -> Json {
    operation("Metrics for Prometheus", vec![], text("Metrics.", "text/plain"), &[])
}

pub(in crate::http) fn export(_: &Subject<'_>) -> Json {
    let stat = repeated("stat", "only this statistic; may be given several times");
    let answer = complete(text("Rows and positions as lines of JSON.", "application/x-ndjson"));
    operation("Everything that is kept", vec![stat], answer, &["400", "404"])
}

/// A change to the host: its body, and what may go wrong beside what always may.
fn repair(summary: &str, ident: Option<&str>, body: Json, answer: Json, more: &[&str]) -> Json {
    let parameters = ident.map(|ident| path("ident", ident)).into_iter().collect();
    let problems = [&["400", "403", "404", "409", "415", "422", "500", "504"], more].concat();
    let mut operation = operation(summary, parameters, answer, &problems);
    let content = json!({ "application/json": { "schema": body } });
    operation["requestBody"] = json!({ "required": true, "content": content });
    operation
}

/// Changes what becomes of dead letters.
fn letters(summary: &str) -> Json {
    let which = json!({
        "type": "object",
        "description": "One dead letter, or all.",
        "properties": {
            "log": { "type": "string", "description": "id or name of a log" },
            "offset": { "type": "integer", "minimum": 0 },
            "all": { "type": "boolean" },
        },
        "additionalProperties": false,
    });
    let answer = one("What became of each.", "application/json", reference("Settled"));
    repair(summary, Some(IDENT), which, answer, &["410"])
}

pub(in crate::http) fn retry(_: &Subject<'_>) -> Json {
    letters("Folds messages again that could not be folded")
}

pub(in crate::http) fn drop_letters(_: &Subject<'_>) -> Json {
    letters("Gives up messages that could not be folded")
}

/// A change that has nothing to say: its body is an empty object.
fn nothing_more() -> Json {
    json!({ "type": "object", "additionalProperties": false })
}

pub(in crate::http) fn resume(_: &Subject<'_>) -> Json {
    let answer = one("It goes on.", "application/json", reference("Resumed"));
    let what = "Has a quarantined statistic tried again, or one that hung go on in the host";
    repair(what, Some(IDENT), nothing_more(), answer, &[])
}

pub(in crate::http) fn reload(_: &Subject<'_>) -> Json {
    let answer = one("What became of each file.", "application/json", reference("Reloaded"));
    repair("Looks into the plugins folders again", None, nothing_more(), answer, &[])
}

pub(in crate::http) fn ingest(_: &Subject<'_>) -> Json {
    let parameters = vec![
        path("source", "name of a source `http:NAME`"),
        own("partial", "take what can be taken instead of all or nothing", flag(), false),
        json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "the same key and body again are taken once",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }),
    ];
    let problems = ["400", "403", "404", "408", "413", "415", "422", "507"];
    let mut operation = operation("Takes messages", parameters, json!({}), &problems);
    if let Some(responses) = operation["responses"].as_object_mut() {
        let taken = one("They are durable.", "application/json", reference("Taken"));
        responses.remove("200");
        responses.insert("202".to_owned(), taken);
    }
    operation["requestBody"] = json!({
        "required": true,
        "description": "One JSON document, an array of them, or one on each line.",
        "content": {
            "application/json": { "schema": { "type": ["object", "array"] } },
            "application/x-ndjson": { "schema": { "type": "string" } },
        },
    });
    operation
}

/// Forms that lead on to a page.
fn leads(summary: &str, meaning: &str, problems: &[&str]) -> Json {
    let mut operation = operation(summary, vec![], json!({}), problems);
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.remove("200");
        responses.insert("303".to_owned(), json!({ "description": meaning }));
    }
    operation
}

pub(in crate::http) fn enter(_: &Subject<'_>) -> Json {
    let meaning = "A cookie lets the browser read, and it is led to `next`.";
    let problems = ["400", "401", "403", "413", "415"];
    let mut operation = leads("Lets a browser read with a token", meaning, &problems);
    operation["requestBody"] = json!({
        "required": true,
        "description": "The token for queries or that of the admin, and a path of this server.",
        "content": { "application/x-www-form-urlencoded": { "schema": {
            "type": "object",
            "properties": { "token": { "type": "string" }, "next": { "type": "string" } },
            "required": ["token"],
        } } },
    });
    operation
}

pub(in crate::http) fn leave(_: &Subject<'_>) -> Json {
    leads("Has a browser forget its token", "The browser is led to the first page.", &["403"])
}

pub(in crate::http) fn alive(_: &Subject<'_>) -> Json {
    operation("The process answers", vec![], text("It does.", "text/plain"), &[])
}

pub(in crate::http) fn ready(_: &Subject<'_>) -> Json {
    let answer = one("It is.", "application/json", reference("Readiness"));
    operation("Every statistic was level with its logs", vec![], answer, &[])
}

pub(in crate::http) fn asset(_: &Subject<'_>) -> Json {
    let file = path("file", "name of a file, as pages name it");
    let answer = text("Script, style sheet or icon of pages.", "text/css");
    operation("What pages are made with", vec![file], answer, &["400", "404"])
}
