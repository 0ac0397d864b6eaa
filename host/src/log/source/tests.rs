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

fn amqp(text: &str) -> AmqpParams {
    match source(text).kind {
        SourceKind::Amqp(params) => *params,
        other => panic!("{text}: {other:?}"),
    }
}

fn zmq(text: &str) -> ZmqParams {
    match source(text).kind {
        SourceKind::Zmq(params) => *params,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_queue_is_named_with_its_broker() {
    let text =
        "amqp://me:p%40ss@bus.example:5673/%2Fpublic?queue=q-1&bind=a.%23&bind=b.*&prefetch=7";
    let expected = AmqpParams {
        tls: false,
        host: "bus.example".to_owned(),
        port: 5673,
        user: "me".to_owned(),
        password: Secret("p@ss".to_owned()),
        vhost: "/public".to_owned(),
        queue: Some("q-1".to_owned()),
        exchange: "amq.topic".to_owned(),
        bind: vec!["a.#".to_owned(), "b.*".to_owned()],
        durable: true,
        exclusive: false,
        auto_delete: false,
        passive: false,
        prefetch: 7,
        dead_letter: None,
        ca: None,
        identity: None,
        external: false,
    };
    assert_eq!(amqp(text), expected);
    assert_eq!(source(text).name(), "amqp:bus.example:5673/%2Fpublic/q-1");
    assert_eq!(expected.address(), "amqp://bus.example:5673");
    assert!(source(text).is_journaled());
}

#[test]
fn the_name_of_a_queue_does_not_depend_on_who_asks_and_how() {
    let plain = source("amqp://a:b@host:5671/?queue=q");
    let secured = source("amqps://c:d@host/%2F?queue=q&ca=ca.pem&cert=c.pem&key=k.pem&bind=x.*");
    assert_eq!(plain.name(), secured.name());
}

#[test]
fn a_queue_without_a_name_goes_with_the_connection() {
    let params = amqp("amqp://host");
    assert_eq!((params.port, &*params.user, &*params.vhost), (5672, "guest", "/"));
    assert!(params.exclusive && params.auto_delete && !params.durable);
    assert_eq!(params.bind, ["#"]);
    let kept = amqp("amqp://host?queue=q&durable=false&auto_delete=true");
    assert!(!kept.exclusive && kept.auto_delete && !kept.durable);
}

#[test]
fn a_queue_that_must_be_there_is_not_bound_unless_asked() {
    assert!(amqp("amqp://host?queue=q&passive=true").bind.is_empty());
    assert_eq!(amqp("amqp://host?queue=q&passive=true&bind=a").bind, ["a"]);
    assert!(error("amqp://host?passive=true").contains("queue="));
}

#[test]
fn certificates_need_tls_and_come_with_their_keys() {
    let params = amqp("amqps://host?queue=q&ca=/e/ca.pem&cert=/e/c.pem&key=/e/k.pem");
    assert_eq!(params.port, 5671);
    assert!(params.tls && params.external);
    assert_eq!(params.identity, Some(("/e/c.pem".into(), "/e/k.pem".into())));
    assert!(!amqp("amqps://host?cert=c&key=k&auth=plain").external);
    assert!(error("amqp://host?ca=ca.pem").contains("amqps"));
    assert!(error("amqps://host?cert=c.pem").contains("key=FILE"));
    assert!(error("amqps://host?key=k.pem").contains("cert=FILE"));
    assert!(error("amqps://host?auth=external").contains("cert=FILE"));
    assert!(error("amqps://host?auth=magic").contains("plain, external"));
}

#[test]
fn addresses_of_brokers_that_are_none_are_told_so() {
    for text in ["amqp:", "amqp:host", "amqp://", "amqp://host:port/", "amqp:///vhost"] {
        assert!(error(text).contains("write `amqp://user:password@host:port/vhost`"), "{text}");
    }
    assert!(error("amqp://host?prefetch=0").contains("1 to 10000"));
    assert!(error("amqp://host?durable=maybe").contains("true, false"));
    assert!(error(&format!("amqp://host?queue={}", "q".repeat(256))).contains("255"));
    assert!(error("amqp://host?queue=a&queue=b").contains("twice"));
}

#[test]
fn publishers_are_named_together_or_one_by_one() {
    let text = "zmq+tcp://b:9940,a:9941?endpoint=tcp://[::1]:9942&endpoint=a:9941&topic=org.fedora&topic=org.centos*";
    let params = zmq(text);
    assert_eq!(params.endpoints, ["b:9940", "a:9941", "[::1]:9942"]);
    assert_eq!(params.topics, ["org.fedora", "org.centos"]);
    assert_eq!(params.signatures, None);
    assert_eq!(source(text).name(), "zmq+tcp:[::1]:9942,a:9941,b:9940");
    assert_eq!(zmq("zmq+tcp://a:1").topics, [""]);
    assert_eq!(zmq("zmq+tcp://a:1?topic=x&topic=*").topics, [""], "all is all");
    assert_eq!(zmq("zmq+tcp:?endpoint=a:1&no_time=arrival").endpoints, ["a:1"]);
}

#[test]
fn addresses_of_publishers_that_are_none_are_told_so() {
    for text in ["zmq+tcp:", "zmq+tcp://", "zmq+tcp://host", "zmq+tcp://host:0", "zmq+tcp://a/b:1"]
    {
        assert!(error(text).contains("host:port"), "{text}: {}", error(text));
    }
}

#[test]
fn signatures_are_checked_by_an_authority() {
    let params =
        zmq("zmq+tcp://a:1?validate=x509&ca=ca.crt&crl=crl.pem&policy=p.json&nitpicky=true");
    let expected = SignatureParams {
        ca: "ca.crt".into(),
        crl: Some("crl.pem".into()),
        policy: Some("p.json".into()),
        nitpicky: true,
    };
    assert_eq!(params.signatures, Some(expected));
    assert!(error("zmq+tcp://a:1?validate=x509").contains("ca=FILE"));
    assert!(error("zmq+tcp://a:1?crl=crl.pem").contains("validate=x509"));
    assert!(error("zmq+tcp://a:1?validate=gpg&ca=x").contains("x509, none"));
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
    assert!(error("amqsp://host").contains("did you mean \"amqps\""));
    assert!(
        error("carrier-pigeon:a")
            .contains("`file:`, `stdin:`, `demo:`, `http:`, `zmq+tcp:`, `amqp:`")
    );
    assert!(error("/var/log/bus.ndjson").contains("`file:/var/log/bus.ndjson`"));
    assert!(error("bus.ndjson").contains("has no scheme"));
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
    for odd in ["amqp://user:xyz?ss@host/", "amqp://user:xyz/ss@host/", "amqp://user:xyz#ss@[::1"] {
        let shown = odd.parse::<SourceUrl>().map_or_else(|it| it.to_string(), |it| it.to_string());
        assert!(!shown.contains("xyz") && !shown.contains("ss@"), "{shown}");
    }
    let url = source("amqps://user:passphrase@host/?cert=a.pem&key=b.pem&ca=c.pem");
    assert!(!format!("{url:?}").contains("passphrase"));
    assert_eq!(url.to_string(), "amqps://***@host/?cert=a.pem&key=***&ca=c.pem");
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
