//! Changes of JSON that leave it JSON: other values in the places of those that were there.

use serde_json::{Map, Value, json};

use super::Random;

/// Changes the JSON `text` once; `donor` gives values. What is no JSON stays as it is.
pub(crate) fn change_json(random: &mut Random, text: &mut Vec<u8>, donor: &[u8]) {
    let Ok(mut tree) = serde_json::from_slice::<Value>(text) else { return };
    let other = serde_json::from_slice::<Value>(donor).unwrap_or(Value::Null);
    let new = match random.below(3) {
        0 => odd(random),
        1 => any(random, &other).clone(),
        _ => any(random, &tree).clone(),
    };
    let count = places(&tree);
    let mut place = random.below(count);
    if let Some(at) = nth(&mut tree, &mut place) {
        match (random.below(6), at) {
            (0, Value::Object(members)) => drop(remove(random, members)),
            (1, Value::Object(members)) => {
                let names: Vec<&str> = NAMES.to_vec();
                members.insert(random.pick(&names).to_owned(), new);
            }
            (0, Value::Array(elements)) if !elements.is_empty() => {
                elements.remove(random.below(elements.len()));
            }
            (1 | 2, Value::Array(elements)) if !elements.is_empty() => {
                let element = elements[random.below(elements.len())].clone();
                elements.push(element);
            }
            (_, at) => *at = new,
        }
    }
    if let Ok(changed) = serde_json::to_vec(&tree) {
        *text = changed;
    }
}

/// Members that the manifest and the records of the store know.
const NAMES: [&str; 12] = [
    "index",
    "rollups",
    "window_s",
    "retention_s",
    "restore",
    "max_rows",
    "interval_s",
    "backlog_delta_s",
    "per_octave",
    "keep",
    "of",
    "show",
];

fn odd(random: &mut Random) -> Value {
    let texts =
        ["", "/", "a", "/a~2", "..", "é\0", "count", "text", "json", "int", "distinct", "log"];
    match random.below(12) {
        0 => Value::Null,
        1 => json!(random.chance(50)),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(u64::MAX - random.bits() % 2),
        5 => json!(i64::MAX),
        6 => json!(u32::MAX),
        7 => json!(1.5e300),
        8 => json!(random.bits() >> random.below(64)),
        9 => json!([]),
        10 => json!("x".repeat(random.few(200))),
        _ => json!(random.pick(&texts)),
    }
}

fn remove(random: &mut Random, members: &mut Map<String, Value>) -> Option<Value> {
    let name = members.keys().nth(random.below(members.len()))?.clone();
    members.remove(&name)
}

/// Number of values in `tree`, itself included.
fn places(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(elements) => elements.iter().map(places).sum(),
        Value::Object(members) => members.values().map(places).sum::<usize>(),
        _ => 0,
    }
}

fn any<'a>(random: &mut Random, tree: &'a Value) -> &'a Value {
    let mut at = tree;
    while random.chance(70) {
        at = match at {
            Value::Array(elements) if !elements.is_empty() => {
                &elements[random.below(elements.len())]
            }
            Value::Object(members) if !members.is_empty() => {
                let number = random.below(members.len());
                members.values().nth(number).unwrap_or(at)
            }
            _ => return at,
        };
    }
    at
}

/// Value number `place` of the tree, in the order in which they are written.
fn nth<'a>(tree: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(tree);
    }
    *place -= 1;
    match tree {
        Value::Array(elements) => elements.iter_mut().find_map(|below| nth(below, place)),
        Value::Object(members) => members.values_mut().find_map(|below| nth(below, place)),
        _ => None,
    }
}
