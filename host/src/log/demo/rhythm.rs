//! When the messages happen.
//!
//! Past: each hour of the past has a weight (hour of the day, day of the week, now and then a burst);
//! the messages lie along the sum of the weights. Live: message `k` has the k-th slot of `1/rate`
//! seconds, and within each minute slots are squeezed and stretched so that numbers move.

use super::DemoParams;
use super::random::{Random, mix};

const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;
/// Load by hour of the day, UTC.
const DAY: [u64; 24] = [
    22, 18, 16, 15, 16, 20, 30, 48, 70, 85, 92, 95, 90, 94, 100, 98, 92, 84, 72, 60, 50, 42, 34, 27,
];
/// Load by day of the week, percent, from Thursday: 1970 began with one.
const WEEK: [u64; 7] = [100, 92, 48, 42, 96, 104, 103];
/// Fraction bits of a place between two messages.
const FINE: u32 = 20;

#[derive(Debug)]
pub(super) struct Rhythm {
    seed: u64,
    start_us: i64,
    live_us: i64,
    past: u64,
    /// Sum of the weights of all hours up to and with each.
    hours: Vec<u64>,
    /// Live messages in 1,000 s.
    rate: u64,
}

impl Rhythm {
    pub(super) fn new(params: &DemoParams, start_us: i64) -> Self {
        let days = params.days.min(3660);
        let mut sum = 0;
        let hours = (0..i64::from(days) * 24)
            .map(|hour| {
                sum += weight(params.seed, start_us.div_euclid(HOUR) + hour);
                sum
            })
            .collect();
        Self {
            seed: params.seed,
            start_us,
            live_us: start_us.saturating_add(i64::from(days) * 24 * HOUR),
            past: params.per_day.min(1 << 40) * u64::from(days),
            hours,
            rate: ((params.rate * 1000.0) as u64).clamp(1, 1_000_000_000),
        }
    }

    pub(super) fn past(&self) -> u64 {
        self.past
    }

    pub(super) fn time_us(&self, index: u64) -> i64 {
        // Where between its neighbours the message lies: they keep their order.
        let place =
            (u128::from(index) << FINE) + u128::from(mix(self.seed ^ mix(index)) >> (64 - FINE));
        if index < self.past { self.past_us(place) } else { self.live_us(place) }
    }

    fn past_us(&self, place: u128) -> i64 {
        let all = self.hours.last().copied().unwrap_or(0);
        // Weights stay below 2^29, places below 2^72.
        let at = ((u128::from(all) * place) << FINE) / (u128::from(self.past) << FINE);
        let hour = self.hours.partition_point(|sum| u128::from(*sum) << FINE <= at);
        let hour = hour.min(self.hours.len() - 1);
        let before = if hour == 0 { 0 } else { self.hours[hour - 1] };
        let width = u128::from(self.hours[hour] - before) << FINE;
        let within = (at - (u128::from(before) << FINE)) * HOUR as u128 / width;
        self.start_us + hour as i64 * HOUR + within as i64
    }

    fn live_us(&self, place: u128) -> i64 {
        let place = place - (u128::from(self.past) << FINE);
        let even = (place * 1_000_000_000 / u128::from(self.rate)) >> FINE;
        let even = i64::try_from(even).unwrap_or(i64::MAX / 4);
        let minute = even / MINUTE;
        let mut random = Random::of(self.seed ^ 0x11fe, minute as u64);
        let (knee, value) = (20 + random.below(61) as i64, 30 + random.below(41) as i64);
        let (at, knee_us) = (even % MINUTE, MINUTE / 100 * knee);
        let moved = if at < knee_us {
            at * value / knee
        } else {
            MINUTE / 100 * value + (at - knee_us) * (100 - value) / (100 - knee)
        };
        self.live_us.saturating_add(minute * MINUTE + moved)
    }

    /// Number of messages with a time of at most `now_us`.
    pub(super) fn due(&self, now_us: i64) -> u64 {
        let (mut low, mut high) = (0, self.past);
        if now_us >= self.live_us {
            let elapsed = (now_us - self.live_us + 2 * MINUTE) as u128;
            let slots = elapsed * u128::from(self.rate) / 1_000_000_000 + 2;
            low = self.past;
            high = self.past.saturating_add(u64::try_from(slots).unwrap_or(u64::MAX / 4));
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time_us(middle) <= now_us { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Load of an hour, counted from 1970.
fn weight(seed: u64, hour: i64) -> u64 {
    let day = DAY[hour.rem_euclid(24) as usize];
    let week = WEEK[hour.div_euclid(24).rem_euclid(7) as usize];
    let mut random = Random::of(seed ^ 0xb0b5, hour as u64);
    let noise = 80 + random.below(41);
    // A mass rebuild, a release, an outage's end.
    let burst = if random.permille(25) { 150 + random.below(250) } else { 100 };
    day * week * noise * burst / 100_000 + 1
}
