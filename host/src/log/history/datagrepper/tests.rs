//! A server that does on purpose what real ones do by accident. Real ones: `tests/tests/histories.rs`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::super::run::FillError;
use super::super::tests::{host, reopen};
use super::*;
use crate::log::fill::FillState;
use crate::log::source::{HistoryKind, HistoryUrl};

/// What the server does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Answer,
    Gateway,
    Truncate,
    Hang,
    Break,
    FirstPage,
    LieLow,
    LieHigh,
    Fail,
}

struct Asked {
    number: usize,
    from_s: i64,
    to_s: i64,
    page: usize,
    rows: usize,
}

/// Stored rows by time, and what to do with each question.
struct Archive {
    rows: Mutex<Vec<(i64, String)>>,
    #[allow(clippy::type_complexity)]
    act: Mutex<Box<dyn FnMut(&Asked, &mut Vec<(i64, String)>) -> Act + Send>>,
    asked: Mutex<usize>,
    held: Mutex<Vec<TcpStream>>,
    address: SocketAddr,
}

impl Archive {
    fn new(
        rows: impl IntoIterator<Item = (i64, String)>,
        act: impl FnMut(&Asked, &mut Vec<(i64, String)>) -> Act + Send + 'static,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let archive = Arc::new(Self {
            rows: Mutex::new(rows.into_iter().collect()),
            act: Mutex::new(Box::new(act)),
            asked: Mutex::new(0),
            held: Mutex::default(),
            address: listener.local_addr().unwrap(),
        });
        let serving = Arc::downgrade(&archive);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(archive) = serving.upgrade() else { return };
                std::thread::spawn(move || archive.serve(stream.unwrap()));
            }
        });
        archive
    }

    fn now_acts(&self, act: impl FnMut(&Asked, &mut Vec<(i64, String)>) -> Act + Send + 'static) {
        *self.act.lock() = Box::new(act);
    }

    fn history(&self, options: &str) -> DatagrepperHistory {
        let url = format!("datagrepper+http://{}/raw?settle=0s&{options}", self.address);
        let url: HistoryUrl = url.parse().unwrap();
        let HistoryKind::Datagrepper(options) = url.kind.clone() else { panic!() };
        DatagrepperHistory::new(&url.name(), options, Mapping::auto())
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let Some(Ok(first)) = lines.next() else { return };
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let query = first.split(' ').nth(1).unwrap().split_once('?').unwrap().1.to_owned();
        let number = |name: &str| -> i64 {
            let value =
                query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.unwrap().parse().unwrap()
        };
        assert!(query.contains("order=asc"));
        let asked = {
            let mut asked = self.asked.lock();
            *asked += 1;
            Asked {
                number: *asked,
                from_s: number("start"),
                to_s: number("end"),
                page: number("page") as usize,
                rows: number("rows_per_page") as usize,
            }
        };
        assert!(asked.from_s >= 1 && asked.to_s >= asked.from_s && (1..=100).contains(&asked.rows));
        let mut rows = self.rows.lock();
        let act = (self.act.lock())(&asked, &mut rows);
        let body = answer(&asked, &rows, act);
        drop(rows);
        let status = match act {
            Act::Hang => return self.held.lock().push(stream),
            Act::Break => return stream.shutdown(Shutdown::Both).unwrap(),
            Act::Gateway => "502 Bad Gateway",
            Act::Fail => "500 Internal Server Error",
            _ => "200 OK",
        };
        let body = match act {
            Act::Gateway => "<html><h1>502 Bad Gateway</h1></html>".to_owned(),
            Act::Fail => r#"{"error":"internal_error","detail":"boom"}"#.to_owned(),
            Act::Truncate => body[..body.len() / 2].to_owned(),
            _ => body,
        };
        let length = body.len();
        // The client may have given up.
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
    }
}

