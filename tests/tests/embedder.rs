//! The library's own way to the answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use statmill::Host;
use statmill::http::HttpOptions;
use statmill::query::{Limits, Query, QueryError};
use statmill_tests::{ndjson, plugins, write};
use tempfile::TempDir;

#[test]
fn an_embedder_s_queries_keep_to_the_limits_it_has_set_and_all_rows_to_none() {
    let (folder, plugins) = (TempDir::new().unwrap(), plugins(&["statmill-volume"]));
    let file = write(folder.path(), "messages.ndjson", &ndjson(0..100));
    let limits = Limits { default_rows_per_page: 7, max_rows: 50, ..Limits::default() };
    let host = Host::builder()
        .data(folder.path().join("data"))
        .plugin(plugins.path())
        .source(&format!("file:{}", file.display()))
        .unwrap()
        .http(HttpOptions { limits, ..HttpOptions::default() })
        .once()
        .start()
        .unwrap();
    host.wait_finished().unwrap();
    let asked = |pairs: &[(&str, &str)]| {
        let query: Query = statmill::query::params::parse(pairs.iter().copied(), 0).unwrap();
        host.query("volume-1s", &query)
    };
    let answer = asked(&[]).unwrap();
    assert_eq!((answer.table.rows.len(), answer.table.total), (7, 100));
    let refused = asked(&[("volume__gt", "0")]).unwrap_err();
    assert!(
        matches!(refused, QueryError::TooManyRows { rows: 100, max_rows: 50, .. }),
        "{refused}"
    );
    assert_eq!(host.rows("volume-1s", None).unwrap().rows.len(), 100);
    host.stop();
}
