//! Contributions by project.

use statmill_plugin_api::prelude::*;

use crate::{DAY, TOPICS};

/// Edits of comments are no contributions to a project.
const EDITED_COMMENT: &str = "io.pagure.prod.pagure.issue.comment.edited";

fields! {
    /// Where the project is named: the first that is there counts.
    pub struct Event {
        pull_request: sym "/msg/pullrequest/project/name",
        repo: sym "/msg/repo/name",
        commit: sym "/msg/commit/repo/name",
        project: sym "/msg/project/name",
        newer_pull_request: sym "/body/pullrequest/project/name",
        newer_repo: sym "/body/repo/name",
        newer_project: sym "/body/project/name",
    }
}

/// Contributions by project in each day.
#[derive(Models, Default)]
pub struct ByProject {
    #[model(window = interval, stamp = "end", dimensions = ["project"], measures = ["volume"])]
    by_project: Rollup<(SymOrText,), Count>,
    /// Whether messages of a topic count.
    counts: Memo<bool>,
}

impl Stat for ByProject {
    const INFO: StatInfo = StatInfo {
        ident: "number-of-contribution-per-project-to-pagure.io",
        title: "Number of contribution per project to pagure.io",
        summary: "Contributions to pagure.io in each day, by project.",
        description: "How many messages about each project there were from pagure.io in each day, \
                      edits of comments left out. A message that names no project is not counted.",
        interval: Some(DAY),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;
    const TOPICS: &'static [&'static str] = TOPICS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            let topic = message.topic_sym();
            if *self.counts.get(&message, topic, |topic| topic != EDITED_COMMENT)
                && let Some(project) = project(&message)
            {
                self.by_project.at(&message, (Label::Sym(project),)).add(1);
            }
        }
        Ok(())
    }
}

fn project(message: &Event<'_>) -> Option<Sym> {
    (message.pull_request())
        .or_else(|| message.repo())
        .or_else(|| message.commit())
        .or_else(|| message.project())
        .or_else(|| message.newer_pull_request())
        .or_else(|| message.newer_repo())
        .or_else(|| message.newer_project())
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    fn rows(messages: &[(&str, &str)]) -> String {
        let messages: Vec<_> = messages
            .iter()
            .map(|(topic, rest)| {
                format!(r#"{{"topic": "io.pagure.prod.pagure.{topic}", "timestamp": 1, {rest}}}"#)
            })
            .collect();
        let messages: Vec<_> = messages.iter().map(String::as_str).collect();
        testing::fold::<ByProject>(&messages).rows("by_project")
    }

    #[test]
    fn a_project_is_one_row_wherever_it_is_named() {
        let rows = rows(&[
            ("pull-request.new", r#""msg": {"pullrequest": {"project": {"name": "a"}}}"#),
            ("git.receive", r#""msg": {"repo": {"name": "a"}}"#),
            ("git.receive", r#""msg": {"commit": {"repo": {"name": "a"}}}"#),
            ("issue.new", r#""msg": {"project": {"name": "a"}}"#),
            ("issue.new", r#""body": {"project": {"name": "a"}}"#),
            ("issue.new", r#""msg": {"project": {"name": "b"}}"#),
        ]);
        assert_eq!(rows, "timestamp,project,volume\n86400.0,a,5\n86400.0,b,1\n");
    }

    #[test]
    fn edited_comments_and_messages_without_a_project_do_not_count() {
        let rows = rows(&[
            ("issue.comment.edited", r#""msg": {"project": {"name": "a"}}"#),
            ("group.new", r#""msg": {"agent": "jo"}"#),
        ]);
        assert_eq!(rows, "timestamp,project,volume\n");
    }
}
