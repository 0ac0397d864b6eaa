//! Lengths of time as text: `"1h"`, `"1d12h"`.

use syn::{Error, LitStr, Result};

/// Seconds of a length of time of at least one second.
pub(crate) fn seconds(text: &LitStr) -> Result<u64> {
    parse(&text.value()).ok_or_else(|| {
        Error::new(
            text.span(),
            "write a length of time like \"15s\", \"5m\", \"1h\", \"1d12h\" or \"2w\"",
        )
    })
}

/// Seconds of `text`; none if it is no length of time.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut digits = String::new();
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let count: u64 = digits.parse().ok()?;
        total = total.checked_add(count.checked_mul(unit)?)?;
        digits.clear();
    }
    (digits.is_empty() && total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parts_add_up() {
        assert_eq!(parse("1d12h"), Some(129_600));
        assert_eq!(parse("2w"), Some(1_209_600));
    }

    #[test]
    fn what_has_no_unit_or_no_length_is_refused() {
        for text in ["", "1", "h", "0s", "1 h", "-1h", "1h30", "99999999999999999999d"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
