#![allow(clippy::unwrap_used)]

use super::*;

fn source(text: &str) -> SourceUrl {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    text.parse::<SourceUrl>().unwrap_err().to_string()
}

#[test]
fn files_are_named_by_relative_absolute_and_escaped_paths() {
    for (text, path) in [
        ("file:bus.ndjson", "bus.ndjson"),
        ("file:../data/bus.ndjson?map=fedmsg", "../data/bus.ndjson"),
        ("file:/var/log/bus.ndjson", "/var/log/bus.ndjson"),
        ("file:///var/log/bus.ndjson", "/var/log/bus.ndjson"),
        ("file://localhost/bus", "/bus"),
        ("file:what%3F.ndjson", "what?.ndjson"),
        ("file:100%.ndjson", "100%.ndjson"),
    ] {
        assert_eq!(source(text).kind, SourceKind::File(path.into()), "{text}");
    }
    assert_eq!(source("file:a.ndjson?dedup=id").name(), "file:a.ndjson");
    assert!(source("file:a.ndjson?dedup=id").dedup);
    assert!(error("file:").contains("names no file"));
    assert!(error("file://host/x").contains("another host"));
}

#[test]
fn journaled_sources_take_their_options() {
    let url = source("http:builds?map=plain&max_ahead=5m&no_time=arrival");
    assert_eq!(url.kind, SourceKind::Http("builds".to_owned()));
    assert_eq!(url.map.as_deref(), Some("plain"));
    assert_eq!(url.max_ahead, Some(Duration::from_secs(300)));
    assert!(url.arrival_time && url.is_journaled());
    assert_eq!(source("stdin:").kind, SourceKind::Stdin);
    assert!(error("http://example.org/x").contains("http:NAME"));
    assert!(error("http:a/b").contains("letters"));
    assert!(error("stdin:file").contains("nothing follows"));
}

#[test]
fn the_demo_has_parameters() {
    assert_eq!(source("demo:").kind, SourceKind::Demo(DemoParams::default()));
    let url = source(
        "demo:?rate=0.5&days=7&per_day=100&seed=9&size=2KiB&start=2026-01-01T00:00:00Z&count=5",
    );
    let expected = DemoParams {
        rate: 0.5,
        days: 7,
        per_day: 100,
        seed: 9,
        size: 2048,
        start_us: Some(1_767_225_600_000_000),
        count: Some(5),
    };
    assert_eq!(url.kind, SourceKind::Demo(expected));
    assert_eq!(url.name(), "demo:9");
    assert!(error("demo:?rate=0").contains("0.001 to 1000000"));
    assert!(error("demo:?rate=NaN").contains("no number"));
    assert!(error("demo:?start=tomorrow").contains("no time"));
}

#[test]
fn an_unknown_option_is_answered_with_the_known_ones() {
    let text = error("file:a?mpa=fedmsg");
    assert!(text.contains("\"mpa\"") && text.contains("map, dedup"), "{text}");
    assert!(text.contains("did you mean \"map\""), "{text}");
    assert!(error("file:a?max_ahead=1h").contains("no option"));
    assert!(error("file:a?dedup=yes").contains("id, none"));
    assert!(error("file:a?map=").contains("no value"));
    assert!(error("file:a?map=x&map=y").contains("twice"));
}

#[test]
fn an_unknown_scheme_is_answered_with_the_known_ones() {
    assert!(error("fiel:a").contains("did you mean \"file\""));
    assert!(error("carrier-pigeon:a").contains("`file:`, `stdin:`, `demo:`, `http:`"));
    assert!(error("/var/log/bus.ndjson").contains("`file:/var/log/bus.ndjson`"));
    assert!(error("bus.ndjson").contains("has no scheme"));
}

#[test]
fn schemes_of_later_versions_are_said_to_be_so() {
    for text in ["zmq+tcp://host:9940", "amqp://host/"] {
        assert!(error(text).contains("not in this version"), "{text}");
    }
}

#[test]
fn a_history_is_no_source() {
    for text in ["datagrepper+https://host/raw", "postgres://me@host/db"] {
        assert!(error(text).contains("give it with --history"), "{text}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let text = error("amqp://user:pa@ss@host/x?token=abc&a=b");
    assert!(!text.contains("pa@ss") && !text.contains("ss@") && !text.contains("abc"), "{text}");
    assert!(text.contains("amqp://***@host/x?token=***&a=b"), "{text}");
    assert_eq!(source("file:a?map=plain").to_string(), "file:a?map=plain");
    for text in ["postgres://me:pa/ss@host/db", "postgres://me:pa?ss@host/db"] {
        assert_eq!(redacted(text), "postgres://***@host/db");
    }
}

#[test]
fn options_can_be_added_but_not_given_twice() {
    let url = source("file:a.ndjson").with("map", "my map").unwrap();
    assert_eq!(url.map.as_deref(), Some("my map"));
    let url = source("http:a?map=plain").with("no_time", "arrival").unwrap();
    assert!(url.arrival_time && url.map.as_deref() == Some("plain"));
    assert!(url.with("map", "auto").unwrap_err().to_string().contains("twice"));
}

#[test]
fn a_history_is_a_file() {
    let history: HistoryUrl = "file:old.ndjson.zst?map=fedmsg".parse().unwrap();
    assert_eq!(history.kind, HistoryKind::File("old.ndjson.zst".into()));
    assert_eq!(history.map.as_deref(), Some("fedmsg"));
    assert!("demo:".parse::<HistoryUrl>().unwrap_err().to_string().contains("`file:`"));
}

#[test]
fn as_a_log_error_the_address_is_named_once() {
    let text = LogError::from("file:".parse::<SourceUrl>().unwrap_err()).to_string();
    assert_eq!(text, "source \"file:\": it names no file; write `file:PATH`");
}
