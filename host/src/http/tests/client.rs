//! The command line's client against a server.

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::manifest::ValueKind;

use super::Fixture;
use crate::cli::client::{Client, ClientError, Shown};
use crate::cli::table::{OutputFormat, show};
use crate::query::memory::MemoryRows;
use crate::query::{CompleteUntil, Limits, params};

fn many() -> MemoryRows {
    let mut rows = MemoryRows::new("many", true, &[("who", ValueKind::Text)]);
    for second in 1..=2_500 {
        rows.add(Some(second * 1_000_000), &[Value::Text("a,\n\"b\"".into())], second as u64);
    }
    rows
}

fn remote(fixture: &Fixture, pairs: &[(&str, &str)], format: OutputFormat) -> (String, Shown) {
    let client = Client::new(&format!("http://{}/", fixture.server.address()), None).unwrap();
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut out = Vec::new();
    let shown = client.show("many", None, &pairs, format, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), shown)
}

#[test]
fn a_running_host_prints_what_its_data_folder_would() {
    let fixture = Fixture::with_users();
    fixture.catalog.put("many", many(), 1, CompleteUntil::End);
    let formats = [OutputFormat::Json, OutputFormat::Csv, OutputFormat::Ndjson];
    for pairs in [&[][..], &[("limit", "2")], &[("volume__gt", "400"), ("order", "asc")]] {
        for format in formats {
            let query = params::parse(pairs.iter().copied(), 0).unwrap();
            let mut local = Vec::new();
            show(&many().snapshot(), &query, &Limits::none(), format, &mut local).unwrap();
            let (remote, shown) = remote(&fixture, pairs, format);
            assert_eq!(remote, String::from_utf8(local).unwrap(), "{pairs:?} {format:?}");
            assert_eq!(shown, Shown { complete_until: Some("end".to_owned()), moved: false });
        }
    }
}

#[test]
fn a_table_keeps_the_model_s_order_of_columns() {
    let fixture = Fixture::with_users();
    fixture.catalog.put("many", many(), 1, CompleteUntil::End);
    let (table, _) = remote(&fixture, &[("rows_per_page", "1")], OutputFormat::Table);
    let mut lines = table.lines();
    let names: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(names, ["timestamp", "who", "volume"]);
    assert!(lines.next().unwrap().contains("1970-01-01T00:41:40Z"));
    assert_eq!(lines.next(), None);
}

#[test]
fn the_host_s_reason_reaches_the_person() {
    let fixture = Fixture::with_users();
    let client = Client::new(&format!("http://{}", fixture.server.address()), None).unwrap();
    let ask = |ident: &str, name: &str, value: &str| {
        let pairs = [(name.to_owned(), value.to_owned())];
        client
            .show(ident, None, &pairs, OutputFormat::Csv, &mut Vec::new())
            .unwrap_err()
            .to_string()
    };
    assert!(ask("user", "limit", "1").contains("did you mean users?"));
    assert!(ask("users", "limit", "x").contains("a whole number, 0 or more"));
    assert_eq!(client.status().unwrap().stats[0].ident, "users");
}

#[test]
fn no_host_is_told_as_such() {
    let fixture = Fixture::with_users();
    let url = format!("http://{}", fixture.server.address());
    fixture.server.stop();
    let error = Client::new(&url, None).unwrap().status().unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}
