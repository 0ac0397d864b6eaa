//! What is left after a crash, and what becomes of damage.

use super::*;

/// A store that remembers every batch applied to it and every key read from it.
#[derive(Default)]
pub(super) struct Recording {
    inner: MemoryStore,
    pub(super) batches: Batches,
    reads: Reads,
}

type Batches = Arc<parking_lot::Mutex<Vec<(String, Batch)>>>;
/// Keys that were asked for or listed.
type Reads = Arc<parking_lot::Mutex<Vec<Vec<u8>>>>;

struct RecordingTree {
    name: String,
    inner: Arc<dyn Tree>,
    batches: Batches,
    reads: Reads,
}

impl Store for Recording {
    fn trees(&self) -> Result<Vec<String>, StoreError> {
        self.inner.trees()
    }
    fn tree(&self, name: &str) -> Result<Arc<dyn Tree>, StoreError> {
        let (inner, name) = (self.inner.tree(name)?, name.to_owned());
        let (batches, reads) = (self.batches.clone(), self.reads.clone());
        Ok(Arc::new(RecordingTree { name, inner, batches, reads }))
    }
    fn drop_tree(&self, name: &str) -> Result<bool, StoreError> {
        self.inner.drop_tree(name)
    }
    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Tree for RecordingTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reads.lock().push(key.to_vec());
        self.inner.get(key)
    }
    fn scan(&self, prefix: &[u8]) -> Entries<'_> {
        self.reads.lock().push(prefix.to_vec());
        self.inner.scan(prefix)
    }
    fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.batches.lock().push((self.name.clone(), batch.clone()));
        self.inner.apply(batch)
    }
}

#[test]
#[cfg_attr(feature = "torn-commits", should_panic)]
fn a_process_that_ends_between_any_two_batches_leaves_one_whole_commit() {
    let recording = Arc::new(Recording::default());
    let mut noise = noise(3);
    // State after each commit.
    let mut states = vec![Expected::default()];
    {
        let database = keeping(&(recording.clone() as Arc<dyn Store>));
        let mut stat = database.open_stat(&manifest()).unwrap();
        for _ in 0..40 {
            let increment = |_| (noise(30) as i64, format!("{:03}", noise(100)), 1, 1);
            let increments: Vec<Increment> = (0..60).map(increment).collect();
            let mut expected = states.last().unwrap().clone();
            expected.add(&increments);
            states.push(expected);
            stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
        }
    }
    let batches = recording.batches.lock().clone();
    assert!(batches.len() > 44, "folds have batches of their own");
    for kept in 0..=batches.len() {
        let store = memory();
        for (tree, batch) in &batches[..kept] {
            store.tree(tree).unwrap().apply(batch.clone()).unwrap();
        }
        let stat = keeping(&store).open_stat(&manifest()).unwrap();
        let commit = stat.record().commit;
        assert_same(&stat.snapshot(), &states[commit as usize]);
    }
}

#[test]
fn a_process_that_ends_while_an_index_is_made_makes_it_at_the_next_start() {
    let recording = Arc::new(Recording::default());
    let (rounds, expected) = indexes::noisy(30);
    let mut stat = keeping(&(recording.clone() as Arc<dyn Store>))
        .open_stat(&indexes::without_index())
        .unwrap();
    for increments in &rounds {
        stat.commit(&blocks(increments), stat.record().clone()).unwrap();
    }
    drop(stat);
    let before = recording.batches.lock().len();
    keeping(&(recording.clone() as Arc<dyn Store>)).open_stat(&manifest()).unwrap();
    let batches = recording.batches.lock().clone();
    assert!(batches.len() > before + 4);
    for kept in before..=batches.len() {
        let store = memory();
        for (tree, batch) in &batches[..kept] {
            store.tree(tree).unwrap().apply(batch.clone()).unwrap();
        }
        let read = keeping(&store).open_stored("volume").unwrap().snapshot();
        assert_eq!(
            read.index_column(0).is_some(),
            kept == batches.len(),
            "only a whole one is used"
        );
        assert_same(&keeping(&store).open_stat(&manifest()).unwrap().snapshot(), &expected);
    }
}

#[test]
fn an_opening_reads_no_page() {
    let recording = Arc::new(Recording::default());
    let store: Arc<dyn Store> = recording.clone();
    let mut stat = keeping(&store).open_stat(&manifest()).unwrap();
    for round in 0..30 {
        let increments: Vec<Increment> =
            (0..60).map(|number| (number, format!("{round}"), 1, 1)).collect();
        stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
    }
    let rows = stat.snapshot().rows(0);
    drop(stat);
    recording.reads.lock().clear();
    let stat = keeping(&store).open_stored("volume").unwrap();
    assert_eq!(stat.snapshot().rows(0), rows);
    assert!(!recording.reads.lock().iter().any(|key| key.starts_with(b"g/")));
    assert_eq!(all(&stat.snapshot(), 0, Order::Asc).len() as u64, rows);
    assert!(recording.reads.lock().iter().any(|key| key.starts_with(b"g/")));
}

