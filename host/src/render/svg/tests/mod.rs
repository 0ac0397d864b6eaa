//! Every kind of picture, of usual and of odd data, against golden files.
//!
//! `UPDATE_GOLDEN=1 cargo test -p statmill --lib render::svg` writes the files anew; look at them in a
//! browser before they are committed.

#![allow(clippy::unwrap_used)]

mod check;
mod data;

use std::path::PathBuf;

use super::*;

/// Holds a picture against its golden file, and every form of it against the rules.
pub(crate) fn golden(name: &str, chart: &Chart) {
    for (width, height) in [(120, 40), (300, 160), (1_600, 900)] {
        let sized = Chart { size: Size::new(width, height), ..chart.clone() };
        check::picture(&format!("{name} at {width} × {height}"), &stand_alone(&sized));
        check::picture(&format!("{name} inline at {width} × {height}"), &inline(&sized));
    }
    file(name, &stand_alone(chart));
}

fn file(name: &str, drawn: &str) {
    check::picture(name, drawn);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("src/render/svg/tests/golden/{name}.svg"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == drawn, "{name} is not drawn as in {path:?}; the module says how to renew it");
}

#[test]
fn every_kind_of_picture_is_drawn_as_it_was() {
    for (name, chart) in data::usual() {
        golden(name, &chart);
    }
}

#[test]
fn odd_data_make_sensible_pictures() {
    for (name, chart) in data::odd() {
        golden(name, &chart);
    }
}

#[test]
fn badges_fit_their_text() {
    let of = |label: &str, value, unit: &str, colour| {
        let description = "Complete until 2026-11-01T00:00:00Z.".to_owned();
        badge(&Badge { label: label.to_owned(), value, unit: unit.to_owned(), colour, description })
    };
    file("badge", &of("messages per day", Some(1_234_567.0), "messages", BadgeColour::Blue));
    file("badge-time", &of("publish time p95", Some(1_250.0), "ms", BadgeColour::Green));
    file("badge-none", &of("", None, "", BadgeColour::Grey));
    let long = "длинная подпись ".repeat(20);
    file("badge-odd", &of(&long, Some(f64::NAN), "<script>", BadgeColour::Red));
}

#[test]
fn a_light_and_a_dark_picture_differ_in_colours_only() {
    let (_, chart) = data::usual().swap_remove(0);
    let drawn = |theme| stand_alone(&Chart { theme, ..chart.clone() });
    let without_colours = |svg: &str| {
        let mut parts = svg.split('#');
        let first = parts.next().unwrap().to_owned();
        first + &parts.map(|part| &part[6..]).collect::<String>()
    };
    let (light, dark) = (drawn(Theme::Light), drawn(Theme::Dark));
    assert_ne!(light, dark);
    let scheme = |svg: &str| svg.replace("color-scheme:dark", "color-scheme:light");
    assert_eq!(without_colours(&scheme(&light)), without_colours(&scheme(&dark)));
    let auto = drawn(Theme::Auto);
    assert!(auto.contains("prefers-color-scheme:dark") && !light.contains("prefers-color-scheme"));
}

#[test]
fn a_picture_of_any_number_of_points_is_small() {
    let points = (0..60_000).map(|place| {
        let x = f64::from(place) * 1e6;
        (x, Some((x / 7e9).sin() * 1e3 + f64::from(place % 13)))
    });
    let series = Series { points: points.collect(), ..Series::default() };
    let lines = |form| Lines { form, series: vec![series.clone(); 3], ..Lines::default() };
    for form in [Form::Line, Form::Area, Form::Stack, Form::Columns { width: 1e6 }] {
        let chart = Chart::new("long", Plot::Lines(lines(form)));
        let bytes = stand_alone(&chart).len();
        assert!(bytes < 400_000, "{form:?}: {bytes} bytes");
    }
    let one = Lines { series: vec![series], ..Lines::default() };
    let bytes = stand_alone(&Chart::new("long", Plot::Lines(one))).len();
    assert!(bytes < 30_000, "{bytes} bytes");
}
