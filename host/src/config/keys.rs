//! The keys there are, and what holds where nothing is set.

/// A key: its path, with `*` for a name that the user chooses.
pub(super) struct Key {
    pub(super) path: &'static [&'static str],
    /// As in the file; none = nothing is set.
    pub(super) default: Option<&'static str>,
    /// Never printed.
    pub(super) secret: bool,
}

const fn key(path: &'static [&'static str]) -> Key {
    Key { path, default: None, secret: false }
}

const fn with(path: &'static [&'static str], default: &'static str) -> Key {
    Key { path, default: Some(default), secret: false }
}

const fn secret(path: &'static [&'static str]) -> Key {
    Key { path, default: None, secret: true }
}

/// Mappings that are always there.
pub(super) const MAPPINGS: [&str; 3] = ["auto", "fedmsg", "plain"];

pub(super) const KEYS: &[Key] = &[
    with(&["data"], "\"statmill-data\""),
    with(&["plugins"], "[]"),
    with(&["watch_plugins"], "true"),
    key(&["dashboards"]),
    key(&["history"]),
    with(&["listen"], "\"127.0.0.1:8040\""),
    key(&["base_url"]),
    with(&["checkpoint"], "\"1s\""),
    with(&["durable_every"], "\"1s\""),
    key(&["threads"]),
    key(&["ingest_threads"]),
    with(&["isolation"], "\"in-process\""),
    key(&["plugin", "*", "isolation"]),
    with(&["worker", "max_memory"], "\"2GiB\""),
    with(&["worker", "takes_hung"], "true"),
    key(&["sources", "*", "url"]),
    key(&["sources", "*", "map"]),
    key(&["sources", "*", "dedup"]),
    key(&["sources", "*", "max_ahead"]),
    key(&["sources", "*", "no_time"]),
    key(&["sources", "*", "rate"]),
    key(&["sources", "*", "keep"]),
    with(&["limits", "max_message"], "\"16MiB\""),
    with(&["limits", "max_depth"], "128"),
    with(&["limits", "max_ahead"], "\"1h\""),
    with(&["limits", "validate"], "false"),
    with(&["stat_limits", "deadline"], "\"10s\""),
    with(&["stat_limits", "checkpoint_rows"], "500000"),
    with(&["stat_limits", "checkpoint_bytes"], "\"256MiB\""),
    with(&["stat_limits", "row_bytes"], "\"1MiB\""),
    with(&["stat_limits", "model_rows"], "100000000"),
    with(&["query", "max_rows"], "10000000"),
    with(&["query", "max_time"], "\"10s\""),
    with(&["query", "max_rows_per_page"], "1000"),
    with(&["query", "default_rows_per_page"], "100"),
    secret(&["tokens", "ingest"]),
    secret(&["tokens", "query"]),
    secret(&["tokens", "admin"]),
    key(&["mappings", "*", "id"]),
    key(&["mappings", "*", "topic"]),
    key(&["mappings", "*", "time"]),
    key(&["mappings", "*", "producer"]),
    key(&["stats", "*", "enabled"]),
    key(&["stats", "*", "backlog"]),
    // Whatever the plugin's own schema allows.
    key(&["stats", "*", "config"]),
    with(&["journal", "keep"], "\"models\""),
    key(&["journal", "max_bytes"]),
    key(&["journal", "max_age"]),
    with(&["journal", "segment_bytes"], "\"64MiB\""),
    with(&["store", "fold_deltas"], "512"),
    with(&["vetting", "allow"], "[]"),
    with(&["vetting", "trusted_keys"], "[]"),
];

/// Variables that begin like settings but are something else.
pub(super) const NO_SETTINGS: &[&str] = &["CONFIG", "LOG", "LOG_FORMAT", "URL", "TOKEN"];
/// Of tests that stop the program at named places.
pub(super) const NO_SETTINGS_PREFIX: &str = "FAULT";

/// Whether `path` is the first part of a key's path, up to all of it.
pub(super) fn begins(key: &Key, path: &[String]) -> bool {
    path.len() <= key.path.len()
        && path.iter().zip(key.path).all(|(name, known)| *known == "*" || *known == name)
}

/// The key of that path.
pub(super) fn find(path: &[String]) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path.len() == path.len() && begins(key, path))
}

/// What the last name of an unknown path may have been meant to be: the path with the known name.
pub(super) fn nearest(path: &[String]) -> Option<String> {
    let (last, parents) = path.split_last()?;
    let names = KEYS
        .iter()
        .filter(|key| key.path.len() > parents.len() && begins(key, parents))
        .map(|key| key.path[parents.len()])
        .filter(|name| *name != "*");
    let name = super::nearest::nearest(last, names)?;
    Some(parents.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("."))
}
