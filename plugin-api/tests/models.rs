//! What a fold adds is what the host gets, whatever the codes, the order or the split.
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

use statmill_plugin_api::manifest::{Aggregator, Stamp, ValueKind};
use statmill_plugin_api::prelude::*;
use statmill_plugin_api::testing::{self, Options};

fields! {
    struct Event {
        a: sym "/a",
        b: sym "/b",
        text: str "/text",
        int: int "/int",
        num: num "/num",
        flag: bool "/flag",
        at: time "/at",
        raw: raw "/raw",
        whole: doc,
    }
}

macro_rules! stat {
    ($name:ident, $batch:ident, |$self:ident, $message:ident| $fold:expr) => {
        impl Stat for $name {
            const INFO: StatInfo =
                StatInfo { ident: "test", title: "Test", ..StatInfo::DEFAULT };
            const FIELDS: Fields = Event::FIELDS;

            fn fold(&mut $self, $batch: &Batch<'_>) -> Result<(), PluginError> {
                for $message in $batch.rows::<Event>() {
                    $fold;
                }
                Ok(())
            }
        }
    };
}

#[derive(Models, Default)]
struct Keys {
    #[model(dimensions = ["a", "text", "int", "flag", "at"], measures = ["count"])]
    rows: Rollup<(Option<Sym>, Option<Text>, Option<i64>, Option<bool>, Option<Time>), Count>,
}

stat!(Keys, batch, |self, it| {
    let key = (it.a(), it.text(), it.int(), it.flag(), it.at());
    self.rows.at(&it, key).add(1)
});

#[test]
fn keys_of_every_type_sort_as_their_values_do_and_null_sorts_first() {
    let folded = testing::fold::<Keys>(&[
        r#"{"topic": "t", "time": 1, "a": "b"}"#,
        r#"{"topic": "t", "time": 2, "a": "a", "text": "x,y", "int": -5, "flag": true, "at": 1.5}"#,
        r#"{"topic": "t", "time": 3, "a": "a", "text": "x,y", "int": -700, "flag": true}"#,
        r#"{"topic": "t", "time": 4, "a": null}"#,
        r#"{"topic": "t", "time": 5, "a": "b"}"#,
    ]);
    assert_eq!(
        folded.rows("rows"),
        "a,text,int,flag,at,count\n\
         ,,,,,1\n\
         a,\"x,y\",-700,true,,1\n\
         a,\"x,y\",-5,true,1.5,1\n\
         b,,,,,2\n"
    );
}

#[derive(Models, Default)]
struct EitherColumn {
    #[model(dimensions = ["name"], measures = ["size", "last"])]
    rows: Rollup<(Sym,), (Moments<i64>, Last<Text>)>,
}

stat!(EitherColumn, batch, |self, it| {
    for name in [it.a(), it.b()].into_iter().flatten() {
        self.rows.at(&it, (name,)).add((it.int().unwrap_or(0), it.text().unwrap_or("")));
    }
});

#[test]
fn one_text_coded_in_two_columns_is_one_row() {
    let folded = testing::fold::<EitherColumn>(&[
        r#"{"topic": "t", "time": 2, "a": "x", "int": 4, "text": "newer"}"#,
        r#"{"topic": "t", "time": 1, "b": "x", "int": 6, "text": "older"}"#,
        r#"{"topic": "t", "time": 1, "b": "y", "a": "y", "int": 1, "text": "both"}"#,
    ]);
    assert_eq!(
        folded.rows("rows"),
        "name,size_count,size_sum,size_mean,size_stddev,last\n\
         x,2,10,5,1.4142135623730951,newer\n\
         y,2,2,1,0,both\n"
    );
}

#[derive(Models, Default)]
struct Windows {
    #[model(window = "1h", measures = ["count"])]
    hours: Rollup<(), Count>,
    #[model(window = "1h", stamp = "end", dimensions = ["a"], measures = ["count"])]
    by_a: Rollup<(Sym,), Count>,
}

stat!(Windows, batch, |self, it| {
    self.hours.at(&it, ()).add(1);
    if let Some(a) = it.a() {
        self.by_a.at(&it, (a,)).add(1);
    }
});

#[test]
fn a_window_is_closed_at_its_start_and_open_at_its_end_before_1970_too() {
    let folded = testing::fold::<Windows>(&[
        r#"{"topic": "t", "time": 3600}"#,
        r#"{"topic": "t", "time": 3599.999999}"#,
        r#"{"topic": "t", "time": -0.000001}"#,
        r#"{"topic": "t", "time": 0}"#,
        r#"{"topic": "t", "time": -3600}"#,
    ]);
    assert_eq!(folded.rows("hours"), "time,count\n-3600.0,2\n0.0,2\n3600.0,1\n");
}

