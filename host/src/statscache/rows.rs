//! From a row of the original, all texts, to a row of a stat's first model.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use statmill_plugin_api::aggregate::{Count, Last, Max, MeasureOptions, Stamp3, State, Text, Time};
use statmill_plugin_api::encoding::{Value, encode_key, window_start};
use statmill_plugin_api::manifest::{Aggregator, ModelManifest, Stamp, StatManifest, ValueKind};

const TIMESTAMP: &str = "timestamp";
const MICROS: i64 = 1_000_000;

/// How a table's columns make up a row.
pub(super) struct Shape {
    /// Length of the window, and how far before the timestamp it begins; none = the model has no window.
    window: Option<Window>,
    dimensions: Vec<ValueKind>,
    measures: Vec<Measure>,
    /// Time, dimensions, measures.
    columns: Vec<String>,
}

struct Window {
    length_us: i64,
    stamp: WindowStamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WindowStamp {
    /// The time is the message's own.
    Message,
    Start,
    End,
}

/// A measure that a stored value can be made the state of.
#[derive(Clone, Copy)]
enum Measure {
    Count,
    LatestTime,
    NewestText,
}

impl Shape {
    /// How the table with these `columns` holds rows of `stat`; the error says why it cannot.
    pub(super) fn new(
        stat: &StatManifest,
        keeps_message_times: bool,
        columns: &[String],
    ) -> Result<Self, String> {
        let model = stat.models.first().ok_or_else(|| format!("{} has no model", stat.ident))?;
        let measures = model.measures.iter().map(|it| measure(&it.aggregator, &it.name));
        let measures = measures.collect::<Result<Vec<_>, _>>()?;
        let dimensions: Vec<_> = model.dimensions.iter().map(|it| it.kind).collect();
        if dimensions.iter().any(|kind| *kind != ValueKind::Text) {
            return Err(format!("{} has dimensions that are no texts", stat.ident));
        }
        let names = model.dimensions.iter().map(|it| &it.name);
        let names = names.chain(model.measures.iter().map(|it| &it.name)).cloned();
        let wanted: Vec<_> = std::iter::once(TIMESTAMP.to_owned()).chain(names).collect();
        let missing: Vec<_> = wanted.iter().filter(|name| !columns.contains(name)).collect();
        if !missing.is_empty() {
            return Err(format!("it has no column {missing:?}, which {} needs", stat.ident));
        }
        Ok(Self {
            window: window(model, keeps_message_times),
            dimensions,
            measures,
            columns: wanted,
        })
    }

    /// The columns that [`row`](Self::row) takes, in order.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// An event time that a row with this timestamp speaks of: a message of then or later was counted.
    pub(super) fn earliest_message_us(&self, time_us: i64) -> i64 {
        match &self.window {
            Some(Window { length_us, stamp: WindowStamp::End }) => {
                time_us.saturating_sub(*length_us)
            }
            _ => time_us,
        }
    }

