//! Where else an answer's question is answered: other pages, other forms. All arguments are kept.

use std::fmt;

use axum::http::{HeaderMap, Uri};

use super::headers::base;
use super::negotiate::Chosen;
use super::{App, headers};
use crate::query::{Answer, Format, Page, Query};
use crate::render::html::encode;

/// One part of the header `Link`.
pub(super) struct Link {
    pub(super) rel: &'static str,
    pub(super) address: String,
    media: Option<&'static str>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>; rel=\"{}\"", self.address, self.rel)?;
        self.media.map_or(Ok(()), |media| write!(f, "; type=\"{media}\""))
    }
}

/// Where an answer is: the address of its path, and the arguments of the question.
pub(super) struct Place {
    /// `http://host/api/…`, without an extension.
    path: String,
    /// As in the path that was asked.
    extension: Option<Format>,
    /// `http://host/api/{ident}`, whose schema describes the rows.
    described_by: String,
    pairs: Vec<(String, String)>,
}

impl Place {
    /// The place of the answer at `rest` below a stat, asked of the server in this way.
    pub(super) fn new(
        app: &App,
        (uri, request): (&Uri, &HeaderMap),
        (ident, rest): (&str, &str),
        extension: Option<Format>,
        raw: Option<&str>,
    ) -> Self {
        let base = base(app.options.base_url.as_deref(), uri, request);
        let described_by = format!("{base}/api/{}", encode(ident));
        let path = format!("{described_by}{rest}");
        Self { path, extension, described_by, pairs: headers::pairs(raw) }
    }

    /// The arguments, as they were given.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The address of another page.
    pub(super) fn page(&self, page: u64) -> String {
        self.with(self.extension, &["page"], Some(("page", &page.to_string())))
    }

    /// The address of this page in another form.
    pub(super) fn form(&self, format: Format) -> String {
        self.with(Some(format), &["format", "callback"], None)
    }

    /// The same address with another query, as it stands on a page at that address.
    pub(super) fn query(&self, without: &[&str], and: Option<(&str, &str)>) -> String {
        let kept = self.pairs().filter(|(name, _)| !without.contains(name));
        let pairs: Vec<_> = kept
            .chain(and)
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        format!("?{}", pairs.join("&"))
    }

    fn with(&self, form: Option<Format>, without: &[&str], and: Option<(&str, &str)>) -> String {
        let kept = self.pairs().filter(|(name, _)| !without.contains(name));
        let pairs: Vec<_> = kept
            .chain(and)
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let dot = form.map(|form| format!(".{}", form.name())).unwrap_or_default();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}{dot}{mark}{}", self.path, pairs.join("&"))
    }

    /// The address of what follows an answer, if anything does.
    pub(super) fn next(&self, query: &Query, answer: &Answer) -> Option<String> {
        if query.cursor.is_none() {
            let next = answer.page.number + 1;
            return (next <= answer.page.count).then(|| self.page(next));
        }
        let cursor = answer.next.as_ref()?.to_string();
        Some(self.with(self.extension, &["cursor", "page"], Some(("cursor", &cursor))))
    }

    /// Everything that `Link` says of an answer that has these forms.
    pub(super) fn links(&self, query: &Query, answer: &Answer, forms: &[Format]) -> Vec<Link> {
        let Page { number, count, .. } = answer.page;
        let mut links = Vec::new();
        let mut link = |rel, address| links.push(Link { rel, address, media: None });
        let next = self.next(query, answer);
        let previous = (number > 1).then(|| number - 1);
        if query.cursor.is_some() {
            link("first", self.with(self.extension, &["cursor"], None));
            next.into_iter().for_each(|next| link("next", next));
        } else if previous.is_some() || next.is_some() {
            link("first", self.page(1));
            for rel in ["prev", "previous"] {
                previous.into_iter().for_each(|page| link(rel, self.page(page)));
            }
            next.into_iter().for_each(|next| link("next", next));
            link("last", self.page(count.max(1)));
        }
        let alternate = forms.iter().map(|&format| Link {
            rel: "alternate",
            address: self.form(format),
            media: Some(Chosen::of(format).content_type),
        });
        links.extend(alternate);
        let address = format!("{}/schema", self.described_by);
        links.push(Link { rel: "describedby", address, media: None });
        links
    }
}
