//! Out of one store, into another.

use super::*;

/// A statistic with rows, positions and floors, in `database`.
fn filled(database: &Database) -> StatStore {
    let mut stat = database.open_stat(&manifest()).unwrap();
    let mut noise = noise(11);
    for round in 0..30_u64 {
        let increment = |_| (noise(60) as i64, format!("\"{}\u{1}é", noise(50)), 1, -3);
        let increments: Vec<Increment> = (0..60).map(increment).collect();
        let mut record = stat.record().clone();
        let position = Position { end: Offset(u64::MAX - round), ..Position::default() };
        record.positions.insert(LogId(u64::MAX - 5), position);
        record.largest_time_us = Some(60 * HOUR);
        record.messages += 60;
        record.floors_us = vec![Some(HOUR), None, None];
        stat.commit(&blocks(&increments), record).unwrap();
    }
    stat
}

fn exported(stat: &StatStore) -> Vec<u8> {
    let (snapshot, mut out) = (stat.snapshot(), Vec::new());
    let complete_until_us = Some(40 * HOUR);
    export([Ok(ExportedStat { snapshot, complete_until_us })], &mut out).unwrap();
    out
}

fn known(_: LogId) -> bool {
    true
}

const PLAIN: ImportOptions<'_> = ImportOptions { known: &known, as_base: None };

#[test]
fn an_export_is_imported_and_exported_to_the_same_bytes() {
    let text = exported(&filled(&keeping(&memory())));
    let store = memory();
    let database = keeping(&store);
    let imported = import(&database, &mut text.as_slice(), &PLAIN).unwrap();
    assert_eq!(imported.stats, ["volume"]);
    let stat = keeping(&store).open_stored("volume").unwrap();
    assert_eq!(exported(&stat), text);
    let again = import(&database, &mut text.as_slice(), &PLAIN);
    assert!(matches!(again, Err(ImportError::Exists { line: 2, .. })), "{again:?}");
}

#[test]
fn a_broken_export_changes_nothing_and_its_line_is_named() {
    let text = String::from_utf8(exported(&filled(&keeping(&memory())))).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number - 1] = line;
        lines.join("\n") + "\n"
    };
    let swapped = with(10, lines[10]);
    let broken = [
        (1, String::new()),
        (1, with(1, "{\"statmill_export\":2}")),
        (1, text.replacen("statmill_export", "something", 1)),
        (5, with(5, "{\"stat\":\"volume\"")),
        (5, with(5, "{\"stat\":\"volume\",\"model\":\"by_key\",\"key\":\"00\",\"value\":\"00\"}")),
        (5, with(5, "{\"stat\":\"volume\",\"model\":\"none\",\"key\":\"00\",\"value\":\"00\"}")),
        (11, swapped),
        (lines.len() as u64, text[..text.len() - 10].to_owned()),
        (lines.len() as u64, lines[..lines.len() - 1].join("\n") + "\n"),
    ];
    for (line, text) in broken {
        let store = memory();
        let database = keeping(&store);
        let error = import(&database, &mut text.as_bytes(), &PLAIN).unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}, not {line}");
        assert_eq!(store.trees().unwrap(), ["meta"]);
        assert!(database.idents().unwrap().is_empty());
    }
}

#[test]
fn rows_of_unknown_logs_are_a_base_up_to_a_window_start() {
    let mut manifest = manifest();
    manifest.models.truncate(1);
    let source = keeping(&memory());
    let mut stat = source.open_stat(&manifest).unwrap();
    let mut record = stat.record().clone();
    record.positions.insert(LogId(3), Position::default());
    record.largest_time_us = Some(60 * HOUR + 1);
    let increments: Vec<Increment> = (0..=60).map(|hour| (hour, "a".into(), 1, 1)).collect();
    stat.commit(&blocks(&increments)[..1], record).unwrap();
    let text = exported(&stat);
    let unknown = |_| false;
    let database = keeping(&memory());
    let refused =
        import(&database, &mut text.as_slice(), &ImportOptions { known: &unknown, as_base: None });
    assert!(matches!(refused, Err(ImportError::UnknownLogs { line: 2, .. })), "{refused:?}");
    let options = ImportOptions { known: &unknown, as_base: Some(AsBase::default()) };
    import(&database, &mut text.as_slice(), &options).unwrap();
    let stat = database.open_stored("volume").unwrap();
    // Complete until hour 40, that is the second day's start at hour 24.
    assert_eq!(stat.snapshot().rows(0), 24);
    assert_eq!(stat.snapshot().rows(1), 1);
    assert_eq!(stat.record().cutoff_us, Some(24 * HOUR));
    assert_eq!(stat.record().base, Some(Base { complete_until_us: 24 * HOUR }));
    assert!(stat.record().positions.is_empty());
}

#[test]
fn totals_are_a_base_only_where_nothing_reaches_past_the_time() {
    let text = exported(&filled(&keeping(&memory())));
    let unknown = |_| false;
    let until = |hours: Option<i64>| ImportOptions {
        known: &unknown,
        as_base: Some(AsBase { complete_until_us: hours.map(|hours| hours * HOUR) }),
    };
    let database = keeping(&memory());
    let refused = import(&database, &mut text.as_slice(), &until(None));
    assert!(matches!(refused, Err(ImportError::Totals { .. })), "{refused:?}");
    let imported = import(&database, &mut text.as_slice(), &until(Some(61))).unwrap();
    assert_eq!(imported.left_out, 0);
    assert_eq!(database.open_stored("volume").unwrap().record().cutoff_us, Some(61 * HOUR));
}
