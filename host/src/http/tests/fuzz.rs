//! What stands behind the question mark of an address.

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use crate::fuzz::{Random, Target, Verdict, change_bytes, run};
use crate::http::headers::pairs;
use crate::query::memory::MemoryRows;
use crate::query::{Cursor, Limits, QueryError, TimeStyle, params};
use crate::store::Snapshot;

const NOW_US: i64 = 1_700_000_000_000_000;
const SECOND: i64 = 1_000_000;

const SEEDS: &[&str] = &[
    "",
    "start=1&stop=1700000003&order=asc&limit=3&page=2&rows_per_page=1",
    "start=now-1h30m&delta=7d&columns=timestamp,user,volume&format=csv&time=rfc3339",
    "user=ann&volume__gte=2&user__in=ann,bob&user__glob=a*&user__contains=n&user__not=cat&_=17",
    "step=2s&agg=avg&envelope=1&shape=columns",
    "points=2&agg=max&order=desc",
    "sort=-volume&limit=2&rows_per_page=1",
    "model=rows&callback=jQuery.cb_1&download=1&time=millis",
    "stop=2017-07-14T02:40:00Z&delta=90&timestamp__lt=1700000002",
];
const WORDS: &[&[u8]] = &[
    b"&",
    b"=",
    b"__",
    b"%",
    b"%00",
    b"%ff",
    b"%26",
    b"+",
    b"-",
    b",",
    b"*",
    b"?",
    b".5",
    b"1e308",
    b"1e15",
    b"9223372036854775807",
    b"18446744073709551615",
    b"-9223372036854775808",
    b"NaN",
    b"inf",
    b"now",
    b"ms",
    b"99999999999999999999w",
    b"292277026596",
    b"&start=",
    b"&stop=",
    b"&delta=",
    b"&limit=",
    b"&page=",
    b"&rows_per_page=",
    b"&cursor=",
    b"&sort=",
    b"&step=",
    b"&points=",
    b"&agg=",
    b"&columns=",
    b"&order=desc",
    b"&order=asc",
    b"&timestamp__gt=",
    b"&user__in=",
    b"&volume__lte=",
    b"&user__glob=",
    b"********?a",
    b"&time=millis",
];

#[test]
fn whatever_is_asked_is_answered_within_its_bounds_or_refused() {
    let snapshots = [true, false].map(|windowed| {
        let mut rows = MemoryRows::new("rows", windowed, &[("user", ValueKind::Text)]);
        if windowed {
            rows = rows.rolled_up_to(3600);
        }
        for (time, user, volume) in [(1, "ann", 1), (1, "b\0b", 2), (2, "", 3), (9, "ann", 400)] {
            let time_us = windowed.then_some((1_699_999_999 + time) * SECOND);
            rows.add(time_us, &[Value::Text(user.into())], volume);
        }
        rows.indexed().snapshot()
    });
    // Cursors as this version gives them.
    let mut seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    for question in ["rows_per_page=1", "sort=volume&rows_per_page=1"] {
        let query = params::parse(question.split('&').filter_map(|it| it.split_once('=')), 0);
        let answer = crate::query::run(&snapshots[0], &query.unwrap(), &Limits::default()).unwrap();
        seeds.push(format!("{question}&cursor={}", answer.next.unwrap()).into_bytes());
    }
    let judge = |input: &[u8]| judge(&snapshots, input);
    run(
        &Target {
            name: "queries",
            seeds,
            words: WORDS,
            change: Some(&change),
            mend: &|_| (),
            judge: &judge,
        },
        &["rows", "refused"],
    );
}

const NAMES: &[&str] = &[
    "model",
    "order",
    "sort",
    "start",
    "stop",
    "delta",
    "step",
    "points",
    "agg",
    "limit",
    "page",
    "cursor",
    "rows_per_page",
    "columns",
    "format",
    "callback",
    "download",
    "envelope",
    "shape",
    "time",
    "user",
    "user__in",
    "user__glob",
    "user__contains",
    "volume__gte",
    "volume__not",
    "timestamp__lt",
];
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "2",
    "-1",
    "1.5",
    "1e15",
    "NaN",
    "9223372036854775807",
    "18446744073709551615",
    "now",
    "now-1d",
    "7d",
    "1ms",
    "2s",
    "1h",
    "2017-07-14",
    "2017-07-14T02%3A40%3A00Z",
    "1700000001",
    "asc",
    "desc",
    "volume",
    "-volume",
    "user",
    "timestamp",
    "timestamp,volume",
    "ann",
    "a*",
    "*?*n",
    "%00",
    "rows",
    "rows@1h",
    "sum",
    "avg",
    "max",
    "last",
    "columns",
    "rfc3339",
    "millis",
    "true",
    "AQAAAAAAAAAAAA",
];

/// Gives, takes away or changes one parameter.
fn change(random: &mut Random, text: &mut Vec<u8>, donor: &[u8]) {
    let whole = String::from_utf8_lossy(text).into_owned();
    let mut parts: Vec<String> = whole.split('&').map(str::to_owned).collect();
    let others = String::from_utf8_lossy(donor);
    let others: Vec<&str> = others.split('&').collect();
    let at = random.below(parts.len());
    match random.below(6) {
        0 => drop(parts.remove(at)),
        1 => parts.push(random.pick(&others).to_owned()),
        2 | 3 => parts.push(format!("{}={}", random.pick(NAMES), random.pick(VALUES))),
        4 => {
            let name = parts[at].split('=').next().unwrap_or_default().to_owned();
            parts[at] = format!("{name}={}", random.pick(VALUES));
        }
        _ => {
            let mut bytes = std::mem::take(&mut parts[at]).into_bytes();
            change_bytes(random, &mut bytes, WORDS, b"");
            parts[at] = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    *text = parts.join("&").into_bytes();
}

fn judge(snapshots: &[std::sync::Arc<Snapshot>], input: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(input);
    let pairs = pairs(Some(&text));
    let pairs = || pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = match params::parse(pairs(), NOW_US) {
        Ok(query) => query,
        Err(errors) if errors.iter().any(|it| it.reason.is_empty() || it.allowed.is_empty()) => {
            return Err(format!("an error without a reason: {errors:?}"));
        }
        Err(_) => return Ok("refused".to_owned()),
    };
    if params::parse(pairs(), NOW_US).as_ref() != Ok(&query) {
        return Err("the same query is parsed otherwise the second time".to_owned());
    }
    let limits = Limits { max_rows_per_page: 100, ..Limits::default() };
    let mut outcome = "refused by the model".to_owned();
    for snapshot in snapshots {
        let answer = match crate::query::run(snapshot, &query, &limits) {
            Ok(answer) => answer,
            Err(QueryError::Store(error)) => return Err(error.to_string()),
            Err(_) => continue,
        };
        let (rows, columns) = (answer.table.rows.len() as u64, answer.table.columns.len());
        if rows > answer.page.rows_per_page || query.limit.is_some_and(|limit| rows > limit) {
            return Err(format!("{rows} rows are more than were asked for"));
        }
        if answer.table.rows.iter().any(|row| row.len() != columns) {
            return Err("a row has other columns than the table".to_owned());
        }
        for cell in answer.table.rows.iter().flatten() {
            for style in [TimeStyle::Unix, TimeStyle::Millis, TimeStyle::Rfc3339] {
                let _ = crate::render::cell::text(cell, style);
            }
        }
        if let Some(next) = answer.next
            && Cursor::parse(&next.to_string()) != Some(next)
        {
            return Err("a cursor is not read back".to_owned());
        }
        outcome = "rows".to_owned();
    }
    Ok(outcome)
}
