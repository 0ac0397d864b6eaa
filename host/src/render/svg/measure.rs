//! How wide a text is, without a font: an estimate that errs on the wide side.
//!
//! Viewers take whatever font they have. The advances are those of a wide common sans serif, so a
//! text is seldom wider than this says; letters of other scripts are taken at their widest.

/// Advances of the characters from blank to `~`, in hundredths of the font size.
const ASCII: [u8; 95] = [
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 54, 100, 69, 69, 70, 78, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75,
    79, 61, 79, 70, 64, 62, 74, 69, 99, 69, 62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36,
    64, 64, 28, 28, 58, 28, 98, 64, 62, 64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84,
];

/// Bold letters are about this much wider.
const BOLD: f64 = 1.12;

/// What stands for the part of a text that was cut off.
pub(super) const ELLIPSIS: char = '\u{2026}';

/// Returns the width of `text`, px.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let em: f64 = text.chars().map(advance).sum();
    em * size * if bold { BOLD } else { 1.0 }
}

/// Returns `text` as it may be shown: without control characters, which would be no XML or would
/// turn the text around them, and with single blanks.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_whitespace() => {
                if !shown.is_empty() && !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            _ if turns(character) => {}
            _ if character.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            _ => shown.push(character),
        }
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Returns `text`, cut where it would become wider than `room` px; empty where nothing fits.
pub(super) fn fit(text: &str, size: f64, bold: bool, room: f64) -> String {
    let text = shown(text);
    if width(&text, size, bold) <= room {
        return text;
    }
    let mut cut = String::new();
    let mut used = width(&ELLIPSIS.to_string(), size, bold);
    for character in text.chars() {
        used += advance(character) * size * if bold { BOLD } else { 1.0 };
        if used > room {
            break;
        }
        cut.push(character);
    }
    cut.truncate(cut.trim_end().len());
    if cut.is_empty() {
        return cut;
    }
    // A joiner at the end would reach for what was cut off.
    while cut.ends_with(['\u{200d}', '\u{fe0f}']) {
        cut.pop();
    }
    cut.push(ELLIPSIS);
    cut
}

/// Returns how many bytes of their first words several names have in common.
pub(super) fn alike<'a>(mut names: impl Iterator<Item = &'a str>) -> usize {
    let Some(first) = names.next() else { return 0 };
    let mut common = None;
    for name in names {
        let before: &str = common.unwrap_or(first);
        let pairs = before.char_indices().zip(name.chars());
        let same = pairs.take_while(|((_, a), b)| a == b).last();
        common = Some(&before[..same.map_or(0, |((at, last), _)| at + last.len_utf8())]);
    }
    let end = common.and_then(|common| common.rfind(['.', '/', '-', ':', ' ']));
    end.map_or(0, |end| end + 1)
}

/// Whether a character changes the direction of others.
fn turns(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Advance of a character in font sizes.
fn advance(character: char) -> f64 {
    let code = u32::from(character);
    match code {
        0x20..=0x7e => f64::from(ASCII[(code - 0x20) as usize]) / 100.0,
        // Marks that sit on the letter before them, and joiners.
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x64b..=0x65f
        | 0x200b..=0x200d
        | 0xfe00..=0xfe0f => 0.0,
        0xa0..=0x24f => 0.8,
        0x370..=0x52f => 0.95,
        0x590..=0x6ff => 0.85,
        0x2010..=0x203f => 1.0,
        // A whole sentence in one character.
        0xfdfa..=0xfdfd => 12.0,
        0x1100..=0x11ff
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7ff
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6 => 1.05,
        0x1_0000.. => 1.4,
        _ => 1.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_fits_and_says_that_it_was_cut() {
        for text in ["a long name of a package", "длинное имя пакета", "パッケージの長い名前"]
        {
            let cut = fit(text, 12.0, false, 60.0);
            assert!(width(&cut, 12.0, false) <= 60.0, "{cut}");
            assert!(cut.ends_with(ELLIPSIS) && cut.chars().count() > 2, "{cut}");
        }
        assert_eq!(fit("short", 12.0, false, 60.0), "short");
        assert_eq!(fit("short", 12.0, false, 3.0), "");
    }

    #[test]
    fn only_whole_words_that_all_names_begin_with_are_alike() {
        let alike = |names: &[&str]| alike(names.iter().copied());
        assert_eq!(alike(&["org.build.start", "org.build.state", "org.git"]), "org.".len());
        assert_eq!(alike(&["org.build.start", "org.build.state"]), "org.build.".len());
        assert_eq!(alike(&["größe/ä", "größe/ö"]), "größe/".len());
        for names in [&[][..], &["org.alone"], &["abc", "abd"], &["a.b", ""], &["x", "x"]] {
            assert_eq!(alike(names), 0, "{names:?}");
        }
    }

    #[test]
    fn controls_are_not_shown() {
        assert_eq!(shown("a\u{202e}b\u{0}c\n\t d "), "ab\u{fffd}c d");
    }
}
