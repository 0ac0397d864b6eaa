//! What the tests write into a copy of the library: idents of its stats, and what it does before any is configured.

/// `EVIL[`, entries, each ended by `;`, blanks, `]`. An entry is the ident of a stat, with `=` and a lie of its
/// manifest behind it if it has one; or after `!` what the library does before any configuration.
static MARK: [u8; 2048] = {
    let mut mark = [b' '; 2048];
    let text = b"EVIL[evil;";
    let mut at = 0;
    while at < text.len() {
        mark[at] = text[at];
        at += 1;
    }
    mark[2047] = b']';
    mark
};
const START: usize = 5;

fn entries() -> impl Iterator<Item = &'static str> {
    // The compiler must not know what it wrote there.
    let mark: &'static [u8; 2048] = std::hint::black_box(&MARK);
    let text = std::str::from_utf8(&mark[START..2047]).unwrap_or_default();
    text.trim_end().split_terminator(';')
}

/// Idents of the stats, and the lie that each tells.
pub(crate) fn stats() -> impl Iterator<Item = (&'static str, &'static str)> {
    let stats = entries().filter(|entry| !entry.starts_with('!'));
    stats.map(|entry| entry.split_once('=').unwrap_or((entry, "")))
}

/// What is done before any configuration; empty = nothing.
pub(crate) fn before() -> &'static str {
    entries().find_map(|entry| entry.strip_prefix('!')).unwrap_or_default()
}