#[test]
fn messages_out_of_order_find_their_rows() {
    let messages: Vec<String> = (0..500)
        .map(|n| {
            let (time, key) = (n % 3 * 3600, n % 7);
            format!(r#"{{"topic": "t", "time": {time}, "a": "key {key}"}}"#)
        })
        .collect();
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    let folded = testing::fold::<Windows>(&messages);
    let mut expected = String::from("timestamp,a,count\n");
    for hour in 0..3 {
        for key in 0..7 {
            let count = (0..500).filter(|n| n % 3 == hour && n % 7 == key).count();
            expected += &format!("{}.0,key {key},{count}\n", (hour + 1) * 3600);
        }
    }
    assert_eq!(folded.rows("by_a"), expected);
}

#[derive(Models, Default)]
struct Optional {
    #[model(dimensions = ["a"], measures = ["count", "size"(unit = "bytes")])]
    rows: Rollup<(Sym,), (Count, Option<Sum<i64>>)>,
}

stat!(Optional, batch, |self, it| {
    if let Some(a) = it.a() {
        self.rows.at(&it, (a,)).add((1, it.int()));
    }
});

#[test]
fn a_measure_may_be_left_out_of_an_addition() {
    let folded = testing::fold::<Optional>(&[
        r#"{"topic": "t", "time": 1, "a": "x", "int": 4}"#,
        r#"{"topic": "t", "time": 1, "a": "x"}"#,
    ]);
    assert_eq!(folded.rows("rows"), "a,count,size\nx,2,4\n");
}

#[derive(Models, Default)]
struct Values {
    #[model(measures = ["seen"(keep = 20)])]
    rows: Rollup<(), Log<Text>>,
}

stat!(Values, batch, |self, it| {
    let raw =
        |value: FieldValue<&[u8]>| format!("{:?}", value.value().map(String::from_utf8_lossy));
    let seen = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {} {}",
        it.a().map(|a| it.text_of(a)),
        it.text_value(),
        it.int_value(),
        it.num_value(),
        it.flag_value(),
        it.at_value(),
        raw(it.raw_value()),
        raw(it.whole_value()).len() > 10,
    );
    self.rows.at(&it, ()).add(&seen)
});

#[test]
fn missing_null_wrong_type_and_invalid_are_told_apart() {
    let seen = |message: &str| {
        let rows = testing::fold::<Values>(&[message]).rows("rows");
        let json = rows.lines().nth(1).unwrap().replace("\"\"", "\"");
        let all: Vec<String> = serde_json::from_str(json.trim_matches('"')).unwrap();
        all[0].clone()
    };
    assert_eq!(
        seen(r#"{"topic": "t", "time": 1}"#),
        "None Missing Missing Missing Missing Missing None true"
    );
    assert_eq!(
        seen(
            r#"{"topic": "t", "time": 1, "a": "x", "text": "yé", "int": 3, "num": 3, "flag": false,
               "at": "1970-01-01T00:00:01Z", "raw": {"k" :1}}"#
        ),
        "Some(\"x\") Value(\"yé\") Value(3) Value(3.0) Value(false) Value(1000000) \
         Some(\"{\\\"k\\\" :1}\") true"
    );
    assert_eq!(
        seen(
            r#"{"topic": "t", "time": 1, "a": 1, "text": null, "int": 3.5, "num": "3", "flag": 0,
               "at": "soon", "raw": null}"#
        ),
        "None Null WrongType WrongType WrongType WrongType None true"
    );
    assert_eq!(
        seen(r#"{"topic": "t", "time": 1, "a": "\ud800", "text": "\x", "int": 01, "raw": [nul]}"#),
        "None Invalid Invalid Missing Missing Missing Some(\"[nul]\") true"
    );
}

#[derive(Models, Default)]
struct Configured {
    #[model(
        window = interval,
        dimensions = ["a"],
        measures = ["count", "ms"(unit = "ms", per_octave = 32, show = [0.5, 1])],
        retention = "90d",
        rollups = ["1h", "1d:400d"],
        index = "count"
    )]
    rows: Rollup<(Sym,), (Count, Quantiles)>,
    factor: f64,
}

impl Stat for Configured {
    const INFO: StatInfo = StatInfo {
        ident: "configured",
        title: "Configured",
        interval: Some(90),
        backlog_delta: Some(86_400),
        ..StatInfo::DEFAULT
    };
    const FIELDS: Fields = Event::FIELDS;
    const TOPICS: &'static [&'static str] = &["shop.*"];

    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        let config: serde_json::Value = serde_json::from_str(config)?;
        self.factor = config["factor"].as_f64().ok_or("`factor` must be a number")?;
        Ok(())
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            if let (Some(a), Some(num)) = (message.a(), message.num()) {
                self.rows.at(&message, (a,)).add((1, num * self.factor));
            }
        }
        Ok(())
    }
}

