//! Documents and pointers to try: few keys in many spellings, so that duplicates are common.

use proptest::prelude::*;
use statmill_plugin_api::manifest::FieldKind;

/// Keys as they may be spelled in a document; several are the same key.
const KEYS: &[&str] = &[
    "a",
    "b",
    "0",
    r"\u0061",
    "c",
    r"\u0030",
    "1",
    "2",
    "01",
    "",
    "a/b",
    r"a\/b",
    "m~n",
    "é",
    r"\u00e9",
    r"\ud83d\ude00",
    "😀",
    r"a\nb",
    r#"q\"q"#,
    "a long key that is no candidate, longer than 64 bytes in all, \\u0061",
];

/// The same keys as tokens of pointers.
const TOKENS: &[&str] =
    &["a", "b", "c", "0", "1", "2", "01", "", "a~1b", "m~0n", "é", "😀", "a\nb", "q\"q", "-1", "d"];

const SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1",
    "-17",
    "2.0",
    "1e3",
    "1E-2",
    "0.1",
    "123456789012345678",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1.7976931348623157e308",
    "5e-324",
    "1e-400",
    "2.2250738585072011e-308",
    "9007199254740993",
    "0.30000000000000004",
    "1438992000.486204",
    "1438992000486",
    "100000000000",
    "123456789012345678901234567890e-20",
    r#""""#,
    r#""text""#,
    r#""{\"a\": [1, 2]}""#,
    r#""\\""#,
    r#""\\\"""#,
    r#""2015-08-08T00:00:00Z""#,
    r#""é\u00e9\ud83d\ude00\n""#,
    r#""a\/b""#,
];

/// Mostly the first few, so that pointers lead somewhere and keys come twice.
fn spelling(all: &'static [&'static str], common: usize) -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => prop::sample::select(&all[..common]), 1 => prop::sample::select(all)]
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 2 => Just(" "), 1 => Just("\n\t\r  "), 1 => Just("                    ")]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(SCALARS).prop_map(str::to_owned),
        1 => any::<f64>().prop_filter_map("finite", |n| n.is_finite().then(|| n.to_string())),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => (0..100_usize).prop_map(|n| format!("\"{}\\\\\"", "x".repeat(n))),
    ]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        let elements = prop::collection::vec((blank(), inner.clone(), blank()), 0..5);
        let array = (elements, blank()).prop_map(|(elements, blank)| {
            let elements: Vec<_> = elements.iter().map(|(a, v, b)| format!("{a}{v}{b}")).collect();
            if elements.is_empty() {
                format!("[{blank}]")
            } else {
                format!("[{}]", elements.join(","))
            }
        });
        prop_oneof![1 => array, 2 => members(inner).prop_map(|members| format!("{{{members}}}"))]
    })
}

fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (blank(), spelling(KEYS, 4), blank(), blank(), value, blank())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}\"{key}\"{b}:{c}{value}{d}"));
    prop::collection::vec(member, 0..7).prop_map(|members| members.join(","))
}

/// A well-formed message with a topic and a time.
pub(super) fn message() -> impl Strategy<Value = String> {
    let envelope = r#""topic": "t.\u0061", "timestamp":1438992000.5"#;
    (members(value()), any::<bool>(), blank()).prop_map(move |(members, is_first, blank)| {
        let comma = if members.trim().is_empty() { "" } else { "," };
        let (first, second) = if is_first { (envelope, &*members) } else { (&*members, envelope) };
        format!("{blank}{{{first}{comma}{second}}}{blank}")
    })
}

/// A message with a few bytes changed, dropped or put in, or its end cut off.
pub(super) fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => prop::sample::select(br#"{}[]",:\ 0-e.nt"#.to_vec()),
        1 => any::<u8>(),
    ];
    let change = (any::<prop::sample::Index>(), 0..4_u8, byte);
    (message(), prop::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut text = text.into_bytes();
        for (at, how, byte) in changes {
            let at = at.index(text.len().max(1));
            match how {
                _ if text.is_empty() => {}
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => drop(text.remove(at)),
                _ if at % 4 == 0 => text.truncate(at),
                _ => text.swap(at / 2, at),
            }
        }
        text
    })
}

/// Pointers and kinds, each pair once.
pub(super) fn fields() -> impl Strategy<Value = Vec<(String, FieldKind)>> {
    use FieldKind::{Bool, Int, Num, Raw, Str, Sym, Time};
    let pointer = prop::collection::vec(spelling(TOKENS, 4), 0..4)
        .prop_map(|tokens| tokens.iter().map(|token| format!("/{token}")).collect::<String>());
    let kind = prop::sample::select(vec![Sym, Str, Int, Num, Bool, Time, Raw]);
    prop::collection::vec((pointer, kind), 1..16).prop_map(
        |mut fields: Vec<(String, FieldKind)>| {
            fields.push((String::new(), FieldKind::Doc));
            let mut seen = std::collections::HashSet::new();
            fields.retain(|field| seen.insert(field.clone()));
            fields
        },
    )
}