#[test]
fn a_page_that_a_reader_finds_damaged_is_noted_and_set_aside_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    {
        let database = Database::open_tuned(folder.path(), restless()).unwrap().database;
        let mut stat = database.open_stat(&manifest()).unwrap();
        for round in 0..30 {
            let increments: Vec<Increment> =
                (0..60).map(|number| (number, format!("{round}"), 1, 1)).collect();
            stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
        }
        let (key, mut value) = stat.tree.scan(b"g/").next().unwrap().unwrap();
        value[20] ^= 1;
        let mut batch = Batch::default();
        batch.put(key, value);
        stat.tree.apply(batch).unwrap();
        drop(stat);
        let stat = database.open_stored("volume").unwrap();
        let snapshot = stat.snapshot();
        assert_eq!(snapshot.damage(), None);
        let last = snapshot.scan(0, &KeyBounds::default(), Order::Asc, 0).last().unwrap();
        assert!(matches!(last, Err(StoreError::Damaged { .. })), "{last:?}");
        let found = stat.snapshot().damage().unwrap().to_owned();
        assert!(found.contains("checksum does not match"), "{found}");
        database.mark_damaged("volume", &found).unwrap();
        database.sync().unwrap();
    }
    let opened = Database::open_tuned(folder.path(), restless()).unwrap();
    assert!(opened.stats.is_empty() && opened.rebuilt.is_none());
    let renewed = opened.database.renewed("volume").unwrap().unwrap();
    assert_eq!(renewed.record.unwrap().commit, 30);
    assert_eq!(opened.database.open_stat(&manifest()).unwrap().record().commit, 0);
    opened.database.forget_renewed("volume").unwrap();
    assert_eq!(opened.database.renewed("volume").unwrap(), None);
}

#[test]
fn nothing_is_kept_that_no_row_needs() {
    let store = memory();
    let database = keeping(&store);
    let mut stat = database.open_stat(&manifest()).unwrap();
    let mut noise = noise(5);
    for _ in 0..120 {
        let increment = |_| (noise(10) as i64, format!("{:03}", noise(100)), 1, 1);
        let increments: Vec<Increment> = (0..60).map(increment).collect();
        stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
    }
    for _ in 0..20 {
        stat.commit(&[], stat.record().clone()).unwrap();
    }
    let tree = store.tree("p/volume@1.0").unwrap();
    let count = |prefix: &str| tree.scan(prefix.as_bytes()).count();
    // 1000 hourly, 100 daily, 100 total rows of about 30 bytes.
    assert!(count("g/") < 40, "{} pages", count("g/"));
    assert_eq!(count("f/"), 0);
    assert!(count("d/") < 30, "{} delta parts", count("d/"));
    let mut record = stat.record().clone();
    record.floors_us = vec![Some(1000 * HOUR), Some(1000 * HOUR), None];
    for _ in 0..10 {
        stat.commit(&[], record.clone()).unwrap();
    }
    assert_eq!(stat.snapshot().rows(0), 0);
    assert!(count("g/") < 10, "{} pages below the floor", count("g/"));
}

#[test]
fn a_changed_record_is_damage() {
    let store = memory();
    let named = {
        let database = keeping(&store);
        let mut stat = database.open_stat(&manifest()).unwrap();
        for round in 0..30 {
            let increments: Vec<Increment> =
                (0..60).map(|number| (number, format!("{round}"), 1, 1)).collect();
            stat.commit(&blocks(&increments), stat.record().clone()).unwrap();
        }
        named_pages(&stat)
    };
    let tree = store.tree("p/volume@1.0").unwrap();
    let entries: Vec<_> = tree.scan(b"").map(Result::unwrap).collect();
    for (key, value) in entries {
        // What waits to be overwritten is read by nobody.
        if stored_page(&key).is_some_and(|page| !named.contains(&page)) {
            continue;
        }
        let mut changed = value.clone();
        *changed.last_mut().unwrap() ^= 1;
        for instead in [Some(changed), None] {
            // Without its first part a whole record of these is not there.
            if instead.is_none() && (key.starts_with(b"w") || key.starts_with(b"f/")) {
                continue;
            }
            let mut batch = Batch::default();
            match instead {
                Some(changed) => batch.put(key.clone(), changed),
                None => batch.remove(key.clone()),
            }
            tree.apply(batch).unwrap();
            let opened = keeping(&store).open_stored("volume");
            let read = opened.and_then(|stat| {
                let snapshot = stat.snapshot();
                (0..3).try_for_each(|model| {
                    let bounds = KeyBounds::default();
                    snapshot.scan(model, &bounds, Order::Asc, 0).try_for_each(|row| row.map(drop))
                })?;
                let mut windows = (0..60).map(|hour| (0, Some(hour * HOUR)));
                let windows = windows.by_ref().chain([
                    (1, Some(0)),
                    (1, Some(24 * HOUR)),
                    (1, Some(48 * HOUR)),
                    (2, None),
                ]);
                windows
                    .flat_map(|(model, window_us)| {
                        snapshot.by_index(model, window_us, Order::Asc, None)
                    })
                    .flatten()
                    .try_for_each(|row| row.map(drop))
            });
            let read = read.map(drop);
            assert!(matches!(read, Err(StoreError::Damaged { .. })), "{key:?}: {read:?}");
        }
        let mut batch = Batch::default();
        batch.put(key, value);
        tree.apply(batch).unwrap();
    }
}

