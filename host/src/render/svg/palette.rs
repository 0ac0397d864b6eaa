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
        "#0a56d0", "#c62f20", "#17655f", "#b64bac", "#e8790f", "#3c9bee", "#52209a", "#74170f",
        "#8f949b",
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
        "#22a8ee", "#d9591a", "#45da84", "#d75fbd", "#c9a81a", "#86efe9", "#7f80f2", "#e88f92",
        "#b4b8be",
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

    /// Returns class and colour of a part, from 0 to 1, of a scale.
    pub(super) fn scale(&self, part: f64) -> (String, &'static str) {
        // What is not a number is taken as 0 by the cast.
        let step = ((part * STEPS as f64) as usize).min(STEPS - 1);
        (format!("q{step}"), self.scale[step])
    }

    fn rules(&self) -> String {
        let mut css = format!(
            ".bg{{fill:{}}}.t{{fill:{}}}.m{{fill:{}}}.g{{stroke:{}}}.x{{stroke:{}}}\
             .d{{stroke:{}}}",
            self.background, self.text, self.muted, self.grid, self.axis, self.muted
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

#[cfg(test)]
mod tests {
    use super::*;

    type Rgb = [f64; 3];

    /// How the common colour blindnesses see linear red, green and blue (Machado and others, 2009).
    const SIGHTS: [[Rgb; 3]; 4] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ];

    fn linear(hex: &str) -> Rgb {
        [1, 3, 5].map(|at| {
            let part =
                f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("a colour")) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn by(matrix: &[Rgb; 3], [a, b, c]: Rgb) -> Rgb {
        matrix.map(|[x, y, z]| (x * a + y * b + z * c).clamp(0.0, 1.0))
    }

    /// Lightness and hue in a space where distances are as they are seen (OKLab).
    fn seen(colour: Rgb) -> Rgb {
        let cones = by(
            &[
                [0.412_221_47, 0.536_332_54, 0.051_445_99],
                [0.211_903_5, 0.680_699_55, 0.107_396_96],
                [0.088_302_46, 0.281_718_84, 0.629_978_7],
            ],
            colour,
        );
        let [l, m, s] = cones.map(f64::cbrt);
        [
            0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_05 * s,
            1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
            0.025_904_04 * l + 0.782_771_77 * m - 0.808_675_77 * s,
        ]
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let bright = |hex| {
            let [red, green, blue] = linear(hex);
            0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
        };
        let (a, b) = (bright(a), bright(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn series_are_told_apart_by_people_who_see_fewer_colours() {
        for palette in [&LIGHT, &DARK] {
            for (sight, matrix) in SIGHTS.iter().enumerate() {
                for (place, a) in palette.series.iter().enumerate() {
                    for b in &palette.series[..place] {
                        let (x, y) = (seen(by(matrix, linear(a))), seen(by(matrix, linear(b))));
                        let away: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
                        assert!(away.sqrt() > 0.045, "{a} {b} {sight} {}", away.sqrt());
                    }
                }
            }
        }
    }

    #[test]
    fn text_and_marks_stand_out_from_the_background() {
        for palette in [&LIGHT, &DARK] {
            for text in [palette.text, palette.muted] {
                assert!(contrast(text, palette.background) >= 4.5, "{text}");
            }
            for mark in palette.series {
                assert!(contrast(mark, palette.background) >= 2.8, "{mark}");
            }
        }
    }

    #[test]
    fn a_scale_rises_evenly_from_the_background() {
        for palette in [&LIGHT, &DARK] {
            let light = palette.scale.map(|colour| seen(linear(colour))[0]);
            let steps = light.windows(2).map(|pair| (pair[1] - pair[0]).abs());
            assert!(steps.clone().all(|step| step > 0.03), "{light:?}");
            assert!(light.is_sorted() || light.iter().rev().is_sorted(), "{light:?}");
        }
    }

    #[test]
    fn pages_have_the_same_colours() {
        let sheet = crate::render::html::assets::STYLE.body;
        let series = LIGHT.series.iter().zip(&DARK.series).enumerate();
        for (place, (light, dark)) in series {
            let rule = format!(".s{place} {{ color: light-dark({light}, {dark}); }}");
            assert!(sheet.contains(&rule), "{rule}");
        }
        for (place, (light, dark)) in LIGHT.scale.iter().zip(&DARK.scale).enumerate() {
            let rule = format!(".q{place} {{ color: light-dark({light}, {dark}); }}");
            assert!(sheet.contains(&rule), "{rule}");
        }
    }
}
