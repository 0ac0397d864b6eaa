//! Every canonical aggregator, over whatever a generator sends.
//!
//! Input: `key` and `name` to group by, `int`, `num` and `text` to aggregate; each may be missing.
//! Models of `every-aggregator`: `numbers` and `texts` per hour with a roll-up per day, `totals`
//! without a window. `recent` counts per hour what is not older than its backlog delta.

#![allow(clippy::type_complexity, reason = "the derive reads the measures where they are")]

use statmill_plugin_api::prelude::*;

fields! {
    /// What is read of each message.
    pub struct Event {
        key: sym "/key",
        name: str "/name",
        int: int "/int",
        num: num "/num",
        text: str "/text",
        raw: raw "/raw",
    }
}

/// One stat with all aggregators whose rows do not depend on how messages came.
#[derive(Models, Default)]
pub struct Every {
    #[model(
        window = "1h",
        dimensions = ["key", "name"],
        measures = ["count", "int", "num", "int_shape", "num_shape", "spread"],
        rollups = ["1d"]
    )]
    numbers: Rollup<
        (Option<Sym>, Option<Text>),
        (
            Count,
            Option<Sum<i64>>,
            Option<Sum<f64>>,
            Option<Moments<i64>>,
            Option<Moments<f64>>,
            Option<Quantiles>,
        ),
    >,
    #[model(
        window = "1h",
        dimensions = ["key"],
        measures = ["first", "last", "least", "newest", "texts", "log"(keep = 5)],
        rollups = ["1d"]
    )]
    texts: Rollup<
        (Option<Sym>,),
        (
            Option<First<Text>>,
            Option<Last<Text>>,
            Option<Min<f64>>,
            Max<Time>,
            Option<Distinct<Text>>,
            Option<Log<Text>>,
        ),
    >,
    #[model(
        dimensions = ["name"],
        measures = ["least", "greatest", "first", "last", "ints", "log"(keep = 3)]
    )]
    totals: Rollup<
        (Option<Text>,),
        (
            Option<Min<Text>>,
            Option<Max<i64>>,
            Option<First<i64>>,
            Option<Last<f64>>,
            Option<Distinct<i64>>,
            Option<Log<Json>>,
        ),
    >,
}

impl Stat for Every {
    const INFO: StatInfo = StatInfo {
        ident: "every-aggregator",
        title: "Every canonical aggregator",
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            let (key, name) = (message.key(), message.name());
            let (int, num, text) = (message.int(), message.num(), message.text());
            let raw = message.raw().and_then(|json| std::str::from_utf8(json).ok());
            self.numbers.at(&message, (key, name)).add((1, int, num, int, num, num));
            self.texts.at(&message, (key,)).add((text, text, num, message.time(), text, text));
            self.totals.at(&message, (name,)).add((text, int, int, num, int, raw));
        }
        Ok(())
    }
}

/// Messages per hour and key, of the last two days only.
#[derive(Models, Default)]
pub struct Recent {
    #[model(window = "1h", dimensions = ["key"], measures = ["count", "int"])]
    by_key: Rollup<(Option<Sym>,), (Count, Option<Sum<i64>>)>,
}

impl Stat for Recent {
    const INFO: StatInfo = StatInfo {
        ident: "recent",
        title: "Messages of the last two days",
        backlog_delta: Some(2 * 86_400),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            self.by_key.at(&message, (message.key(),)).add((1, message.int()));
        }
        Ok(())
    }
}

export_plugin!(Every, Recent);
