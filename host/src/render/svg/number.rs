//! Numbers as a reader wants them: short with prefixes on axes, exact in what is read out.

/// How values of a unit are written.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    kind: Kind,
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Bytes,
    /// Lengths of time; seconds in one.
    Time(f64),
    Percent,
}

/// Whether values of a unit are written in other words: `1.5 h` for 5400 of seconds.
#[must_use]
pub fn is_scaled(unit: &str) -> bool {
    Unit::of(unit).kind != Kind::Plain
}

/// Prefixes of plain numbers.
const PREFIXES: [(f64, &str); 6] =
    [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];

/// Names of numbers of bytes.
const BYTES: [(f64, &str); 6] = [
    (1_125_899_906_842_624.0, " PiB"),
    (1_099_511_627_776.0, " TiB"),
    (1_073_741_824.0, " GiB"),
    (1_048_576.0, " MiB"),
    (1024.0, " KiB"),
    (1.0, " B"),
];

/// Names of lengths of time, in seconds.
const TIMES: [(f64, &str); 7] = [
    (86_400.0, " d"),
    (3_600.0, " h"),
    (60.0, " min"),
    (1.0, " s"),
    (1e-3, " ms"),
    (1e-6, " \u{b5}s"),
    (1e-9, " ns"),
];

/// From here on digits say less than an exponent.
const HUGE: f64 = 1e18;

impl Unit {
    /// Returns how values of the unit of this name are written.
    pub(super) fn of(name: &str) -> Self {
        let kind = match name {
            "bytes" | "byte" | "B" => Kind::Bytes,
            "%" | "percent" => Kind::Percent,
            "ns" | "nanoseconds" => Kind::Time(1e-9),
            "us" | "\u{b5}s" | "microseconds" => Kind::Time(1e-6),
            "ms" | "milliseconds" => Kind::Time(1e-3),
            "s" | "sec" | "seconds" => Kind::Time(1.0),
            "min" | "minutes" => Kind::Time(60.0),
            "h" | "hours" => Kind::Time(3600.0),
            "d" | "days" => Kind::Time(86_400.0),
            _ => Kind::Plain,
        };
        Self { kind, name: name.to_owned() }
    }

    /// Whether every written value says its unit, so that the axis need not.
    pub(super) fn is_written(&self) -> bool {
        self.kind != Kind::Plain || self.name.is_empty()
    }

    /// Returns the name of the unit.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what divides values up to `largest` into those that are written, on an axis whose
    /// values all are written in the same unit.
    pub(super) fn divisor(&self, largest: f64) -> f64 {
        match self.kind {
            Kind::Plain | Kind::Percent => 1.0,
            Kind::Bytes => chosen(&BYTES, largest).0,
            Kind::Time(factor) => chosen(&TIMES, largest * factor).0 / factor,
        }
    }

    /// Returns a value of an axis whose values are multiples of `step`, the largest `largest`.
    pub(super) fn tick(&self, value: f64, step: f64, largest: f64) -> String {
        if value == 0.0 {
            return if self.kind == Kind::Percent { "0%".to_owned() } else { "0".to_owned() };
        }
        let (divisor, suffix) = match self.kind {
            Kind::Plain if value.abs() >= HUGE => return exponent(value),
            Kind::Plain => chosen(&PREFIXES, value.abs()),
            Kind::Percent => (1.0, "%"),
            Kind::Bytes => chosen(&BYTES, largest),
            Kind::Time(factor) => {
                let (seconds, suffix) = chosen(&TIMES, largest * factor);
                (seconds / factor, suffix)
            }
        };
        match decimals(step / divisor) {
            // Whole digits are shorter than many decimals of a prefix.
            Some(digits) if digits > 2 && divisor > 1.0 && self.kind == Kind::Plain => {
                grouped(value, decimals(step).unwrap_or(0))
            }
            Some(digits) => format!("{}{suffix}", grouped(value / divisor, digits)),
            None => exponent(value),
        }
    }

