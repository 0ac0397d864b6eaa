//! Rows as a table.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use crate::query::{Column, Table, TimeStyle, UtcTime};
use crate::render::cell;

/// How times are shown.
#[derive(Clone, Debug)]
pub struct When {
    /// In this zone.
    pub zone: TimeZone,
    /// Its name.
    pub name: String,
}

impl Default for When {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }
}

impl When {
    /// Times in the zone of that name; in UTC if it is none.
    #[must_use]
    pub fn named(name: Option<&str>) -> Self {
        let found = name.and_then(|name| Some((name, TimeZone::get(name).ok()?)));
        found.map_or_else(Self::default, |(name, zone)| Self { zone, name: name.to_owned() })
    }

    /// A time as it reads in the zone, with what machines read.
    #[must_use]
    pub fn time(&self, time_us: i64) -> Markup {
        html! { time datetime=(UtcTime(time_us)) { (self.text(time_us)) } }
    }

    /// A time as it reads in the zone, without fractions of a second.
    #[must_use]
    pub fn seconds(&self, time_us: i64) -> Markup {
        let whole = time_us.saturating_sub(time_us.rem_euclid(1_000_000));
        html! { time datetime=(UtcTime(time_us)) { (self.text(whole)) } }
    }

    /// A time as it reads in the zone; the zone is said unless it is UTC's short form.
    #[must_use]
    pub fn text(&self, time_us: i64) -> String {
        let Ok(time) = Timestamp::from_microsecond(time_us) else {
            return UtcTime(time_us).to_string();
        };
        let zoned = time.to_zoned(self.zone.clone());
        let is_whole = time_us.rem_euclid(1_000_000) == 0;
        let form = if is_whole { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.f" };
        let text = zoned.strftime(form).to_string();
        if self.zone == TimeZone::UTC {
            format!("{text}Z")
        } else {
            format!("{text}{}", zoned.strftime("%:z"))
        }
    }
}

/// What choosing a cell leads to.
#[derive(Clone, Debug)]
pub struct CellLink {
    /// A query, behind a `?`.
    pub href: String,
    /// The choice it makes.
    pub key: String,
    /// It is chosen.
    pub is_chosen: bool,
}

/// Returns rows as a table; `link` says which cells can be chosen, `head` what a column's heading holds
/// besides its name.
pub fn table(
    rows: &Table,
    caption: &str,
    when: &When,
    head: &dyn Fn(&Column) -> Option<Markup>,
    link: &dyn Fn(&Column, &str) -> Option<CellLink>,
) -> Markup {
    let is_chosen = |row: &[Value]| {
        rows.columns.iter().zip(row).any(|(column, value)| {
            let text = cell::text(value, TimeStyle::Rfc3339);
            link(column, &text).is_some_and(|link| link.is_chosen)
        })
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    @for column in &rows.columns {
                        th scope="col" .number[is_number(column.kind)] {
                            @match head(column) { Some(markup) => (markup), None => (column.name) }
                            @if !column.unit.is_empty() { " (" (column.unit) ")" }
                        }
                    }
                } }
                tbody {
                    @for row in &rows.rows {
                        tr.chosen[is_chosen(row)] {
                            @for (column, value) in rows.columns.iter().zip(row) {
                                td.number[is_number(column.kind)] { (shown(column, value, when, link)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shown(
    column: &Column,
    value: &Value,
    when: &When,
    link: &dyn Fn(&Column, &str) -> Option<CellLink>,
) -> Markup {
    if let Value::Time(time_us) = value {
        return when.time(*time_us);
    }
    let text = cell::text(value, TimeStyle::Rfc3339);
    match link(column, &text) {
        Some(link) if *value != Value::Null => html! {
            a href=(link.href) data-sig=(link.key) data-val=(text)
                aria-current=[link.is_chosen.then_some("true")] { (text) }
        },
        _ => html! { (text) },
    }
}

fn is_number(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Int | ValueKind::Num)
}
