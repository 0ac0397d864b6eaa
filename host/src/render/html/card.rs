//! A view on a page: heading, picture, and where else its rows are.

use maud::{Markup, PreEscaped, html};
use statmill_plugin_api::encoding::Value;

use super::table::{CellLink, When, table};
use super::{completeness, encode};
use crate::dashboards::{
    Dashboard, Kind, Shown, Source, State, View, Width, picture, query_of, spark, summary,
};
use crate::query::TimeStyle;
use crate::render::cell;
use crate::render::picture::{Kind as Picture, span};
use crate::render::svg;

/// A view that is to be put on a page.
#[derive(Clone, Copy)]
pub struct Drawn<'a> {
    /// Its dashboard.
    pub dashboard: &'a Dashboard,
    /// The view.
    pub view: &'a View,
    /// What is chosen.
    pub state: &'a State,
    /// How times are shown.
    pub when: &'a When,
    /// Width of the picture, px.
    pub width: u32,
    /// Other forms of the view can be chosen on this page.
    pub forms: bool,
}

impl Drawn<'_> {
    fn id(&self) -> String {
        format!("view-{}", self.view.name)
    }

    fn class(&self) -> &'static str {
        match self.view.width {
            Width::Full => "full",
            Width::Half => "half",
            Width::Quarter => "quarter",
        }
    }
}

/// Returns a view; `shown` is what there is to see, or why there is nothing.
#[must_use]
pub fn card(drawn: &Drawn<'_>, shown: Result<&Shown, &str>) -> Markup {
    let place = format!("{}/{}", encode(&drawn.dashboard.name), encode(&drawn.view.name));
    html! {
        section class={ "card part " (drawn.class()) } id=(drawn.id()) aria-labelledby={ (drawn.id()) "-title" }
            data-src={ "/ui/view/" (place) } data-rows={ "/ui/data/" (place) } data-stat=(drawn.view.stat) data-plain[!drawn.forms] {
            (content(drawn, shown))
        }
    }
}

/// Returns a view that is not shown before it is asked for.
#[must_use]
pub fn empty_card(drawn: &Drawn<'_>) -> Markup {
    let opened = drawn.state.with_chart_open(drawn.view);
    html! {
        section class={ "card " (drawn.class()) } id=(drawn.id()) aria-labelledby={ (drawn.id()) "-title" } {
            header {
                h2 id={ (drawn.id()) "-title" } { (drawn.view.title) }
                @if drawn.forms { a href=(opened.query()) { "Show" } }
            }
        }
    }
}

/// Returns what is inside the element of a view.
#[must_use]
pub fn content(drawn: &Drawn<'_>, shown: Result<&Shown, &str>) -> Markup {
    let version = shown.map(|shown| shown.version.as_str()).unwrap_or_default();
    html! {
        header data-version=(version) {
            h2 id={ (drawn.id()) "-title" } { (drawn.view.title) }
            (forms(drawn))
            @if let Ok(shown) = shown { (exports(drawn, shown)) }
        }
        @match shown {
            Ok(shown) => {
                (body(drawn, shown))
                @if !matches!(shown.kind, Kind::Picture(Picture::Tile) | Kind::Count) {
                    (completeness(shown.complete_until, drawn.when))
                }
            }
            Err(reason) => p.problem role="note" { (reason) },
        }
    }
}

fn forms(drawn: &Drawn<'_>) -> Markup {
    let current = drawn.state.kind(drawn.view);
    html! {
        @if drawn.forms && drawn.view.charts.len() > 1 {
            ul.forms aria-label={ "Forms of " (drawn.view.title) } {
                @for chart in &drawn.view.charts {
                    li {
                        a href=(drawn.state.with_chart(drawn.view, chart.kind).query())
                            aria-current=[(chart.kind == current).then_some("true")] { (chart.title) }
                    }
                }
            }
        }
    }
}

fn exports(drawn: &Drawn<'_>, shown: &Shown) -> Markup {
    let stat = encode(&drawn.view.stat);
    let path = match &drawn.view.source {
        Source::Rows => format!("/api/{stat}"),
        Source::Computed(name) => format!("/api/{stat}/views/{}", encode(name)),
    };
    let query = query_of(&shown.pairs);
    let svg = match shown.kind {
        Kind::Picture(kind) => {
            let own = [("type".to_owned(), kind.name().to_owned())];
            Some(query_of(&shown.pairs.iter().cloned().chain(own).collect::<Vec<_>>()))
        }
        _ => None,
    };
    html! {
        ul.exports aria-label={ "Rows of " (drawn.view.title) } {
            @if let Some(query) = svg {
                li { a href={ (path) ".svg" (query) } { "SVG" } }
            }
            @for form in ["html", "csv", "json"] {
                li { a href={ (path) "." (form) (query) } { (form.to_uppercase()) } }
            }
        }
    }
}

fn body(drawn: &Drawn<'_>, shown: &Shown) -> Markup {
    match shown.kind {
        Kind::Count => number(&shown.total.to_string(), "rows"),
        Kind::Picture(Picture::Tile) => tile(drawn, shown),
        Kind::Table | Kind::Suited => rows(drawn, shown),
        Kind::Summary => summary_table(drawn, shown),
        Kind::Picture(kind) => plot(drawn, shown, kind),
    }
}

