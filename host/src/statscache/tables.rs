//! Which of the original's tables holds the rows of which stat.

/// What a table's name begins with, what the stat's ident begins with, and whether rows have the message's own time.
/// Both go on with the text of the interval.
const FAMILIES: &[(&str, &str, bool)] = &[
    ("data_volume_by_category_", "volume-by-category-", false),
    ("data_volume_by_topic_", "volume-by-topic-", false),
    ("data_volume_by_user_", "volume-by-user-", false),
    ("data_volume_by_package_", "volume-by-package-", false),
    ("data_volume_", "volume-", true),
    ("data_pagure_contibution_", "number-of-contribution-to-pagure.io-", false),
    ("data_pagure_user_contibution_", "number-of-contribution-per-user-to-pagure.io-", false),
    ("data_pagure_project_contibution_", "number-of-contribution-per-project-to-pagure.io-", false),
];
const LOG: (&str, &str) = ("data_releng_dashboard", "release-engineering-event-logs");
/// What the name of every model's table begins with.
pub(super) const PREFIX: &str = "data_";

/// Which table holds the rows of which stat.
#[derive(Clone, Debug, Default)]
pub struct Names {
    named: Vec<(String, String)>,
}

impl Names {
    /// The original's tables, and others by name: (table, ident).
    #[must_use]
    pub fn with(named: Vec<(String, String)>) -> Self {
        Self { named }
    }

    /// The stat whose rows a table holds.
    pub(super) fn ident(&self, table: &str) -> Option<String> {
        if let Some((_, ident)) = self.named.iter().find(|(named, _)| named == table) {
            return Some(ident.clone());
        }
        if table == LOG.0 {
            return Some(LOG.1.to_owned());
        }
        let family = family(table)?;
        Some(format!("{}{}", family.1, &table[family.0.len()..]))
    }

    /// Whether a table's rows have the message's own time, whatever the interval.
    pub(super) fn keeps_message_times(&self, table: &str) -> bool {
        !self.named.iter().any(|(named, _)| named == table)
            && family(table).is_some_and(|family| family.2)
    }

    /// Whether a table is to be looked at.
    pub(super) fn is_model(&self, table: &str) -> bool {
        table.starts_with(PREFIX) || self.named.iter().any(|(named, _)| named == table)
    }
}

fn family(table: &str) -> Option<&'static (&'static str, &'static str, bool)> {
    FAMILIES.iter().find(|(prefix, ..)| table.strip_prefix(prefix).is_some_and(is_interval))
}

/// Is it the text of an interval, like `1d12h`?
fn is_interval(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['d', 'h', 'm', 's'])
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"dhms".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_of_the_original_is_a_stat_of_ours() {
        let ident = |table: &str| Names::default().ident(table);
        for (table, expected) in [
            ("data_volume_1s", "volume-1s"),
            ("data_volume_by_category_15s", "volume-by-category-15s"),
            ("data_pagure_contibution_1d", "number-of-contribution-to-pagure.io-1d"),
            (LOG.0, LOG.1),
        ] {
            assert_eq!(ident(table).as_deref(), Some(expected));
        }
        assert_eq!(ident("data_popularity"), None);
        assert_eq!(ident("data_volume_of_mail"), None);
        assert!(Names::default().keeps_message_times("data_volume_1m"));
        assert!(!Names::default().keeps_message_times("data_volume_by_topic_1m"));
    }

    #[test]
    fn a_named_table_is_what_it_is_named() {
        let names = Names::with(vec![("data_popularity".to_owned(), "popularity-1d".to_owned())]);
        assert_eq!(names.ident("data_popularity").as_deref(), Some("popularity-1d"));
        assert!(names.is_model("data_popularity") && !names.is_model("users"));
    }
}
