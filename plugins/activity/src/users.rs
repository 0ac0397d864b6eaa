//! Messages per user.
//!
//! View `share`: each user's part of all messages, in per cent, the largest first.

use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json::{Value as Json, json};

fields! {
    /// Who sent it.
    pub struct Event { username: sym "/username" }
}

/// Messages per user, over all time.
#[derive(Models, Default)]
pub struct Users {
    #[model(dimensions = ["username"], measures = ["count"], index = "count")]
    by_user: Rollup<(Sym,), Count>,
}

impl Stat for Users {
    const INFO: StatInfo = StatInfo {
        ident: "activity-users",
        title: "Activity: users",
        summary: "Messages per user.",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;
    const COMPUTES: bool = true;

    fn views() -> Vec<Json> {
        vec![json!({ "name": "share", "title": "Share of each user", "compute": {} })]
    }

    fn compute(view: &str, rows: &Json) -> Result<Json, PluginError> {
        match (view, rows.as_array()) {
            ("share", Some(rows)) => Ok(share(rows)),
            _ => Err(PluginError::new(format_args!("there is no computed view {view:?}"))),
        }
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            if let Some(user) = message.username() {
                self.by_user.at(&message, (user,)).add(1);
            }
        }
        Ok(())
    }
}

/// What part of the rows' messages each user sent.
fn share(rows: &[Json]) -> Json {
    let count = |row: &Json| row["count"].as_u64().unwrap_or(0);
    // In floats, for counts may add up to more than an integer holds.
    let all: f64 = rows.iter().map(|row| count(row) as f64).sum();
    let mut rows: Vec<_> = rows.iter().map(|row| (count(row), &row["username"])).collect();
    // Stable: the rows come in the order of their names.
    rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let rows = rows.into_iter().map(|(count, user)| {
        let percent = if all > 0.0 { count as f64 / all * 100.0 } else { 0.0 };
        json!([user, count, percent])
    });
    json!({
        "columns": [
            { "name": "username", "kind": "text" },
            { "name": "count", "kind": "int" },
            { "name": "percent", "kind": "num", "unit": "%" },
        ],
        "rows": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[test]
    fn a_user_is_one_row_however_the_name_is_escaped() {
        let folded = testing::fold::<Users>(&[
            r#"{"topic": "t", "timestamp": 1, "username": "jürgen"}"#,
            r#"{"topic": "t", "timestamp": 2, "username": "j\u00fcrgen"}"#,
            r#"{"topic": "t", "timestamp": 3, "username": null}"#,
            r#"{"topic": "t", "timestamp": 4, "msg": {"username": "decoy"}}"#,
            r#"{"topic": "t", "timestamp": 5, "username": ["list"]}"#,
        ]);
        assert_eq!(folded.rows("by_user"), "username,count\njürgen,2\n");
    }

    #[test]
    fn shares_are_in_per_cent_of_all_and_the_largest_first() {
        let rows = json!([
            { "username": "ann", "count": 1 },
            { "username": "bob", "count": 3 },
            { "username": "cat", "count": 1 },
        ]);
        let rows_of = |rows| Users::compute("share", rows).map(|table| table["rows"].clone()).ok();
        assert_eq!(
            rows_of(&rows),
            Some(json!([["bob", 3, 60.0], ["ann", 1, 20.0], ["cat", 1, 20.0]]))
        );
        assert_eq!(rows_of(&json!([])), Some(json!([])));
        assert!(Users::compute("other", &rows).is_err());
    }
}
