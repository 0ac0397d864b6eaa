//! The page of a statistic: its pictures, its rows, and how to ask for others.

use maud::{Markup, html};

use super::table::{When, table};
use super::{completeness, encode};
use crate::query::{Column, CompleteUntil, Page, Table};

/// What a page of rows says around its table.
pub struct RowsPage<'a> {
    /// The stat.
    pub ident: &'a str,
    /// Its human name.
    pub title: &'a str,
    /// One line about it.
    pub summary: &'a str,
    /// Long text about it.
    pub description: &'a str,
    /// What it is doing, where that is worth a word.
    pub state: Option<String>,
    /// That is bad.
    pub is_broken: bool,
    /// Up to when the rows account for all that reached the host.
    pub complete_until: CompleteUntil,
    /// Which page this is.
    pub page: Page,
    /// How times are shown.
    pub when: When,
    /// Its pictures.
    pub cards: Vec<Markup>,
    /// The other forms of this answer, and where they are.
    pub forms: Vec<(&'a str, String)>,
    /// The pages before and after.
    pub pages: Vec<(&'a str, String)>,
    /// Where the rows behind the last one are.
    pub more: Option<String>,
    /// What can be asked.
    pub fields: Vec<Field>,
    /// Computed views of the stat: their titles, and where they are.
    pub views: Vec<(String, String)>,
    /// Where a table is ordered by a column, for those that it can be ordered by; ascending, descending, and
    /// which of them it is.
    pub sort: &'a dyn Fn(&Column) -> Option<Sorted>,
}

/// Where rows are ordered by a column, and how they are if they are.
pub type Sorted = (String, Option<&'static str>);

/// A part of a question that a form can ask.
pub struct Field {
    /// Name of the parameter.
    pub name: String,
    /// What is said of it.
    pub label: String,
    /// What was asked.
    pub value: String,
    /// What can be chosen; empty = anything can be written.
    pub options: Vec<(String, String)>,
}

/// Returns the content of a page with the rows of a stat.
#[must_use]
pub fn rows(about: &RowsPage<'_>, rows: &Table) -> Markup {
    let head = |column: &Column| {
        let (href, sorted) = (about.sort)(column)?;
        let arrow = match sorted {
            Some("ascending") => " ▲",
            Some(_) => " ▼",
            None => "",
        };
        Some(html! {
            a href=(href) aria-label=[sorted.map(|order| format!("{}, {order}", column.name))] {
                (column.name) span aria-hidden="true" { (arrow) }
            }
        })
    };
    let caption =
        format!("{} rows, page {} of {}", rows.total, about.page.number, about.page.count.max(1));
    html! {
        div.titles {
            h1 { (about.title) }
            @if !about.summary.is_empty() { p.summary { (about.summary) } }
        }
        @if let Some(state) = &about.state { p.problem[about.is_broken] role="note" { (state) } }
        (completeness(about.complete_until, &about.when))
        @if !about.cards.is_empty() {
            div.grid { @for card in &about.cards { (card) } }
            p { a href={ "/d/" (encode(about.ident)) } { "As a dashboard" } }
        }
        h2 #rows { "Rows" }
        (form(about))
        nav aria-label="This table elsewhere" {
            ul.exports { @for (label, href) in &about.forms { li { a href=(href) { (label) } } } }
        }
        (table(rows, &caption, &about.when, &head, &|_, _| None))
        nav.pages aria-label="Other rows" {
            @if let Some(more) = &about.more { a data-more href=(more) { "More rows" } }
            @for (label, href) in &about.pages { a href=(href) { (label) } }
        }
        @if !about.description.is_empty() {
            h2 { "About" }
            p { (about.description) }
        }
        @if !about.views.is_empty() {
            h2 { "Computed of these rows" }
            ul { @for (title, href) in &about.views { li { a href=(href) { (title) } } } }
        }
    }
}

fn form(about: &RowsPage<'_>) -> Markup {
    html! {
        form.filters method="get" {
            // Names without a value are taken out of the address by the answer.
            input type="hidden" name="_" value="form";
            @for field in &about.fields {
                label {
                    (field.label) " "
                    @if field.options.is_empty() {
                        input type="text" name=(field.name) value=(field.value) autocomplete="off";
                    } @else {
                        select name=(field.name) {
                            @for (value, label) in &field.options {
                                option value=(value) selected[*value == field.value] { (label) }
                            }
                        }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}
