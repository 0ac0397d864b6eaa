//! A plugin's entries answer errors and never panic.
#![allow(missing_docs, clippy::unwrap_used)]

use statmill_plugin_api::abi::{
    BatchAbi, ColumnAbi, DictionaryAbi, FoldReport, PluginInstance, SinkAbi, state,
};
use statmill_plugin_api::encoding::BlockReader;
use statmill_plugin_api::export::{self, Exported};
use statmill_plugin_api::manifest::{FieldKind, PluginManifest};
use statmill_plugin_api::prelude::*;

fields! {
    struct Event { key: sym "/key" }
}

#[derive(Models, Default)]
struct Volume {
    #[model(dimensions = ["key"], measures = ["count"])]
    by_key: Rollup<(Sym,), Count>,
    fails_when_dropped: bool,
}

struct DropsBadly;

impl Drop for DropsBadly {
    fn drop(&mut self) {
        panic!("the payload's drop");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        assert!(!self.fails_when_dropped, "the stat's drop");
    }
}

impl Stat for Volume {
    const INFO: StatInfo =
        StatInfo { ident: "volume", title: "Volume", restore: Some(1000), ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;
    const COMPUTES: bool = true;

    fn configure(&mut self, config: &str) -> Result<(), PluginError> {
        match config {
            "panic" => panic!("no {config}"),
            "drop" => self.fails_when_dropped = true,
            _ => {}
        }
        Ok(())
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            match message.key().map(|key| (key, message.text_of(key))) {
                Some((_, "panic")) => panic!("found it"),
                Some((_, "payload")) => std::panic::panic_any(DropsBadly),
                Some((_, "error")) => return Err("an error".into()),
                Some((key, _)) => self.by_key.at(&message, (key,)).add(1),
                None => {}
            }
        }
        Ok(())
    }

    fn restore(&mut self, row: &RestoredRow<'_>) -> Result<(), PluginError> {
        Err(format!("{} {:?} {:?}", row.model, row.dimensions, row.measures).into())
    }

    fn compute(view: &str, rows: &serde_json::Value) -> Result<serde_json::Value, PluginError> {
        assert_ne!(view, "panic");
        Ok(serde_json::json!({ "rows": rows.as_array().map(Vec::len) }))
    }
}

#[derive(Models, Default)]
struct Hourly {
    #[model(window = interval, measures = ["count"])]
    total: Rollup<(), Count>,
}

impl Stat for Hourly {
    const INFO: StatInfo =
        StatInfo { ident: "total", title: "Total", interval: Some(3600), ..StatInfo::DEFAULT };

    fn fold(&mut self, _: &Batch<'_>) -> Result<(), PluginError> {
        Ok(())
    }
}

const STATS: &[Exported] = &[Exported::of::<Volume>(), Exported::of::<Hourly>()];

fn create(config: &str) -> Result<PluginInstance, String> {
    export::create(STATS, "volume".into(), config.into()).into_result().map_err(String::from)
}

fn fold(instance: &mut PluginInstance, keys: &[&str]) -> Result<FoldReport, String> {
    let texts: Vec<Box<str>> = keys.iter().map(|&key| key.into()).collect();
    let numbers: Vec<u32> = (0..keys.len() as u32).collect();
    let (offsets, times) = (vec![7; keys.len()], vec![0; keys.len()]);
    let (topics, states) = (vec![0; keys.len()], vec![state::VALUE; keys.len()]);
    let column = [ColumnAbi {
        kind: FieldKind::Sym as u8,
        states: states.as_slice().into(),
        codes: numbers.as_slice().into(),
        words: [].as_slice().into(),
        dictionary: DictionaryAbi::of(&texts),
        reserved: [0; 2],
    }];
    let batch = BatchAbi {
        log_key: 0,
        offsets: offsets.as_slice().into(),
        times: times.as_slice().into(),
        topics: topics.as_slice().into(),
        rows: numbers.as_slice().into(),
        columns: column.as_slice().into(),
        topic_names: DictionaryAbi::empty(),
        text: [].as_slice().into(),
        unescaped: [].as_slice().into(),
        reserved: [0; 4],
    };
    instance.stat.fold(&batch).into_result().map_err(String::from)
}

fn drain(instance: &mut PluginInstance, keys: &[&str]) -> Result<Vec<u8>, String> {
    let texts: Vec<Box<str>> = keys.iter().map(|&key| key.into()).collect();
    let dictionaries = [DictionaryAbi::empty(), DictionaryAbi::of(&texts)];
    let mut rows: Vec<u8> = Vec::new();
    let mut take: &mut dyn FnMut(u32, &[u8]) -> bool = &mut |model, block| {
        rows.extend_from_slice(block);
        model == 0
    };
    let drained = instance.stat.drain(dictionaries.as_slice().into(), SinkAbi::of(&mut take));
    drained.into_result().map_err(String::from)?;
    Ok(rows)
}

#[test]
fn a_plugin_describes_all_its_stats() {
    let text = export::describe("my-plugin", "1.2.3", STATS).into_result().unwrap();
    let manifest: PluginManifest = serde_json::from_str(&text).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("my-plugin", "1.2.3"));
    assert_eq!(manifest.api, export::API_VERSION);
    let idents: Vec<&str> = manifest.stats.iter().map(|stat| stat.ident.as_str()).collect();
    assert_eq!(idents, ["volume", "total-1h"]);
    assert_eq!(manifest.stats[0].max_rows, Some(1000));
}

