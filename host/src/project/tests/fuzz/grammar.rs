//! Writes well-formed messages in which wanted pointers lead somewhere, past look-alikes.

use statmill_plugin_api::manifest::FieldKind;

use super::spelling;
use crate::fuzz::Random;

/// What should be found at the end of a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hint {
    Topic,
    Time,
    Kind(FieldKind),
}

/// A wanted place in a document.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) tokens: Vec<String>,
    pub(super) hint: Hint,
}

/// What the documents of a round are made of.
pub(super) struct Grammar<'a> {
    pub(super) paths: &'a [Path],
    pub(super) keys: &'a [String],
    /// Nesting goes just up to it and past it.
    pub(super) max_depth: usize,
}

/// A document being written.
struct Writer<'a> {
    grammar: &'a Grammar<'a>,
    random: &'a mut Random,
    out: &'a mut Vec<u8>,
    /// Values that may still be containers.
    budget: usize,
}

impl Grammar<'_> {
    pub(super) fn document(&self, random: &mut Random) -> Vec<u8> {
        let mut out = Vec::new();
        let budget = 2 + random.few(24);
        let mut writer = Writer { grammar: self, random, out: &mut out, budget };
        writer.blank();
        writer.object(&self.paths.iter().collect::<Vec<_>>(), 0);
        writer.blank();
        out
    }

    /// Appends any value.
    pub(super) fn value(&self, random: &mut Random, out: &mut Vec<u8>) {
        let budget = random.few(12);
        Writer { grammar: self, random, out, budget }.value(&[], 1);
    }

    /// A key of the round, or one like it.
    pub(super) fn key(&self, random: &mut Random) -> String {
        match self.keys.get(random.below(self.keys.len() + 1)) {
            Some(key) if random.chance(75) => key.clone(),
            Some(key) => spelling::near(random, key),
            None => random.pick(spelling::KEYS).to_owned(),
        }
    }
}

impl Writer<'_> {
    /// Writes an object `depth` steps along the paths `alive`.
    fn object(&mut self, alive: &[&Path], depth: usize) {
        let mut keys: Vec<String> = Vec::new();
        for path in alive.iter().filter(|path| path.tokens.len() > depth) {
            let likely = if matches!(path.hint, Hint::Kind(_)) { 50 } else { 98 };
            if !keys.contains(&path.tokens[depth]) && self.random.chance(likely) {
                keys.push(path.tokens[depth].clone());
            }
        }
        for _ in 0..self.random.few(4) {
            keys.push(self.grammar.key(self.random));
        }
        if !keys.is_empty() && self.random.chance(15) {
            keys.push(keys[self.random.below(keys.len())].clone());
        }
        self.random.shuffle(&mut keys);
        self.out.push(b'{');
        for (number, key) in keys.iter().enumerate() {
            self.comma(number);
            spelling::string(self.random, key, self.out);
            self.blank();
            self.out.push(b':');
            self.blank();
            self.value(&along(alive, depth, key), depth + 1);
        }
        self.blank();
        self.out.push(b'}');
    }

    fn array(&mut self, alive: &[&Path], depth: usize) {
        let indexes = alive.iter().filter_map(|path| path.tokens.get(depth)?.parse().ok());
        let most = indexes.filter(|&index: &usize| index < 20).max().unwrap_or(2);
        let len = self.random.below(most + 3);
        self.out.push(b'[');
        for number in 0..len {
            self.comma(number);
            self.value(&along(alive, depth, &number.to_string()), depth + 1);
        }
        self.blank();
        self.out.push(b']');
    }

    fn value(&mut self, alive: &[&Path], depth: usize) {
        let hint = alive.iter().find(|path| path.tokens.len() == depth).map(|path| path.hint);
        let is_deeper = alive.iter().any(|path| path.tokens.len() > depth);
        let container = match hint {
            _ if is_deeper => 80,
            None => 25,
            Some(Hint::Topic | Hint::Time) => 1,
            Some(Hint::Kind(_)) => 10,
        };
        if self.budget == 0 || !self.random.chance(container) {
            return match self.random.below(100) {
                0..95 if matches!(hint, Some(Hint::Topic | Hint::Time)) => self.scalar(hint),
                0..8 => self.literal(&["null"]),
                8..80 => self.scalar(hint),
                _ => self.scalar(None),
            };
        }
        self.budget -= 1;
        let is_index = |path: &&Path| {
            path.tokens.get(depth).is_some_and(|token| token.parse::<usize>().is_ok())
        };
        let array = if alive.iter().any(is_index) { 50 } else { 25 };
        match self.random.below(100) {
            chosen if chosen < array => self.array(alive, depth),
            99 => self.tower(depth),
            _ => self.object(alive, depth),
        }
    }

    fn scalar(&mut self, hint: Option<Hint>) {
        match hint {
            Some(Hint::Topic) => {
                let topic = format!("t.{}", self.random.below(9));
                spelling::string(self.random, &topic, self.out);
            }
            Some(Hint::Time | Hint::Kind(FieldKind::Time)) => spelling::time(self.random, self.out),
            Some(Hint::Kind(FieldKind::Sym | FieldKind::Str)) => self.text(),
            Some(Hint::Kind(FieldKind::Int | FieldKind::Num)) => {
                spelling::number(self.random, self.out);
            }
            Some(Hint::Kind(FieldKind::Bool)) => self.literal(&["true", "false"]),
            Some(Hint::Kind(FieldKind::Raw | FieldKind::Doc)) | None => {
                match self.random.below(5) {
                    0 | 1 => self.text(),
                    2 | 3 => spelling::number(self.random, self.out),
                    _ => self.literal(&["null", "true", "false", "null", "{}", "[]", "[ ]"]),
                }
            }
        }
    }

    fn text(&mut self) {
        let text = spelling::text(self.random);
        spelling::string(self.random, &text, self.out);
    }

    fn literal(&mut self, from: &[&str]) {
        self.out.extend_from_slice(self.random.pick(from).as_bytes());
    }

    /// Containers inside one another, about as many as are allowed.
    fn tower(&mut self, depth: usize) {
        let height = self.grammar.max_depth.saturating_sub(depth + 2) + self.random.below(4);
        let is_array: Vec<bool> = (0..height).map(|_| self.random.chance(50)).collect();
        for &is_array in &is_array {
            self.literal(&[if is_array { "[" } else { "{\"a\":" }]);
        }
        self.scalar(None);
        for &is_array in is_array.iter().rev() {
            self.literal(&[if is_array { "]" } else { "}" }]);
        }
    }

    /// Writes what comes before member or element `number`.
    fn comma(&mut self, number: usize) {
        if number > 0 {
            self.blank();
            self.out.push(b',');
        }
        self.blank();
    }

    fn blank(&mut self) {
        spelling::blank(self.random, self.out);
    }
}

/// Those of `alive` that go on with `token`.
fn along<'a>(alive: &[&'a Path], depth: usize, token: &str) -> Vec<&'a Path> {
    let goes_on = |path: &&&Path| path.tokens.get(depth).is_some_and(|at| at == token);
    alive.iter().filter(goes_on).copied().collect()
}
