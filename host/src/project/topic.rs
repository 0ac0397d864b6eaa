//! Topic patterns, and the rows of a batch whose topics a stat wants.

use crate::project::Batch;

/// Topic patterns of which one must match. Words are separated by dots; `*` is one word, `#` any number
/// of words, none included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicFilter {
    patterns: Vec<Box<[Word]>>,
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Any,
    Rest,
    Exactly(Box<str>),
}

impl TopicFilter {
    /// A filter that lets through what any of `patterns` matches; everything, if there are none.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        let words = |pattern: &String| pattern.split('.').map(Word::of).collect();
        let patterns: Vec<Box<[Word]>> = patterns.iter().map(words).collect();
        let is_open = patterns.is_empty() || patterns.iter().any(|words| **words == [Word::Rest]);
        Self { patterns, is_open }
    }

    /// Whether one of the patterns matches all of `topic`.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.is_open || self.patterns.iter().any(|pattern| is_match(pattern, topic))
    }
}

impl Word {
    fn of(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            "#" => Self::Rest,
            _ => Self::Exactly(text.into()),
        }
    }
}

/// Matches word by word; on a mismatch only the last `#` takes one more word, so the time is at most
/// words × words.
fn is_match(pattern: &[Word], topic: &str) -> bool {
    let mut words = topic.split('.');
    let mut at = 0;
    let mut retry = None;
    loop {
        if pattern.get(at) == Some(&Word::Rest) {
            at += 1;
            retry = Some((at, words.clone()));
            continue;
        }
        let word = words.next();
        let is_same = match (pattern.get(at), word) {
            (None, None) => return true,
            (Some(Word::Any), Some(_)) => true,
            (Some(Word::Exactly(wanted)), Some(word)) => **wanted == *word,
            _ => false,
        };
        if is_same {
            at += 1;
            continue;
        }
        let Some((after, from)) = &mut retry else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        at = *after;
        words = from.clone();
    }
}

/// What a [`TopicFilter`] said of the topics of a generation.
#[derive(Clone, Debug, Default)]
pub struct TopicCache {
    generation: Option<u64>,
    /// By code; `None` where not yet asked.
    wanted: Vec<Option<bool>>,
}

/// The rows of `batch` whose topic `filter` lets through, ascending.
///
/// The filter is asked once for each topic of a generation; `cache` belongs to it.
#[must_use]
pub fn select(batch: &Batch, filter: &TopicFilter, cache: &mut TopicCache) -> Vec<u32> {
    let rows = 0..batch.len() as u32;
    if filter.is_open {
        return rows.collect();
    }
    if cache.generation != Some(batch.generation.id()) {
        cache.generation = Some(batch.generation.id());
        cache.wanted.clear();
    }
    let mut is_wanted = |row: &u32| {
        let code = batch.topics[*row as usize];
        if cache.wanted.len() <= code as usize {
            cache.wanted.resize(code as usize + 1, None);
        }
        *cache.wanted[code as usize]
            .get_or_insert_with(|| filter.matches(batch.generation.topic(code)))
    };
    rows.filter(|row| is_wanted(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_topics_word_by_word() {
        for (pattern, topic, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b", "a", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("*.b", "a.b", true),
            ("#", "", true),
            ("#", "a.b.c", true),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("a.#", "b", false),
            ("#.c", "a.b.c", true),
            ("#.c", "c", true),
            ("#.c", "a.c.b", false),
            ("a.#.d", "a.d", true),
            ("a.#.d", "a.b.d.c.d", true),
            ("a.#.d", "a.b.d.c", false),
            ("#.b.#.d.#", "a.b.c.b.d", true),
            ("#.*.c", "c", false),
            ("*.#.*", "a.b", true),
            ("*.#.*", "a", false),
            ("org.*.prod.#", "org.fedoraproject.prod.git.receive", true),
            ("org.*.prod.#", "org.fedoraproject.stg.git.receive", false),
            ("a.b*", "a.bc", false),
        ] {
            let filter = TopicFilter::new(&[pattern.to_owned()]);
            assert_eq!(filter.matches(topic), expected, "{pattern} on {topic}");
        }
    }

    #[test]
    fn no_pattern_lets_everything_through_and_several_add_up() {
        assert!(TopicFilter::new(&[]).matches("a"));
        let filter = TopicFilter::new(&["a.*".into(), "b".into()]);
        assert!(filter.matches("a.x") && filter.matches("b") && !filter.matches("c"));
    }
}
