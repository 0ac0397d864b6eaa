//! Versions of a statistic beside each other.

use super::*;

#[test]
fn a_rebuild_serves_only_after_the_swap() {
    let database = Database::in_memory(Tuning::default()).unwrap();
    let mut old = database.open_stat(&manifest()).unwrap();
    old.commit(&blocks(&[(1, "old".into(), 1, 1)]), old.record().clone()).unwrap();
    let next = StatManifest { fold_version: 1, ..manifest() };
    let mut new = database.open_beside(&next).unwrap();
    new.commit(&blocks(&[(1, "new".into(), 1, 1), (1, "x".into(), 1, 1)]), new.record().clone())
        .unwrap();
    assert_eq!(database.serves(&next).unwrap(), Some(false));
    assert_eq!(database.open_stored("volume").unwrap().snapshot().rows(0), 1);
    database.activate(&new).unwrap();
    database.drop_inactive("volume").unwrap();
    assert_eq!(database.serves(&next).unwrap(), Some(true));
    assert_eq!(database.open_stored("volume").unwrap().snapshot().rows(0), 2);
}

#[test]
fn changed_models_need_another_version() {
    let database = Database::in_memory(Tuning::default()).unwrap();
    database.open_stat(&manifest()).unwrap();
    let mut changed = manifest();
    changed.models[1].dimensions[0].name = "other".into();
    let refused = database.open_stat(&changed).map(drop);
    assert!(matches!(refused, Err(StoreError::ModelsChanged { model, .. }) if model == "totals"));
    let mut longer = manifest();
    longer.models[0].retention_s = Some(60);
    longer.title = "Another".into();
    database.open_stat(&longer).unwrap();
    let stored = database.open_stored("volume").unwrap();
    assert_eq!(*stored.snapshot().manifest(), longer);
}

#[test]
fn roll_ups_are_named_by_their_window() {
    let names: Vec<_> = stored_models(&manifest()).into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["by_key", "by_key@1d", "totals"]);
}
