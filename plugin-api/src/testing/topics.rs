//! Topic patterns: `*` is one word, `#` any number of words, words are parted by dots.

/// Whether one of `patterns` matches; no pattern matches every topic.
pub(super) fn matches(patterns: &[&str], topic: &str) -> bool {
    let words: Vec<&str> = topic.split('.').collect();
    patterns.is_empty()
        || patterns.iter().any(|pattern| {
            let pattern: Vec<&str> = pattern.split('.').collect();
            words_match(&pattern, &words)
        })
}

fn words_match(pattern: &[&str], words: &[&str]) -> bool {
    match (pattern.split_first(), words.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((&"#", pattern)), _) => {
            (0..=words.len()).any(|skipped| words_match(pattern, &words[skipped..]))
        }
        (Some((expected, pattern)), Some((word, words))) => {
            (*expected == "*" || expected == word) && words_match(pattern, words)
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_one_word_and_a_hash_any_number() {
        for (pattern, topic, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#.c", "a.b.c", true),
            ("a.#.c", "a.c", true),
            ("a.#.c", "a.b.d", false),
        ] {
            assert_eq!(matches(&[pattern], topic), expected, "{pattern} {topic}");
        }
        assert!(matches(&[], "anything"));
    }
}
