//! Time axes: ticks at round times of the calendar, the coarser part of a time only where it changes.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// A tick of a time axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) time_us: f64,
    /// What changes from tick to tick.
    pub(super) label: String,
    /// What stays for many: day, or year; said below the first tick and where it changes.
    pub(super) context: String,
}

/// Distances of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Millis(i64),
    Days(i64),
    Months(i64),
    Years(i64),
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY_US: f64 = 86_400e6;

/// From fine to coarse, with the length of each in µs.
const STEPS: [Step; 33] = [
    Step::Millis(1),
    Step::Millis(10),
    Step::Millis(100),
    Step::Millis(SECOND),
    Step::Millis(5 * SECOND),
    Step::Millis(15 * SECOND),
    Step::Millis(30 * SECOND),
    Step::Millis(MINUTE),
    Step::Millis(5 * MINUTE),
    Step::Millis(15 * MINUTE),
    Step::Millis(30 * MINUTE),
    Step::Millis(HOUR),
    Step::Millis(3 * HOUR),
    Step::Millis(6 * HOUR),
    Step::Millis(12 * HOUR),
    Step::Days(1),
    Step::Days(2),
    Step::Days(3),
    Step::Days(7),
    Step::Days(14),
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(5),
    Step::Years(10),
    Step::Years(20),
    Step::Years(50),
    Step::Years(100),
    Step::Years(500),
    Step::Years(1000),
];

impl Step {
    fn length_us(self) -> f64 {
        match self {
            Self::Millis(millis) => millis as f64 * 1e3,
            Self::Days(days) => days as f64 * DAY_US,
            Self::Months(months) => months as f64 * 30.44 * DAY_US,
            Self::Years(years) => years as f64 * 365.25 * DAY_US,
        }
    }

    /// The last round time at or before another.
    fn floor(self, time: DateTime) -> Option<DateTime> {
        match self {
            Self::Millis(millis) => {
                let midnight = time.date().to_datetime(jiff::civil::Time::midnight());
                let since = midnight.duration_until(time).as_millis() as i64;
                let round = SignedDuration::from_millis(since.div_euclid(millis) * millis);
                midnight.checked_add(round).ok()
            }
            Self::Days(days) => {
                // Counted from a Monday, so that weeks begin on Mondays.
                let monday = Date::constant(1970, 1, 5);
                let since = (time.date() - monday).get_days();
                let date = monday.checked_add((i64::from(since).div_euclid(days) * days).days());
                Some(date.ok()?.to_datetime(jiff::civil::Time::midnight()))
            }
            Self::Months(months) => {
                let month = (i64::from(time.month()) - 1).div_euclid(months) * months + 1;
                Some(Date::new(time.year(), i8::try_from(month).ok()?, 1).ok()?.into())
            }
            Self::Years(years) => {
                let year = i64::from(time.year()).div_euclid(years) * years;
                Some(Date::new(i16::try_from(year).ok()?, 1, 1).ok()?.into())
            }
        }
    }

    fn after(self, time: DateTime) -> Option<DateTime> {
        match self {
            Self::Millis(millis) => time.checked_add(SignedDuration::from_millis(millis)),
            Self::Days(days) => time.checked_add(days.days()),
            Self::Months(months) => time.checked_add(months.months()),
            Self::Years(years) => time.checked_add(years.years()),
        }
        .ok()
    }

    fn label(self, time: DateTime) -> (String, String) {
        let date = || time.strftime("%-d %b %Y").to_string();
        match self {
            Self::Millis(millis) if millis < SECOND => {
                (time.strftime("%H:%M:%S%.3f").to_string(), date())
            }
            Self::Millis(millis) if millis < MINUTE => {
                (time.strftime("%H:%M:%S").to_string(), date())
            }
            Self::Millis(_) => (time.strftime("%H:%M").to_string(), date()),
            Self::Days(_) => (time.strftime("%-d %b").to_string(), time.year().to_string()),
            Self::Months(_) => (time.strftime("%b").to_string(), time.year().to_string()),
            Self::Years(_) => (time.year().to_string(), String::new()),
        }
    }
}

