//! Values of a dimension and how many rows have each.

use super::*;
use crate::query::{Query, facets};

#[test]
fn facets_count_the_rows_of_each_value_most_frequent_first() {
    let counted = |query: &str| {
        let pairs = query.split('&').filter_map(|part| part.split_once('='));
        let query = params::parse(pairs, 0).map_err(QueryError::Params)?;
        facets(&users().snapshot(), &query, "user", &Limits::default())
            .map(|answer| shown(&answer.table))
    };
    assert_eq!(counted("").unwrap(), ["ann/3", "bob/2", "cat/1"]);
    assert_eq!(counted("start=3").unwrap(), ["ann/1", "bob/1", "cat/1"]);
    assert_eq!(counted("volume__gt=3&user__not=cat").unwrap(), ["ann/1", "bob/1"]);
    assert_eq!(counted("limit=2").unwrap(), ["ann/3", "bob/2"]);
    assert_eq!(counted("rows_per_page=2&page=2").unwrap(), ["cat/1"]);
    assert_eq!(counted("step=1h").unwrap(), ["ann/1", "bob/1", "cat/1"]);
    for query in ["sort=user", "order=asc", "columns=user", "model=x"] {
        assert!(matches!(counted(query), Err(QueryError::Params(_))), "{query}");
    }
    let limits = Limits { max_rows: 5, ..Limits::default() };
    let error = facets(&users().snapshot(), &Query::default(), "user", &limits).unwrap_err();
    assert!(matches!(error, QueryError::TooManyRows { rows: 6, .. }));
}
