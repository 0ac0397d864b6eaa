//! Plugins and hosts of different API versions work together, with really built libraries.
//!
//! `tests/abi` is built beside copies of `plugin-api`: as it is; as version 1.1, with a field
//! appended to the root module and a method to the stat's trait; and with a frozen struct changed,
//! which no version may do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A change of one file: the text that must be there once, and what comes after it.
type Append = (&'static str, &'static str, &'static str);

const API_1_1: &[Append] = &[
    (
        "src/abi.rs",
        "    pub create: extern \"C\" fn(RStr<'_>, RStr<'_>) -> RResult<PluginInstance, RString>,\n",
        "    pub build_info: extern \"C\" fn() -> RString,\n",
    ),
    (
        "src/abi.rs",
        "    fn command(&mut self, request: RStr<'_>) -> RResult<RString, RString>;\n",
        "    fn self_test(&self) -> RString { return RString::from(\"default\"); }\n",
    ),
    (
        "src/export.rs",
        "$crate::abi::PluginModule { describe, create",
        ", build_info: $crate::export::build_info",
    ),
    (
        "src/export.rs",
        "pub type Header = LibHeader;\n",
        "pub extern \"C\" fn build_info() -> RString { RString::from(\"plugin\") }\n",
    ),
    (
        "src/export.rs",
        "impl<S: Stat> StatObject for Instance<S> {\n",
        "    fn self_test(&self) -> RString { RString::from(\"plugin\") }\n",
    ),
];

const BROKEN: &[Append] = &[
    ("src/abi.rs", "    pub lifetime: RSlice<'a, u8>,\n", "    pub more: u64,\n"),
    ("src/abi.rs", "rows: rows_of, lifetime: RSlice::EMPTY", ", more: 0"),
];

/// Host and plugin of one API version.
struct Built {
    host: PathBuf,
    plugin: PathBuf,
}

impl Built {
    fn new(name: &str, version: &str, changes: &[Append], host_features: &str) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abi");
        let copy = all.join(name);
        for folder in ["plugin-api", "tests/abi"] {
            let _ = fs::remove_dir_all(copy.join(folder));
            copy_folder(&repository.join(folder), &copy.join(folder));
        }
        let root = read(&repository.join("Cargo.toml"));
        let members = "members = [";
        let start = root.find(members).expect("the workspace names its members");
        let end = start + root[start..].find(']').expect("the list of members ends");
        let root = format!(
            "{}{members}\"plugin-api\", \"plugin-api/macros\"{}",
            &root[..start],
            &root[end..]
        );
        write(&copy.join("Cargo.toml"), &root);
        let lock = read(&repository.join("Cargo.lock"));
        write(&copy.join("Cargo.lock"), &lock);
        write(&copy.join("tests/abi/Cargo.lock"), &lock);
        for (file, after, text) in changes {
            let file = copy.join("plugin-api").join(file);
            let source = read(&file);
            assert_eq!(source.matches(after).count(), 1, "{file:?} has once: {after}");
            write(&file, &source.replace(after, &format!("{after}{text}")));
        }
        let manifest = copy.join("plugin-api/Cargo.toml");
        let source = read(&manifest);
        assert!(source.contains("\nversion = \"1.0.0\"\n"), "the API's version is 1.0.0");
        let version = format!("\nversion = \"{version}\"\n");
        write(&manifest, &source.replace("\nversion = \"1.0.0\"\n", &version));

        // One target folder: only what changes is compiled again.
        let target = all.join("target");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--features", host_features])
            .current_dir(copy.join("tests/abi"))
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("RUSTFLAGS")
            .status()
            .expect("cargo starts");
        assert!(status.success(), "{name} builds");
        let keep = |from: &str, to: &str| {
            let to = copy.join(to);
            fs::copy(target.join("debug").join(from), &to).expect("what was built is there");
            to
        };
        Self { host: keep("abi-host", "host"), plugin: keep("libabi_plugin.so", "plugin.so") }
    }

    /// What this host prints of `plugins`, and whether it took them all.
    fn loads(&self, plugins: &[&Self]) -> (String, bool) {
        let paths = plugins.iter().map(|built| &built.plugin);
        let output = Command::new(&self.host).args(paths).output().expect("the host starts");
        (String::from_utf8(output.stdout).expect("text"), output.status.success())
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap_or_else(|error| panic!("{to:?}: {error}"));
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{from:?}: {error}")) {
        let entry = entry.expect("a folder's entry");
        let to = to.join(entry.file_name());
        if entry.file_name() == "target" {
            continue;
        }
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap_or_else(|error| panic!("{to:?}: {error}"));
        }
    }
}

#[test]
fn plugins_and_hosts_of_versions_1_0_and_1_1_work_together_both_ways() {
    let old = Built::new("1.0", "1.0.0", &[], "");
    let new = Built::new("1.1", "1.1.0", API_1_1, "abi-host/api-1-1");
    let broken = Built::new("broken", "1.0.1", BROKEN, "");

    // One row: key `a.b`, as cell; count 2.
    let row = "rows=1 [1, 97, 46, 98, 0]=[2]";
    let (lines, all) = old.loads(&[&old, &new]);
    let expected = format!("same-or-newer api=1.0.0 {row}\nsame-or-newer api=1.1.0 {row}\n");
    assert_eq!((lines, all), (expected, true));

    // What the older plugin lacks reads as none and answers the host's default.
    let (lines, all) = new.loads(&[&old, &new]);
    let expected = format!(
        "older api=1.0.0 {row} build_info=none self_test=default\n\
         same-or-newer api=1.1.0 {row} build_info=plugin self_test=plugin\n"
    );
    assert_eq!((lines, all), (expected, true));

    // The check is not a formality: a frozen struct that changed is refused, in words.
    for (host, plugin) in [(&old, &broken), (&broken, &old), (&new, &broken)] {
        let (line, all) = host.loads(&[plugin]);
        assert!(!all && line.starts_with("refused: "), "{line}");
    }
}
