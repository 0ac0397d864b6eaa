//! Stats with the mistakes that their author's validator finds, one each; and a constructor that ends the
//! process where the variable `CARELESS_PLUGIN_ABORTS` is set, as it never is in a child.
//!
//! Input: `/size` and `/never`, which no message has. Models: `total`, one row or a few.

use std::sync::atomic::{AtomicI64, Ordering};

use statmill_plugin_api::encoding::Value;
use statmill_plugin_api::prelude::*;
use statmill_plugin_api::serde_json::{Value as Json, json};

fields! {
    /// What is read of each message.
    pub struct Event { name: sym "/name", never: int "/never" }
}

extern "C" fn constructor() {
    if std::env::var_os("CARELESS_PLUGIN_ABORTS").is_some() {
        std::process::abort();
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

/// Counts batches, of which there are as many as the host likes to make.
#[derive(Models, Default)]
pub struct Batches {
    #[model(measures = ["count"])]
    total: Rollup<(), (Count,)>,
}

impl Stat for Batches {
    const INFO: StatInfo =
        StatInfo { ident: "careless-batches", title: "Batches", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        if let Some(message) = batch.messages().next() {
            self.total.at(&message, ()).add((1,));
        }
        Ok(())
    }
}

/// Numbers messages by how many any of its instances has ever seen.
#[derive(Models, Default)]
pub struct Numbers {
    #[model(measures = ["numbers"])]
    total: Rollup<(), (Max<i64>,)>,
}

impl Stat for Numbers {
    const INFO: StatInfo =
        StatInfo { ident: "careless-numbers", title: "Numbers", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        static SEEN: AtomicI64 = AtomicI64::new(0);
        for message in batch.messages() {
            self.total.at(&message, ()).add((SEEN.fetch_add(1, Ordering::Relaxed),));
        }
        Ok(())
    }
}

/// Keeps something of each message.
#[derive(Models, Default)]
pub struct Leak {
    #[model(measures = ["count"])]
    total: Rollup<(), (Count,)>,
    kept: Vec<[i64; 16]>,
}

impl Stat for Leak {
    const INFO: StatInfo = StatInfo { ident: "careless-leak", title: "Leak", ..StatInfo::DEFAULT };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.total.at(&message, ()).add((1,));
            self.kept.push([message.time(); 16]);
        }
        Ok(())
    }
}

/// Wants a field that it never reads.
#[derive(Models, Default)]
pub struct Field {
    #[model(dimensions = ["name"], measures = ["count"])]
    total: Rollup<(Sym,), (Count,)>,
}

impl Stat for Field {
    const INFO: StatInfo =
        StatInfo { ident: "careless-field", title: "Field", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            if let Some(name) = message.name() {
                self.total.at(&message, (name,)).add((1,));
            }
        }
        Ok(())
    }
}

/// Panics at what it did not expect.
#[derive(Models, Default)]
pub struct Expects {
    #[model(dimensions = ["name"], measures = ["count"])]
    total: Rollup<(Sym,), (Count,)>,
}

impl Stat for Expects {
    const INFO: StatInfo =
        StatInfo { ident: "careless-expects", title: "Expects", ..StatInfo::DEFAULT };
    const FIELDS: Fields = Event::FIELDS;

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.rows::<Event>() {
            let name = message.name().expect("every message has a name");
            self.total.at(&message, (name,)).add((1,));
        }
        Ok(())
    }
}

/// Numbers messages, and forgets at a restart where it was, though it is handed its rows.
#[derive(Models, Default)]
pub struct Forgets {
    #[model(measures = ["numbers"])]
    total: Rollup<(), (Max<i64>,)>,
    seen: i64,
}

impl Stat for Forgets {
    const INFO: StatInfo = StatInfo {
        ident: "careless-forgets",
        title: "Forgets",
        restore: Some(1_000),
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.seen += 1;
            self.total.at(&message, ()).add((self.seen,));
        }
        Ok(())
    }
}

/// As [`Forgets`], and takes up where it was.
#[derive(Models, Default)]
pub struct Remembers {
    #[model(measures = ["numbers"])]
    total: Rollup<(), (Max<i64>,)>,
    seen: i64,
}

impl Stat for Remembers {
    const INFO: StatInfo = StatInfo {
        ident: "careless-remembers",
        title: "Remembers",
        restore: Some(1_000),
        ..StatInfo::DEFAULT
    };

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.seen += 1;
            self.total.at(&message, ()).add((self.seen,));
        }
        Ok(())
    }

    fn restore(&mut self, row: &RestoredRow<'_>) -> Result<(), PluginError> {
        if let Some(Value::Int(seen)) = row.measures.first() {
            self.seen = i64::try_from(*seen).unwrap_or_default();
        }
        Ok(())
    }
}

/// Its view has another table each time.
#[derive(Models, Default)]
pub struct Views {
    #[model(measures = ["count"])]
    total: Rollup<(), (Count,)>,
}

impl Stat for Views {
    const INFO: StatInfo =
        StatInfo { ident: "careless-views", title: "Views", ..StatInfo::DEFAULT };
    const COMPUTES: bool = true;

    fn views() -> Vec<Json> {
        vec![json!({ "name": "asked", "compute": {} })]
    }

    fn compute(_: &str, _: &Json) -> Result<Json, PluginError> {
        static ASKED: AtomicI64 = AtomicI64::new(0);
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        Ok(json!({ "columns": [{ "name": "times", "kind": "int" }], "rows": [[asked]] }))
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
        for message in batch.messages() {
            self.total.at(&message, ()).add((1,));
        }
        Ok(())
    }
}

export_plugin!(Batches, Numbers, Leak, Field, Expects, Forgets, Remembers, Views);