    /// Returns a value in about three digits.
    pub(super) fn short(&self, value: f64) -> String {
        let (divisor, suffix) = match self.kind {
            Kind::Plain => chosen(&PREFIXES, value.abs()),
            Kind::Percent => (1.0, "%"),
            Kind::Bytes => chosen(&BYTES, value.abs()),
            Kind::Time(factor) => {
                let (seconds, suffix) = chosen(&TIMES, value.abs() * factor);
                (seconds / factor, suffix)
            }
        };
        let scaled = value / divisor;
        if value == 0.0 {
            return if self.kind == Kind::Percent { "0%".to_owned() } else { "0".to_owned() };
        }
        if scaled.abs() >= 1e6 || scaled.abs() < 1e-3 {
            return format!("{}{}", exponent(scaled), suffix);
        }
        let whole = scaled.abs().log10().floor() as i32 + 1;
        let digits = usize::try_from(3 - whole.max(0)).unwrap_or(0).min(5);
        let extra = if whole <= 0 { usize::try_from(-whole).unwrap_or(0) } else { 0 };
        let mut text = format!("{scaled:.*}", digits + extra);
        trim_zeros(&mut text);
        format!("{text}{suffix}")
    }

    /// Returns a value with all its digits and its unit.
    pub(super) fn exact(&self, value: f64) -> String {
        let digits = if value.abs() >= HUGE || (value != 0.0 && value.abs() < 1e-6) {
            exponent(value)
        } else {
            let text = format!("{value}");
            let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            grouped(value, fraction)
        };
        match self.kind {
            Kind::Percent => format!("{digits}%"),
            _ if self.name.is_empty() => digits,
            _ => format!("{digits} {}", self.name),
        }
    }
}

/// The largest unit that is not larger than a value; the smallest if there is none.
fn chosen(units: &'static [(f64, &'static str)], value: f64) -> (f64, &'static str) {
    // What rounds to the next unit belongs to it: 1M, not 1000k.
    let fits = |size: f64| value >= size * 0.9995;
    *units.iter().find(|(size, _)| fits(*size)).unwrap_or(&units[units.len() - 1])
}

/// How many decimals multiples of a step need; `None` if too many.
fn decimals(step: f64) -> Option<usize> {
    (0..7).find(|digits| {
        let scaled = step.abs() * 10_f64.powi(*digits as i32);
        scaled > 0.5 && (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0)
    })
}

/// A number with commas between thousands.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        out.push('\u{2212}');
    }
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
        trim_zeros(&mut out);
    }
    out
}

fn exponent(value: f64) -> String {
    let text = format!("{value:.3e}");
    let Some((digits, power)) = text.split_once('e') else { return text };
    let mut digits = digits.to_owned();
    trim_zeros(&mut digits);
    format!("{digits}e{power}").replace('-', "\u{2212}")
}

fn trim_zeros(text: &mut String) {
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    if text.starts_with('-') {
        text.replace_range(..1, "\u{2212}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short_and_exact() {
        let plain = Unit::of("messages");
        let texts: Vec<_> =
            (0..6).map(|place| plain.tick(f64::from(place) * 250.0, 250.0, 1250.0)).collect();
        assert_eq!(texts, ["0", "250", "500", "750", "1k", "1.25k"]);
        assert_eq!(plain.tick(1_000_002.0, 2.0, 1_000_010.0), "1,000,002");
        assert_eq!(plain.tick(-0.2, 0.1, 1.0), "\u{2212}0.2");
        assert_eq!(plain.tick(1e300, 1e299, 1e300), "1e300");
        assert_eq!(Unit::of("bytes").tick(512.0, 512.0, 2048.0), "0.5 KiB");
        assert_eq!(Unit::of("ms").tick(1500.0, 500.0, 2000.0), "1.5 s");
        assert_eq!(Unit::of("ms").tick(150.0, 50.0, 200.0), "150 ms");
    }

    #[test]
    fn short_numbers_have_three_digits() {
        let plain = Unit::of("");
        let texts = [0.0, 7.0, 999.96, 1234.0, 12_345.0, 999_999.0, 0.012_34, 1e21, -1500.0]
            .map(|value| plain.short(value));
        let wanted = ["0", "7", "1k", "1.23k", "12.3k", "1M", "0.0123", "1e6P", "\u{2212}1.5k"];
        assert_eq!(texts, wanted);
        assert_eq!(Unit::of("bytes").short(1536.0), "1.5 KiB");
        assert_eq!(Unit::of("us").short(90_000_000.0), "1.5 min");
    }

    #[test]
    fn exact_numbers_keep_every_digit() {
        assert_eq!(Unit::of("ms").exact(1_234_567.25), "1,234,567.25 ms");
        assert_eq!(Unit::of("").exact(-0.0), "0");
    }
}
