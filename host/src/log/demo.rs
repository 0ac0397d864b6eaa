//! The demo source: an invented project's messages, the same for everyone who asks for the same seed.
//!
//! Message `i` is a function of the parameters, the start and `i` alone. The past (`days` before the
//! stream began) has the rhythm of days and weeks; live messages follow the clock by their index. A
//! host that stops and goes on at the next index misses nothing and repeats nothing; where it must go
//! on is told by the identity of the last message it kept ([`DemoId`]).

mod random;
mod rhythm;
mod text;
mod world;

use std::fmt;
use std::str::FromStr;

use self::random::Random;
use self::rhythm::Rhythm;
use self::world::World;

/// One second in µs.
const SECOND: i64 = 1_000_000;

/// What the stream is like.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoParams {
    /// Live messages per second, 0.001 to 1,000,000.
    pub rate: f64,
    /// Days of past messages, up to 3660.
    pub days: u32,
    /// Past messages per day on average.
    pub per_day: u64,
    /// Another seed gives another world.
    pub seed: u64,
    /// Mean size of a message, bytes; about 400 at least.
    pub size: usize,
    /// Begin of the past, µs since 1970; without it `days` before the first start.
    pub start_us: Option<i64>,
    /// The stream ends after so many messages.
    pub count: Option<u64>,
}

impl Default for DemoParams {
    fn default() -> Self {
        Self {
            rate: 20.0,
            days: 30,
            per_day: 10_000,
            seed: 1,
            size: 1000,
            start_us: None,
            count: None,
        }
    }
}

/// Identity of a demo message: all that is needed to go on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoId {
    /// [`DemoParams::seed`].
    pub seed: u64,
    /// Begin of the past, seconds since 1970.
    pub start_s: i64,
    /// Place in the stream, from 0.
    pub index: u64,
}

impl fmt::Display for DemoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "demo-{}-{}-{}", self.seed, self.start_s, self.index)
    }
}

/// The text is no identity of a demo message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of a demo message")]
pub struct NotADemoId(String);

impl FromStr for DemoId {
    type Err = NotADemoId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let rest = text.strip_prefix("demo-")?;
            let (rest, index) = rest.rsplit_once('-')?;
            // From the left: a start before 1970 has a sign of its own.
            let (seed, start_s) = rest.split_once('-')?;
            Some(Self {
                seed: seed.parse().ok()?,
                start_s: start_s.parse().ok()?,
                index: index.parse().ok()?,
            })
        };
        parse().ok_or_else(|| NotADemoId(text.to_owned()))
    }
}

/// The messages of one world from one start on.
#[derive(Debug)]
pub struct DemoStream {
    params: DemoParams,
    start_s: i64,
    rhythm: Rhythm,
    world: World,
}

impl DemoStream {
    /// The stream whose past begins at `start_us`, cut to the second.
    #[must_use]
    pub fn new(params: DemoParams, start_us: i64) -> Self {
        let start_s = start_us.div_euclid(SECOND);
        let rhythm = Rhythm::new(&params, start_s * SECOND);
        let world = World::new(params.seed);
        Self { params, start_s, rhythm, world }
    }

    /// The stream of a first start at `now_us`: its live messages begin now, unless
    /// [`DemoParams::start_us`] says otherwise.
    #[must_use]
    pub fn begin(params: DemoParams, now_us: i64) -> Self {
        let past_us = i64::from(params.days) * 86_400 * SECOND;
        let start_us = params.start_us.unwrap_or(now_us.saturating_sub(past_us));
        Self::new(params, start_us)
    }

    /// The stream that goes on behind the message `last`, and the index of the message that follows;
    /// begins anew if `last` is of another seed or start.
    #[must_use]
    pub fn resume(params: DemoParams, last: DemoId, now_us: i64) -> (Self, u64) {
        let start_s = params.start_us.map(|start_us| start_us.div_euclid(SECOND));
        if last.seed == params.seed && start_s.is_none_or(|start_s| start_s == last.start_s) {
            return (Self::new(params, last.start_s.saturating_mul(SECOND)), last.index + 1);
        }
        (Self::begin(params, now_us), 0)
    }

    /// Number of past messages: those whose times do not depend on the rate.
    #[must_use]
    pub fn len_past(&self) -> u64 {
        self.rhythm.past().min(self.params.count.unwrap_or(u64::MAX))
    }

    /// Number of all messages; `None` if the stream never ends.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        self.params.count
    }

    /// Whether the stream has no message at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.params.count == Some(0)
    }

    /// Event time of message `index`, µs since 1970; never less than that of the one before.
    #[must_use]
    pub fn time_us(&self, index: u64) -> i64 {
        self.rhythm.time_us(index)
    }

    /// Number of messages that have happened at `now_us`: the index of the next one to come.
    #[must_use]
    pub fn due(&self, now_us: i64) -> u64 {
        self.rhythm.due(now_us).min(self.params.count.unwrap_or(u64::MAX))
    }

    /// Time (µs since 1970) and JSON text of message `index`.
    #[must_use]
    pub fn message(&self, index: u64) -> (i64, String) {
        let mut text = Vec::with_capacity(self.params.size * 2);
        let time_us = self.write(index, &mut text);
        (time_us, String::from_utf8(text).unwrap_or_default())
    }

    /// Appends the JSON text of message `index` to `out`, without a line feed; returns its time.
    pub fn write(&self, index: u64, out: &mut Vec<u8>) -> i64 {
        let time_us = self.time_us(index);
        let id = DemoId { seed: self.params.seed, start_s: self.start_s, index };
        let mut random = Random::of(self.params.seed, index);
        self.world.write(id, time_us, self.params.size, &mut random, out);
        time_us
    }
}

#[cfg(test)]
mod tests;
