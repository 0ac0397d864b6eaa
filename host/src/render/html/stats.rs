//! The statistics there are: as a list, and each with a picture and its newest rows.

use maud::{Markup, html};

use super::encode;
use super::table::{When, table};
use crate::query::{CompleteUntil, Table};

/// A line of the list of stats.
pub struct StatLine {
    /// The stat.
    pub ident: String,
    /// Its human name.
    pub title: String,
    /// What it is doing.
    pub state: String,
    /// Rows of its first model.
    pub rows: u64,
    /// Up to when they account for all that reached the host.
    pub complete_until: CompleteUntil,
}

/// A stat and its newest rows.
pub struct StatPanel {
    /// What the list says of it.
    pub line: StatLine,
    /// One line about it.
    pub summary: String,
    /// Its newest rows.
    pub newest: Table,
    /// Where its picture is.
    pub picture: Option<String>,
}

/// Returns the content of the page that lists the stats.
#[must_use]
pub fn index(stats: &[StatLine], when: &When) -> Markup {
    html! {
        h1 { "Statistics" }
        @if stats.is_empty() { (none()) } @else {
            div.scroll tabindex="0" role="region" aria-label="What this host keeps" {
                table {
                    caption { "What this host keeps" }
                    thead { tr {
                        th scope="col" { "Statistic" }
                        th.number scope="col" { "Rows" }
                        th scope="col" { "State" }
                        th scope="col" { "Complete until" }
                        th scope="col" { "As" }
                    } }
                    tbody { @for stat in stats { (line(stat, when)) } }
                }
            }
        }
        (programs())
    }
}

fn line(stat: &StatLine, when: &When) -> Markup {
    let address = format!("/api/{}", encode(&stat.ident));
    html! {
        tr {
            th scope="row" { a href={ (address) ".html" } { (stat.title) } " " code { (stat.ident) } }
            td.number { (stat.rows) }
            td { span class={ "state " (stat.state) } { (stat.state) } }
            td { (until(stat.complete_until, when)) }
            td { a href={ (address) ".json" } { "JSON" } " " a href={ (address) ".csv" } { "CSV" } }
        }
    }
}

/// Returns the content of the page that shows each stat's newest rows and a picture.
#[must_use]
pub fn stats(panels: &[StatPanel], when: &When) -> Markup {
    html! {
        div.titles {
            h1 { "All statistics" }
            p.summary { "The newest rows of each, and a picture of them." }
        }
        @if panels.is_empty() { (none()) }
        div.grid {
            @for panel in panels {
                @let address = format!("/api/{}", encode(&panel.line.ident));
                section.card.half aria-label=(panel.line.title) {
                    header {
                        h2 { a href={ (address) ".html" } { (panel.line.title) } }
                        span class={ "state " (panel.line.state) } { (panel.line.state) }
                    }
                    @if !panel.summary.is_empty() { p.summary { (panel.summary) } }
                    @if let Some(picture) = &panel.picture {
                        img src=(picture) width="540" height="160" loading="lazy"
                            alt={ "Picture of " (panel.line.title) };
                    }
                    @if panel.newest.rows.is_empty() { p { "There are no rows yet." } } @else {
                        (table(&panel.newest, &format!("Newest rows of {}", panel.line.ident), when, &|_| None, &|_, _| None))
                    }
                }
            }
        }
        (programs())
    }
}

/// Up to when something is complete, in a cell.
pub(super) fn until(until: CompleteUntil, when: &When) -> Markup {
    html! {
        @match until.time_us() { Some(time_us) => (when.seconds(time_us)), None => (until) }
    }
}

fn none() -> Markup {
    html! {
        p { "There is no statistic yet: put a plugin into the plugins folder. " a href="/start" { "How" } }
    }
}

fn programs() -> Markup {
    html! {
        p { "For programs: " a href="/api/" { "list" } ", " a href="/api/_status" { "status" } ", "
            a href="/metrics" { "metrics" } ", " a href="/api/docs" { "reference" } "." }
    }
}
