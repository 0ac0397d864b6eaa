#![allow(clippy::unwrap_used)]

use super::*;
use crate::log::journal::JournalOptions;
use crate::log::{Offset, Records};

const NOW: i64 = 1_700_000_000_000_000;

struct Fixture {
    dir: tempfile::TempDir,
    ingest: Ingest,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let ingest = reopen(&dir, JournalOptions::default());
    Fixture { dir, ingest }
}

fn reopen(dir: &tempfile::TempDir, options: JournalOptions) -> Ingest {
    let journal = Journal::open(dir.path(), "http:test", Mapping::auto(), options).unwrap();
    Ingest::new(journal, IngestLimits::default())
}

impl Fixture {
    fn send(&self, body: &str) -> Result<Accepted, IngestError> {
        self.ingest.accept_at(NOW, body.as_bytes(), None, None, false)
    }

    fn texts(&self) -> Vec<String> {
        let mut records = Records::default();
        self.ingest.journal().read(Offset(0), 1 << 24, 1 << 20, &mut records).unwrap();
        let spans = records.spans.iter();
        spans
            .map(|(start, length)| &records.text[*start as usize..(start + length) as usize])
            .map(|text| String::from_utf8(text.to_vec()).unwrap())
            .collect()
    }
}

fn message(id: u32) -> String {
    format!(r#"{{"id":"m{id}","topic":"a.b","time":1699999999.5,"n": {id}}}"#)
}

#[test]
fn documents_are_kept_byte_for_byte_in_every_form() {
    let fixture = fixture();
    let odd = r#"{ "topic":"x\",]" , "time": 1.0e9, "q": ["]", {"a":"}"}, 1.50] }"#;
    let pretty = "{\n  \"topic\": \"p\",\n  \"time\": 5\n}";
    assert_eq!(fixture.send(&message(1)).unwrap().accepted, 1);
    assert_eq!(fixture.send(&format!(" {pretty}\n")).unwrap().accepted, 1);
    assert_eq!(
        fixture.send(&format!("[{}, {odd} ,\n{pretty}]\n", message(2))).unwrap().accepted,
        3
    );
    assert_eq!(fixture.send(&format!("{}\r\n\n{odd}\n", message(3))).unwrap().accepted, 2);
    assert_eq!(fixture.send("[]").unwrap().accepted, 0);
    let expected =
        [message(1), pretty.into(), message(2), odd.into(), pretty.into(), message(3), odd.into()];
    assert_eq!(fixture.texts(), expected);
}

#[test]
fn one_bad_document_refuses_the_whole_request_unless_partial() {
    let fixture = fixture();
    let body = format!("{}\n{{\"time\":1}}\n{}\nnonsense\n", message(1), message(2));
    let error = fixture.send(&body).unwrap_err();
    assert!(
        matches!(&error, IngestError::Rejected(at) if at.line == 2 && at.reason == Reject::NoTopic),
        "{error}"
    );
    assert!(fixture.texts().is_empty());
    let accepted = fixture.ingest.accept_at(NOW, body.as_bytes(), None, None, true).unwrap();
    assert_eq!(accepted.accepted, 2);
    let lines: Vec<_> = accepted.rejected.iter().map(|at| (at.line, at.reason)).collect();
    assert_eq!(lines, [(2, Reject::NoTopic), (4, Reject::Malformed)]);
    assert_eq!(fixture.texts(), [message(1), message(2)]);
}

#[test]
fn arrays_that_are_not_arrays_are_refused() {
    let fixture = fixture();
    let one = message(1);
    for body in [
        "[".to_owned(),
        format!("[{one}"),
        format!("[{one},"),
        format!("[{one},]"),
        format!("[,{one}]"),
        format!("[{one} {one}]"),
        format!("[{one}] {one}"),
        format!("[{one}]]"),
        format!("[{one}}}]"),
        r#"["abc]"#.to_owned(),
        r#"["abc\"#.to_owned(),
        "[1, 2]".to_owned(),
    ] {
        let error = fixture.send(&body).unwrap_err();
        let malformed =
            matches!(&error, IngestError::Rejected(at) if at.reason == Reject::Malformed);
        assert!(malformed, "{body}: {error}");
    }
    assert!(fixture.texts().is_empty());
}

#[test]
fn a_content_type_of_lines_decides_over_the_bytes() {
    let fixture = fixture();
    let kind = Some("application/x-ndjson; charset=utf-8");
    let body = format!("[{}]", message(1));
    assert!(fixture.ingest.accept_at(NOW, body.as_bytes(), kind, None, false).is_err());
    assert_eq!(fixture.ingest.accept_at(NOW, b"", kind, None, false).unwrap().accepted, 0);
    assert!(matches!(fixture.send(" \n"), Err(IngestError::Empty)));
}

#[test]
fn duplicates_are_counted_and_not_written() {
    let fixture = fixture();
    let body = format!("{}\n{}\n{}\n", message(1), message(2), message(1));
    let accepted = fixture.send(&body).unwrap();
    assert_eq!((accepted.accepted, accepted.duplicates), (2, 1));
    let by_number = r#"{"producer":"p","producer_seq":4,"topic":"t","time":1}"#;
    assert_eq!(fixture.send(by_number).unwrap().accepted, 1);
    assert_eq!(fixture.send(by_number).unwrap().duplicates, 1);
    let nameless = r#"{"topic":"t","time":1}"#;
    assert_eq!(fixture.send(&format!("[{nameless},{nameless}]")).unwrap().accepted, 2);
}

#[test]
fn a_repeated_request_is_answered_as_the_first_time() {
    let Fixture { dir, ingest } = fixture();
    let body = format!("{}\nbad\n{}", message(1), r#"{"topic":"t","time":1}"#);
    let first = ingest.accept_at(NOW, body.as_bytes(), None, Some("k"), true).unwrap();
    drop(ingest);
    let ingest = reopen(&dir, JournalOptions::default());
    let again = ingest.accept_at(NOW + 5, body.as_bytes(), None, Some("k"), true).unwrap();
    assert!(again.repeated);
    assert_eq!(Accepted { repeated: false, ..again }, first);
    assert_eq!(ingest.journal().end().unwrap().offset, Offset(2));
    let other = ingest.accept_at(NOW, message(5).as_bytes(), None, Some("k"), false);
    assert!(matches!(other, Err(IngestError::KeyReused)));
    for bad in ["", &"k".repeat(256)] {
        let bad = ingest.accept_at(NOW, message(5).as_bytes(), None, Some(bad), false);
        assert!(matches!(bad, Err(IngestError::BadKey { .. })));
    }
}

#[test]
fn a_refused_request_does_not_use_up_its_key() {
    let fixture = fixture();
    let send = |body: &str| fixture.ingest.accept_at(NOW, body.as_bytes(), None, Some("k"), false);
    assert!(send("nonsense").is_err());
    assert_eq!(send(&message(1)).unwrap().accepted, 1);
}

#[test]
fn times_are_checked_against_the_arrival() {
    let fixture = fixture();
    let at = |seconds: i64| format!(r#"{{"topic":"t","time":{seconds}}}"#);
    let now_s = NOW / 1_000_000;
    assert_eq!(fixture.send(&at(now_s + 3600)).unwrap().accepted, 1);
    let error = fixture.send(&at(now_s + 3601)).unwrap_err();
    assert!(matches!(&error, IngestError::Rejected(at) if at.reason == Reject::Future), "{error}");
    let error = fixture.send(r#"{"topic":"t"}"#).unwrap_err();
    assert!(matches!(&error, IngestError::Rejected(at) if at.reason == Reject::NoTime), "{error}");
}

#[test]
fn the_arrival_stands_in_for_a_time_where_the_source_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions { arrival_time: true, ..JournalOptions::default() };
    let ingest = reopen(&dir, options);
    let accepted = ingest.accept_at(NOW, br#"{"topic":"t"}"#, None, None, false).unwrap();
    assert_eq!(accepted.accepted, 1);
    assert_eq!(ingest.journal().first_at(NOW), Offset(0));
    assert_eq!(ingest.journal().first_at(NOW + 1), Offset(1));
}

#[test]
fn limits_are_named() {
    let mut fixture = fixture();
    fixture.ingest.limits.body = 300;
    fixture.ingest.limits.documents = 2;
    fixture.ingest.limits.message.max_message = 100;
    let error = fixture.send(&"x".repeat(301)).unwrap_err();
    assert!(matches!(error, IngestError::BodyTooLarge { bytes: 301, limit: 300 }));
    let error = fixture.send("[{},{},{}]").unwrap_err();
    assert!(matches!(error, IngestError::Rejected(_)), "{error}");
    let many = format!("[{0},{0},{0}]", r#"{"topic":"t","time":1}"#);
    let error = fixture.send(&many).unwrap_err();
    assert!(matches!(error, IngestError::TooManyDocuments { limit: 2 }), "{error}");
    let large = format!(r#"{{"topic":"t","time":1,"x":"{}"}}"#, "x".repeat(100));
    let error = fixture.send(&large).unwrap_err();
    assert!(
        matches!(&error, IngestError::Rejected(at) if at.reason == Reject::TooLarge),
        "{error}"
    );
    assert!(error.to_string().contains("document 1") && error.to_string().contains("at most 100"));
}

#[test]
fn an_embedder_pushes_documents() {
    let fixture = fixture();
    let (one, two) = (message(1), message(2));
    let accepted = fixture.ingest.push([one.as_bytes(), two.as_bytes(), one.as_bytes()]).unwrap();
    assert_eq!((accepted.accepted, accepted.duplicates), (2, 1));
    assert!(fixture.ingest.push([&b"nonsense"[..]]).is_err());
    assert_eq!(fixture.texts(), [one, two]);
}