fn answer(asked: &Asked, rows: &[(i64, String)], act: Act) -> String {
    let mut found: Vec<_> =
        rows.iter().filter(|(time, _)| (asked.from_s..=asked.to_s).contains(time)).collect();
    found.sort_by_key(|(time, _)| *time);
    let total = found.len();
    let page = if act == Act::FirstPage { 1 } else { asked.page };
    let texts: Vec<_> =
        found.iter().skip((page - 1) * asked.rows).take(asked.rows).map(|row| &*row.1).collect();
    let total = match act {
        Act::LieLow => 0,
        Act::LieHigh => total + 7,
        _ => total,
    };
    let (texts, pages) = (texts.join(","), total.div_ceil(asked.rows));
    format!(r#"{{"raw_messages":[{texts}],"total":{total},"pages":{pages},"count":0}}"#)
}

/// A row in one of the two forms, at a second.
fn row(id: usize, time_s: i64) -> (i64, String) {
    let text = match id % 3 {
        0 => format!(
            r#"{{"msg_id":"m{id}","topic":"a.b","timestamp":{time_s}.0,"msg":{{}},"headers":null,"i":0}}"#
        ),
        1 => format!(
            r#"{{"id":"m{id}","topic":"a.b","body":{{}},"queue":null,"headers":{{"sent-at":"{}"}}}}"#,
            jiff::Timestamp::from_second(time_s).unwrap()
        ),
        // Of a time when messages had no id.
        _ => format!(r#"{{"topic":"a.b","timestamp":{time_s},"msg":{{"n":{}}},"i":{id}}}"#, id % 2),
    };
    (time_s, text)
}

/// 620 rows in the first 1000 seconds: few, many, and 250 in a single second.
fn rows() -> Vec<(i64, String)> {
    let few = (0..120).map(|id| row(id, 5 + id as i64 * 2));
    let many = (120..370).map(|id| row(id, 400 + id as i64 / 5));
    let dense = (370..620).map(|id| row(id, 777));
    few.chain(many).chain(dense).collect()
}

fn sorted(rows: impl IntoIterator<Item = (i64, String)>) -> Vec<String> {
    let mut texts: Vec<_> = rows.into_iter().map(|(_, text)| text).collect();
    texts.sort();
    texts
}

fn assert_same(found: Vec<String>, expected: Vec<String>, what: &str) {
    let of = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    let (have, want) = (of(&found), of(&expected));
    let (odd, lacking): (Vec<_>, Vec<_>) =
        (have.difference(&want).collect(), want.difference(&have).collect());
    assert!(
        odd.is_empty() && lacking.is_empty(),
        "{what}: too much {odd:#?}, lacking {lacking:#?}"
    );
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// Patience without end: a slow machine makes questions time out that are answered at the next try.
fn patient(mut host: super::super::tests::Host) -> super::super::tests::Host {
    host.options.attempts = u32::MAX;
    host.options.longest_pause = Duration::from_millis(1);
    host
}

#[test]
fn each_row_is_fetched_once_by_an_honest_server() {
    for options in ["rows=100", "rows=7&slice=1s", "rows=30&slice=1h"] {
        let archive = Archive::new(rows(), |_, _| Act::Answer);
        let host = host();
        host.fetch(&archive.history(options)).unwrap();
        assert_same(host.texts(), sorted(rows()), options);
        assert_eq!(host.fill.state(), FillState::Complete);
    }
}

#[test]
fn each_row_is_fetched_once_whatever_the_server_does() {
    const ACTS: [Act; 8] = [
        Act::Gateway,
        Act::FirstPage,
        Act::Truncate,
        Act::LieLow,
        Act::Hang,
        Act::LieHigh,
        Act::Break,
        Act::Fail,
    ];
    for options in ["rows=100&timeout=300ms", "rows=7&slice=10m&timeout=300ms"] {
        let mut late = 0;
        let archive = Archive::new(rows(), move |asked, rows| {
            // Seldom enough later for all pages of the full second to be read without a break.
            let every = if asked.number < 100 { 3 } else { 50 };
            if asked.number % every == 0 {
                return ACTS[asked.number / every % ACTS.len()];
            }
            // While its slice is being read, a message comes late, in front of those read already.
            if asked.page == 2 && late < 40 {
                late += 1;
                rows.push(row(10_000 + late * 3, asked.from_s + 1));
            }
            Act::Answer
        });
        let host = patient(host());
        let history = archive.history(options);
        // What failed too often in a row is a hole, and asked for again.
        let runs = (1..).find(|_| host.fetch(&history).is_ok()).unwrap();
        assert!(runs < 10, "{runs} runs");
        let stored = archive.rows.lock().clone();
        assert!(stored.len() > 620, "none came late");
        assert_same(host.texts(), sorted(stored), options);
    }
}

#[test]
fn a_fill_killed_at_any_slice_goes_on_without_loss_or_doubling() {
    let archive = Archive::new(rows(), |_, _| Act::Answer);
    let mut host = host();
    for id in [3, 301, 5] {
        host.send(&rows()[id].1);
    }
    let mut kills = 0;
    while let Err(error) = host.fetch_pages(&archive.history("rows=20&slice=10s"), 1) {
        assert!(matches!(error, FillError::Stopped), "{error}");
        host = reopen(host.dir);
        kills += 1;
    }
    assert!(kills > 5, "{kills}");
    assert_same(host.texts(), sorted(rows()), "fetched");
}

#[test]
fn a_second_that_fails_alone_is_a_hole_until_it_is_given() {
    let ill = |asked: &Asked, _: &mut Vec<(i64, String)>| match asked.from_s <= 425
        && 425 <= asked.to_s
    {
        true => Act::Fail,
        false => Act::Answer,
    };
    let archive = Archive::new(rows(), ill);
    let mut host = patient(host());
    let history = archive.history("rows=100");
    assert!(matches!(host.fetch(&history), Err(FillError::Holes(_))));
    let header = host.fill.header();
    assert!(matches!(&header.state, FillState::Failed { reason, .. } if reason.contains("parts")));
    // Bounds are inclusive on the wire: the seconds beside it cannot be had without it either.
    let holes: BTreeSet<_> = header.holes.iter().map(|it| it.from_us / SECOND_US).collect();
    assert_eq!(holes, BTreeSet::from([424, 425, 426]));
    assert!(header.holes[0].reason.contains("internal_error"), "{:?}", header.holes);
    let outside = rows().into_iter().filter(|(time, _)| !(424..=426).contains(time));
    let missing: BTreeSet<_> = sorted(rows()).into_iter().collect();
    let missing = missing.difference(&host.texts().into_iter().collect()).count();
    assert!(missing > 0 && missing <= sorted(rows()).len() - sorted(outside).len(), "{missing}");

    // Still ill: the same holes, and nothing new.
    host = patient(reopen(host.dir));
    assert!(matches!(host.fetch(&history), Err(FillError::Holes(3))));
    assert_eq!(host.fill.header().holes.len(), 3);

    archive.now_acts(|_, _| Act::Answer);
    host = patient(reopen(host.dir));
    host.fetch(&history).unwrap();
    assert_same(host.texts(), sorted(rows()), "fetched");
    host = reopen(host.dir);
    assert_eq!(host.fill.state(), FillState::Complete);
    assert!(host.fill.header().holes.is_empty());
}

#[test]
fn a_server_that_is_down_is_no_hole() {
    let archive = Archive::new(rows(), |_, _| Act::Gateway);
    let mut host = host();
    host.options.attempts = 12;
    host.options.longest_pause = Duration::ZERO;
    let error = host.fetch(&archive.history("slice=8s")).unwrap_err();
    assert!(error.to_string().contains("502"), "{error}");
    assert!(host.fill.header().holes.is_empty());
    archive.now_acts(|_, _| Act::Answer);
    host.fetch(&archive.history("slice=8s")).unwrap();
    assert_same(host.texts(), sorted(rows()), "fetched");
}

#[test]
fn what_has_only_just_happened_is_not_asked_for() {
    let archive = Archive::new([], |_, _| Act::Answer);
    let url = format!("datagrepper+http://{}/raw?settle=1h", archive.address);
    let url: HistoryUrl = url.parse().unwrap();
    let HistoryKind::Datagrepper(options) = url.kind.clone() else { panic!() };
    let history = DatagrepperHistory::new(&url.name(), options, Mapping::auto());
    let before_us = now_us();
    let hour_us = 3_600 * SECOND_US;
    let span_us = before_us - 2 * hour_us..before_us;
    let page = history.fetch(span_us.clone(), &Cursor::default()).unwrap();
    assert!(!page.done);
    let (reached, after_us) = (Place::read(&page.next).unwrap(), now_us());
    assert!(reached.from_s * SECOND_US <= after_us - hour_us, "{reached:?}");
    match history.fetch(span_us, &Place { from_s: after_us / SECOND_US, width_s: 60 }.cursor()) {
        Err(HistoryError::Early { until_us, .. }) => assert!(until_us > before_us + hour_us),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_that_hangs_does_not_keep_the_host_from_stopping() {
    let archive = Archive::new(rows(), |_, _| Act::Hang);
    let history = Arc::new(archive.history("timeout=1d"));
    let asking = Arc::clone(&history);
    let fetch = std::thread::spawn(move || asking.fetch(0..SECOND_US * 900, &Cursor::default()));
    history.stop();
    assert!(matches!(fetch.join().unwrap(), Err(HistoryError::Unavailable { .. })));
}

#[test]
fn a_row_of_many_megabytes_and_pages_too_long_are_read_piece_by_piece() {
    let large = |id: usize| {
        let text = "x".repeat(3 << 20);
        (50, format!(r#"{{"msg_id":"m{id}","topic":"t","timestamp":50,"text":"{text}"}}"#))
    };
    let rows: Vec<_> = (0..5).map(large).chain((5..40).map(|id| row(id * 3, id as i64))).collect();
    let archive = Archive::new(rows.clone(), |_, _| Act::Answer);
    let host = host();
    host.fetch(&archive.history("rows=100")).unwrap();
    assert!(host.texts() == sorted(rows));
}
