//! Keys, texts, numbers and blanks in all the ways in which JSON can write them.

use crate::fuzz::Random;

/// Short and long, with equal tails, prefixes and suffixes of each other, to be escaped in a document or
/// in a pointer, indexes and what only looks like one.
pub(super) const KEYS: &[&str] = &[
    "",
    "a",
    "b",
    "c",
    "0",
    "1",
    "2",
    "7",
    "01",
    "-1",
    "+1",
    "00",
    "1e0",
    "é",
    "ö",
    "😀",
    "a/b",
    "m~n",
    "~1",
    "~0",
    "/",
    "~",
    "a\nb",
    "q\"q",
    "\"",
    "\\",
    "back\\slash",
    "\u{0}",
    "\u{7f}",
    "\u{2028}",
    "topic",
    "timestamp",
    "time",
    "id",
    "msg_id",
    "producer",
    "producer_seq",
    "headers",
    "sent-at",
    "name",
    "username",
    "user",
    "surname",
    "package",
    "packages",
    "msg",
    "timing",
    "elapsed_ms",
    "elapsed",
    "opic",
    "xtopic",
    "topics",
    "Topic",
    "top\u{131}c",
    "sevenxx",
    "1234567",
    "eightxxx",
    "12345678",
    "x12345678",
    "nine-long",
    "tail-of-nine-long",
    "abcdefghijklmnopqrst",
    "bcdefghijklmnopqrst",
    "zbcdefghijklmnopqrst",
    "cdefghijklmnopqrstu",
    "größer als acht",
    "{",
    "}",
    "[",
    ",",
    ":",
    "a\":1,\"b",
    "topic\":\"t",
    "a key that is longer than the sixty-four bytes of one block, and then some",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "-0.0",
    "1",
    "-1",
    "12",
    "2.0",
    "1e3",
    "1E+3",
    "1e-7",
    "0e0",
    "-0e-0",
    "10.0e0",
    "0.1",
    "0.30000000000000004",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
    "1.7976931348623159e308",
    "5e-324",
    "2e-324",
    "1e-400",
    "2.2250738585072011e-308",
    "123456789012345678901234567890e-20",
    "0.00000000000000000000000000000000000001",
    "1e999",
    "-1e999",
    "0e999",
    "1e-99999999999999999999",
    "0e99999999999999999999",
    "1438992000.486204",
    "1438992000486",
    "99999999999",
    "100000000000",
    "1e11",
    "253402300799999",
    "-62135596800",
    "1.438992000486204E9",
    "8.41e21",
    "6929495644600919.5",
];

/// What looks like a number, a literal or a string and is none.
const ILL: &[&[u8]] = &[
    b"01",
    b"-01",
    b"1.",
    b".5",
    b"+1",
    b"-",
    b"1e",
    b"1e+",
    b"1.e3",
    b"0x1",
    b"Infinity",
    b"NaN",
    b"1_0",
    b"1 2",
    b"tru",
    b"True",
    b"nulll",
    b"null null",
    b"'a'",
    b"a",
    b"\xff",
    b"\x00",
    b"1\x00",
    b"\xef\xbb\xbf1",
    b"\xc2\xa01",
    b"--1",
    b"1-1",
    b"1,",
    b",1",
    b":",
    b"\"a\"b",
    b"\"a\" \"b\"",
    b"{}1",
    b"[]]",
    b"/**/1",
    b"\"\\ud800\"",
    b"\"\\udc00\"",
    b"\"\\ud83d\\u0041\"",
    b"\"\\ud83d\\ud83d\\ude00\"",
    b"\"\\u12\"",
    b"\"\\u+123\"",
    b"\"\\x\"",
    b"\"\\",
    b"\"\t\"",
    b"\"\n\"",
    b"\"\x1f\"",
    b"\"\x00\"",
    b"\"\xff\"",
    b"\"\xc3\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xc0\x80\"",
    b"\"",
    b"\\",
    b"\\\"",
    b"1\\",
    b"\\u0061",
    b"\xc3\xa9",
    b"\x7f",
];

const WORDS: &[&str] = &[
    "",
    "a",
    "0",
    "null",
    "text",
    "org.fedoraproject.prod.git.receive",
    "x\u{0}y",
    "tab\there",
    "two\nlines",
    "quote\"d",
    "back\\slash",
    "\\",
    "\\\\\"",
    "a/b",
    "naïve",
    "größer",
    "更新",
    "😀🎉",
    "\u{feff}",
    "\u{d7ff}\u{e000}",
    "\u{10ffff}",
    "\u{7f}\u{80}",
    "{\"topic\": \"decoy\", \"time\": 1}",
    "}],\"a\":[{",
    "\": 1, \"topic\": \"x",
    "://,:{}",
];

const TIMES: &[&str] = &[
    "1438992000",
    "1438992000.5",
    "1438992000.486204",
    "1438992000486",
    "1.438992e9",
    "0",
    "-1.5",
    "1e11",
    "\"2015-08-08T00:00:00Z\"",
    "\"2015-08-08 02:00:00.25+02:00\"",
    "\"2015-08-08T00:00:00\\u005a\"",
    "\"2016-12-31t23:59:60z\"",
    "\"9999-12-31T23:59:59.999999Z\"",
    "\"2015-08-07T18:30:00-0530\"",
];

