//! Text to fill messages with: a pool of words, already escaped for JSON.

use super::random::Random;

const WORDS: &[&str] = &[
    "the", "a", "update", "fixes", "of", "and", "for", "to", "build", "package", "new", "release",
    "with", "this", "in", "is", "on", "from", "patch", "crash", "when", "using", "support", "bug",
    "version", "file", "test", "failed", "memory", "leak", "user", "daemon", "config", "error",
    "rebuild", "kernel", "boot", "network", "server", "client", "library", "add", "drop", "enable",
    "missing", "thread", "lock", "cache", "index", "query", "timeout", "retry", "parser", "mirror",
    "review", "comment", "please", "works", "here", "tested", "again", "after", "reboot", "thanks",
];
/// Each as it stands between the quotes of a JSON string.
const RARE: &[&str] = &[
    "für",
    "größer",
    "déjà",
    "naïve",
    "更新",
    "パッケージ",
    "обновление",
    "ядра",
    "zażółć",
    "ελληνικά",
    "한국어",
    "🎉",
    "🐧",
    "\\\"quoted\\\"",
    "C:\\\\path",
    "line\\nbreak",
    "\\u00fcber",
    "{brace}",
    "[list]",
    "\\\"topic\\\": \\\"decoy\\\"",
];
const POOL: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Pool {
    text: String,
    /// Where words begin; the last is the end of the text.
    starts: Vec<u32>,
}

impl Pool {
    pub(super) fn new(random: &mut Random) -> Self {
        let (mut text, mut starts) = (String::with_capacity(POOL + 64), vec![]);
        while text.len() < POOL {
            starts.push(text.len() as u32);
            let words = if random.permille(30) { RARE } else { WORDS };
            text.push_str(random.one_of(words));
            text.push_str(if random.permille(80) { ". " } else { " " });
        }
        starts.push(text.len() as u32);
        Self { text, starts }
    }

    /// Appends about `len` bytes of whole words.
    pub(super) fn write(&self, len: usize, random: &mut Random, out: &mut Vec<u8>) {
        let mut left = len;
        while left > 0 {
            let first = random.below(self.starts.len() as u64 - 1) as usize;
            let from = self.starts[first] as usize;
            let to = self.starts.partition_point(|start| (*start as usize) < from + left);
            let to = self.starts[to.min(self.starts.len() - 1)] as usize;
            out.extend_from_slice(&self.text.as_bytes()[from..to]);
            left = left.saturating_sub(to - from);
        }
    }
}
