//! A line of a table: which topics, and where in their bodies names stand.

use crate::read::Read;

/// Where names stand in the bodies of some topics. Of a table's rules the first whose pattern matches
/// decides alone.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Pattern of what follows the environment (`prod`, `stg`, `dev`) in the topic: words between dots, `*`
    /// any one word, `#` at the end any number of words.
    pub topics: &'static str,
    /// Each adds its names.
    pub takes: &'static [Take],
}

/// Names in one place.
#[derive(Clone, Copy, Debug)]
pub enum Take {
    /// Of these places, in order, the first that has a name. A place is a JSON pointer from the body on,
    /// in which `*` is every element of an array or member of an object.
    First(&'static [(&'static str, Read)]),
    /// This name, whatever the body.
    Always(&'static str),
}

impl Rule {
    /// The number of the first of `rules` for a topic.
    pub(crate) fn find(rules: &[Self], topic: &str) -> Option<usize> {
        let rest = after_environment(topic)?;
        rules.iter().position(|rule| matches(rule.topics, rest))
    }
}

/// `bodhi.update.comment` of `org.fedoraproject.prod.bodhi.update.comment`.
fn after_environment(topic: &str) -> Option<&str> {
    topic.splitn(4, '.').nth(3)
}

fn matches(pattern: &str, topic: &str) -> bool {
    let mut words = topic.split('.');
    for wanted in pattern.split('.') {
        match (wanted, words.next()) {
            ("#", _) | ("*", Some(_)) => {}
            (wanted, Some(word)) if wanted == word => {}
            _ => return false,
        }
        if wanted == "#" {
            return true;
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_the_words_after_the_environment() {
        assert_eq!(after_environment("io.pagure.prod.pagure.issue.new"), Some("pagure.issue.new"));
        assert_eq!(after_environment("a.b.c"), None);
    }

    #[test]
    fn a_star_is_one_word_and_a_hash_any_number() {
        assert!(matches("git.receive", "git.receive"));
        assert!(!matches("git.receive", "git.receive.more"));
        assert!(!matches("git.receive", "git"));
        assert!(matches("git.*", "git.branch"));
        assert!(!matches("git.*", "git"));
        assert!(matches("git.#", "git"));
        assert!(matches("git.#", "git.lookaside.new"));
        assert!(!matches("git.#", "github.push"));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules =
            [Rule { topics: "git.receive", takes: &[] }, Rule { topics: "git.#", takes: &[] }];
        assert_eq!(Rule::find(&rules, "org.fedoraproject.prod.git.receive"), Some(0));
        assert_eq!(Rule::find(&rules, "org.fedoraproject.prod.git.branch"), Some(1));
        assert_eq!(Rule::find(&rules, "org.fedoraproject.prod.wiki.edit"), None);
    }
}
