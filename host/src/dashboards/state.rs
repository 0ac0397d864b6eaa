//! What a reader has chosen: the query string of a dashboard, and who follows which choice.
//!
//! `topic=git` is a choice that every view follows which listens to `topic` and has no parent. A view that is
//! part of a tree (it has a parent, or is one) sends under its own name, `runs.topic=git`, and only
//! its direct children that listen follow. A name given again chooses several values. Besides there are
//! `start`, `end`, `span`, `tz`, `kiosk`, and `chart.{view}` for another form of a view.

use jiff::tz::TimeZone;

use super::definition::{Dashboard, Kind, View};
use crate::query::{ParamError, time};
use crate::render::html::encode;

/// Names in the query that no choice can have.
pub(super) const RESERVED: &[&str] = &["start", "end", "stop", "span", "tz", "kiosk", "w", "plain"];
/// The most values chosen at once.
const MAX_CHOICES: usize = 64;

/// One value that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The view it was chosen in, where only its children follow.
    pub sender: Option<String>,
    /// The column.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Choice {
    /// Its name in a query.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.sender {
            Some(sender) => format!("{sender}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What a reader has chosen on a dashboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// First time shown, as it was written.
    pub start: Option<String>,
    /// Last time shown, as it was written.
    pub end: Option<String>,
    /// Length of time shown, up to the newest.
    pub span: Option<String>,
    /// Time zone in which times are shown.
    pub zone: Option<String>,
    /// Nothing but the views is shown.
    pub kiosk: bool,
    /// Forms of views that are not those shown at first.
    pub charts: Vec<(String, Kind)>,
    /// The values chosen.
    pub choices: Vec<Choice>,
}

impl State {
    /// Reads a query. What means nothing on this dashboard is left out.
    ///
    /// # Errors
    ///
    /// One [`ParamError`] for each parameter whose value makes no sense.
    pub fn parse<'a>(
        dashboard: &Dashboard,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<ParamError>> {
        let (mut state, mut errors) = (Self::default(), Vec::new());
        for (name, value) in pairs {
            if value.is_empty() && name != "kiosk" && RESERVED.contains(&name) {
                continue;
            }
            let wrong = match name {
                "start" => time_of(value, &mut state.start),
                "end" | "stop" => time_of(value, &mut state.end),
                "span" => match time::span(value) {
                    Some(micros) if micros > 0 => {
                        state.span = Some(value.to_owned());
                        None
                    }
                    _ if value == "all" => {
                        state.span = Some(value.to_owned());
                        None
                    }
                    _ => Some(("is not a length of time", time::SPAN_ALLOWED)),
                },
                "tz" => match TimeZone::get(value) {
                    Ok(_) => {
                        state.zone = Some(value.to_owned());
                        None
                    }
                    Err(_) => Some(("is not a time zone", "a name such as `Europe/Berlin`")),
                },
                "kiosk" => {
                    state.kiosk = value != "0" && value != "false";
                    None
                }
                _ => {
                    state.take(dashboard, name, value);
                    None
                }
            };
            if let Some((reason, allowed)) = wrong {
                errors.push(ParamError {
                    param: name.to_owned(),
                    reason: format!("{} {reason}", crate::query::params::quoted(value)),
                    allowed: allowed.to_owned(),
                });
            }
        }
        if errors.is_empty() { Ok(state) } else { Err(errors) }
    }

    fn take(&mut self, dashboard: &Dashboard, name: &str, value: &str) {
        let (sender, rest) = match name.split_once('.') {
            Some((sender, rest)) => (Some(sender), rest),
            None => (None, name),
        };
        if sender == Some("chart") {
            let view = dashboard.views.iter().find(|view| view.name == rest);
            let kind = Kind::named(value);
            if let (Some(view), Some(kind)) = (view, kind)
                && view.charts.iter().any(|chart| chart.kind == kind)
                && (view.charts[0].kind != kind || !view.default_load)
                && !self.charts.iter().any(|(known, _)| known == rest)
            {
                self.charts.push((rest.to_owned(), kind));
            }
            return;
        }
        let choice = Choice {
            sender: sender.map(str::to_owned),
            name: rest.to_owned(),
            value: value.to_owned(),
        };
        let means_something = dashboard
            .views
            .iter()
            .any(|view| receives(view, &choice) || sends(dashboard, view, &choice));
        if means_something && self.choices.len() < MAX_CHOICES && !self.choices.contains(&choice) {
            self.choices.push(choice);
        }
    }

    /// The time zone in which times are shown.
    #[must_use]
    pub fn time_zone(&self) -> TimeZone {
        let named = self.zone.as_ref().and_then(|zone| TimeZone::get(zone).ok());
        named.unwrap_or(TimeZone::UTC)
    }

    /// The kind in which a view is shown.
    #[must_use]
    pub fn kind(&self, view: &View) -> Kind {
        let other = self.charts.iter().find(|(name, _)| *name == view.name);
        other.map_or(view.charts[0].kind, |(_, kind)| *kind)
    }

    /// The choices that a view follows.
    pub fn received<'a>(&'a self, view: &'a View) -> impl Iterator<Item = &'a Choice> {
        self.choices.iter().filter(|choice| receives(view, choice))
    }

