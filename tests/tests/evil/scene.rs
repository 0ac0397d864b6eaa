//! A folder with messages and plugins, the host that counts them, and what is to be seen of it.

use std::path::Path;

use serde_json::Value;
use statmill_tests::{Running, all_rows, evil, ndjson, output, plugins, start, wait_until, write};
use tempfile::TempDir;

use crate::PROGRAM;
use crate::cases::{Case, Outcome};
use Outcome::{Exact, Letter, Quarantined, Refused, Silent};

const GOOD: [&str; 2] = ["statmill-volume", "every-aggregator"];
/// The message that brings evil about, and how many others there are.
pub(crate) const POISON: &str =
    "{\"topic\":\"a.b.c.d\",\"timestamp\":1500009000,\"do\":\"evil\"}\n";
pub(crate) const MESSAGES: u64 = 3_000;
/// What comes when the host has been through the rest.
pub(crate) const LATER: u64 = 400;

/// Without traces of panics: to make one costs more than all else.
const ENVIRONMENT: &[(&str, &str)] = &[("RUST_BACKTRACE", "0")];

/// The library of all evil stats that need none of their own.
const TOGETHER: &str = "evil";

pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) plugins: TempDir,
}

impl Scene {
    /// Messages, the good plugins, and those of `cases`.
    pub(crate) fn new<'a>(cases: impl IntoIterator<Item = &'a Case>, general: &str) -> Self {
        let scene = Self { folder: TempDir::new().unwrap(), plugins: plugins(&GOOD) };
        let text = ndjson(0..MESSAGES / 2) + POISON + &ndjson(MESSAGES / 2..MESSAGES);
        write(scene.folder.path(), "messages.ndjson", &text);
        let (mut config, mut together) = (general.to_owned(), Vec::new());
        for Case { ident, before, config: of_stat, .. } in cases {
            let lie = if before.is_empty() { String::new() } else { format!("={before}") };
            match before.starts_with('!') {
                true => {
                    let mut entries = vec![(*ident).to_owned(), (*before).to_owned()];
                    entries.retain(|entry| entry != "!");
                    drop(evil::drop_in(scene.plugins.path(), &file_name(ident), &entries));
                }
                false => together.push(format!("{ident}{lie}")),
            }
            config.push_str(&format!("[stats.{ident}]\nconfig = {of_stat}\n"));
        }
        evil::drop_in(scene.plugins.path(), TOGETHER, &together);
        write(scene.folder.path(), "statmill.toml", &config);
        scene
    }

    pub(crate) fn args(&self, data: &str, plugins: &Path) -> Vec<String> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let source = format!("file:{}", path("messages.ndjson"));
        let plugins = plugins.display().to_string();
        ["--config", &path("statmill.toml"), "--data", &path(data)]
            .into_iter()
            .chain(["--plugins", &plugins, "--source", &source])
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn append(&self, messages: std::ops::Range<u64>) {
        let path = self.folder.path().join("messages.ndjson");
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, ndjson(messages).as_bytes()).unwrap();
    }

    pub(crate) fn start(&self) -> Running {
        let args = self.args("data", self.plugins.path());
        start(PROGRAM, &args.iter().map(String::as_str).collect::<Vec<_>>(), ENVIRONMENT).unwrap()
    }

    /// The rows of the good stats, as a host without any other has them.
    pub(crate) fn expected(&self) -> String {
        let good = plugins(&GOOD);
        let mut args = self.args("good", good.path());
        write(self.folder.path(), "good.toml", "");
        args[1] = self.folder.path().join("good.toml").display().to_string();
        let args = args.iter().map(String::as_str);
        let _ = output(PROGRAM, &["run", "--once"].into_iter().chain(args).collect::<Vec<_>>());
        rows(&self.folder.path().join("good"))
    }
}

pub(crate) fn file_name(ident: &str) -> String {
    ident.replace('-', "_")
}

/// The rows of the good stats of a data folder at rest.
pub(crate) fn rows(data: &Path) -> String {
    good(&all_rows(PROGRAM, data))
}

