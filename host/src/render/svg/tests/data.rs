//! Charts to draw: of each kind one as it usually is, and those that are not as they should be.

use crate::render::svg::*;

/// 2026-11-01T00:00:00Z
const START: f64 = 1_793_491_200e6;
const HOUR: f64 = 3_600e6;

/// The same numbers from 0 to 1 for ever.
fn noise(seed: u32) -> impl FnMut() -> f64 {
    let mut state = u64::from(seed).wrapping_mul(2_862_933_555_777_941_757) + 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const TOPICS: [&str; 12] = [
    "git",
    "koji",
    "pagure",
    "bodhi",
    "wiki",
    "anitya",
    "copr",
    "mailman",
    "meetbot",
    "planet",
    "trac",
    "org.fedoraproject.prod.a.topic.with.a.name.that.goes.on.and.on",
];

/// Labels as they come from outside.
const HOSTILE: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"quotes\" and 'quotes' & more",
    "javascript:alert(1)",
    "птица-говорун-отличается-умом-и-сообразительностью",
    "مستخدم طويل الاسم جدا جدا جدا جدا",
    "\u{202e}turned around\u{202c}",
    "日本語の長いユーザー名はここで切られる",
    "line\nbreak\tand\u{0}nul",
    "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
    "",
];

fn link(signal: &str, value: &str) -> Mark {
    let query = vec![("start".to_owned(), "-7d".to_owned()), (signal.to_owned(), value.to_owned())];
    let link = Link { query, signal: signal.to_owned(), value: value.to_owned() };
    Mark { link: Some(link), emphasis: Emphasis::Plain }
}

fn category(name: &str) -> Category {
    Category { name: name.to_owned(), mark: link("name", name) }
}

fn axis(label: &str, unit: &str, form: AxisForm) -> Axis {
    Axis { label: label.to_owned(), unit: unit.to_owned(), form }
}

