//! Parameters: what is read, what is refused, and that the table says so.

#![allow(clippy::unwrap_used)]
use super::table::is_callback;
use super::*;

fn parsed(pairs: &[(&str, &str)]) -> Result<Query, Vec<ParamError>> {
    parse(pairs.iter().copied(), 1_700_000_000_000_000)
}

#[test]
fn every_bad_value_is_named_with_what_is_allowed() {
    for (name, value) in [
        ("order", "up"),
        ("start", "yesterday"),
        ("stop", "x"),
        ("end", "x"),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", "many"),
        ("page", "0"),
        ("page", "-1"),
        ("page", "99999999999999999999999"),
        ("rows_per_page", "0"),
        ("rows_per_page", "-5"),
        ("rows_per_page", "x"),
        ("format", "xml"),
        ("callback", "alert(1)//"),
        ("envelope", "yes"),
        ("shape", "round"),
        ("time", "noon"),
    ] {
        let errors = parsed(&[(name, value)]).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].param, name);
        assert!(errors[0].reason.contains(value), "{}", errors[0].reason);
        assert!(!errors[0].allowed.is_empty());
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = parsed(&[("page", "0"), ("order", "asc"), ("limit", "x")]).unwrap_err();
    let names: Vec<_> = errors.iter().map(|error| error.param.as_str()).collect();
    assert_eq!(names, ["page", "limit"]);
}

#[test]
fn a_sort_names_a_column_and_a_direction_and_is_no_order_by_time() {
    let sort = |text| parsed(&[("sort", text)]).unwrap().sort.unwrap();
    assert_eq!((&*sort("a").column, sort("a").order), ("a", Order::Asc));
    assert_eq!((&*sort("-a").column, sort("-a").order), ("a", Order::Desc));
    let errors = parsed(&[("sort", "a"), ("order", "asc")]).unwrap_err();
    assert_eq!(errors[0].param, "order");
}

#[test]
fn an_alias_is_the_same_parameter() {
    assert_eq!(parsed(&[("end", "5")]), parsed(&[("stop", "5")]));
    let errors = parsed(&[("stop", "5"), ("end", "6")]).unwrap_err();
    assert_eq!(errors[0].param, "end");
}

#[test]
fn empty_values_and_what_old_clients_add_are_ignored() {
    let query = parsed(&[("limit", ""), ("ident", "volume-1s"), ("_", "1700")]).unwrap();
    assert_eq!(query, Query::default());
}

#[test]
fn only_names_that_are_safe_to_call_are_callbacks() {
    let long = "a".repeat(65);
    for bad in ["1a", ".a", "a b", "a;b", "a(b", "<script>", "é", "a\u{2028}", &long] {
        assert!(!is_callback(bad), "{bad}");
    }
    for good in ["cb", "$", "_", "jQuery.cb_1", "$.x", &long[1..]] {
        assert!(is_callback(good), "{good}");
    }
}

#[test]
fn more_filters_than_anyone_needs_are_refused() {
    let many: Vec<_> = (0..40).map(|_| ("user", "x")).collect();
    assert!(parsed(&many).is_err());
}
