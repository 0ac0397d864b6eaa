//! An event as it is logged, and which topics tell of which.

use statmill_plugin_api::serde_json::Value as Json;

const PREFIX: &str = "org.fedoraproject.prod.";

/// What a message adds to the log.
pub(crate) struct Logged {
    pub(crate) category: String,
    /// What of the category it is about.
    pub(crate) thing: String,
    /// What the dashboard shows.
    pub(crate) message: Json,
}

/// What a topic is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Compose(Step),
    /// Updates were synced out to the mirrors of a distribution.
    Updates {
        distribution: String,
    },
    /// A cloud image was uploaded or tested.
    Images,
    Other,
}

/// A step of a compose that begins or ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// `rawhide` or `branched`.
    pub(crate) branch: String,
    /// `mash`, `pungify`, `rsync`, or the branch: the compose as a whole.
    pub(crate) name: String,
    /// `start` or `complete`.
    pub(crate) status: String,
}

impl Topic {
    pub(crate) fn of(topic: &str) -> Self {
        let Some(rest) = topic.strip_prefix(PREFIX) else { return Self::Other };
        let words: Vec<_> = rest.split('.').collect();
        match *words.as_slice() {
            ["compose", branch @ ("rawhide" | "branched"), status @ ("start" | "complete")] => {
                Self::compose(branch, branch, status)
            }
            [
                "compose",
                branch @ ("rawhide" | "branched"),
                name @ ("mash" | "pungify" | "rsync"),
                status @ ("start" | "complete"),
            ] => Self::compose(branch, name, status),
            ["bodhi", "updates", distribution @ ("fedora" | "epel"), "sync"] => {
                Self::Updates { distribution: distribution.to_owned() }
            }
            ["fedimg", "image", "upload" | "test"] => Self::Images,
            _ => Self::Other,
        }
    }

    fn compose(branch: &str, name: &str, status: &str) -> Self {
        let [branch, name, status] = [branch, name, status].map(str::to_owned);
        Self::Compose(Step { branch, name, status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_production_topics_of_the_two_branches_are_composes() {
        let topic = |rest: &str| Topic::of(&format!("{PREFIX}{rest}"));
        assert_eq!(
            topic("compose.branched.mash.start"),
            Topic::compose("branched", "mash", "start")
        );
        assert_eq!(
            topic("compose.rawhide.complete"),
            Topic::compose("rawhide", "rawhide", "complete")
        );
        for other in ["compose.28.complete", "compose.rawhide.image.start", "compose.rawhide"] {
            assert_eq!(topic(other), Topic::Other, "{other}");
        }
        assert_eq!(Topic::of("org.fedoraproject.stg.compose.rawhide.start"), Topic::Other);
    }
}
