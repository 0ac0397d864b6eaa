//! Evil plugins, and what must be said of each.

/// A plugin, and what must be said of it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) ident: &'static str,
    /// A lie of its manifest; or after `!` what the library does before it is configured, then one of its own.
    pub(crate) before: &'static str,
    /// Its configuration.
    pub(crate) config: &'static str,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// It counts everything.
    Exact,
    /// It reads everything, and no row of it is taken.
    Silent,
    /// It passed over the one message, with this reason, and counts all others.
    Letter(&'static str),
    /// It is quarantined, with this in the reason.
    Quarantined(&'static str),
    /// It was not admitted, with this in the error.
    Refused(&'static str),
}

use Outcome::{Exact, Letter, Quarantined, Refused, Silent};

pub(crate) const fn case(
    ident: &'static str,
    before: &'static str,
    config: &'static str,
    outcome: Outcome,
) -> Case {
    Case { ident, before, config, outcome }
}

/// What is survived in the host's own process.
pub(crate) const IN_PROCESS: &[Case] = &[
    case("evil-none", "", "{}", Exact),
    case("evil-create", "", "{ evil = 'panic', at = 'create' }", Quarantined("panicked: asked to")),
    case("evil-fold", "", "{ evil = 'panic', at = 'fold' }", Quarantined("panicked: asked to")),
    case("evil-drop", "", "{ evil = 'panic', at = 'drop' }", Exact),
    case(
        "evil-payload",
        "",
        "{ evil = 'payload', at = 'fold' }",
        Quarantined("a payload that is not text"),
    ),
    case(
        "evil-drain",
        "",
        "{ evil = 'panic', at = 'drain' }",
        Quarantined("drain failed: the stat panicked: asked to"),
    ),
    case(
        "evil-drain-payload",
        "",
        "{ evil = 'payload', at = 'drain' }",
        Quarantined("a payload that is not text"),
    ),
    case("evil-late", "", "{ evil = 'a late sink' }", Silent),
    case(
        "evil-outlived",
        "",
        "{ evil = 'thread and panic', at = 'message', on = 'message' }",
        Letter("the stat panicked: asked to"),
    ),
    case("evil-error", "", "{ evil = 'error', at = 'fold' }", Quarantined("asked to fail")),
    case(
        "evil-message",
        "",
        "{ evil = 'panic', at = 'message', on = 'message' }",
        Letter("the stat panicked: asked to"),
    ),
    case(
        "evil-message-payload",
        "",
        "{ evil = 'payload', at = 'message', on = 'message' }",
        Letter("the stat panicked: a payload that is not text"),
    ),
    case(
        "evil-message-error",
        "",
        "{ evil = 'error', at = 'message', on = 'message' }",
        Letter("asked to fail"),
    ),
    case("evil-leak", "", "{ evil = 'leak', at = 'fold' }", Exact),
    case("evil-slow", "", "{ evil = 'slow', at = 'fold' }", Exact),
    case("evil-flood", "", "{ evil = 'flood', at = 'message', on = 'message' }", Exact),
    case("evil-thread", "", "{ evil = 'thread', at = 'fold' }", Exact),
    case("evil-thread-panic", "", "{ evil = 'thread panic', at = 'fold' }", Exact),
    case("evil-random", "", "{ evil = 'another count' }", Exact),
    case("evil-config", "", "'no object'", Exact),
    case("evil-not-utf8", "", "{ evil = 'rows not utf-8' }", Quarantined("not UTF-8")),
    case("evil-canonical", "", "{ evil = 'rows not canonical' }", Quarantined("canonical")),
    case("evil-nan", "", "{ evil = 'rows of nan' }", Quarantined("bad increments")),
    case("evil-measures", "", "{ evil = 'rows of other measures' }", Quarantined("bad increments")),
    case("evil-descending", "", "{ evil = 'rows descending' }", Quarantined("does not sort after")),
    case("evil-cut", "", "{ evil = 'rows cut short' }", Quarantined("the bytes end inside")),
    case(
        "evil-claim",
        "",
        "{ evil = 'rows of claimed length' }",
        Quarantined("the bytes end inside"),
    ),
    case("evil-no-model", "", "{ evil = 'rows of no model' }", Quarantined("model")),
    case("evil-huge-row", "", "{ evil = 'a huge row' }", Quarantined("stat_limits.row_bytes")),
    case("evil-endless-rows", "", "{ evil = 'rows without end' }", Quarantined("bytes")),
    case("evil-boast", "", "{ evil = 'a boast' }", Quarantined("stat_limits.checkpoint_rows")),
    case(
        "evil-no-text",
        "",
        "{ evil = 'an error that is no text' }",
        Quarantined("not \u{fffd}\u{fffd} UTF-8"),
    ),
    case(
        "evil-many",
        "",
        "{ evil = 'a million rows', on = 'message' }",
        Letter("stat_limits.checkpoint_rows"),
    ),
    case("evil-views", "!views: panic", "{}", Refused("panicked: asked to")),
    case("lie-json", "!no json", "{}", Refused("EOF while parsing")),
    case("lie-nothing", "!nothing", "{}", Refused("EOF while parsing")),
    case("lie-huge", "!huge", "{}", Refused("bytes")),
    case("lie-deep", "!deep", "{}", Refused("missing field `api`")),
    case("lie-twice", "!twice", "{}", Refused("already provided")),
    case("lie-ident", "ident", "{}", Refused("an ident has")),
    case("lie-no-ident", "no ident", "{}", Refused("an ident has")),
    case("lie-no-models", "no models", "{}", Refused("no model")),
    case("lie-pointer", "pointer", "{}", Refused("must be empty or begin with '/'")),
    case("lie-measure", "measure", "{}", Refused("keep 1 to 10000")),
    case("lie-feature", "!feature", "{}", Refused("time travel")),
    case("lie-less", "one model less", "{}", Exact),
    case("lie-other", "other measure", "{}", Quarantined("bad increments")),
    case("lie-dimension", "other dimension", "{}", Quarantined("bad increments")),
    case("lie-window", "window", "{}", Quarantined("bad increments")),
    case("lie-kind", "field kind", "{}", Quarantined("do not agree on the stat's fields")),
    case("lie-fields", "no fields", "{}", Quarantined("do not agree on the stat's fields")),
];

/// What would end or hang the host while it maps the library, or at the first fold.
pub(crate) const BEFORE_MAPPING: &[Case] = &[
    case("ctor-abort", "!constructor: abort", "{}", Refused("failed its dry run")),
    case("ctor-exit", "!constructor: exit", "{}", Refused("failed its dry run")),
    case("ctor-segfault", "!constructor: segfault", "{}", Refused("failed its dry run")),
    case("ctor-endless", "!constructor: endless", "{}", Refused("failed its dry run")),
    case("ctor-panic", "!constructor: panic", "{}", Refused("failed its dry run")),
    case("describe-panic", "!describe: panic", "{}", Refused("failed its dry run")),
    case("describe-abort", "!describe: abort", "{}", Refused("failed its dry run")),
    case("describe-blocked", "!describe: blocked", "{}", Refused("failed its dry run")),
    case("fold-abort", "!", "{ evil = 'abort', at = 'fold' }", Refused("failed its dry run")),
    case("fold-exit", "!", "{ evil = 'exit', at = 'fold' }", Refused("failed its dry run")),
    case("fold-segfault", "!", "{ evil = 'segfault', at = 'fold' }", Refused("failed its dry run")),
    case(
        "fold-stack",
        "!",
        "{ evil = 'stack overflow', at = 'fold' }",
        Refused("failed its dry run"),
    ),
    case("fold-memory", "!", "{ evil = 'memory', at = 'fold' }", Refused("failed its dry run")),
    case(
        "fold-twice",
        "!",
        "{ evil = 'double panic', at = 'fold' }",
        Refused("failed its dry run"),
    ),
    case("fold-endless", "!", "{ evil = 'endless', at = 'fold' }", Refused("failed its dry run")),
    case("create-abort", "!", "{ evil = 'abort', at = 'create' }", Refused("failed its dry run")),
    case(
        "restore-abort",
        "!restores",
        "{ evil = 'abort', at = 'restore' }",
        Refused("failed its dry run"),
    ),
    case("view-abort", "!view: abort", "{}", Refused("failed its dry run")),
    case("view-exit", "!view: exit", "{}", Refused("failed its dry run")),
    case("drain-abort", "!", "{ evil = 'abort', at = 'drain' }", Refused("failed its dry run")),
    case("drop-abort", "!", "{ evil = 'abort', at = 'drop' }", Refused("failed its dry run")),
];

/// What only a process of its own survives.
pub(crate) const IN_PROCESSES: &[Case] = &[
    case("ctor-abort", "!constructor: abort", "{}", Refused("SIGABRT")),
    case("ctor-exit", "!constructor: exit", "{}", Refused("exited with code 0")),
    case("ctor-segfault", "!constructor: segfault", "{}", Refused("SIGSEGV")),
    case("ctor-stack", "!constructor: stack overflow", "{}", Refused("ended by SIG")),
    case("ctor-memory", "!constructor: memory", "{}", Refused("SIGABRT")),
    case("ctor-endless", "!constructor: endless", "{}", Refused("no answer within 2 s of CPU")),
    case("ctor-panic", "!constructor: panic", "{}", Refused("SIGABRT")),
    case("describe-panic", "!describe: panic", "{}", Refused("ended by SIGABRT")),
    case("describe-exit", "!describe: exit", "{}", Refused("exited with code 0")),
    case("create-abort", "", "{ evil = 'abort', at = 'create' }", Quarantined("SIGABRT")),
    case("create-exit", "", "{ evil = 'exit', at = 'create' }", Quarantined("exited with code 0")),
    case(
        "create-endless",
        "",
        "{ evil = 'endless', at = 'create' }",
        Quarantined("no answer within 2 s of CPU time"),
    ),
    case("fold-abort", "", "{ evil = 'abort', at = 'fold' }", Quarantined("ended by SIGABRT")),
    case("fold-exit", "", "{ evil = 'exit', at = 'fold' }", Quarantined("exited with code 0")),
    case("drain-abort", "", "{ evil = 'abort', at = 'drain' }", Quarantined("ended by SIGABRT")),
    case(
        "drain-twice",
        "",
        "{ evil = 'double panic', at = 'drain' }",
        Quarantined("drain failed: the worker process ended by SIGABRT"),
    ),
    case("view-abort", "!view: abort", "{}", Exact),
    case("drop-abort", "", "{ evil = 'abort', at = 'drop' }", Exact),
    case("drop-endless", "", "{ evil = 'endless', at = 'drop' }", Exact),
    case(
        "message-abort",
        "",
        "{ evil = 'abort', at = 'message', on = 'message' }",
        Letter("SIGABRT"),
    ),
    case(
        "message-exit",
        "",
        "{ evil = 'exit', at = 'message', on = 'message' }",
        Letter("exited with code 0"),
    ),
    case(
        "message-segfault",
        "",
        "{ evil = 'segfault', at = 'message', on = 'message' }",
        Letter("SIGSEGV"),
    ),
    case(
        "message-stack",
        "",
        "{ evil = 'stack overflow', at = 'message', on = 'message' }",
        Letter("ended by SIG"),
    ),
    case(
        "message-memory",
        "",
        "{ evil = 'memory', at = 'message', on = 'message' }",
        Letter("SIGABRT"),
    ),
    case(
        "message-twice",
        "",
        "{ evil = 'double panic', at = 'message', on = 'message' }",
        Letter("SIGABRT"),
    ),
    case(
        "message-endless",
        "",
        "{ evil = 'endless', at = 'message', on = 'message' }",
        Letter("no answer within 2 s of CPU time"),
    ),
];

/// Told to do evil with their earlier rows, which there are at the second start only.
pub(crate) const RESTORING: &[Case] = &[
    case("evil-none", "!restores", "{}", Exact),
    case("evil-panic", "!restores", "{ evil = 'panic', at = 'restore' }", Quarantined("asked to")),
    case(
        "evil-payload",
        "!restores",
        "{ evil = 'payload', at = 'restore' }",
        Quarantined("a payload that is not text"),
    ),
    case(
        "evil-error",
        "!restores",
        "{ evil = 'error', at = 'restore' }",
        Quarantined("does not make an instance: asked to fail"),
    ),
];

/// The same of what only a process of its own survives.
pub(crate) const RESTORING_IN_PROCESSES: &[Case] = &[
    case("evil-abort", "!restores", "{ evil = 'abort', at = 'restore' }", Quarantined("SIGABRT")),
    case("evil-exit", "!restores", "{ evil = 'exit', at = 'restore' }", Quarantined("code 0")),
    case(
        "evil-twice",
        "!restores",
        "{ evil = 'double panic', at = 'restore' }",
        Quarantined("SIGABRT"),
    ),
    case(
        "evil-endless",
        "!restores",
        "{ evil = 'endless', at = 'restore' }",
        Quarantined("no answer within 2 s of CPU time"),
    ),
];
