//! Whatever a plugin does, the host lives, every other stat is exact to the last message, and the state of the
//! one that did it says what happened.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod scene;

use serde_json::Value;
use statmill_tests::{all_rows, assert_same_rows, drop_in, evil, failure, output, wait_until};
use tempfile::TempDir;

use self::cases::Outcome::{Exact, Letter, Quarantined};
use self::cases::{
    BEFORE_MAPPING, Case, IN_PROCESS, IN_PROCESSES, RESTORING, RESTORING_IN_PROCESSES, case,
};
use self::scene::{
    LATER, MESSAGES, Scene, assert_own_rows, file_name, good, one, rows, wait_judged,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

#[test]
fn what_would_take_the_host_down_is_stopped_before_it_is_mapped() {
    let scene = Scene::new(BEFORE_MAPPING, "");
    let mut host = scene.start();
    wait_judged(&mut host, BEFORE_MAPPING, MESSAGES + 1);
    assert!(host.stop());
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}

#[test]
fn a_library_that_is_overwritten_while_it_is_loaded_goes_on_as_it_was() {
    let none = case("evil-none", "!", "{}", Exact);
    let scene = Scene::new([&none], "");
    let mut host = scene.start();
    let cases = std::slice::from_ref(&none);
    wait_judged(&mut host, cases, MESSAGES + 1);
    let mut length = MESSAGES + 1;
    let library = scene.plugins.path().join("libevil_none.so");
    let whole = std::fs::metadata(&library).unwrap().len();
    for left in [whole, whole / 2, 64, 0] {
        // In place: the same file, other bytes, then fewer of them.
        let mut file = std::fs::File::options().write(true).open(&library).unwrap();
        std::io::Write::write_all(&mut file, &vec![0xcc; left.min(1 << 20) as usize]).unwrap();
        file.set_len(left).unwrap();
        scene.append(length - 1..length - 1 + LATER);
        length += LATER;
        wait_until(|| {
            assert!(host.alive(), "the host has ended");
            let status = host.status();
            let behind = status["stats"].as_array().unwrap().iter().find(|stat| {
                let at = stat["messages"] == length || stat["ident"] == "recent";
                !at || stat["state"] != "live"
            });
            behind.map_or(Ok(()), |stat| Err(format!("{stat:#}")))
        });
    }
    assert!(host.stop());
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}

/// Number of files with flipped bits.
const FLIPPED: u64 = 200;

#[test]
fn a_damaged_library_never_crashes_the_host() {
    let folder = TempDir::new().unwrap();
    let whole = evil::drop_in(folder.path(), "whole", &["evil-whole".to_owned()]);
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::remove_file(whole).unwrap();
    let put = |name: String, bytes: &[u8]| {
        let path = folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for percent in 0..100 {
        put(format!("cut-{percent:02}.so"), &bytes[..bytes.len() * percent / 100]);
    }
    let mut random = 0x5eed_u64;
    let mut noise = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % below
    };
    for number in 0..FLIPPED {
        let mut flipped = bytes.clone();
        // Half of them in the header and what it points to first, where a flip means most.
        let within = if number % 2 == 0 { 4_096 } else { flipped.len() };
        for _ in 0..5 {
            flipped[noise(within)] ^= 1 << noise(8);
        }
        put(format!("flip-{number:04}.so"), &flipped);
    }
    let files = folder.path().join("files");
    let fifo = files.join("fifo.so");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    std::fs::create_dir(files.join("folder.so")).unwrap();
    std::os::unix::fs::symlink("loop.so", files.join("loop.so")).unwrap();
    std::os::unix::fs::symlink("nowhere.so", files.join("dangling.so")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", files.join("device.so")).unwrap();
    drop_in(&files, "statmill-volume");

    let args = ["plugins", "--plugins", files.to_str().unwrap(), "--format", "json"];
    let reports: Value = serde_json::from_str(&output(PROGRAM, &args)).unwrap();
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len() as u64, 100 + FLIPPED + 6);
    let left_out = reports.iter().filter(|report| report["error"].is_string()).count();
    println!("{left_out} of {} files were left out", reports.len());
    let volume = reports.iter().find(|it| it["file"].as_str().unwrap().contains("volume")).unwrap();
    assert!(volume["error"].is_null(), "{volume:#}");
    for name in ["fifo", "folder", "loop", "dangling", "device", "cut-00", "cut-50"] {
        let report = reports.iter().find(|it| it["file"].as_str().unwrap().contains(name)).unwrap();
        assert!(report["error"].is_string(), "{report:#}");
    }
}

#[test]
fn a_run_to_the_end_fails_and_names_every_plugin_that_did_not_count_everything() {
    let of = |ident: &str| IN_PROCESS.iter().find(|case| case.ident == ident).unwrap();
    let wanted = ["evil-none", "evil-create", "evil-message", "evil-nan", "lie-json"].map(of);
    let scene = Scene::new(wanted, "");
    let args = scene.args("data", scene.plugins.path());
    let args: Vec<_> = ["run", "--once"].into_iter().chain(args.iter().map(|it| &**it)).collect();
    let said = failure(PROGRAM, &args);
    for case in wanted {
        let is_named = said.lines().any(|line| line.contains("ERROR") && line.contains(case.ident));
        let file = format!("lib{}.so", file_name(case.ident));
        let counts = matches!(case.outcome, Exact);
        assert_ne!(is_named || said.contains(&file), counts, "{}: {said}", case.ident);
    }
    let data = scene.folder.path().join("data");
    assert_same_rows(&rows(&data), &scene.expected());
}

/// Where the code of evil plugins runs in their processes, and how much of what they may take there.
const PROCESSES: &str = "isolation = 'process'\n\
    [plugin.statmill_volume]\nisolation = 'in-process'\n\
    [worker]\nmax_memory = '512MiB'\n\
    [stat_limits]\ndeadline = '2s'\n";

#[test]
fn in_one_process_no_plugin_hurts_the_host_or_another_stat() {
    assert_nobody_is_hurt(IN_PROCESS, "");
}

#[test]
fn in_processes_of_their_own_no_plugin_hurts_the_host_or_another_stat() {
    // In a slow process some may use up their time before anything else can be said of them.
    let slow = |case: &Case| match (case.ident, case.outcome) {
        ("evil-many", Letter(_)) => Case { outcome: Letter(""), ..*case },
        ("evil-huge-row" | "evil-endless-rows", _) => Case { outcome: Quarantined(""), ..*case },
        _ => *case,
    };
    let cases: Vec<Case> =
        IN_PROCESS.iter().map(slow).chain(IN_PROCESSES.iter().copied()).collect();
    assert_nobody_is_hurt(&cases, PROCESSES);
}

fn assert_nobody_is_hurt(cases: &[Case], general: &str) {
    let scene = Scene::new(cases, general);
    let mut host = scene.start();
    wait_judged(&mut host, cases, MESSAGES + 1);
    // Whoever is quarantined does not come back, and all others go on.
    scene.append(MESSAGES..MESSAGES + LATER);
    wait_judged(&mut host, cases, MESSAGES + 1 + LATER);
    assert!(host.stop());
    let all = all_rows(PROGRAM, &scene.folder.path().join("data"));
    assert_same_rows(&good(&all), &scene.expected());
    assert_own_rows(&all, cases);
}

#[test]
fn one_that_waits_for_ever_in_its_process_is_quarantined_and_the_others_do_not_wait_for_it() {
    let blocked = [
        case("evil-none", "", "{}", Exact),
        case("fold-blocked", "", "{ evil = 'blocked', at = 'fold' }", Quarantined("16 times")),
    ];
    let scene = Scene::new(&blocked, &PROCESSES.replace("'2s'", "'200ms'"));
    let mut host = scene.start();
    let last = wait_until(|| {
        let status = host.status();
        let stats = status["stats"].as_array().unwrap().iter();
        let level = |stat: &Value| stat["messages"] == MESSAGES + 1;
        let is_other = |stat: &Value| stat["ident"] != "fold-blocked" && stat["ident"] != "recent";
        match stats.clone().find(|stat| is_other(stat) && !level(stat)) {
            Some(stat) => Err(format!("{stat:#}")),
            None => Ok(one(&status["stats"], "ident", |ident| ident == "fold-blocked").unwrap()),
        }
    });
    assert_ne!(last["state"], "quarantined", "the others were level before it was given up");
    wait_judged(&mut host, &blocked, MESSAGES + 1);
    assert!(host.stop());
    assert_same_rows(&rows(&scene.folder.path().join("data")), &scene.expected());
}

#[test]
fn stats_that_do_not_take_their_earlier_rows_back_keep_them_and_hurt_nobody() {
    assert_rows_stay(RESTORING, "");
}

#[test]
fn stats_that_end_their_processes_over_their_earlier_rows_keep_them_and_hurt_nobody() {
    let cases: Vec<Case> = RESTORING.iter().chain(RESTORING_IN_PROCESSES).copied().collect();
    assert_rows_stay(&cases, PROCESSES);
}

fn assert_rows_stay(cases: &[Case], general: &str) {
    let scene = Scene::new(cases, general);
    let honest: Vec<Case> = cases.iter().map(|case| Case { outcome: Exact, ..*case }).collect();
    let mut host = scene.start();
    wait_judged(&mut host, &honest, MESSAGES + 1);
    assert!(host.stop());
    scene.append(MESSAGES..MESSAGES + LATER);
    let mut host = scene.start();
    wait_judged(&mut host, cases, MESSAGES + 1 + LATER);
    for stat in host.status()["stats"].as_array().unwrap() {
        if stat["state"] == "quarantined" {
            assert_eq!(stat["messages"], MESSAGES + 1, "{stat:#}");
        }
    }
    assert!(host.stop());
    assert_same_rows(&rows(&scene.folder.path().join("data")), &scene.expected());
}