    /// The values of a column that were chosen in a view.
    #[must_use]
    pub fn chosen_in(&self, dashboard: &Dashboard, view: &View, name: &str) -> Vec<&str> {
        let chosen = self.choices.iter().filter(|choice| choice.name == name);
        chosen
            .filter(|choice| sends(dashboard, view, choice))
            .map(|choice| choice.value.as_str())
            .collect()
    }

    /// What choosing this alone makes of the state: nothing is chosen by that name any more if it is
    /// the only one.
    #[must_use]
    pub fn toggled(&self, choice: &Choice) -> Self {
        let others = |known: &&Choice| known.key() == choice.key() && *known != choice;
        let is_only =
            self.choices.contains(choice) && !self.choices.iter().any(|known| others(&known));
        let mut state = self.clone();
        state.choices.retain(|known| known.key() != choice.key());
        if !is_only {
            state.choices.push(choice.clone());
        }
        state
    }

    /// The state without one choice.
    #[must_use]
    pub fn without(&self, choice: &Choice) -> Self {
        let mut state = self.clone();
        state.choices.retain(|known| known != choice);
        state
    }

    /// The state with nothing chosen and no range of time.
    #[must_use]
    pub fn cleared(&self) -> Self {
        Self {
            zone: self.zone.clone(),
            kiosk: self.kiosk,
            span: self.span.clone(),
            charts: self.charts.clone(),
            ..Self::default()
        }
    }

    /// The state with another form of a view.
    #[must_use]
    pub fn with_chart(&self, view: &View, kind: Kind) -> Self {
        let mut state = self.clone();
        state.charts.retain(|(name, _)| *name != view.name);
        if view.charts[0].kind != kind || !view.default_load {
            state.charts.push((view.name.clone(), kind));
        }
        state
    }

    /// Whether a view is shown.
    #[must_use]
    pub fn shows(&self, view: &View) -> bool {
        view.default_load || self.charts.iter().any(|(name, _)| *name == view.name)
    }

    /// The state in which a view is shown that is not at first.
    #[must_use]
    pub fn with_chart_open(&self, view: &View) -> Self {
        let mut state = self.clone();
        state.charts.push((view.name.clone(), view.charts[0].kind));
        state
    }

    /// The state with another length of time.
    #[must_use]
    pub fn with_span(&self, span: &str) -> Self {
        Self { span: Some(span.to_owned()), start: None, end: None, ..self.clone() }
    }

    /// Names and values of the query.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        let given =
            [("span", &self.span), ("start", &self.start), ("end", &self.end), ("tz", &self.zone)];
        let mut pairs: Vec<_> = given
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), (*value).clone()?)))
            .collect();
        if self.kiosk {
            pairs.push(("kiosk".to_owned(), "1".to_owned()));
        }
        let charts = self.charts.iter();
        pairs.extend(charts.map(|(view, kind)| (format!("chart.{view}"), kind.name().to_owned())));
        pairs.extend(self.choices.iter().map(|choice| (choice.key(), choice.value.clone())));
        pairs
    }

    /// The query as it stands in an address, behind a `?`.
    #[must_use]
    pub fn query(&self) -> String {
        query_of(&self.pairs())
    }
}

/// A query of these names and values, behind a `?`.
pub(crate) fn query_of(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("?{}", pairs.join("&"))
}

fn time_of(value: &str, place: &mut Option<String>) -> Option<(&'static str, &'static str)> {
    match time::parse(value, crate::clock::now_us()) {
        Some(_) => {
            *place = Some(value.to_owned());
            None
        }
        None => Some(("is not a time", time::ALLOWED)),
    }
}

/// Whether a view follows a choice.
#[must_use]
pub(super) fn receives(view: &View, choice: &Choice) -> bool {
    view.parent == choice.sender && view.listens.contains(&choice.name)
}

/// Whether a choice is one that can be made in a view.
#[must_use]
pub(super) fn sends(dashboard: &Dashboard, view: &View, choice: &Choice) -> bool {
    sender(dashboard, view) == choice.sender.as_deref() && view.emits.contains(&choice.name)
}

/// The name under which a view sends: its own if it is part of a tree.
#[must_use]
pub(super) fn sender<'a>(dashboard: &Dashboard, view: &'a View) -> Option<&'a str> {
    let is_parent =
        || dashboard.views.iter().any(|other| other.parent.as_deref() == Some(&view.name));
    (view.parent.is_some() || is_parent()).then_some(view.name.as_str())
}

impl Dashboard {
    /// The choice of a value of the column `name` in a view.
    #[must_use]
    pub fn choice(&self, view: &View, name: &str, value: &str) -> Choice {
        Choice {
            sender: sender(self, view).map(str::to_owned),
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    /// The views that follow a choice made in the view `sender`.
    #[must_use]
    pub fn receivers(&self, sender: &View, name: &str) -> Vec<&View> {
        let choice = self.choice(sender, name, "");
        let others = self.views.iter().filter(|view| view.name != sender.name);
        others.filter(|view| receives(view, &choice)).collect()
    }
}
