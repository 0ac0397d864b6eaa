//! Where a message's identity, topic and time lie, and how large a message may be.

use crate::project::Reject;

/// Where in a message its identity, topic and time lie: for each, JSON pointers tried in order.
///
/// The first member *found* counts, whatever it holds: a `null` topic is a bad topic, not a missing one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Mapping {
    /// Name shown to people (`auto`, `fedmsg`, `plain`, or the configuration's).
    pub name: String,
    /// The sender's id. Only text is an id; anything else counts as none.
    #[serde(default)]
    pub id: Vec<String>,
    /// The topic.
    pub topic: Vec<String>,
    /// The event time.
    pub time: Vec<String>,
    /// Identity by producer and sequence number, where there is no id.
    #[serde(default)]
    pub producer: Option<(String, String)>,
}

impl Mapping {
    /// Fits fedmsg, fedora-messaging and plain messages: the first member found wins.
    #[must_use]
    pub fn auto() -> Self {
        Self {
            name: "auto".into(),
            id: texts(&["/msg_id", "/id"]),
            topic: texts(&["/topic"]),
            time: texts(&["/timestamp", "/headers/sent-at", "/time"]),
            producer: Some(("/producer".into(), "/producer_seq".into())),
        }
    }

    /// Messages of the Fedora bus and of datagrepper.
    #[must_use]
    pub fn fedmsg() -> Self {
        Self {
            name: "fedmsg".into(),
            id: texts(&["/msg_id"]),
            topic: texts(&["/topic"]),
            time: texts(&["/timestamp", "/headers/sent-at"]),
            producer: None,
        }
    }

    /// `id`, `topic` and `time` at the top, or `producer` and `producer_seq` for `id`.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            name: "plain".into(),
            id: texts(&["/id"]),
            topic: texts(&["/topic"]),
            time: texts(&["/time"]),
            producer: Some(("/producer".into(), "/producer_seq".into())),
        }
    }

    /// The built-in mapping of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::auto()),
            "fedmsg" => Some(Self::fedmsg()),
            "plain" => Some(Self::plain()),
            _ => None,
        }
    }
}

impl Default for Mapping {
    fn default() -> Self {
        Self::auto()
    }
}

fn texts(pointers: &[&str]) -> Vec<String> {
    pointers.iter().map(|&pointer| pointer.to_owned()).collect()
}

/// What a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Largest message in bytes; no more than 2 GiB whatever is set.
    pub max_message: usize,
    /// Most containers inside one another; the message itself is the first.
    pub max_depth: usize,
    /// How far the event time may lie past the arrival, µs; for records with an arrival only.
    pub max_ahead_us: i64,
    /// Refuse what serde_json refuses, at the price of a second pass (and of its depth limit, 127).
    pub validate: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message: 16 << 20, max_depth: 128, max_ahead_us: 3_600_000_000, validate: false }
    }
}

impl Limits {
    /// Settles a message's event time from what was `found` in it and when it arrived.
    ///
    /// The arrival stands in for a missing time only where `arrival_time` allows it.
    ///
    /// # Errors
    /// [`Reject::NoTime`] where there is none, [`Reject::Future`] where it lies too far past the arrival.
    pub fn event_time(
        &self,
        found: Option<i64>,
        arrival: Option<i64>,
        arrival_time: bool,
    ) -> Result<i64, Reject> {
        let time_us = found.or(arrival.filter(|_| arrival_time)).ok_or(Reject::NoTime)?;
        match arrival {
            Some(arrival) if time_us > arrival.saturating_add(self.max_ahead_us) => {
                Err(Reject::Future)
            }
            _ => Ok(time_us),
        }
    }
}
