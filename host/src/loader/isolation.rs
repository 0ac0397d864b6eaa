//! Where the code of plugins runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// Where the code of a plugin runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In the host: fastest, and survives all that the plugin's own language can catch.
    #[default]
    InProcess,
    /// In a process for each stat of it, which may crash, hang or run out of memory alone.
    Process,
}

impl Isolation {
    /// The one of that name; what there is otherwise.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "in-process" => Ok(Self::InProcess),
            "process" => Ok(Self::Process),
            _ => Err(format!("{name:?} is not one of in-process, process")),
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProcess => "in-process",
            Self::Process => "process",
        })
    }
}

/// Where the code of each plugin runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolations {
    /// Of those that are not named.
    pub default: Isolation,
    /// By the name of the file without `lib` and `.so`; `-` and `_` are the same.
    pub plugins: BTreeMap<String, Isolation>,
    /// Memory that a worker process may write to, bytes.
    pub max_memory: u64,
    /// CPU time of one call into it; by the clock it may take several times as long.
    pub deadline: Duration,
    /// Whether a stat that hangs in the host goes on in a process, instead of being left alone.
    pub takes_hung: bool,
}

impl Default for Isolations {
    fn default() -> Self {
        Self {
            default: Isolation::default(),
            plugins: BTreeMap::new(),
            max_memory: 2 << 30,
            deadline: Duration::from_secs(10),
            takes_hung: true,
        }
    }
}

impl Isolations {
    /// Where the plugin in `file` runs.
    #[must_use]
    pub fn of(&self, file: &Path) -> Isolation {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = plain(name.strip_prefix("lib").unwrap_or(&name));
        let named = self.plugins.iter().find(|(known, _)| plain(known) == name);
        named.map_or(self.default, |(_, isolation)| *isolation)
    }
}

fn plain(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_named_as_its_crate_or_as_its_file() {
        let plugins = [("my-plugin", Isolation::Process), ("other_one", Isolation::InProcess)];
        let plugins = plugins.map(|(name, isolation)| (name.to_owned(), isolation)).into();
        let isolations = Isolations { plugins, ..Isolations::default() };
        let of = |file: &str| isolations.of(Path::new(file));
        assert_eq!(of("plugins/libmy_plugin.so"), Isolation::Process);
        assert_eq!(of("my-plugin.so"), Isolation::Process);
        assert_eq!(of("libother_one.so"), Isolation::InProcess);
        assert_eq!(of("libanother.so"), Isolation::InProcess);
        let all = Isolations { default: Isolation::Process, ..isolations };
        assert_eq!(all.of(Path::new("libanother.so")), Isolation::Process);
        assert_eq!(all.of(Path::new("libother-one.so")), Isolation::InProcess);
    }
}