#[test]
fn a_number_that_nobody_can_have_counted_to_is_damage() {
    use super::super::layout::{Layout, get_json, put_json};
    let store = memory();
    {
        let mut stat = keeping(&store).open_stat(&manifest()).unwrap();
        stat.commit(&blocks(&[(1, "a".into(), 1, 1)]), stat.record().clone()).unwrap();
    }
    let tree = store.tree("p/volume@1.0").unwrap();
    let (layout, parts) = get_json::<Layout>(&*tree, "volume", b"l").unwrap().unwrap();
    for wrong in [
        Layout { next_id: u64::MAX, ..layout.clone() },
        Layout { next_delta: u64::MAX, ..layout.clone() },
    ] {
        let mut batch = Batch::default();
        put_json(&mut batch, b"l", &wrong, parts).unwrap();
        tree.apply(batch).unwrap();
        let opened = keeping(&store).open_stat(&manifest());
        assert!(matches!(opened, Err(StoreError::Damaged { .. })));
    }
}

#[test]
fn a_second_host_on_a_folder_is_refused_with_the_process_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap().database;
    let refused = Database::open(folder.path()).map(drop).unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    let refused = Database::open_existing(folder.path()).map(drop);
    assert!(matches!(refused, Err(StoreError::Locked { .. })));
    drop(database);
    Database::open_existing(folder.path()).unwrap();
}

#[test]
fn a_folder_without_a_store_is_not_made_one_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Database::open_existing(folder.path()).map(drop);
    assert!(matches!(missing, Err(StoreError::Missing { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_store_that_cannot_be_opened_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    {
        let database = Database::open(folder.path()).unwrap().database;
        let mut stat = database.open_stat(&manifest()).unwrap();
        stat.commit(&blocks(&[(1, "a".into(), 1, 1)]), stat.record().clone()).unwrap();
        database.sync().unwrap();
    }
    std::fs::write(folder.path().join("store/conf"), b"no configuration at all").unwrap();
    let opened = Database::open(folder.path()).unwrap();
    let aside = opened.rebuilt.unwrap();
    assert!(aside.path.join("db").is_file());
    assert!(aside.path.file_name().unwrap().to_string_lossy().starts_with("store.corrupt-"));
    assert_eq!(opened.database.idents().unwrap(), Vec::<String>::new());
    opened.database.open_stat(&manifest()).unwrap();
}

#[test]
fn a_damaged_statistic_is_saved_and_begins_anew_beside_sound_ones() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap().database;
    let mut other = manifest();
    other.ident = "other".into();
    for manifest in [&manifest(), &other] {
        let mut stat = database.open_stat(manifest).unwrap();
        stat.commit(&blocks(&[(1, "a".into(), 1, 1)]), stat.record().clone()).unwrap();
    }
    let aside = database.set_aside("volume", "a test says so").unwrap();
    assert_eq!(aside.records, 4, "manifest, layout, record, delta");
    assert_eq!(database.idents().unwrap(), ["other"]);
    assert_eq!(database.open_stat(&manifest()).unwrap().record().commit, 0);
    assert_eq!(database.open_stored("other").unwrap().record().commit, 1);
}

#[test]
fn a_store_that_is_open_elsewhere_is_not_taken_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap().database;
    let snapshot = database.open_stat(&manifest()).unwrap().snapshot();
    drop(database);
    // A reader still holds the old store, and lets go of it while the next host waits.
    let waiting = std::thread::scope(|scope| {
        let opening = scope.spawn(|| Database::open(folder.path()).map(|opened| opened.rebuilt));
        drop(snapshot);
        opening.join().unwrap()
    });
    assert_eq!(waiting.unwrap(), None);
}
