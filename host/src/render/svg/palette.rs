//! Colours of both themes, and the style sheet of the stand-alone form.
//!
//! Eight colours that people with any of the common colour blindnesses tell apart, and grey for
//! what is left over. A mark's colour is the `color` of its class `s0`…`s8` (`q0`…`q9` for a
//! scale), which its shapes take as `currentColor`.

use std::fmt::Write;

use super::chart::Theme;

/// How many series have a colour of their own.
pub(super) const COLOURS: usize = 8;

/// How many steps a scale of colours has.
pub(super) const STEPS: usize = 10;

/// The colours of one theme.
pub(super) struct Palette {
    pub(super) background: &'static str,
    pub(super) text: &'static str,
    pub(super) muted: &'static str,
    pub(super) grid: &'static str,
    pub(super) axis: &'static str,
    /// The eight, and the one of what is left over.
    series: [&'static str; COLOURS + 1],
    /// From little to much.
    scale: [&'static str; STEPS],
}

pub(super) static LIGHT: Palette = Palette {
    background: "#ffffff",
    text: "#1b2229",
    muted: "#57616c",
    grid: "#e4e8ec",
    axis: "#aab3bd",
    series: [
        "#0069b4", "#d1560c", "#008f6b", "#b5519b", "#a87b00", "#3f9fdd", "#5a49a8", "#8c2f39",
        "#7a838d",
    ],
    scale: [
        "#eef4d8", "#d3e8b9", "#a9d8b0", "#79c4ae", "#4eadae", "#3393ab", "#2f78a3", "#345c96",
        "#393f80", "#2e2160",
    ],
};

pub(super) static DARK: Palette = Palette {
    background: "#12171d",
    text: "#e6eaee",
    muted: "#a0abb6",
    grid: "#29313a",
    axis: "#55616d",
    series: [
        "#4da3ea", "#f0803c", "#2fc299", "#e089c8", "#dcb02f", "#9ad2fa", "#a99af0", "#e2737c",
        "#98a2ac",
    ],
    scale: [
        "#1f2433", "#2a2f56", "#2f4275", "#2f588a", "#2d6f96", "#30889a", "#42a199", "#6cba91",
        "#a6d08a", "#ecea9a",
    ],
};

impl Palette {
    /// Returns the colours that stand in a picture's attributes.
    pub(super) fn of(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &DARK,
            Theme::Auto | Theme::Light => &LIGHT,
        }
    }

    /// Returns class and colour of a series; those beyond the eight are grey.
    pub(super) fn series(&self, colour: usize) -> (String, &'static str) {
        let colour = colour.min(COLOURS);
        (format!("s{colour}"), self.series[colour])
    }

    fn rules(&self) -> String {
        let mut css = format!(
            ".bg{{fill:{}}}.t{{fill:{}}}.m{{fill:{}}}.g{{stroke:{}}}.x{{stroke:{}}}",
            self.background, self.text, self.muted, self.grid, self.axis
        );
        for (place, colour) in self.series.iter().enumerate() {
            let _ = write!(css, ".s{place}{{color:{colour}}}");
        }
        for (place, colour) in self.scale.iter().enumerate() {
            let _ = write!(css, ".q{place}{{color:{colour}}}");
        }
        css
    }
}

/// How links in a picture behave; for the style sheet of a page as well.
pub const STYLE: &str = "a:hover{text-decoration:underline}a:hover path,a:hover rect,\
                         a:hover circle{fill-opacity:1;stroke-opacity:1}\
                         a:focus-visible{outline:2px solid #3f9fdd;outline-offset:1px}";

/// Returns the style sheet of a stand-alone picture.
pub(super) fn style(theme: Theme) -> String {
    let dark = match theme {
        Theme::Auto => format!("@media (prefers-color-scheme:dark){{{}}}", DARK.rules()),
        Theme::Light | Theme::Dark => String::new(),
    };
    format!("{STYLE}{dark}")
}
