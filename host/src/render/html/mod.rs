//! Pages: markup as pure functions from plain data.
//!
//! Text enters a page through maud alone, which escapes it (and [`escape`], which is maud's), and
//! addresses through [`encode`]. Every page works without scripts; what the script does is to ask
//! for the parts of a page again (elements with `data-src`) and to put them in the place of the old ones.

pub mod assets;
mod bar;
mod card;
mod docs;
mod page;
mod rows;
mod stats;
mod status;
mod table;

use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::bar::{Picker, bar};
pub use self::card::{Drawn, card, content, empty_card};
pub use self::docs::{reference, start};
pub use self::page::{Entry, Group, Nav, Page, Theme, error, login, page};
pub use self::rows::{Field, RowsPage, Sorted, rows};
pub use self::stats::{StatLine, StatPanel, index, stats};
pub use self::status::{StatusPage, status};
pub use self::table::{CellLink, When, table};
use crate::dashboards::{Dashboard, State};
use crate::query::CompleteUntil;

/// What RFC 3986 calls unreserved stays as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns `text` as it must stand in markup, also inside double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    html! { (text) }.into_string()
}

/// Returns `text` as one segment of a path, a name or a value of a query string.
#[must_use]
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// Returns the sentence that says up to when rows are complete.
#[must_use]
pub fn completeness(until: CompleteUntil, when: &When) -> Markup {
    html! {
        p.complete {
            @match until {
                CompleteUntil::Unknown => "It is not known yet up to when this is complete.",
                CompleteUntil::End => "Complete: everything there was has been read.",
                CompleteUntil::At(time_us) => { "Complete until " (when.seconds(time_us)) "." },
            }
        }
    }
}

/// Returns the views of a dashboard under what is chosen.
#[must_use]
pub fn dashboard(dashboard: &Dashboard, state: &State, bar: &Markup, cards: &[Markup]) -> Markup {
    html! {
        div.titles {
            h1 { (dashboard.title) }
            @if !dashboard.summary.is_empty() { p.summary { (dashboard.summary) } }
        }
        @if !state.kiosk {
            div #bar.part data-src={ "/ui/bar/" (encode(&dashboard.name)) } { (bar) }
        }
        @if cards.is_empty() {
            p { "Nothing of this dashboard can be shown: " a href="/status" { "the status" } " says why." }
        }
        div.grid { @for card in cards { (card) } }
    }
}