fn series(count: usize, hours: u32) -> Vec<Series> {
    let one = |place: usize| {
        let mut noise = noise(place as u32 + 1);
        let point = |hour: u32| {
            let day = (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin() * 0.4 + 1.0;
            let value = (1_000.0 / (place as f64 + 1.0) * day * (0.7 + 0.6 * noise())).round();
            // A hole in one of them.
            let hole = place == 1 && (30..40).contains(&hour);
            (START + f64::from(hour) * HOUR, (!hole).then_some(value))
        };
        Series {
            name: TOPICS[place].to_owned(),
            points: (0..hours).map(point).collect(),
            colour: None,
            mark: link("topic", TOPICS[place]),
        }
    };
    (0..count).map(one).collect()
}

fn lines(form: Form, count: usize, hours: u32) -> Plot {
    let y = axis("volume per hour", "messages", AxisForm::Zero);
    Plot::Lines(Lines { form, y, series: series(count, hours), ..Lines::default() })
}

fn bars(names: &[&str], layers: usize) -> Plot {
    let layer = |layer: usize| Layer {
        name: format!("layer {layer}"),
        values: (0..names.len())
            .map(|place| Some(9_876.0 / ((place + layer + 1) as f64)))
            .collect(),
        ..Layer::default()
    };
    Plot::Bars(Bars {
        axis: axis("count", "messages", AxisForm::Zero),
        categories: names.iter().map(|name| category(name)).collect(),
        layers: (0..layers).map(layer).collect(),
        ..Bars::default()
    })
}

fn week() -> Plot {
    let mut noise = noise(5);
    let row = |day: u32| {
        let cell = |hour: u32| {
            let busy = ((f64::from(hour) - 3.0) / 24.0 * std::f64::consts::TAU).sin() + 1.2;
            (day != 3 || hour > 2).then(|| (busy * 400.0 * (0.8 + 0.4 * noise())).round())
        };
        (0..24).map(cell).collect()
    };
    Plot::Heat(Heat {
        more: 0,
        unit: "messages".to_owned(),
        columns: Columns::Names((0..24).map(|hour| category(&hour.to_string())).collect()),
        cells: (0..7).map(row).collect(),
        rows: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map(category).to_vec(),
    })
}

fn heat_over_time() -> Plot {
    let cells = series(12, 300)
        .into_iter()
        .map(|series| series.points.iter().map(|point| point.1).collect());
    Plot::Heat(Heat {
        more: 0,
        unit: "bytes".to_owned(),
        columns: Columns::Times { from: START, width: HOUR, count: 300 },
        cells: cells.collect(),
        rows: TOPICS.map(category).to_vec(),
    })
}

fn histogram(form: AxisForm) -> Plot {
    let bucket = |place: u32| {
        let low = 10.0 * 1.15_f64.powi(place as i32);
        let count = (900.0 * (-((f64::from(place) - 20.0) / 8.0).powi(2)).exp()).round();
        Bucket { low, high: low * 1.15, count, mark: link("bucket", &place.to_string()) }
    };
    let marked = [("p50", 160.0), ("p90", 420.0), ("p95", 470.0), ("p99", 900.0)];
    Plot::Histogram(Histogram {
        axis: axis("publish time", "ms", form),
        counted: "publishes".to_owned(),
        buckets: (0..45).map(bucket).collect(),
        marked: marked.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    })
}

fn scatter() -> Plot {
    let mut noise = noise(9);
    let point = |place: usize| {
        let x = noise() * 2e6;
        let name = TOPICS[place % 12].to_owned();
        Point { x, y: x / 3e3 + noise() * 400.0, mark: link("topic", &name), name }
    };
    Plot::Scatter(Scatter {
        x: XAxis::Number(axis("size", "bytes", AxisForm::Zero)),
        y: axis("time", "ms", AxisForm::Zero),
        points: (0..60).map(point).collect(),
    })
}

fn boxes() -> Plot {
    let spread = |(place, name): (usize, &&str)| {
        let middle = 20.0 * (place as f64 + 1.0);
        Spread {
            category: category(name),
            low: middle * 0.5,
            lower: middle * 0.8,
            median: middle,
            upper: middle * 1.3,
            high: middle * 2.0,
            outliers: vec![middle * 2.5, middle * 2.7],
        }
    };
    Plot::Boxes(Boxes {
        more: 0,
        axis: axis("run time", "ms", AxisForm::Zero),
        boxes: TOPICS.iter().enumerate().map(spread).collect(),
    })
}

fn course() -> Sparkline {
    let points = series(2, 72).swap_remove(1).points;
    Sparkline { points, colour: 0 }
}

fn tile() -> Plot {
    Plot::Tile(Tile {
        label: "messages in range".to_owned(),
        value: Some(1_234_567.0),
        unit: "messages".to_owned(),
        note: "12% more than the week before".to_owned(),
        course: course(),
        mark: link("range", "-7d"),
    })
}

fn chart(title: &str, plot: Plot) -> Chart {
    Chart {
        subtitle: "Complete until 2026-11-30T00:00:00Z".to_owned(),
        description: format!("{title}. Complete until 2026-11-30T00:00:00Z."),
        ..Chart::new(title, plot)
    }
}

/// A picture of each kind.
pub(super) fn usual() -> Vec<(&'static str, Chart)> {
    let sized = |title: &str, plot, width, height| Chart {
        size: Size::new(width, height),
        ..chart(title, plot)
    };
    let mut log = lines(Form::Line, 5, 200);
    if let Plot::Lines(lines) = &mut log {
        lines.y.form = AxisForm::Log;
    }
    let mut chosen = lines(Form::Line, 5, 200);
    if let Plot::Lines(lines) = &mut chosen {
        lines.series.iter_mut().for_each(|series| series.mark.emphasis = Emphasis::Dimmed);
        lines.series[2].mark.emphasis = Emphasis::Chosen;
    }
    vec![
        ("line", chart("Messages per hour by topic", lines(Form::Line, 12, 720))),
        ("line-log", chart("Messages per hour, by factors", log)),
        ("line-chosen", chart("One of five is chosen", chosen)),
        ("area", chart("Messages per hour", lines(Form::Area, 1, 100))),
        ("stacked-area", chart("Messages per hour by topic", lines(Form::Stack, 5, 200))),
        (
            "column",
            chart("Messages per hour by topic", lines(Form::Columns { width: HOUR }, 4, 48)),
        ),
        ("bar", chart("Top topics", bars(&TOPICS, 1))),
        ("stacked-bar", chart("Topics by layer", bars(&TOPICS, 3))),
        ("week", chart("Messages by hour and weekday", week())),
        ("heatmap", chart("Bytes per hour by topic", heat_over_time())),
        ("histogram", chart("Publish time", histogram(AxisForm::Log))),
        ("histogram-even", chart("Publish time, evenly", histogram(AxisForm::Auto))),
        ("scatter", chart("Time by size", scatter())),
        ("box", chart("Run time by topic", boxes())),
        ("sparkline", sized("Messages", Plot::Sparkline(course()), 160, 32)),
        ("tile", sized("Messages", tile(), 240, 130)),
    ]
}

fn of_values(values: &[f64]) -> Plot {
    let points =
        values.iter().enumerate().map(|(place, value)| (START + place as f64 * HOUR, Some(*value)));
    let series = Series { name: "odd".to_owned(), points: points.collect(), ..Series::default() };
    Plot::Lines(Lines { series: vec![series], ..Lines::default() })
}

/// Pictures of data that are not as one would like.
pub(super) fn odd() -> Vec<(&'static str, Chart)> {
    let hostile = |mut plot: Plot| {
        if let Plot::Lines(lines) = &mut plot {
            for (series, name) in lines.series.iter_mut().zip(HOSTILE) {
                series.name = name.to_owned();
                series.mark = link(name, name);
            }
        }
        plot
    };
    let mut none_of_anything = vec![
        ("empty-line", Plot::Lines(Lines::default())),
        ("empty-bar", Plot::Bars(Bars::default())),
        ("empty-heatmap", Plot::Heat(Heat::default())),
        ("empty-histogram", Plot::Histogram(Histogram::default())),
        ("empty-scatter", Plot::Scatter(Scatter::default())),
        ("empty-box", Plot::Boxes(Boxes::default())),
        ("empty-sparkline", Plot::Sparkline(Sparkline::default())),
        ("empty-tile", Plot::Tile(Tile::default())),
    ];
    let odd = [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, f64::NEG_INFINITY, 0.0, -0.0, 5e-324];
    let spread =
        Spread { low: f64::MIN, high: f64::MAX, outliers: odd.to_vec(), ..Spread::default() };
    let bucket = |place: usize| Bucket {
        low: odd[place],
        high: odd[place] * 2.0,
        count: odd[place],
        ..Bucket::default()
    };
    let point = |(place, value): (usize, &f64)| Point {
        name: HOSTILE[place].to_owned(),
        x: *value,
        y: odd[7 - place],
        ..Point::default()
    };
    none_of_anything.extend([
        ("one-point", lines(Form::Line, 1, 1)),
        ("one-column", lines(Form::Columns { width: HOUR }, 1, 1)),
        ("nan", of_values(&odd)),
        ("huge", of_values(&[1e300, -1e300, 5.0, 1e299])),
        ("negative", of_values(&[-5.0, -1_200.0, -3.5, -700.0, -20.0])),
        ("one-value-often", of_values(&[12_345_678.0; 20])),
        ("hostile-line", hostile(lines(Form::Line, 10, 30))),
        ("hostile-bar", bars(&HOSTILE, 1)),
        ("odd-box", Plot::Boxes(Boxes { boxes: vec![spread], ..Boxes::default() })),
        (
            "odd-histogram",
            Plot::Histogram(Histogram {
                buckets: (0..8).map(bucket).collect(),
                marked: vec![("p50".into(), f64::NAN)],
                ..Histogram::default()
            }),
        ),
        (
            "odd-scatter",
            Plot::Scatter(Scatter {
                x: XAxis::Number(Axis::default()),
                points: odd.iter().enumerate().map(point).collect(),
                ..Scatter::default()
            }),
        ),
        (
            "odd-tile",
            Plot::Tile(Tile {
                label: HOSTILE[0].repeat(9),
                value: Some(f64::NAN),
                unit: HOSTILE[3].to_owned(),
                ..Tile::default()
            }),
        ),
    ]);
    let title = "<b>\"Odd\" data</b> of a very long title that does not fit into any picture of a usual width at all";
    none_of_anything.into_iter().map(|(name, plot)| (name, chart(title, plot))).collect()
}
