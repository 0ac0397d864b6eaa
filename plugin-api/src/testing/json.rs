//! Where a JSON pointer leads in a text that need not be sound everywhere.

use std::ops::Range;

/// The value that `pointer` leads to; of equal keys the last one counts.
///
/// None also where the text is broken on the way there.
pub(super) fn find(text: &str, pointer: &str) -> Option<Range<usize>> {
    let mut at = Scanner { text: text.as_bytes(), at: 0 }.value()?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        at = step(text, at, &token)?;
    }
    Some(at)
}

fn step(text: &str, container: Range<usize>, token: &str) -> Option<Range<usize>> {
    let mut scanner = Scanner { text: text.as_bytes(), at: container.start };
    let is_object = match scanner.next()? {
        b'{' => true,
        b'[' => false,
        _ => return None,
    };
    let mut found = None;
    let mut index = 0_usize;
    loop {
        if matches!(scanner.peek()?, b'}' | b']') {
            return found;
        }
        let is_it = if is_object {
            let key: Option<String> = serde_json::from_str(&text[scanner.value()?]).ok();
            (scanner.next()? == b':').then_some(())?;
            key.as_deref() == Some(token)
        } else {
            index += 1;
            (index - 1).to_string() == token
        };
        let value = scanner.value()?;
        if is_it {
            found = Some(value);
        }
        match scanner.next()? {
            b',' => {}
            b'}' | b']' => return found,
            _ => return None,
        }
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Skips a value: to the end of a string, of a balanced container, or of a word.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => self.string()?,
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match *self.text.get(self.at)? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                let rest = &self.text[start..];
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",:]}".contains(byte);
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        (self.at > start).then_some(start..self.at)
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match *self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    fn found<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
        find(text, pointer).map(|range| &text[range])
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let text = r#" {"a": {"b/c": [1, {"~": "x\"}"}]}, "n" : -1.5e3 } "#;
        assert_eq!(found(text, ""), Some(text.trim()));
        assert_eq!(found(text, "/a/b~1c/1/~0"), Some(r#""x\"}""#));
        assert_eq!(found(text, "/a/b~1c/0"), Some("1"));
        assert_eq!(found(text, "/n"), Some("-1.5e3"));
        for nowhere in ["/b", "/a/b~1c/2", "/a/b~1c/01", "/n/x", "/a/b"] {
            assert_eq!(found(text, nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        assert_eq!(found(r#"{"a": 1, "\u0061": 2}"#, "/a"), Some("2"));
        assert_eq!(found(r#"{"a": {"b": 1}, "a": 3}"#, "/a/b"), None);
    }
}
