//! Whatever is damaged in a store at rest, what comes after is the numbers of an undamaged one, or says so.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use statmill::store::SledStore;
use statmill::store::kv::{Batch, Store};
use statmill_tests::{Running, failure, ndjson, output, plugins, start, wait_until, write};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_statmill-under-test");

struct Scene {
    folder: TempDir,
    plugins: TempDir,
}

impl Scene {
    /// A data folder `data` in which several stats have read three thousand messages.
    fn new() -> Self {
        let scene = Self {
            folder: TempDir::new().unwrap(),
            plugins: plugins(&["statmill-activity", "every-aggregator"]),
        };
        // Rows lie in pages, not only in the deltas that every start reads: a later commit folds those of one before.
        write(scene.folder.path(), "statmill.toml", "[store]\nfold_deltas = 1\n");
        for read in [1_000, 2_000, 2_500, 3_000] {
            write(scene.folder.path(), "messages.ndjson", &ndjson(0..read));
            let ended = scene.run();
            assert!(ended.status.success(), "{}", said(&ended));
        }
        scene
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn args(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let source = format!("file:{}", text(&self.folder.path().join("messages.ndjson")));
        let config = text(&self.folder.path().join("statmill.toml"));
        let (data, plugins) = (text(&self.data()), text(self.plugins.path()));
        let flags = ["--source", "--data", "--config", "--plugins", "--checkpoint"];
        let values = [source, data, config, plugins, "5ms".to_owned()];
        flags.into_iter().zip(values).flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    fn run(&self) -> Output {
        Command::new(PROGRAM).args(["run", "--once"]).args(self.args()).output().unwrap()
    }

    /// All rows of all stats.
    fn rows(&self) -> Result<String, String> {
        let out =
            Command::new(PROGRAM).args(["export", "--data"]).arg(self.data()).output().unwrap();
        if !out.status.success() {
            return Err(said(&out));
        }
        let text = String::from_utf8(out.stdout).unwrap();
        Ok(text
            .lines()
            .filter(|line| line.contains("\"model\":"))
            .map(|l| l.to_owned() + "\n")
            .collect())
    }

    fn store(&self) -> PathBuf {
        self.data().join("store")
    }
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below.max(1)
    }
}

/// Flips some bytes of one file below `store`, or cuts it off; answers in words what was done.
fn damage(store: &Path, seed: u64) -> String {
    let mut noise = noise(seed);
    let mut files: Vec<_> =
        std::fs::read_dir(store).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|path| path.is_file() && path.metadata().unwrap().len() > 0);
    files.sort();
    // Most of the bytes are in `db`; the small files beside it shall be met as well.
    let file = match noise(4) {
        0 => files[noise(files.len() as u64) as usize].clone(),
        _ => store.join("db"),
    };
    let mut bytes = std::fs::read(&file).unwrap();
    let size = bytes.len() as u64;
    let what = match noise(5) {
        0 => {
            let left = noise(size);
            bytes.truncate(left as usize);
            format!("{file:?} cut off at {left} of {size}")
        }
        _ => {
            let flips = 1 + noise(40);
            let at = noise(size);
            for flip in 0..flips {
                let place = ((at + flip * noise(64)) % size) as usize;
                bytes[place] ^= 1 + noise(255) as u8;
            }
            format!("{flips} bytes of {file:?} from {at} of {size} on flipped")
        }
    };
    std::fs::write(&file, bytes).unwrap();
    what
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn after_any_damage_the_rows_are_those_of_an_undamaged_run() {
    let scene = Scene::new();
    let expected = scene.rows().unwrap();
    let sound = scene.folder.path().join("sound");
    copy(&scene.store(), &sound);
    let (mut loud, mut late) = (0, 0);
    for seed in 0..40 {
        std::fs::remove_dir_all(scene.store()).unwrap();
        copy(&sound, &scene.store());
        let done = damage(&scene.store(), seed);
        let ended = scene.run();
        assert!(ended.status.success(), "seed {seed}, {done}:\n{}", said(&ended));
        loud += u32::from(said(&ended).contains("ERROR"));
        let rows = scene.rows().or_else(|error| {
            // Found by a reader only: it is set aside at the next start.
            assert!(error.contains("damaged") && !error.contains("panicked at"), "{done}: {error}");
            late += 1;
            let ended = scene.run();
            let said = said(&ended);
            assert!(ended.status.success() && said.contains("is damaged"), "{done}: {said}");
            scene.rows()
        });
        let rows = rows.unwrap_or_else(|error| panic!("seed {seed}, {done}: {error}"));
        assert!(rows == expected, "seed {seed}, {done}: other rows;\n{}", said(&ended));
    }
    println!("of 40 damages {loud} were told at the start, {late} by a reader");
    assert!(loud > 0);
}

const STAT: &str = "activity-users";

/// Changes a byte of every page of rows of `STAT`, so that nothing but its own checksum tells.
fn damage_pages(store: &Path) {
    let store = SledStore::open(store).unwrap();
    let prefix = format!("p/{STAT}@");
    let name = store.trees().unwrap().into_iter().find(|name| name.starts_with(&prefix)).unwrap();
    let tree = store.tree(&name).unwrap();
    let mut batch = Batch::default();
    for page in tree.scan(b"g/") {
        let (key, mut value) = page.unwrap();
        *value.last_mut().unwrap() ^= 1;
        batch.put(key, value);
    }
    assert!(!batch.is_empty());
    tree.apply(batch).unwrap();
    store.sync().unwrap();
}

fn set_aside(data: &Path) -> bool {
    let mut entries = std::fs::read_dir(data).unwrap();
    entries.any(|it| it.unwrap().file_name().to_str().unwrap().starts_with("store.corrupt-"))
}

#[test]
fn a_page_that_a_command_finds_damaged_is_made_anew_by_the_next_run() {
    let scene = Scene::new();
    let expected = scene.rows().unwrap();
    damage_pages(&scene.store());
    let data = scene.data();
    let show = ["show", STAT, "--data", data.to_str().unwrap()];
    let said_so = failure(PROGRAM, &show);
    assert!(said_so.contains("is damaged: ") && said_so.contains("rebuilds it"), "{said_so}");
    let _ = output(PROGRAM, &["show", "activity-volume", "--data", data.to_str().unwrap()]);
    let ended = scene.run();
    assert!(said(&ended).contains("ERROR") && said(&ended).contains("rebuilt from the logs"));
    assert!(ended.status.success() && set_aside(&data));
    assert_eq!(scene.rows().unwrap(), expected);
}

/// The rows of `STAT` over HTTP, or the status and body of the problem.
fn ask(running: &Running) -> Result<String, (u16, String)> {
    let url = format!("{}/api/{STAT}?format=csv&rows_per_page=10000", running.url);
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(url).call().unwrap();
    let (status, text) = (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap());
    if status == 200 { Ok(text) } else { Err((status, text)) }
}

#[test]
fn a_page_that_a_query_finds_damaged_is_a_clear_problem_and_is_made_anew_at_once() {
    let scene = Scene::new();
    let args = scene.args();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let running = start(PROGRAM, &args, &[]).unwrap();
    let expected = ask(&running).unwrap();
    assert!(running.stop());
    damage_pages(&scene.store());

    let running = start(PROGRAM, &args, &[]).unwrap();
    let (status, problem) = ask(&running).unwrap_err();
    assert_eq!(status, 503, "{problem}");
    assert!(problem.contains("is damaged: ") && problem.contains("rebuilds it"), "{problem}");
    wait_until(|| {
        let found = ask(&running);
        if found.as_ref() == Ok(&expected) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let status = running.status();
    let stats = status["stats"].as_array().unwrap();
    let stat = stats.iter().find(|stat| stat["ident"] == STAT).unwrap();
    assert!(stat["last_error"]["text"].as_str().unwrap().contains("is damaged"), "{stat:#}");
    assert!(running.stop() && set_aside(&scene.data()));
}

#[test]
fn what_the_log_no_longer_holds_of_damaged_rows_is_a_loud_error_and_a_recorded_loss() {
    let scene = Scene::new();
    let file = scene.folder.path().join("messages.ndjson");
    std::fs::rename(&file, scene.folder.path().join("messages.ndjson.1")).unwrap();
    std::fs::write(&file, ndjson(3000..4000)).unwrap();
    assert!(scene.run().status.success());
    std::fs::remove_file(scene.folder.path().join("messages.ndjson.1")).unwrap();
    damage_pages(&scene.store());
    assert!(scene.rows().is_err());

    let ended = scene.run();
    let text = said(&ended);
    assert!(!ended.status.success(), "{text}");
    assert!(text.contains("not everything can be counted again"), "{text}");
    assert!(text.contains("no longer reaches back to its start"), "{text}");
    let stats =
        output(PROGRAM, &["stats", "--data", scene.data().to_str().unwrap(), "--format", "json"]);
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    let stat = stats.as_array().unwrap().iter().find(|stat| stat["ident"] == STAT).unwrap();
    assert!(stat["skipped"][0]["reason"].as_str().unwrap().contains("damaged"), "{stat:#}");
    assert_eq!(stat["complete_until"], "1970-01-01T00:00:00Z", "{stat:#}");
    // Told once; from then on it is recorded.
    assert!(scene.run().status.success());
}

#[test]
fn what_is_readable_of_a_store_that_cannot_be_opened_is_exported_beside_it() {
    let scene = Scene::new();
    let expected = scene.rows().unwrap();
    std::fs::write(scene.store().join("conf"), b"no configuration at all").unwrap();
    let ended = scene.run();
    assert!(ended.status.success() && said(&ended).contains("was exported to"), "{}", said(&ended));
    assert_eq!(scene.rows().unwrap(), expected);
    let entries = std::fs::read_dir(scene.data()).unwrap().map(|it| it.unwrap().path());
    let readable = entries.into_iter().find(|it| it.extension().is_some_and(|it| it == "readable"));
    let export = readable.unwrap().join(format!("{STAT}.jsonl"));
    // It is an export like any other: another data folder takes it.
    let other = scene.folder.path().join("other");
    let logs = scene.data().join("logs");
    copy(&logs, &other.join("logs"));
    let _ =
        output(PROGRAM, &["import", export.to_str().unwrap(), "--data", other.to_str().unwrap()]);
    let show = |data: &Path| output(PROGRAM, &["show", STAT, "--data", data.to_str().unwrap()]);
    assert_eq!(show(&other), show(&scene.data()));
}