/// Returns the ticks between two times (µs), at most `most`; none where the calendar ends.
pub(super) fn ticks(from_us: f64, to_us: f64, most: usize, zone: &TimeZone) -> Vec<Tick> {
    let most = most.clamp(1, 60);
    let fits = |step: &&Step| (to_us - from_us) / step.length_us() <= most as f64;
    let Some(step) = STEPS.iter().find(fits) else { return Vec::new() };
    let Some(first) = civil(from_us, zone) else { return Vec::new() };
    let mut next = step.floor(first);
    let mut ticks: Vec<Tick> = Vec::new();
    let mut last_context = String::new();
    // Two more than fit: one before the range, and one where a clock is put back.
    for _ in 0..most + 4 {
        let Some(time) = next else { break };
        next = step.after(time);
        // Days are counted anew in each month, so that the same days are named in each.
        let Some(time_us) = instant(time, zone) else { break };
        if time_us > to_us {
            break;
        }
        if time_us < from_us || ticks.last().is_some_and(|last| last.time_us >= time_us) {
            continue;
        }
        let (label, context) = step.label(time);
        let said = if context == last_context { String::new() } else { context.clone() };
        last_context = context;
        ticks.push(Tick { time_us, label, context: said });
    }
    ticks
}

/// Returns a time as it is read out: to the minute where that says all.
pub(super) fn text(time_us: f64, zone: &TimeZone) -> String {
    let Some(time) = civil(time_us, zone) else { return format!("{time_us} \u{b5}s") };
    let form = match (time.second(), time.subsec_nanosecond()) {
        (0, 0) => "%-d %b %Y %H:%M",
        (_, 0) => "%-d %b %Y %H:%M:%S",
        _ => "%-d %b %Y %H:%M:%S%.6f",
    };
    time.strftime(form).to_string()
}

fn civil(time_us: f64, zone: &TimeZone) -> Option<DateTime> {
    let time = Timestamp::from_microsecond(time_us as i64).ok()?;
    Some(zone.to_datetime(time))
}

fn instant(time: DateTime, zone: &TimeZone) -> Option<f64> {
    let time = zone.to_ambiguous_timestamp(time).compatible().ok()?;
    Some(time.as_microsecond() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn labels(from: &str, to: &str, most: usize, zone: &TimeZone) -> Vec<(String, String)> {
        let micros = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond() as f64;
        let ticks = ticks(micros(from), micros(to), most, zone);
        ticks.into_iter().map(|tick| (tick.label, tick.context)).collect()
    }

    #[test]
    fn a_day_has_hours_and_its_date_once() {
        let labels = labels("2026-11-14T03:10:00Z", "2026-11-15T02:00:00Z", 5, &TimeZone::UTC);
        let wanted =
            [("06:00", "14 Nov 2026"), ("12:00", ""), ("18:00", ""), ("00:00", "15 Nov 2026")];
        assert_eq!(labels, wanted.map(|(label, context)| (label.to_owned(), context.to_owned())));
    }

    #[test]
    fn years_are_said_where_they_change() {
        let labels = labels("2026-11-14T00:00:00Z", "2027-02-15T00:00:00Z", 6, &TimeZone::UTC);
        assert_eq!(labels[0], ("Dec".to_owned(), "2026".to_owned()));
        assert_eq!(labels[1], ("Jan".to_owned(), "2027".to_owned()));
        assert_eq!(labels[2], ("Feb".to_owned(), String::new()));
    }

    #[test]
    fn days_begin_where_the_reader_is() {
        let zone = TimeZone::fixed(jiff::tz::offset(5));
        let from = "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().as_microsecond() as f64;
        let ticks = ticks(from, from + 3.0 * DAY_US, 5, &zone);
        assert!(ticks.iter().all(|tick| (tick.time_us / 3.6e9) % 24.0 == 19.0), "{ticks:?}");
    }

    #[test]
    fn a_time_beyond_the_calendar_has_no_ticks() {
        assert!(ticks(-1e300, 1e300, 5, &TimeZone::UTC).is_empty());
        assert!(ticks(9e18, 9.1e18, 5, &TimeZone::UTC).is_empty());
    }

    #[test]
    fn no_step_is_left_out_between_a_millisecond_and_a_millennium() {
        let mut length = 4e3;
        while length < 2_000.0 * 365.0 * DAY_US {
            let ticks = ticks(0.0, length, 6, &TimeZone::UTC);
            assert!((1..=7).contains(&ticks.len()), "{length} {ticks:?}");
            length *= 1.7;
        }
    }
}
