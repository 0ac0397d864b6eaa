//! Single facts about verdicts, states and selections.

use statmill_plugin_api::manifest::FieldKind::{Bool, Int, Num, Raw, Str, Sym, Time};

use super::{Cell, cells, project, projection, records};
use crate::log::{LogId, record_hash};
use crate::project::{
    Batch, Caps, Dictionaries, Envelope, Limits, Mapping, PointerError, Projection, Projector,
    Reject, Rejects, TopicCache, TopicFilter, envelope, select,
};

fn verdict(text: &[u8]) -> Option<Reject> {
    let limits = Limits { max_message: 100, max_depth: 4, ..Limits::default() };
    project(&[text], &[], limits).rejects.first().map(|(_, reject)| *reject)
}

fn with_members(members: &str) -> String {
    format!(r#"{{"topic":"t","time":1,{members}}}"#)
}

#[test]
fn the_verdict_names_the_reason() {
    use Reject::{Malformed, NoTime, NoTopic, TooDeep, TooLarge};
    let large = format!(r#"{{"topic":"t","time":1,"a":"{}"}}"#, "x".repeat(100));
    for (text, expected) in [
        (r#"{"topic":"t","time":1}"#, None),
        ("\t\r\n {\"topic\":\"t\",\"time\":1} \r\n", None),
        (r#"{"topic":"","time":1}"#, None),
        (r#"{"topic":"t","time":1,"a":[[[]]]}"#, None),
        (r#"{"topic":"t","time":1,"a":[[[[]]]]}"#, Some(TooDeep)),
        (&large, Some(TooLarge)),
        ("", Some(Malformed)),
        ("[]", Some(Malformed)),
        ("1", Some(Malformed)),
        (r#"{"topic":"t","time":1"#, Some(Malformed)),
        (r#"{"topic":"t","time":1,"a}"#, Some(Malformed)),
        (r#"{"topic":"t","time":1,"a":[}]}"#, Some(Malformed)),
        (r#"{"topic":"t","time":1}}"#, Some(Malformed)),
        (r#"{"topic":"t","time":1}{}"#, Some(Malformed)),
        (r#"{"topic":"t","time":1} x"#, Some(Malformed)),
        (r#"{"topic":"t","time":1,\"a":2}"#, Some(Malformed)),
        ("\u{feff}{\"topic\":\"t\",\"time\":1}", Some(Malformed)),
        (r#"{}"#, Some(NoTopic)),
        (r#"{"topic":null,"time":1}"#, Some(NoTopic)),
        (r#"{"topic":7,"time":1}"#, Some(NoTopic)),
        (r#"{"topic":"\ud800","time":1}"#, Some(NoTopic)),
        (r#"{"topic":"t"}"#, Some(NoTime)),
        (r#"{"topic":"t","time":"soon"}"#, Some(NoTime)),
        (r#"{"topic":"t","timestamp":null,"time":1}"#, Some(NoTime)),
        (r#"{"topic":"t","headers":{"sent-at":"2015-08-08T00:00:00Z"}}"#, None),
    ] {
        assert_eq!(verdict(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn values_nobody_asked_for_are_not_judged() {
    for members in [
        "\"a\":tru",
        "\"a\":",
        "\"a\":{\"b\" 1,,}",
        "\"a\":\"\\x\"",
        "\"\\x\":01",
        "",
        "\"a\"",
        "\"a\" 2",
        "\"a\":2 \"b\":3",
        "a:2",
    ] {
        assert_eq!(verdict(with_members(members).as_bytes()), None, "{members}");
    }
    assert_eq!(verdict(b"{\"topic\":\"t\",\"time\":1,\"a\":\"\xff\x01\"}"), None);
}

#[test]
fn each_kind_of_value_has_its_state() {
    use Cell::{Invalid, Missing, Null, WrongType};
    for (members, kind, expected) in [
        (r#""b":1"#, Int, Missing),
        (r#""a":null"#, Int, Null),
        (r#""a":null"#, Raw, Null),
        (r#""a":nul"#, Int, Invalid),
        (r#""a":"#, Int, Invalid),
        (r#""a":01"#, Int, Invalid),
        (r#""a":1 2"#, Int, Invalid),
        (r#""a":"1"2"#, Int, Invalid),
        (r#""a":{}2"#, Raw, Invalid),
        (r#""a":2.0"#, Int, WrongType),
        (r#""a":1e3"#, Int, WrongType),
        (r#""a":9223372036854775808"#, Int, WrongType),
        (r#""a":"1""#, Int, WrongType),
        (r#""a":{}"#, Int, WrongType),
        (r#""a":true"#, Int, WrongType),
        (r#""a":-5"#, Int, Cell::Int(-5)),
        (r#""a":1e999"#, Num, Invalid),
        (r#""a":1e3"#, Num, Cell::Num(1000_f64.to_bits())),
        (r#""a":false"#, Bool, Cell::Bool(false)),
        (r#""a":0"#, Bool, WrongType),
        (r#""a":"2015-08-08 00:00:00""#, Time, Cell::Int(1_438_992_000_000_000)),
        (r#""a":1e11"#, Time, Cell::Int(100_000_000_000_000)),
        (r#""a":"soon""#, Time, WrongType),
        (r#""a":"\ud800""#, Str, Invalid),
        (r#""a":"\ud800""#, Sym, Invalid),
        ("\"a\":\"\t\"", Str, Invalid),
        (r#""a":"x\ty""#, Str, Cell::Text("x\ty".into())),
        (r#""a":"x\ty""#, Sym, Cell::Text("x\ty".into())),
        (r#""a":7"#, Sym, WrongType),
        (r#""a": [1, {}] "#, Raw, Cell::Raw(b"[1, {}]".to_vec())),
    ] {
        let batch =
            project(&[with_members(members).as_bytes()], &[("/a", kind)], Limits::default());
        assert_eq!(cells(&batch), [expected], "{members} as {kind:?}");
    }
}

#[test]
fn the_last_of_equal_keys_replaces_everything_below_the_first() {
    let cells_of = |members: &str| {
        let fields = [("/a/b", Int), ("/a/0", Int), ("/a", Raw)];
        cells(&project(&[with_members(members).as_bytes()], &fields, Limits::default()))
    };
    let raw = |text: &str| Cell::Raw(text.as_bytes().to_vec());
    assert_eq!(cells_of(r#""a":{"b":1},"a":2"#), [Cell::Missing, Cell::Missing, raw("2")]);
    assert_eq!(cells_of(r#""a":{"b":1},"\u0061":{}"#), [Cell::Missing, Cell::Missing, raw("{}")]);
    assert_eq!(cells_of(r#""a":{"b":1},"a":[3]"#), [Cell::Missing, Cell::Int(3), raw("[3]")]);
    assert_eq!(
        cells_of(r#""a":{x},"a":{"b":4}"#),
        [Cell::Int(4), Cell::Missing, raw(r#"{"b":4}"#)]
    );
    assert_eq!(cells_of(r#""a":{"b":1},"a":{x}"#), [Cell::Missing, Cell::Missing, raw("{x}")]);
    assert_eq!(cells_of(r#""a":{"b":1},"a":x"#), [Cell::Invalid, Cell::Invalid, Cell::Invalid]);
}

#[test]
fn a_key_with_quotes_does_not_match_the_members_it_looks_like() {
    let fields = [(r#"/a":1,"b"#, Int), (r#"/":2,""#, Int)];
    let cells_of =
        |members| cells(&project(&[with_members(members).as_bytes()], &fields, Limits::default()));
    assert_eq!(cells_of(r#""a":1,"b":3,"":2,"":4"#), [Cell::Missing, Cell::Missing]);
    assert_eq!(cells_of(r#""a\":1,\"b":3,"\":2,\"":4"#), [Cell::Int(3), Cell::Int(4)]);
}

#[test]
fn an_error_is_felt_on_the_wanted_path_and_not_beside_it() {
    let text = with_members(r#""a":{"b":1,"c" 2},"d":{"e":5 6},"f":[1:2,6,{"x,y" "]"},7]"#);
    let pointers = ["/a/b", "/a/c", "/d/e", "/f/0", "/f/1", "/f/3"];
    let batch = project(&[text.as_bytes()], &pointers.map(|at| (at, Int)), Limits::default());
    let [Cell::Int(_), rest @ ..] = &cells(&batch)[..] else { panic!("/a/b is there") };
    use Cell::{Int as Is, Invalid, Missing};
    assert_eq!(rest, [Missing, Invalid, Invalid, Is(6), Is(7)]);
}

#[test]
fn a_rejected_message_leaves_nothing_but_its_reason() {
    let texts: [&[u8]; 4] = [
        br#"{"topic":"t","time":1,"a":"x\n"}"#,
        br#"{"topic":"u","time":"never","a":"y\n"}"#,
        b"oops",
        br#"{"topic":"t","time":2}"#,
    ];
    let batch = project(&texts, &[("/a", Str), ("/a", Sym)], Limits::default());
    assert_eq!(batch.offsets, [0, 3]);
    assert_eq!(batch.times, [1_000_000, 2_000_000]);
    assert_eq!(batch.rejects, [(1, Reject::NoTime), (2, Reject::Malformed)]);
    assert_eq!(batch.reject_counts(), Rejects([1, 0, 0, 0, 1, 0]));
    assert_eq!(batch.generation.topics_abi().len, 1);
    assert_eq!(batch.generation.abi(1).len, 1);
    assert_eq!(batch.unescaped, b"x\n");
    assert!(batch.columns.iter().all(|column| column.states.len() == 2));
    assert_eq!(batch.fingerprint, record_hash(texts[3]));
}

#[test]
fn arrivals_bound_the_time_and_stand_in_for_it() {
    let texts: [&[u8]; 3] =
        [br#"{"topic":"t","time":3601}"#, br#"{"topic":"t","time":3601.5}"#, br#"{"topic":"t"}"#];
    let projection = projection(&[]);
    let dictionaries = Dictionaries::new(&[], Caps::default());
    let mut projector = Projector::new(projection, Limits::default());
    let mut batch = |arrivals: &[i64], arrival_time| {
        let mut records = records(&texts);
        records.arrivals = arrivals.to_vec();
        projector.project(&mut records, LogId(1), 2, arrival_time, &dictionaries)
    };
    let now = [1_000_000; 3];
    let journaled = batch(&now, true);
    assert_eq!(journaled.times, [3_601_000_000, 1_000_000]);
    assert_eq!(journaled.rejects, [(1, Reject::Future)]);
    assert_eq!(batch(&now, false).rejects, [(1, Reject::Future), (2, Reject::NoTime)]);
    assert_eq!(batch(&[], true).rejects, [(2, Reject::NoTime)]);
}

#[test]
fn a_hole_in_the_spans_is_a_reject_not_a_panic() {
    let mut records = records(&[b"{}"]);
    records.spans[0] = (1, 100);
    let dictionaries = Dictionaries::new(&[], Caps::default());
    let mut projector = Projector::new(projection(&[]), Limits::default());
    let batch = projector.project(&mut records, LogId(1), 2, false, &dictionaries);
    assert_eq!(batch.rejects, [(0, Reject::Malformed)]);
    assert_eq!(batch.fingerprint, 0);
}

#[test]
fn a_filter_selects_rows_by_topic_in_every_generation() {
    let texts = ["a.x", "b", "a.y", "a"].map(|topic| format!(r#"{{"topic":"{topic}","time":1}}"#));
    let texts = texts.each_ref().map(|text| text.as_bytes());
    let dictionaries = Dictionaries::new(&[], Caps { entries: 3, bytes: 1 << 20 });
    let mut projector = Projector::new(projection(&[]), Limits::default());
    let mut batch = |texts: &[&[u8]]| -> Batch {
        projector.project(&mut records(texts), LogId(1), 2, false, &dictionaries)
    };
    let (filter, mut cache) = (TopicFilter::new(&["a.*".into()]), TopicCache::default());
    let first = batch(&texts);
    assert_eq!(select(&first, &filter, &mut cache), [0, 2]);
    let reversed = batch(&[texts[3], texts[2], texts[1], texts[0]]);
    assert_ne!(first.generation.id(), reversed.generation.id());
    assert_eq!(select(&reversed, &filter, &mut cache), [1, 3]);
    assert_eq!(select(&reversed, &TopicFilter::new(&[]), &mut TopicCache::default()), [0, 1, 2, 3]);
}

#[test]
fn an_envelope_takes_the_first_member_found() {
    let read = |text: &'static str| envelope(text.as_bytes(), &Mapping::auto(), &Limits::default());
    let expected = Envelope {
        id: Some("m\n1".into()),
        producer: Some(("p".into(), 7)),
        topic: "t".into(),
        time_us: Some(2_000_000),
    };
    let whole = r#"{"id":"x","msg_id":"m\n1","producer":"p","producer_seq":7,"topic":"t","time":1,"timestamp":2}"#;
    assert_eq!(read(whole), Ok(expected));
    let bare = Envelope { id: None, producer: None, topic: "t".into(), time_us: None };
    assert_eq!(read(r#"{"topic":"t"}"#), Ok(bare.clone()));
    assert_eq!(
        read(r#"{"topic":"t","msg_id":null,"id":"x","producer":"p","producer_seq":-1}"#),
        Ok(bare)
    );
    assert_eq!(read(r#"{"id":"x"}"#), Err(Reject::NoTopic));
    let fedmsg = envelope(br#"{"topic":"t","id":"x"}"#, &Mapping::fedmsg(), &Limits::default());
    assert_eq!(fedmsg.map(|envelope| envelope.id), Ok(None));
}

#[test]
fn built_in_mappings_are_found_by_name_and_auto_is_the_usual_one() {
    for mapping in [Mapping::auto(), Mapping::fedmsg(), Mapping::plain()] {
        assert_eq!(Mapping::named(&mapping.name).as_ref(), Some(&mapping));
        assert!(Projection::compile(&mapping, &[]).is_ok());
    }
    assert_eq!(Mapping::named("other"), None);
    assert_eq!(Mapping::default(), Mapping::auto());
}

#[test]
fn a_batch_counts_what_it_holds() {
    let text = with_members(r#""a":"\n","b":1"#);
    let batch = project(&[text.as_bytes(), b"{"], &[("/a", Str), ("/b", Int)], Limits::default());
    assert_eq!((batch.len(), batch.is_empty()), (1, false));
    // The text itself, a word for each of two cells, one unescaped byte.
    assert!(batch.bytes() > text.len() + 2 * 8 + 1);
    let none = project(&[b"{"], &[], Limits::default());
    assert_eq!((none.len(), none.is_empty()), (0, true));
}

#[test]
fn each_reason_says_what_is_wrong_with_the_message() {
    use Reject::{Future, Malformed, NoTime, NoTopic, TooDeep, TooLarge};
    let all = [Malformed, TooDeep, TooLarge, NoTopic, NoTime, Future];
    let said: std::collections::BTreeSet<String> = all.iter().map(Reject::to_string).collect();
    assert_eq!(said.len(), all.len());
    assert!(said.contains("it has no topic"));
}

#[test]
fn bad_pointers_are_refused_by_name() {
    let compile = |pointer: &str, kind| {
        Projection::compile(&Mapping::auto(), &[(pointer.to_owned(), kind)]).map(drop)
    };
    assert_eq!(compile("", Raw), Ok(()));
    assert_eq!(compile("a", Raw), Err(PointerError::NoSlash { pointer: "a".into() }));
    let doc = statmill_plugin_api::manifest::FieldKind::Doc;
    assert_eq!(compile("/a", doc), Err(PointerError::NotDocument { pointer: "/a".into() }));
    assert!(matches!(
        compile(&"/a".repeat(129), Raw),
        Err(PointerError::TooLong { limit: 128, .. })
    ));
    let mapping = Mapping { time: vec!["time".into()], ..Mapping::auto() };
    assert!(Projection::compile(&mapping, &[]).is_err());
}
