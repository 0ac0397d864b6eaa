//! What holds for every picture: it is XML, has no number that is none, and every text is in sight.

use roxmltree::{Document, Node};

use crate::render::svg::measure;

/// Checks a picture.
pub(super) fn picture(name: &str, svg: &str) {
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{name}: {error}"));
    let root = document.root_element();
    let [_, _, width, height] = numbers(name, root.attribute("viewBox").unwrap())[..] else {
        panic!("{name}: no view box");
    };
    assert!(root.attribute("role").is_some() && root.attribute("aria-label").is_some(), "{name}");
    for node in root.descendants().filter(Node::is_element) {
        assert!(
            ["svg", "g", "a", "path", "rect", "circle", "text", "tspan", "title", "desc", "style"]
                .contains(&node.tag_name().name()),
            "{name}: {:?}",
            node.tag_name()
        );
        for attribute in node.attributes() {
            let value = attribute.value();
            match attribute.name() {
                "x" | "y" | "cx" | "cy" | "r" | "dx" | "font-size" => {
                    numbers(name, value);
                }
                "width" | "height" if value != "100%" => {
                    assert!(numbers(name, value)[0] >= 0.0, "{name}: {value}");
                }
                "d" => {
                    let number = |text: &str| !text.is_empty() && text.parse::<f64>().is_err();
                    let commands = value.split(|c: char| "mMlLhHvVzZaA ".contains(c));
                    let parts =
                        commands.flat_map(|part| part.split_inclusive('-').collect::<Vec<_>>());
                    let wrong =
                        parts.map(|part| part.trim_end_matches('-')).find(|part| number(part));
                    assert_eq!(wrong, None, "{name}: {value}");
                }
                "href" => assert!(
                    value.starts_with('?') && value.is_ascii() && !value.contains(['<', '"', ' ']),
                    "{name}: {value}"
                ),
                other => assert!(!other.starts_with("on"), "{name}: {other}"),
            }
        }
        if node.tag_name().name() == "text" {
            text(name, node, width, height);
        }
    }
}

/// Checks that a text lies within the view box, by the widest letters there are.
fn text(name: &str, node: Node<'_, '_>, width: f64, height: f64) {
    let number = |attribute: &str| node.attribute(attribute).map(|value| numbers(name, value)[0]);
    let size = node
        .ancestors()
        .find_map(|node| node.attribute("font-size"))
        .map_or(16.0, |value| numbers(name, value)[0]);
    let words: String = node.text().unwrap_or_default().to_owned();
    let after: f64 = node
        .children()
        .filter(|child| child.tag_name().name() == "tspan")
        .map(|child| measure::width(child.text().unwrap_or_default(), 11.0, false) + 5.0)
        .fold(0.0, f64::max);
    let long = measure::width(&words, size, node.attribute("font-weight").is_some()) + after;
    let (x, y) = (number("x").unwrap(), number("y").unwrap());
    let (left, right) = match node.attribute("text-anchor") {
        Some("middle") => (x - long / 2.0, x + long / 2.0),
        Some("end") => (x - long, x),
        _ => (x, x + long),
    };
    assert!(left >= -0.5 && right <= width + 0.5, "{name}: {words:?} {left} to {right} of {width}");
    assert!(y >= size * 0.7 && y <= height, "{name}: {words:?} at {y} of {height}");
}

fn numbers(name: &str, text: &str) -> Vec<f64> {
    let parse = |part: &str| {
        let number: f64 = part.parse().unwrap_or_else(|_| panic!("{name}: {text:?}"));
        assert!(number.is_finite(), "{name}: {text:?}");
        number
    };
    text.split(' ').map(parse).collect()
}
