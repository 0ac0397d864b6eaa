//! What a plugin prints in a child process, as lines of the host's log: so many a second, none too long.

use std::time::{Duration, Instant};

/// Lines of one child that are logged in a second.
const LINES: u32 = 20;
/// A longer line is cut into such pieces.
const LINE_BYTES: usize = 512;

/// Makes lines of bytes.
pub(super) struct Speech {
    /// Whose it is.
    plugin: String,
    line: Vec<u8>,
    second: Instant,
    /// Lines logged and left out since then.
    logged: u32,
    left_out: u64,
}

impl Speech {
    pub(super) fn of(plugin: &str) -> Self {
        let (plugin, second) = (plugin.to_owned(), Instant::now());
        Self { plugin, line: Vec::new(), second, logged: 0, left_out: 0 }
    }

    /// Logs what `bytes` end of lines.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
            }
            if (byte == b'\n' || self.line.len() >= LINE_BYTES) && !self.line.is_empty() {
                self.end_line(Instant::now());
            }
        }
    }

    fn end_line(&mut self, now: Instant) {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.tell_left_out();
            (self.second, self.logged) = (now, 0);
        }
        let line = std::mem::take(&mut self.line);
        if self.logged == LINES {
            self.left_out += 1;
            return;
        }
        self.logged += 1;
        let line = String::from_utf8_lossy(&line);
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        tracing::debug!(plugin = self.plugin, "it printed: {line}");
    }

    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            let lines = std::mem::take(&mut self.left_out);
            tracing::warn!(plugin = self.plugin, "it printed {lines} more lines in a second");
        }
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line(Instant::now());
        }
        self.tell_left_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_in_number_and_length_and_what_is_left_out_is_counted() {
        let mut speech = Speech::of("a");
        speech.second = Instant::now() + Duration::from_secs(60);
        speech.hear(&b"a line\n\n".repeat(LINES as usize + 5));
        assert_eq!((speech.logged, speech.left_out, speech.line.len()), (LINES, 5, 0));
        speech.hear(&vec![b'x'; 10 * LINE_BYTES + 7]);
        assert_eq!((speech.left_out, speech.line.len()), (15, 7));
        speech.end_line(speech.second + Duration::from_secs(1));
        assert_eq!((speech.logged, speech.left_out), (1, 0));
    }
}