#[test]
fn the_manifest_says_what_the_attribute_says() {
    let manifest = statmill_plugin_api::stat::manifest::<Configured>().unwrap();
    assert_eq!(manifest.ident, "configured-1m30s");
    assert_eq!(manifest.interval_s, Some(90));
    assert_eq!(manifest.backlog_delta_s, Some(86_400));
    assert_eq!(manifest.topics, ["shop.*"]);
    assert_eq!(manifest.fields[8].pointer, "");
    let [model] = &manifest.models[..] else { panic!("one model") };
    assert_eq!(
        (model.name.as_str(), model.window_s, model.stamp),
        ("rows", Some(90), Stamp::Start)
    );
    assert_eq!(model.dimensions[0].kind, ValueKind::Text);
    assert_eq!(model.retention_s, Some(90 * 86_400));
    let rollups: Vec<_> = model.rollups.iter().map(|it| (it.window_s, it.retention_s)).collect();
    assert_eq!(rollups, [(3600, None), (86_400, Some(400 * 86_400))]);
    assert_eq!(model.index.as_deref(), Some("count"));
    assert_eq!((model.measures[1].name.as_str(), model.measures[1].unit.as_str()), ("ms", "ms"));
    let show = vec![0.5, 1.0];
    assert_eq!(model.measures[1].aggregator, Aggregator::Quantiles { per_octave: 32, show });
}

#[test]
fn a_stat_sees_its_configuration_and_only_the_topics_it_wants() {
    let options = Options { config: r#"{"factor": 2}"#, ..Options::default() };
    let messages = [
        r#"{"topic": "shop.order", "time": 91, "a": "x", "num": 3}"#,
        r#"{"topic": "shop.order.late", "time": 91, "a": "x", "num": 3}"#,
    ];
    let folded = testing::fold_with::<Configured>(&options, &messages).unwrap();
    assert_eq!(folded.rows("rows"), "time,a,count,ms_p50,ms_p100,ms_count\n90.0,x,1,6,6,1\n");

    let refused = testing::fold_with::<Configured>(&Options::default(), &messages);
    assert!(matches!(refused, Err(PluginError::Json(_))), "{refused:?}");
}

#[test]
#[should_panic(expected = "message 1 would be rejected: it has no time")]
fn a_message_that_a_host_would_reject_fails_the_test() {
    let _ = testing::fold::<Windows>(&[r#"{"topic": "t", "time": 1}"#, r#"{"topic": "t"}"#]);
}

#[derive(Models, Default)]
struct Unsteady {
    #[model(measures = ["batches"])]
    rows: Rollup<(), Count>,
}

impl Stat for Unsteady {
    const INFO: StatInfo = StatInfo { ident: "unsteady", title: "U", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        if let Some(first) = batch.messages().next() {
            self.rows.at(&first, ()).add(1);
        }
        Ok(())
    }
}

#[test]
#[should_panic(expected = "the rows depend on how messages are split")]
fn a_stat_that_counts_batches_fails_the_test() {
    let message = r#"{"topic": "t", "time": 1}"#;
    let _ = testing::fold::<Unsteady>(&[message, message]);
}

#[derive(Models, Default)]
struct Memoised {
    #[model(dimensions = ["words"], measures = ["count"])]
    rows: Rollup<(i64,), Count>,
    words: Memo<i64>,
    computed: i64,
}

impl Stat for Memoised {
    const INFO: StatInfo = StatInfo { ident: "memoised", title: "M", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            let words = *self.words.get(&message, message.topic_sym(), |topic| {
                self.computed += 1;
                topic.split('.').count() as i64
            });
            self.rows.at(&message, (words,)).add(1);
        }
        assert!(self.computed <= 4, "computed {} times", self.computed);
        Ok(())
    }
}

#[test]
fn a_memo_computes_once_and_forgets_when_codes_change_their_meaning() {
    let folded = testing::fold::<Memoised>(&[
        r#"{"topic": "a", "time": 1}"#,
        r#"{"topic": "a", "time": 1}"#,
        // In its own dictionary this topic has the code that `a` had.
        r#"{"topic": "a.b", "time": 1}"#,
        r#"{"topic": "a.b", "time": 1}"#,
    ]);
    assert_eq!(folded.rows("rows"), "words,count\n1,2\n2,2\n");
}
