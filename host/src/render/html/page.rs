//! What is around every page: head, header, menu.

use maud::{DOCTYPE, Markup, html};

use super::assets;

/// Colours the reader has chosen; those of the system otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// Those of the system.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }

    /// The theme of that name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

/// The menu.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nav {
    /// Its groups, in order.
    pub groups: Vec<Group>,
    /// Readers had to give a token.
    pub can_log_out: bool,
}

/// A group of the menu.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its heading.
    pub title: String,
    /// What it leads to.
    pub entries: Vec<Entry>,
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it says.
    pub title: String,
    /// Where it leads.
    pub href: String,
}

/// Groups with more entries are folded up, unless one of them is the page.
const FOLDED: usize = 12;

/// A page, but for its content.
#[derive(Clone, Debug, Default)]
pub struct Page<'a> {
    /// What windows are called.
    pub title: &'a str,
    /// The menu; none for who may not know what there is.
    pub nav: Option<Nav>,
    /// The address that the menu marks as where the reader is.
    pub current: &'a str,
    /// Colours.
    pub theme: Theme,
    /// Nothing but the content.
    pub kiosk: bool,
    /// Choices are swapped in place, and changes are followed.
    pub live: bool,
}

/// Returns a page.
#[must_use]
pub fn page(page: &Page<'_>, main: &Markup) -> String {
    let title = match page.title {
        "" => "statmill".to_owned(),
        title => format!("{title} – statmill"),
    };
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[page.theme.name()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(assets::ICON.path()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.path());
                script src=(assets::SCRIPT.path()) defer {}
            }
            body.kiosk[page.kiosk] .bare[page.nav.is_none()] {
                @if !page.kiosk {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        @if page.nav.is_some() { a.menu href="#menu" { "Menu" } }
                        a.brand href="/" { "statmill" }
                        p #live role="status" hidden {}
                        button #theme type="button" hidden { "Theme" }
                    }
                    @if let Some(nav) = &page.nav { (menu(nav, page.current)) }
                }
                main #main tabindex="-1" data-live[page.live] { (main) }
            }
        }
    }
    .into_string()
}

fn menu(nav: &Nav, current: &str) -> Markup {
    let current = |entry: &Entry| (entry.href == current).then_some("page");
    let entries = |group: &Group| {
        html! {
            ul {
                @for entry in &group.entries {
                    li { a href=(entry.href) aria-current=[current(entry)] { (entry.title) } }
                }
            }
        }
    };
    html! {
        nav #menu aria-label="Main" {
            @for group in nav.groups.iter().filter(|group| !group.entries.is_empty()) {
                @if group.entries.len() > FOLDED {
                    details open[group.entries.iter().any(|entry| current(entry).is_some())] {
                        summary { (group.title) " (" (group.entries.len()) ")" }
                        (entries(group))
                    }
                } @else {
                    h2 { (group.title) }
                    (entries(group))
                }
            }
            @if nav.can_log_out {
                form method="post" action="/logout" { button { "Log out" } }
            }
            a.close href="#main" { "Close the menu" }
        }
    }
}

/// Returns the content of a page that says why there is no other.
#[must_use]
pub fn error(title: &str, detail: &str) -> Markup {
    html! {
        h1 { (title) }
        p.problem { (detail) }
        p { a href="/" { "To the first page" } }
    }
}

/// Returns the content of a page that asks for a token and then leads to the address `next`. `refused` says
/// why the last one was not good.
#[must_use]
pub fn login(next: &str, refused: Option<&str>) -> Markup {
    html! {
        h1 { "Log in" }
        @if let Some(reason) = refused { p.problem role="alert" { (reason) } }
        form.login method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            label {
                "Token"
                input type="password" name="token" required autofocus autocomplete="current-password";
            }
            button { "Log in" }
        }
        p { "Who runs this host has the token: it is " code { "tokens.query" } " of its configuration." }
    }
}
