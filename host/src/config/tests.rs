#![allow(clippy::unwrap_used)]

use super::*;

/// The configuration of a file with `text` and of the variables `environment`.
fn load(text: &str, environment: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statmill.toml");
    std::fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::load(Some(&file), environment, flags)
}

fn config(text: &str) -> Config {
    load(text, &[], &Flags::default()).unwrap()
}

fn error(text: &str) -> String {
    load(text, &[], &Flags::default()).unwrap_err().to_string()
}

/// The printed settings, the file's folder cut off.
fn printed(config: &Config) -> String {
    let lines = config.settings().iter().map(|setting| match &setting.origin {
        Origin::File(path, line) => {
            let name = path.file_name().unwrap().to_string_lossy();
            format!("{} = {}  # {name}:{line}\n", setting.key, setting.value)
        }
        _ => format!("{setting}\n"),
    });
    lines.collect()
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = Config::load(None, [], &Flags::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8040");
    assert_eq!(config.checkpoint, Duration::from_secs(1));
    assert_eq!(config.durable_every, Duration::from_secs(1));
    assert_eq!(config.limits.max_message, 16 << 20);
    assert_eq!(config.limits.max_ahead, Duration::from_secs(3600));
    assert_eq!(config.query.default_rows_per_page, 100);
    assert_eq!(config.journal.keep, Keep::Models);
    assert!(config.sources.is_empty() && config.history.is_none());
}

const ALL: &str = r#"
data = "/var/lib/statmill"
plugins = ["a", "b"]
history = "file:old.ndjson?map=mine"
listen = "0.0.0.0:80"
checkpoint = "20ms"
durable_every = "50ms"
threads = 3
ingest_threads = 2
isolation = "process"

[plugin.my-plugin]
isolation = "in-process"

[worker]
max_memory = "512MiB"
takes_hung = false

[sources.bus]
url = "file:/var/log/bus.ndjson"
map = "fedmsg"
dedup = "id"

[sources.builds]
url = "http:builds"
no_time = "arrival"
keep = "forever"

[limits]
max_message = "1MiB"
max_depth = 64
max_ahead = "5m"
validate = true

[query]
max_rows = 5
max_time = "2s"
max_rows_per_page = 50
default_rows_per_page = 20

[tokens]
ingest = "0123456789abcdef"
query = "1123456789abcdef"
admin = "2123456789abcdef"

[mappings.mine]
id = ["/uuid"]
topic = "/kind"
time = ["/when", "/created"]
producer = ["/host", "/seq"]

[stats.volume-by-user-1d]
backlog = "90d"
config = { top = 5, names = ["x"] }

[stats.volume-1s]
enabled = false

[journal]
keep = "forever"
max_bytes = "10GiB"
max_age = "30d"
"#;

#[test]
fn every_key_is_read() {
    let config = config(ALL);
    assert_eq!(config.plugins, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(config.threads.get(), 3);
    assert_eq!(config.ingest_threads.get(), 2);
    assert_eq!(config.isolations.of(Path::new("x/libmy_plugin.so")), Isolation::InProcess);
    assert_eq!(config.isolations.of(Path::new("x/libother.so")), Isolation::Process);
    assert_eq!(config.isolations.max_memory, 512 << 20);
    assert!(!config.isolations.takes_hung && Isolations::default().takes_hung);
    let names: Vec<_> = config.sources.iter().map(|it| (it.name.as_str(), it.url.name())).collect();
    let expected =
        [("builds", "http:builds".to_owned()), ("bus", "file:/var/log/bus.ndjson".to_owned())];
    assert_eq!(names, expected);
    assert_eq!(config.sources[0].url.keep, Some(Keep::Forever));
    assert!(config.sources[0].url.arrival_time && config.sources[1].url.dedup);
    assert_eq!(config.sources[1].url.map.as_deref(), Some("fedmsg"));
    let mine = config.mapping("mine").unwrap();
    assert_eq!((mine.topic.len(), mine.time.len()), (1, 2));
    assert_eq!(mine.producer, Some(("/host".to_owned(), "/seq".to_owned())));
    let stat = &config.stats["volume-by-user-1d"];
    assert!(stat.enabled && stat.backlog == Some(Duration::from_secs(7_776_000)));
    assert_eq!(stat.config, serde_json::json!({"top": 5, "names": ["x"]}));
    assert!(!config.stats["volume-1s"].enabled);
    assert_eq!(config.journal.max_bytes, Some(10 << 30));
    assert_eq!(config.limits.max_depth, 64);
    assert_eq!(config.query.max_rows_per_page, 50);
}

#[test]
fn flags_go_before_variables_and_these_before_the_file() {
    let flags = Flags {
        checkpoint: Some("30ms".to_owned()),
        sources: vec!["stdin:".to_owned()],
        ..Flags::default()
    };
    let environment = [
        ("STATMILL_CHECKPOINT", "40ms"),
        ("STATMILL_DURABLE_EVERY", "60ms"),
        ("STATMILL_QUERY__MAX_ROWS", "9"),
        ("STATMILL_STATS__VOLUME_BY_USER_1D__BACKLOG", "1d"),
        ("STATMILL_PLUGINS", "c,d"),
        ("STATMILL_PLUGIN__MY_PLUGIN__ISOLATION", "process"),
        ("STATMILL_LIMITS__VALIDATE", "false"),
        ("STATMILL_LOG", "debug"),
        ("PATH", "/bin"),
    ];
    let config = load(ALL, &environment, &flags).unwrap();
    assert_eq!(config.checkpoint, Duration::from_millis(30));
    assert_eq!(config.durable_every, Duration::from_millis(60));
    assert_eq!(config.query.max_rows, 9);
    assert_eq!(config.stats["volume-by-user-1d"].backlog, Some(Duration::from_secs(86_400)));
    assert_eq!(config.plugins, [PathBuf::from("c"), PathBuf::from("d")]);
    assert!(!config.limits.validate);
    assert_eq!(config.sources.len(), 1);
    let printed = printed(&config);
    for line in [
        "checkpoint = \"30ms\"  # --checkpoint\n",
        "durable_every = \"60ms\"  # environment variable STATMILL_DURABLE_EVERY\n",
        "threads = 3  # statmill.toml:8\n",
        "ingest_threads = 2  # statmill.toml:9\n",
        "isolation = \"process\"  # statmill.toml:10\n",
        "plugin.my-plugin.isolation = \"process\"  # environment variable \
         STATMILL_PLUGIN__MY_PLUGIN__ISOLATION\n",
        "source = \"stdin:\"  # --source\n",
    ] {
        assert!(printed.contains(line), "{line}{printed}");
    }
    assert!(!printed.contains("sources.bus"));
}

#[test]
fn every_value_is_printed_with_its_origin_and_no_secret_is() {
    let text = "[tokens]\nadmin = \"very secret indeed\"\n[sources.a]\nurl = \"file:a?map=plain\"";
    let config = config(text);
    let printed = printed(&config);
    for line in [
        "listen = \"127.0.0.1:8040\"  # default\n",
        "sources.a.url = \"file:a?map=plain\"  # statmill.toml:4\n",
        "tokens.admin = \"***\"  # statmill.toml:2\n",
    ] {
        assert!(printed.contains(line), "{line}{printed}");
    }
    assert!(!format!("{printed}{:?}", config.tokens).contains("very secret"));
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest() {
    let text = error("data = \"x\"\nchekpoint = \"1s\"");
    assert!(
        text.ends_with(
            "statmill.toml:2: there is no setting \"chekpoint\"; did you mean \"checkpoint\"?"
        ),
        "{text}"
    );
    let text = error("[sources.a]\nurl = \"stdin:\"\nmpa = \"auto\"");
    assert!(text.contains(":3: ") && text.contains("did you mean \"sources.a.map\""), "{text}");
    assert!(error("[qeury]\nmax_rows = 1").contains("did you mean \"query\""));
    assert!(error("query = 5").contains("there is no setting \"query\""));
    let text = load("", &[("STATMILL_LISTN", "x")], &Flags::default()).unwrap_err().to_string();
    let expected = "environment variable STATMILL_LISTN: there is no setting \"listn\"; did you \
                    mean \"listen\"?";
    assert_eq!(text, expected);
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_the_remedy() {
    for (text, part) in [
        ("checkpoint = \"1ms\"", ":1: checkpoint: the shortest is 5ms"),
        ("durable_every = \"0\"", "the shortest is 5ms"),
        ("checkpoint = \"5\"", "write a number and a unit"),
        ("checkpoint = 5", "a number but must be a text"),
        ("threads = 0", "from 1 to 1024"),
        ("ingest_threads = 1025", "from 1 to 1024"),
        ("isolation = \"none\"", ":1: isolation: \"none\" is not one of in-process, process"),
        ("[plugin.a]\nisolation = \"x\"", ":2: plugin.a.isolation"),
        ("[worker]\nmax_memory = \"1MiB\"", "worker.max_memory"),
        ("listen = \"everywhere\"", "such as 127.0.0.1:8040"),
        ("base_url = \"stats.example.org\"", "such as https://stats.example.org"),
        ("base_url = \"https://a?b\"", "such as https://stats.example.org"),
        ("[limits]\nmax_message = \"1\"", ":2: limits.max_message: write a size of 1024"),
        ("[limits]\nvalidate = \"yes\"", "neither true nor false"),
        ("[query]\ndefault_rows_per_page = 5000", "more than query.max_rows_per_page"),
        ("[tokens]\nquery = \"short\"", "at least 16 characters"),
        ("history = \"stdin:\"", "a history is one of `file:`"),
        ("[sources.a]\nmap = \"auto\"", "sources.a has no \"url\""),
        ("[sources.a]", "statmill.toml:1: sources.a has no \"url\""),
        ("[sources.a]\nurl = \"bus.ndjson\"", "`file:bus.ndjson`"),
        ("[sources.a]\nurl = \"file:a?map=nope\"", "only auto, fedmsg, plain"),
        ("[sources.a]\nurl = \"file:a\"\nmap = \"fedmgs\"", ":3: sources.a.map"),
        ("[sources.a]\nurl = \"file:a\"\nmax_ahead = \"1h\"", "no option \"max_ahead\""),
        ("[sources.a]\nurl = \"file:a\"\n[sources.b]\nurl = \"file:a\"", "another source already"),
        ("[mappings.x]\ntopic = \"kind\"\ntime = \"/t\"", "no JSON pointer"),
        ("[mappings.x]\ntopic = \"/kind\"", "mappings.x has no \"time\""),
        ("[mappings.auto]\ntopic = \"/kind\"\ntime = \"/t\"", "always there"),
        ("[journal]\nkeep = \"some\"", "models, forever"),
        ("data = ", "statmill.toml:1: "),
    ] {
        let text = error(text);
        assert!(text.contains(part), "{text}");
    }
    let missing = Config::load(Some(Path::new("/nowhere/x.toml")), [], &Flags::default());
    assert!(matches!(missing, Err(ConfigError::Read { .. })));
}

#[test]
fn an_address_open_to_others_needs_tokens() {
    let text = error("listen = \"0.0.0.0:8040\"\n[tokens]\nadmin = \"0123456789abcdef\"");
    assert!(
        text.contains("set tokens.ingest, tokens.query, or listen on 127.0.0.1:8040"),
        "{text}"
    );
    assert!(error("listen = \"[::]:80\"").contains("no tokens"));
    assert!(config("listen = \"[::1]:80\"").listen.ip().is_loopback());
    assert_eq!(config("listen = \"localhost:81\"").listen.to_string(), "127.0.0.1:81");
    let base = config("base_url = \"https://stats.example.org/\"").base_url;
    assert_eq!(base.as_deref(), Some("https://stats.example.org"));
}
