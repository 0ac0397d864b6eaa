//! What is wanted of a round's documents: mapping, two sets of fields, limits.

use std::collections::BTreeSet;

use serde_json::Value;
use statmill_plugin_api::manifest::FieldKind;

use super::grammar::{Hint, Path};
use super::spelling;
use crate::fuzz::Random;
use crate::project::{Limits, Mapping};

pub(super) type Fields = Vec<(String, FieldKind)>;

const KINDS: [FieldKind; 7] = [
    FieldKind::Sym,
    FieldKind::Str,
    FieldKind::Int,
    FieldKind::Num,
    FieldKind::Bool,
    FieldKind::Time,
    FieldKind::Raw,
];
/// Tokens of the longest pointer.
const DEEPEST: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) mapping: Mapping,
    /// Two sets of fields; neither verdict nor values may depend on which is asked for.
    pub(super) some: Fields,
    pub(super) others: Fields,
    pub(super) limits: Limits,
    /// Keys the documents of the round use.
    pub(super) keys: Vec<String>,
}

impl Wanted {
    /// Pointers made of few keys, or taken from `model` as well.
    pub(super) fn of_round(random: &mut Random, model: Option<&Value>) -> Self {
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..3 + random.below(6) {
            keys.push(random.pick(spelling::KEYS).to_owned());
            if random.chance(40) {
                keys.push(spelling::near(random, &keys[keys.len() - 1].clone()));
            }
        }
        keys.extend(["0".to_owned(), random.below(4).to_string()]);
        let some = fields(random, &keys, model);
        let others = fields(random, &keys, model);
        let mapping = match random.below(10) {
            0..6 => Mapping::auto(),
            6 => Mapping::fedmsg(),
            7 => Mapping::plain(),
            _ if model.is_some() => Mapping::auto(),
            _ => mapping(random, &keys),
        };
        Self { mapping, some, others, limits: limits(random), keys }
    }

    /// All kinds of value at every one of `pointers`, in two halves; a few as `sym`, which takes much room.
    pub(super) fn everything(pointers: &BTreeSet<String>, limits: Limits) -> Self {
        let each = |pointer: &String| KINDS.map(|kind| (pointer.clone(), kind));
        let mut some: Fields = pointers.iter().flat_map(each).collect();
        some.retain(|(pointer, kind)| *kind != FieldKind::Sym || pointer.len() < 3);
        let others = some.split_off(some.len() / 2);
        some.push((String::new(), FieldKind::Doc));
        Self { mapping: Mapping::auto(), some, others, limits, keys: Vec::new() }
    }

    /// Both sets, each field once.
    pub(super) fn union(&self) -> Fields {
        let new = self.others.iter().filter(|field| !self.some.contains(field));
        self.some.iter().chain(new).cloned().collect()
    }

    /// Where values lead to which something is wanted, and what should be there.
    pub(super) fn paths(&self) -> Vec<Path> {
        let fields = self.some.iter().chain(&self.others);
        let fields = fields.map(|(pointer, kind)| (pointer, Hint::Kind(*kind)));
        let first = |pointers: &[String], hint| pointers.first().cloned().map(|at| (at, hint));
        let topic = first(&self.mapping.topic, Hint::Topic);
        let time = first(&self.mapping.time, Hint::Time);
        let rest = self.mapping.id.iter().chain(&self.mapping.time).chain(&self.mapping.topic);
        let rest = rest.map(|pointer| (pointer, Hint::Kind(FieldKind::Raw)));
        let producer = self.mapping.producer.iter().flat_map(|(producer, number)| {
            [(producer, Hint::Kind(FieldKind::Str)), (number, Hint::Kind(FieldKind::Int))]
        });
        let envelope = topic.iter().chain(&time).map(|(pointer, hint)| (pointer, *hint));
        let all = envelope.chain(fields).chain(rest).chain(producer);
        all.map(|(pointer, hint)| Path { tokens: tokens(pointer), hint }).collect()
    }
}

/// A pointer of those tokens.
pub(super) fn pointer(tokens: &[String]) -> String {
    tokens.iter().map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1"))).collect()
}

/// The tokens of a pointer that is one.
pub(super) fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

fn fields(random: &mut Random, keys: &[String], model: Option<&Value>) -> Fields {
    let mut paths: Vec<Vec<String>> = vec![Vec::new()];
    let mut fields: Fields = Vec::new();
    for _ in 0..random.below(9) {
        let path = match model {
            Some(model) if random.chance(80) => wander(random, model),
            // Longer than a known one, so that some lie inside others.
            _ => {
                let mut path = paths[random.below(paths.len())].clone();
                let further = if random.chance(10) { DEEPEST } else { 3 };
                for _ in 0..random.few(further) {
                    path.push(keys[random.below(keys.len())].clone());
                }
                path.truncate(DEEPEST);
                path
            }
        };
        fields.push((pointer(&path), KINDS[random.below(KINDS.len())]));
        paths.push(path);
    }
    if random.chance(30) {
        fields.push((String::new(), FieldKind::Doc));
    }
    let mut seen = BTreeSet::new();
    fields.retain(|(pointer, kind)| seen.insert((pointer.clone(), *kind as u8)));
    fields
}

/// The way to a value somewhere in `value`, or a step beside it.
fn wander(random: &mut Random, mut value: &Value) -> Vec<String> {
    let mut path = Vec::new();
    while path.len() < DEEPEST && (path.is_empty() || random.chance(85)) {
        let (token, below) = match value {
            Value::Object(members) if !members.is_empty() => {
                let (key, below) = members.iter().nth(random.below(members.len())).unwrap();
                (key.clone(), below)
            }
            Value::Array(elements) if !elements.is_empty() => {
                let at = random.below(elements.len());
                (at.to_string(), &elements[at])
            }
            _ => break,
        };
        path.push(if random.chance(3) { spelling::near(random, &token) } else { token });
        value = below;
    }
    path
}

fn mapping(random: &mut Random, keys: &[String]) -> Mapping {
    let mut some = |most: usize| -> Vec<String> {
        let mut path = |_| {
            let tokens: Vec<String> =
                (0..=random.few(2)).map(|_| keys[random.below(keys.len())].clone()).collect();
            pointer(&tokens)
        };
        (0..most).map(&mut path).collect()
    };
    let producer = some(2);
    Mapping {
        name: "fuzz".into(),
        id: some(2),
        topic: some(1),
        time: some(2),
        producer: Some((producer[0].clone(), producer[1].clone())),
    }
}

fn limits(random: &mut Random) -> Limits {
    let default = Limits::default();
    let max_depth = match random.below(10) {
        0 => 1 + random.below(8),
        1 => 125 + random.below(6),
        2 => 300,
        _ => default.max_depth,
    };
    let max_message = if random.chance(5) { random.below(2000) } else { default.max_message };
    Limits { max_message, max_depth, ..default }
}
