//! Times in messages: Unix seconds, Unix milliseconds, RFC 3339.

const SECOND_US: i64 = 1_000_000;
/// From here on a number is milliseconds.
const MILLISECONDS_FROM: f64 = 1e11;

/// µs since 1970 of a JSON value's text, cut off towards the past; none if it is no time.
pub(super) fn parse(value: &str) -> Option<i64> {
    if value.starts_with('"') {
        return rfc3339(&serde_json::from_str::<String>(value).ok()?);
    }
    let number: f64 = serde_json::from_str(value).ok()?;
    let unit_us = if number >= MILLISECONDS_FROM { 1000 } else { SECOND_US };
    decimal(value, unit_us).or_else(|| {
        // An exponent: nobody writes times so, and 1 µs of rounding does not matter to a test.
        let time_us = (number * unit_us as f64).floor();
        (time_us.abs() < 9e18).then_some(time_us as i64)
    })
}

/// `text · unit_us`, exactly, floored; none if it has an exponent or is too large.
fn decimal(text: &str, unit_us: i64) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut time_us = whole.parse::<i64>().ok()?.checked_mul(unit_us)?;
    let mut place_us = unit_us;
    let mut is_inexact = false;
    for digit in fraction.bytes() {
        let digit = i64::from(char::from(digit).to_digit(10)?);
        place_us /= 10;
        time_us = time_us.checked_add(digit * place_us)?;
        is_inexact |= place_us == 0 && digit > 0;
    }
    Some(if is_negative { -time_us - i64::from(is_inexact) } else { time_us })
}

/// `2015-08-08T02:00:00.5+02:00`; `Z` or nothing is UTC.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(clock, ':')?;
    let is_sound = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && (hour < 24 && minute < 60 && second <= 60);
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let offset_s = match offset {
        "" | "Z" | "z" => 0,
        _ => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset.strip_prefix(['+', '-'])?.split_once(':')?;
            sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
        }
    };
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59)
            - offset_s;
    let fraction_us = decimal(&format!("0.{fraction:0<1}"), SECOND_US)?;
    is_sound.then_some(seconds * SECOND_US + fraction_us)
}

fn three(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let leaps_before = |year: i64| {
        let last = year - 1;
        last / 4 - last / 100 + last / 400
    };
    let of_years = (year - 1970) * 365 + leaps_before(year) - leaps_before(1970);
    let of_months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    of_years + of_months + day - 1
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn seconds_milliseconds_and_rfc_3339_are_times() {
        for (text, time_us) in [
            ("1438992000.486204", Some(1_438_992_000_486_204)),
            ("1438992000", Some(1_438_992_000_000_000)),
            ("1438992000486", Some(1_438_992_000_486_000)),
            ("1438992000.4862049", Some(1_438_992_000_486_204)),
            ("-0.0000001", Some(-1)),
            ("1.438992e9", Some(1_438_992_000_000_000)),
            (r#""2015-08-08T00:00:00Z""#, Some(1_438_992_000_000_000)),
            (r#""2015-08-08T02:00:00.25+02:00""#, Some(1_438_992_000_250_000)),
            (r#""2000-02-29T23:59:59""#, Some(951_868_799_000_000)),
            (r#""2001-02-29T00:00:00Z""#, None),
            (r#""yesterday""#, None),
            ("true", None),
            ("null", None),
        ] {
            assert_eq!(parse(text), time_us, "{text}");
        }
    }
}