/// Those of the good stats of all rows.
pub(crate) fn good(all: &str) -> String {
    let is_evil = |section: &str| EVIL.iter().any(|name| section.starts_with(name));
    all.split("== ").filter(|section| !is_evil(section)).collect::<Vec<_>>().join("== ")
}

/// What the idents of evil stats begin with.
pub(crate) const EVIL: [&str; 11] = [
    "evil", "lie", "ctor", "describe", "create", "fold", "drain", "drop", "message", "restore",
    "view",
];

/// That each of `cases` that counts everything has the rows of one that does no evil, and one that passed over
/// a message all of them but those of that message.
pub(crate) fn assert_own_rows(all: &str, cases: &[Case]) {
    let of = |ident: &str| {
        let (_, rest) = all.split_once(&format!("== {ident}\n"))?;
        Some(rest.split("== ").next().unwrap_or_default())
    };
    let honest = of("evil-none").unwrap();
    let total = honest.lines().skip(1).map(|row| row.split_once(',').unwrap().0);
    assert_eq!(
        total.map(|count| count.parse::<u64>().unwrap()).sum::<u64>(),
        MESSAGES + 1 + LATER,
        "{honest}"
    );
    let is_other = |row: &&str| !row.ends_with(",a.b.c.d");
    for Case { ident, outcome, .. } in cases {
        let expected: Vec<_> = match outcome {
            Exact => honest.lines().collect(),
            Letter(_) => honest.lines().filter(is_other).collect(),
            Silent => honest.lines().take(1).collect(),
            Quarantined(_) | Refused(_) => continue,
        };
        let found: Vec<_> = of(ident).unwrap_or_default().lines().collect();
        assert_eq!(found, expected, "{ident}");
    }
}

pub(crate) fn one(list: &Value, member: &str, is: impl Fn(&str) -> bool) -> Option<Value> {
    let all = list.as_array().unwrap();
    all.iter().find(|it| it[member].as_str().is_some_and(&is)).cloned()
}

/// What is wrong with the status of a case, if anything is.
pub(crate) fn judge(case: &Case, status: &Value, messages: u64) -> Result<(), String> {
    let stat = one(&status["stats"], "ident", |ident| ident == case.ident);
    let name =
        if case.before.starts_with('!') { file_name(case.ident) } else { TOGETHER.to_owned() };
    let file = format!("/lib{name}.so");
    let plugin = one(&status["plugins"], "file", |path| path.ends_with(&file)).unwrap_or_default();
    let error = plugin["error"].as_str().unwrap_or_default();
    let stat = match (&case.outcome, stat) {
        (Refused(reason), _) if error.contains(reason) && !error.is_empty() => return Ok(()),
        (Refused(_), _) | (_, None) => return Err(format!("{}: {plugin:#}", case.ident)),
        (_, Some(stat)) => stat,
    };
    let text = |name: &str| stat[name].as_str().unwrap_or_default();
    let is_so = match case.outcome {
        Exact | Silent => text("state") == "live" && stat["messages"] == messages,
        Letter(reason) => {
            let error = stat["last_error"]["text"].as_str().unwrap_or_default();
            let counted = stat["messages"] == messages - 1 && stat["dead_letters"] == 1;
            text("state") == "live" && counted && error.contains(reason)
        }
        Quarantined(reason) => text("state") == "quarantined" && text("reason").contains(reason),
        Refused(_) => true,
    };
    if is_so { Ok(()) } else { Err(format!("{}: {stat:#}", case.ident)) }
}

/// Waits until each case is what it must be and every other stat has counted `messages`.
pub(crate) fn wait_judged(host: &mut Running, cases: &[Case], messages: u64) {
    wait_until(|| {
        assert!(host.alive(), "the host has ended");
        let status = host.status();
        for stat in status["stats"].as_array().unwrap() {
            let ident = stat["ident"].as_str().unwrap();
            let is_good = !cases.iter().any(|case| case.ident == ident) && ident != "recent";
            if is_good && (stat["messages"] != messages || stat["state"] != "live") {
                return Err(format!("{stat:#}"));
            }
        }
        let wrong: Vec<_> =
            cases.iter().filter_map(|case| judge(case, &status, messages).err()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    });
}