/// Appends a string in quotes: as plain as can be, or with escapes that nobody needs.
pub(super) fn string(random: &mut Random, text: &str, out: &mut Vec<u8>) {
    let eagerness = [0, 0, 0, 0, 0, 10, 30, 100][random.below(8)];
    out.push(b'"');
    for char in text.chars() {
        let is_needed = matches!(char, '"' | '\\' | '\0'..='\x1f');
        if is_needed || random.chance(eagerness) {
            escape(random, char, out);
        } else {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out.push(b'"');
}

fn escape(random: &mut Random, char: char, out: &mut Vec<u8>) {
    let letter = match char {
        '"' | '\\' | '/' => char,
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        _ => 'u',
    };
    if letter != 'u' && random.chance(70) {
        out.extend_from_slice(&[b'\\', letter as u8]);
        return;
    }
    for unit in char.encode_utf16(&mut [0; 2]) {
        let hex =
            if random.chance(50) { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
        out.extend_from_slice(hex.as_bytes());
    }
}

/// Appends what may stand between tokens; mostly nothing, sometimes more than a block.
pub(super) fn blank(random: &mut Random, out: &mut Vec<u8>) {
    match random.below(40) {
        0..26 => {}
        26..34 => out.push(b' '),
        34..39 => (0..random.few(6)).for_each(|_| out.push(b" \t\n\r"[random.below(4)])),
        _ => out.resize(out.len() + random.below(140), b' '),
    }
}

/// Appends a number of the grammar; few are too large for an `f64`.
pub(super) fn number(random: &mut Random, out: &mut Vec<u8>) {
    let text = match random.below(8) {
        0..3 => random.pick(NUMBERS).to_owned(),
        3 => random.few(1000).to_string(),
        4 => (random.bits() as i64 >> random.below(64)).to_string(),
        5 => match f64::from_bits(random.bits()) {
            float if float.is_finite() => format!("{float:e}"),
            _ => "0".to_owned(),
        },
        6 => (random.bits() as i64 as f64 / 1e6).to_string(),
        _ => by_digits(random),
    };
    out.extend_from_slice(text.as_bytes());
}

fn by_digits(random: &mut Random) -> String {
    let mut text = if random.chance(30) { "-".to_owned() } else { String::new() };
    let digits = |random: &mut Random, most: usize, text: &mut String| {
        for _ in 0..=random.few(most) {
            text.push(char::from(b'0' + random.below(10) as u8));
        }
    };
    let whole = text.len();
    digits(random, 24, &mut text);
    if text.len() > whole + 1 && text.as_bytes()[whole] == b'0' {
        text.replace_range(whole..=whole, "7");
    }
    if random.chance(50) {
        text.push('.');
        digits(random, 24, &mut text);
    }
    if random.chance(40) {
        text.push_str(random.pick(&["e", "E", "e+", "e-", "E-", "E+", "e0", "e-00"]));
        text.push_str(&random.few(320).to_string());
    }
    text
}

/// Appends a time as messages carry it.
pub(super) fn time(random: &mut Random, out: &mut Vec<u8>) {
    match random.below(4) {
        0 => out.extend_from_slice(random.pick(TIMES).as_bytes()),
        _ => {
            let time =
                format!("{}.{:06}", 1_438_992_000 + random.below(1 << 20), random.below(1_000_000));
            out.extend_from_slice(time.as_bytes());
        }
    }
}

/// A text to be spelled.
pub(super) fn text(random: &mut Random) -> String {
    match random.below(8) {
        0..3 => random.pick(WORDS).to_owned(),
        3 => "x".repeat(random.few(150)),
        4 => (0..random.few(12)).map(|_| random.pick(WORDS)).collect(),
        5 => "\\".repeat(random.few(70)),
        6 => (0..random.few(40))
            .filter_map(|_| char::from_u32(random.few(0x11_0000) as u32))
            .collect(),
        _ => format!("{}{}", "y".repeat(random.below(70)), random.pick(WORDS)),
    }
}

/// What is no value at all.
pub(super) fn ill(random: &mut Random) -> &'static [u8] {
    random.pick(ILL)
}

/// A key that may be mistaken for `key`: shorter, longer, with the same tail or the same head.
pub(super) fn near(random: &mut Random, key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let some = || chars.iter().copied();
    match random.below(7) {
        0 => some().skip(1).collect(),
        1 => some().take(chars.len().saturating_sub(1)).collect(),
        2 => format!(
            "{}{key}",
            random.pick(&["x", "\"", "\\", "\\\"", "é", "1234567", "\u{1}", ":"])
        ),
        3 => format!("{key}{}", random.pick(&["x", "\"", "\\", " ", "s", "\u{0}"])),
        4 => std::iter::once('z').chain(some().skip(1)).collect(),
        5 => some().rev().collect(),
        _ => key.to_uppercase(),
    }
}
