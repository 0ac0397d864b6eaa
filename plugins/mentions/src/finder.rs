//! Puts the places together: what a message lists, what its headers say, what its topic's rule finds.

use std::borrow::Cow;

use statmill_plugin_api::prelude::*;

use crate::read::Read;
use crate::rule::{Rule, Take};
use crate::{listed, walk};

/// What is looked for: users, or packages.
pub(crate) struct Subject {
    /// What the headers that name one begin with.
    pub(crate) header: &'static str,
    pub(crate) rules: &'static [Rule],
    /// Places of which the host hands over the text with each message; the others are looked up in the body.
    pub(crate) columns: &'static [&'static str],
}

/// The parts of a message that can name somebody.
pub(crate) struct Parts<'e, 'b> {
    pub(crate) message: &'e Message<'b>,
    pub(crate) listed: Option<&'b [u8]>,
    pub(crate) headers: Option<&'b [u8]>,
    pub(crate) msg: Option<&'b [u8]>,
    pub(crate) body: Option<&'b [u8]>,
    /// The text at a place of [`Subject::columns`] in `msg`.
    pub(crate) column: &'e dyn Fn(usize) -> Option<Sym>,
}

/// Finds who a message names. Remembers which rule is for which topic.
pub(crate) struct Finder {
    subject: &'static Subject,
    /// For each rule its takes, with places that are columns found once.
    plans: Vec<Vec<Step>>,
    by_topic: Memo<Option<usize>>,
}

enum Step {
    First(Vec<Place>),
    Always(&'static str),
}

struct Place {
    pointer: &'static str,
    read: Read,
    column: Option<usize>,
}

/// A name, and its code where the host coded exactly it.
struct Found<'b> {
    name: Cow<'b, str>,
    code: Option<Sym>,
}

impl Finder {
    pub(crate) fn new(subject: &'static Subject) -> Self {
        let place = |&(pointer, read): &(&'static str, Read)| {
            let column = subject.columns.iter().position(|column| *column == pointer);
            Place { pointer, read, column: column.filter(|_| !read.is_of_keys()) }
        };
        let step = |take: &Take| match take {
            Take::First(places) => Step::First(places.iter().map(place).collect()),
            Take::Always(name) => Step::Always(name),
        };
        let plan = |rule: &Rule| rule.takes.iter().map(step).collect();
        Self { subject, plans: subject.rules.iter().map(plan).collect(), by_topic: Memo::default() }
    }

    /// Calls `visit` with each name in the message, once.
    pub(crate) fn each(&mut self, parts: &Parts<'_, '_>, mut visit: impl FnMut(Label<'_>)) {
        let header = self.subject.header;
        let own = (parts.listed.and_then(listed::names))
            .or_else(|| parts.headers.and_then(|headers| listed::in_headers(headers, header)));
        if let Some(names) = own {
            return names.iter().for_each(|name| visit(Label::Text(name)));
        }
        let rules = self.subject.rules;
        let topic = parts.message.topic_sym();
        let rule = *self.by_topic.get(parts.message, topic, |topic| Rule::find(rules, topic));
        let Some(plan) = rule.map(|rule| &self.plans[rule]) else { return };
        let mut found = Vec::new();
        for step in plan {
            match step {
                Step::Always(name) => add(&mut found, Cow::Borrowed(*name), None),
                Step::First(places) => {
                    let _ = places.iter().any(|place| place.look(parts, &mut found));
                }
            }
        }
        for Found { name, code } in &found {
            visit(code.map_or(Label::Text(name), Label::Sym));
        }
    }
}

/// Adds a name that is not there yet.
fn add<'b>(found: &mut Vec<Found<'b>>, name: Cow<'b, str>, code: Option<Sym>) {
    if !found.iter().any(|known| known.name == name) {
        found.push(Found { name, code });
    }
}

impl Place {
    /// Adds the names that stand there; tells whether there was any.
    fn look<'b>(&self, parts: &Parts<'_, 'b>, found: &mut Vec<Found<'b>>) -> bool {
        let body = match (parts.msg, self.column) {
            (Some(_), Some(column)) => {
                let Some(code) = (parts.column)(column) else { return false };
                return self.read_coded(code, parts.message, found);
            }
            (Some(msg), None) => Some(msg),
            (None, _) => parts.body,
        };
        let mut texts = Vec::new();
        if let Some(body) = body {
            walk::texts(body, self.pointer, self.read.is_of_keys(), &mut texts);
        }
        let mut is_any = false;
        for text in &texts {
            self.read.names(text, |name| {
                let name = self.cased(name);
                is_any |= !name.is_empty();
                if !name.is_empty() {
                    add(found, Cow::Owned(name.into_owned()), None);
                }
            });
        }
        is_any
    }

    fn read_coded<'b>(&self, code: Sym, message: &Message<'b>, found: &mut Vec<Found<'b>>) -> bool {
        let text: &'b str = message.text_of(code);
        let mut is_any = false;
        self.read.names(text, |name| {
            let name = self.cased(name);
            is_any |= !name.is_empty();
            if !name.is_empty() {
                let code = (*name == *text).then_some(code);
                add(found, name, code);
            }
        });
        is_any
    }

    fn cased<'t>(&self, name: &'t str) -> Cow<'t, str> {
        match self.read {
            Read::Lowercase => Cow::Owned(name.to_lowercase()),
            _ => Cow::Borrowed(name),
        }
    }
}
