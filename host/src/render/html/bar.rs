//! What is above the views of a dashboard: the range of time, and what is chosen.

use maud::{Markup, html};

use super::table::When;
use crate::dashboards::{Dashboard, State};

/// Lengths of time that are offered, and how they are called.
const SPANS: [(&str, &str); 7] = [
    ("1h", "1 h"),
    ("6h", "6 h"),
    ("24h", "24 h"),
    ("7d", "7 d"),
    ("30d", "30 d"),
    ("90d", "90 d"),
    ("all", "All"),
];

/// Returns the bar of a dashboard. `values` are those that a picker offers: of which name, and under
/// which key.
#[must_use]
pub fn bar(dashboard: &Dashboard, state: &State, when: &When, pickers: &[Picker]) -> Markup {
    html! {
        nav.ranges aria-label="Range of time" {
            @for (span, title) in SPANS {
                a href=(state.with_span(span).query())
                    aria-current=[is_current(dashboard, state, span).then_some("true")] { (title) }
            }
            details.range {
                summary { (range(state)) }
                (form(state, when))
            }
            @for picker in pickers { (picker_form(state, picker)) }
        }
        (chips(state))
    }
}

/// Values of a dimension to choose from.
#[derive(Clone, Debug)]
pub struct Picker {
    /// The dimension.
    pub name: String,
    /// Its name in the address.
    pub key: String,
    /// The values.
    pub values: Vec<String>,
}

fn is_current(dashboard: &Dashboard, state: &State, span: &str) -> bool {
    let is_free = state.start.is_none() && state.end.is_none();
    is_free && state.span.as_ref().or(dashboard.span.as_ref()).is_some_and(|known| known == span)
}

fn range(state: &State) -> String {
    match (&state.start, &state.end) {
        (None, None) => "Other range".to_owned(),
        (Some(start), None) => format!("From {start}"),
        (None, Some(end)) => format!("Until {end}"),
        (Some(start), Some(end)) => format!("{start} to {end}"),
    }
}

fn form(state: &State, when: &When) -> Markup {
    let others = state.pairs().into_iter();
    let others =
        others.filter(|(name, _)| !matches!(name.as_str(), "start" | "end" | "span" | "tz"));
    html! {
        form method="get" data-form {
            label { "From " input type="text" name="start" value=[state.start.as_deref()]
                placeholder="-7d or 2026-01-31 12:00" autocomplete="off"; }
            label { "To " input type="text" name="end" value=[state.end.as_deref()]
                placeholder="now" autocomplete="off"; }
            label { "Time zone " input type="text" name="tz" value=(when.name) autocomplete="off"; }
            @for (name, value) in others { input type="hidden" name=(name) value=(value); }
            button type="submit" { "Show" }
        }
    }
}

fn picker_form(state: &State, picker: &Picker) -> Markup {
    let is_chosen = |value: &str| {
        state.choices.iter().any(|choice| choice.key() == picker.key && choice.value == value)
    };
    let others = state.pairs().into_iter().filter(|(name, _)| *name != picker.key);
    html! {
        details.picker {
            summary { (picker.name) }
            form method="get" data-form {
                label {
                    (picker.name) " "
                    select name=(picker.key) multiple size="8" {
                        @for value in &picker.values {
                            option value=(value) selected[is_chosen(value)] { (value) }
                        }
                    }
                }
                @for (name, value) in others { input type="hidden" name=(name) value=(value); }
                button type="submit" { "Show" }
            }
        }
    }
}

fn chips(state: &State) -> Markup {
    let has_range = state.start.is_some() || state.end.is_some();
    html! {
        @if !state.choices.is_empty() || has_range {
            ul.chips aria-label="What is chosen" {
                @for choice in &state.choices {
                    @let label = format!("{} = {}", choice.name, choice.value);
                    li {
                        a href=(state.without(choice).query()) aria-label={ "Remove " (label) } {
                            (label) " " span aria-hidden="true" { "✕" }
                        }
                    }
                }
                @if has_range {
                    li {
                        a href=(State { start: None, end: None, ..state.clone() }.query())
                            aria-label="Remove the range of time" {
                            (range(state)) " " span aria-hidden="true" { "✕" }
                        }
                    }
                }
                li { a.clear href=(state.cleared().query()) data-clear { "Clear all (Esc)" } }
            }
        }
    }
}
