//! Both forms of a chart: what is around the data.

use super::canvas::{Anchor, Area, Canvas, Type};
use super::chart::{Category, Chart, Columns, Mark, Plot, Theme};
use super::palette::{LIGHT, Palette, style};
use super::{bars, boxes, heat, histogram, lines, scatter, small};

/// The fonts of a picture: whatever the reader's system has.
pub(super) const FONTS: &str =
    "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif";

/// Returns a chart as a node of a page: no heading, no background, colours by the page's style.
///
/// Its root has the class `chart`; series have the classes `s0` to `s8`, steps of a scale `q0` to
/// `q9`, whose `color` their shapes take; texts `t` and `m` (muted), lines `g` (grid) and `x` (axis).
#[must_use]
pub fn inline(chart: &Chart) -> String {
    let (width, height) = (f64::from(chart.size.width()), f64::from(chart.size.height()));
    let mut canvas = Canvas::new(&LIGHT, width, height).in_page();
    open(&mut canvas, chart, false);
    plot(
        &mut canvas,
        chart,
        Area { left: 2.0, top: 2.0, right: width - 2.0, bottom: height - 2.0 },
    );
    canvas.raw(format_args!("</svg>"));
    canvas.finish()
}

/// Returns a chart as a file: with heading, background and a style of its own.
#[must_use]
pub fn stand_alone(chart: &Chart) -> String {
    let (width, height) = (f64::from(chart.size.width()), f64::from(chart.size.height()));
    let mut canvas = Canvas::new(Palette::of(chart.theme), width, height);
    open(&mut canvas, chart, true);
    canvas.raw(format_args!("<style>{}</style>", style(chart.theme)));
    let background = canvas.palette.background;
    canvas.raw(format_args!(
        "<rect class=\"bg\" width=\"100%\" height=\"100%\" fill=\"{background}\"/>"
    ));
    let edge = if width >= 200.0 && height >= 100.0 { 12.0 } else { 4.0 };
    let mut area = Area { left: edge, top: edge, right: width - edge, bottom: height - edge };
    // A tile and a sparkline are their own heading.
    let named = !matches!(chart.plot, Plot::Tile(_) | Plot::Sparkline(_));
    if named && height >= 120.0 {
        heading(&mut canvas, chart, &mut area);
    }
    plot(&mut canvas, chart, area);
    canvas.raw(format_args!("</svg>\n"));
    canvas.finish()
}

fn open(canvas: &mut Canvas, chart: &Chart, alone: bool) {
    let (width, height) = (chart.size.width(), chart.size.height());
    // A picture has no parts for a reader of screens; what has links must have them.
    let role = if has_links(&chart.plot) { "group" } else { "img" };
    let title = super::canvas::clean(&chart.title);
    let scheme = match chart.theme {
        _ if !alone => "",
        Theme::Auto => " style=\"color-scheme:light dark\"",
        Theme::Light => " style=\"color-scheme:light\"",
        Theme::Dark => " style=\"color-scheme:dark\"",
    };
    let class = class(&chart.plot);
    canvas.raw(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart {class}\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"{role}\" \
         aria-label=\"{title}\" font-family=\"{FONTS}\" font-size=\"12\"{scheme}>"
    ));
    // In a page the heading above it says so, and a tooltip over all of it would be in the way.
    if alone {
        canvas.title(&chart.title);
    }
    canvas.description(&chart.description);
}

fn heading(canvas: &mut Canvas, chart: &Chart, area: &mut Area) {
    if !chart.title.is_empty() {
        let text = Type::Title.fit(&chart.title, area.width());
        canvas.text(Type::Title, Anchor::Start, area.left, area.top + 13.0, &text);
        area.top += 20.0;
    }
    if !chart.subtitle.is_empty() && area.height() >= 140.0 {
        let text = Type::Tick.fit(&chart.subtitle, area.width());
        canvas.text(Type::Tick, Anchor::Start, area.left, area.top + 11.0, &text);
        area.top += 17.0;
    }
    area.top += 6.0;
}

fn plot(canvas: &mut Canvas, chart: &Chart, area: Area) {
    match &chart.plot {
        Plot::Lines(lines) => lines::draw(canvas, area, lines, &chart.zone),
        Plot::Bars(bars) => bars::draw(canvas, area, bars),
        Plot::Heat(heat) => heat::draw(canvas, area, heat, &chart.zone),
        Plot::Histogram(histogram) => histogram::draw(canvas, area, histogram),
        Plot::Scatter(scatter) => scatter::draw(canvas, area, scatter, &chart.zone),
        Plot::Boxes(boxes) => boxes::draw(canvas, area, boxes),
        Plot::Sparkline(sparkline) => small::sparkline(canvas, area, sparkline),
        Plot::Tile(tile) => small::tile(canvas, area, tile),
    }
}

fn class(plot: &Plot) -> &'static str {
    match plot {
        Plot::Lines(_) => "lines",
        Plot::Bars(_) => "bars",
        Plot::Heat(_) => "heat",
        Plot::Histogram(_) => "histogram",
        Plot::Scatter(_) => "scatter",
        Plot::Boxes(_) => "boxes",
        Plot::Sparkline(_) => "sparkline",
        Plot::Tile(_) => "tile",
    }
}

fn has_links(plot: &Plot) -> bool {
    marks(plot).into_iter().any(|mark| mark.link.is_some())
}

fn marks(plot: &Plot) -> Vec<&Mark> {
    match plot {
        Plot::Lines(lines) => lines.series.iter().map(|series| &series.mark).collect(),
        Plot::Bars(bars) => {
            let layers = bars.layers.iter().map(|layer| &layer.mark);
            bars.categories.iter().map(|category| &category.mark).chain(layers).collect()
        }
        Plot::Heat(heat) => {
            let columns: &[Category] = match &heat.columns {
                Columns::Names(names) => names,
                Columns::Times { .. } => &[],
            };
            heat.rows.iter().chain(columns).map(|category| &category.mark).collect()
        }
        Plot::Histogram(histogram) => histogram.buckets.iter().map(|bucket| &bucket.mark).collect(),
        Plot::Scatter(scatter) => scatter.points.iter().map(|point| &point.mark).collect(),
        Plot::Boxes(boxes) => boxes.boxes.iter().map(|spread| &spread.category.mark).collect(),
        Plot::Sparkline(_) => Vec::new(),
        Plot::Tile(tile) => vec![&tile.mark],
    }
}