fn chart(drawn: &Drawn<'_>, shown: &Shown) -> Option<svg::Chart> {
    picture(drawn.dashboard, drawn.view, drawn.state, shown, &drawn.when.zone, drawn.width)
}

fn plot(drawn: &Drawn<'_>, shown: &Shown, kind: Picture) -> Markup {
    let Some(chart) = chart(drawn, shown) else { return html! {} };
    let is_line = matches!(kind, Picture::Line | Picture::Area | Picture::StackedArea);
    html! {
        div.plot data-line[is_line] tabindex=[is_line.then_some("0")] role=[is_line.then_some("group")]
            aria-label=[is_line.then(|| format!("{}: arrow keys move along the time", drawn.view.title))] {
            (PreEscaped(svg::inline(&chart)))
        }
    }
}

fn number(digits: &str, unit: &str) -> Markup {
    html! { p.number { strong { (grouped(digits)) } " " span { (unit) } } }
}

fn tile(drawn: &Drawn<'_>, shown: &Shown) -> Markup {
    let Some(picture) = &shown.picture else { return html! {} };
    let table = &picture.rows.answer.table;
    let column = picture.plan.places(table).1.map(|place| &table.columns[place]);
    let own = column.map_or("", |column| column.unit.as_str());
    let unit = drawn.view.unit.as_deref().unwrap_or(own);
    let total = picture.plan.value_of(table);
    let course = chart(drawn, shown).and_then(|chart| spark(&chart, drawn.width));
    html! {
        (number(&cell::text(&total, TimeStyle::Rfc3339), unit))
        @if let Some(course) = course {
            div.plot.spark { (PreEscaped(svg::inline(&course))) }
        }
    }
}

fn rows(drawn: &Drawn<'_>, shown: &Shown) -> Markup {
    let caption = match shown.total == shown.table.rows.len() as u64 {
        true => format!("{} rows", shown.total),
        false => format!("{} of {} rows", shown.table.rows.len(), shown.total),
    };
    let link = |column: &crate::query::Column, value: &str| link(drawn, &column.name, value);
    table(&shown.table, &caption, drawn.when, &|_| None, &link)
}

fn link(drawn: &Drawn<'_>, name: &str, value: &str) -> Option<CellLink> {
    if !drawn.view.emits.iter().any(|emitted| emitted == name) {
        return None;
    }
    let choice = drawn.dashboard.choice(drawn.view, name, value);
    Some(CellLink {
        href: drawn.state.toggled(&choice).query(),
        key: choice.key(),
        is_chosen: drawn.state.choices.contains(&choice),
    })
}

fn summary_table(drawn: &Drawn<'_>, shown: &Shown) -> Markup {
    let Some(picture) = &shown.picture else { return html! {} };
    let table = &picture.rows.answer.table;
    let Some(name) = picture.plan.places(table).0 else { return html! {} };
    let lines = summary(shown);
    let column = &table.columns[name];
    let unit = span(shown.window_s.unwrap_or(1));
    html! {
        div.scroll tabindex="0" role="region" aria-label=(drawn.view.title) {
            table.courses {
                caption { (lines.len()) " by " (column.name) }
                thead { tr {
                    th scope="col" { (column.name) }
                    th.number scope="col" { "total" }
                    th.number scope="col" { "mean per " (unit) }
                    th.number scope="col" { "peak per " (unit) }
                    th scope="col" { "share" }
                    th scope="col" { "course" }
                } }
                tbody {
                    @for line in lines.iter().take(50) {
                        @let text = cell::text(&line.name, TimeStyle::Rfc3339);
                        @let chosen = link(drawn, &column.name, &text);
                        tr.chosen[chosen.as_ref().is_some_and(|link| link.is_chosen)] {
                            th scope="row" {
                                @match chosen {
                                    Some(link) if line.name != Value::Null => a href=(link.href) data-sig=(link.key)
                                        data-val=(text) aria-current=[link.is_chosen.then_some("true")] { (text) },
                                    _ => (text),
                                }
                            }
                            td.number { (grouped(&cell::text(&line.total, TimeStyle::Rfc3339))) }
                            td.number { (format!("{:.1}", line.mean)) }
                            td.number { (grouped(&cell::text(&line.peak, TimeStyle::Rfc3339))) }
                            td.share {
                                svg.s0 width="90" height="8" aria-hidden="true" {
                                    rect width=(format!("{:.1}", line.share * 90.0)) height="8" fill="currentColor" {}
                                }
                                " " (format!("{:.1} %", line.share * 100.0))
                            }
                            td { (PreEscaped(svg::inline(&line.course(&text)))) }
                        }
                    }
                }
            }
        }
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let whole = digits.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(whole);
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut text = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_threes() {
        for (digits, shown) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567", "-1,234,567"),
            ("1234.5678", "1,234.5678"),
            ("1e21", "1e21"),
            ("", ""),
        ] {
            assert_eq!(grouped(digits), shown);
        }
    }
}