#[test]
fn what_was_folded_is_drained_once() {
    let mut instance = create("").unwrap();
    let report = fold(&mut instance, &["b", "a"]).unwrap();
    assert_eq!(report.rows, 2);
    assert!((40..400).contains(&report.bytes), "{report:?}");
    // Length and bytes of each key, then of its count; `a` sorts first though its code is larger.
    assert_eq!(
        drain(&mut instance, &["b", "a"]).unwrap(),
        b"\x03\x01a\x00\x01\x01\x03\x01b\x00\x01\x01"
    );
    assert_eq!(drain(&mut instance, &["b", "a"]).unwrap(), b"");
    let report = fold(&mut instance, &[]).unwrap();
    assert_eq!((report.rows, report.bytes), (0, 0));
}

#[test]
fn a_panic_is_an_error_and_the_instance_answers_no_more() {
    for (key, message) in [
        ("panic", "the stat panicked: found it"),
        ("payload", "the stat panicked: a payload that is not text"),
        ("error", "an error"),
    ] {
        let mut instance = create("").unwrap();
        assert_eq!(fold(&mut instance, &["a", key]).unwrap_err(), message);
        let poisoned = fold(&mut instance, &["a"]).unwrap_err();
        assert!(poisoned.contains("make a new one"), "{poisoned}");
        assert_eq!(drain(&mut instance, &[]).unwrap_err(), poisoned);
    }
}

#[test]
fn a_panic_while_the_stat_is_made_or_dropped_crosses_no_boundary() {
    assert_eq!(create("panic").err().unwrap(), "the stat panicked: no panic");
    drop(create("drop").unwrap());
    let mut instance = create("drop").unwrap();
    assert_eq!(fold(&mut instance, &["error"]).unwrap_err(), "an error");
}

#[test]
fn a_drain_with_other_dictionaries_is_an_error() {
    let mut instance = create("").unwrap();
    fold(&mut instance, &["a", "b"]).unwrap();
    let error = drain(&mut instance, &["a"]).unwrap_err();
    assert!(error.starts_with("code 1 is not in dictionary 1"), "{error}");
}

#[test]
fn a_batch_with_other_columns_than_the_fields_is_an_error() {
    let created = export::create(STATS, "total-1h".into(), "".into());
    let error = fold(&mut created.into_result().unwrap(), &["a"]).unwrap_err();
    assert!(error.contains("another number of columns than fields"), "{error}");
}

#[test]
fn earlier_rows_come_back_decoded() {
    let mut instance = create("").unwrap();
    let restored = instance.stat.restore(0, b"\x03\x01a\x00\x01\x05".as_slice().into());
    let said = restored.into_result().unwrap_err();
    assert_eq!(said.as_str(), r#"by_key [Text("a")] [Int(5)]"#);

    let restored = create("").unwrap().stat.restore(1, [].as_slice().into());
    assert!(restored.into_result().unwrap_err().contains("no model number 1"));
    let restored = create("").unwrap().stat.restore(0, b"\x09junk".as_slice().into());
    assert!(restored.into_result().unwrap_err().contains("row cannot be read"));
}

#[test]
fn a_computed_view_answers_json_or_an_error() {
    let views = create("").unwrap().views.into_option().unwrap();
    assert_eq!(views.compute("v".into(), "[{}, {}]".into()).unwrap().as_str(), r#"{"rows":2}"#);
    assert!(views.compute("v".into(), "[".into()).unwrap_err().contains("JSON"));
    assert!(views.compute("panic".into(), "[]".into()).unwrap_err().contains("panicked"));
    let hourly = export::create(STATS, "total-1h".into(), "{}".into()).into_result().unwrap();
    assert!(hourly.views.is_none());
}

#[test]
fn an_unknown_stat_and_an_unwanted_configuration_are_refused() {
    let error = |ident: &str, config: &str| {
        export::create(STATS, ident.into(), config.into()).into_result().err().unwrap().to_string()
    };
    assert_eq!(error("nothing", ""), r#"the plugin has no stat "nothing""#);
    assert_eq!(error("total-1h", r#"{"a": 1}"#), "this stat takes no configuration");
}

#[test]
fn a_large_drain_comes_in_ascending_blocks_of_about_one_mebibyte() {
    let keys: Vec<String> = (0..3000).rev().map(|n| format!("{n:01000}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut instance = create("").unwrap();
    fold(&mut instance, &keys).unwrap();
    let texts: Vec<Box<str>> = keys.iter().map(|&key| key.into()).collect();
    let dictionaries = [DictionaryAbi::empty(), DictionaryAbi::of(&texts)];
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut take: &mut dyn FnMut(u32, &[u8]) -> bool = &mut |_, block| {
        blocks.push(block.to_vec());
        true
    };
    let drained = instance.stat.drain(dictionaries.as_slice().into(), SinkAbi::of(&mut take));
    drained.into_result().unwrap();
    assert_eq!(blocks.len(), 3);
    assert!(blocks.iter().all(|block| block.len() < (1 << 20) + 2000));
    // One after the other they read as one block: keys ascend over the seams.
    let all = blocks.concat();
    assert_eq!(BlockReader::new(&all).map(Result::unwrap).count(), 3000);
}

#[test]
fn a_host_that_takes_no_more_ends_the_drain() {
    let mut instance = create("").unwrap();
    fold(&mut instance, &["a"]).unwrap();
    let texts: Vec<Box<str>> = vec!["a".into()];
    let dictionaries = [DictionaryAbi::empty(), DictionaryAbi::of(&texts)];
    let mut take: &mut dyn FnMut(u32, &[u8]) -> bool = &mut |_, _| false;
    let drained = instance.stat.drain(dictionaries.as_slice().into(), SinkAbi::of(&mut take));
    assert_eq!(
        drained.into_result().unwrap_err().as_str(),
        "the host refused rows of model number 0"
    );
}