    /// Key and value of a row; the error says what is wrong with it.
    pub(super) fn row(
        &self,
        cells: &[Option<String>],
        zone: &TimeZone,
    ) -> Result<(Vec<u8>, Vec<u8>), String> {
        let shown = cells[0].as_deref().ok_or("it has no timestamp")?;
        let time_us = time_us(shown, zone)?;
        let window =
            self.window.as_ref().map(|window| window.start_us(time_us, shown)).transpose()?;
        let (dimensions, measures) = cells[1..].split_at(self.dimensions.len());
        let dimensions: Vec<_> = dimensions
            .iter()
            .map(|cell| cell.as_deref().map_or(Value::Null, |text| Value::Text(text.into())))
            .collect();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        encode_key(window, &dimensions, &mut key);
        let names = &self.columns[1 + dimensions.len()..];
        for ((measure, cell), name) in self.measures.iter().zip(measures).zip(names) {
            let cell = cell.as_deref().ok_or_else(|| format!("{name} is null"))?;
            measure.encode(cell, name, time_us, zone, &mut value)?;
        }
        Ok((key, value))
    }
}

fn window(model: &ModelManifest, keeps_message_times: bool) -> Option<Window> {
    let seconds = i64::try_from(model.window_s?).unwrap_or(i64::MAX);
    let stamp = match model.stamp {
        _ if keeps_message_times => WindowStamp::Message,
        Stamp::Start => WindowStamp::Start,
        Stamp::End => WindowStamp::End,
    };
    Some(Window { length_us: seconds.saturating_mul(MICROS), stamp })
}

impl Window {
    /// Where the window of a row begins.
    fn start_us(&self, time_us: i64, shown: &str) -> Result<i64, String> {
        let start_us = match self.stamp {
            WindowStamp::Message => return Ok(window_start(time_us, self.length_us)),
            WindowStamp::Start => time_us,
            WindowStamp::End => time_us.saturating_sub(self.length_us),
        };
        if window_start(start_us, self.length_us) == start_us {
            return Ok(start_us);
        }
        Err(format!(
            "its window ends at {shown}, where none of {} s does that is counted from 1970 in UTC; was it \
             written in another time zone (--zone), or with another epoch?",
            self.length_us / MICROS
        ))
    }
}

fn measure(aggregator: &Aggregator, name: &str) -> Result<Measure, String> {
    match aggregator {
        Aggregator::Count => Ok(Measure::Count),
        Aggregator::Max { of: ValueKind::Time } => Ok(Measure::LatestTime),
        Aggregator::Last { of: ValueKind::Text } => Ok(Measure::NewestText),
        _ => Err(format!("{name} is made of messages; no stored value can stand for it")),
    }
}

impl Measure {
    fn encode(
        self,
        cell: &str,
        name: &str,
        time_us: i64,
        zone: &TimeZone,
        value: &mut Vec<u8>,
    ) -> Result<(), String> {
        let options = MeasureOptions::DEFAULT;
        // The log is unknown; at equal times any that is known comes later.
        let stamp = Stamp3 { time_us, log_key: 0, offset: 0 };
        match self {
            Self::Count => {
                let number = cell.parse().map_err(|_| format!("{name} is {cell:?}, no count"))?;
                let mut count = Count::default();
                count.add(stamp, number, &options);
                count.encode(&options, value);
            }
            Self::LatestTime => {
                let mut latest = Max::<Time>::default();
                latest.add(stamp, self::time_us(cell, zone)?, &options);
                latest.encode(&options, value);
            }
            Self::NewestText => {
                let mut newest = Last::<Text>::default();
                newest.add(stamp, cell, &options);
                newest.encode(&options, value);
            }
        }
        Ok(())
    }
}

/// A time that names no zone, read in the original's; µs since 1970.
pub(super) fn time_us(text: &str, zone: &TimeZone) -> Result<i64, String> {
    let time: DateTime = text.parse().map_err(|_| format!("{text:?} is no time"))?;
    let zoned = time.to_zoned(zone.clone()).map_err(|error| format!("{text:?}: {error}"))?;
    Ok(zoned.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use statmill_plugin_api::encoding::key_window;

    use super::*;

    const DAY: i64 = 86_400 * MICROS;

    #[test]
    fn times_are_read_in_the_zone_of_the_original() {
        let utc = time_us("2016-03-09 00:00:00.250000", &TimeZone::UTC).unwrap();
        assert_eq!(utc, 1_457_481_600_250_000);
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(time_us("2016-03-09 00:00:00", &zone).unwrap(), 1_457_499_600_000_000);
        assert!(time_us("yesterday", &zone).is_err());
    }

    #[test]
    fn a_window_begins_its_length_before_its_end() {
        let window = |stamp| Window { length_us: DAY, stamp };
        assert_eq!(window(WindowStamp::End).start_us(2 * DAY, "").unwrap(), DAY);
        assert_eq!(window(WindowStamp::Message).start_us(2 * DAY + 5, "").unwrap(), 2 * DAY);
        let refused = window(WindowStamp::End).start_us(2 * DAY + 5 * 3600 * MICROS, "05:00");
        assert!(refused.unwrap_err().contains("--zone"));
    }

    #[test]
    fn a_row_has_a_key_of_window_and_texts_and_a_count() {
        let shape = Shape {
            window: Some(Window { length_us: DAY, stamp: WindowStamp::End }),
            dimensions: vec![ValueKind::Text],
            measures: vec![Measure::Count],
            columns: ["timestamp", "user", "volume"].map(str::to_owned).to_vec(),
        };
        let cells = |volume: &str| {
            ["1970-01-03 00:00:00", "jo", volume].map(|cell| Some(cell.to_owned())).to_vec()
        };
        let (key, value) = shape.row(&cells("7"), &TimeZone::UTC).unwrap();
        assert_eq!((key_window(&key), value), (DAY, vec![7]));
        assert!(shape.row(&cells("-7"), &TimeZone::UTC).unwrap_err().contains("no count"));
    }
}
