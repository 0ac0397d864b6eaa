//! Messages to send: lines of a file, each with an identity of its own, or made here.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::Result;

/// A message whose identity can be set: what stands before and after it.
#[derive(Clone, Debug)]
pub struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    /// Splits a message at the value of its `msg_id`; `None` if it has none.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        let start = ["\"msg_id\": \"", "\"msg_id\":\""]
            .into_iter()
            .find_map(|member| Some(line.find(member)? + member.len()))?;
        let end = start + line[start..].find('"')?;
        Some(Self { before: line[..start].into(), after: line[end..].into() })
    }

    /// Appends the message with this identity, and the end of the line.
    pub fn write(&self, identity: u64, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.before);
        into.extend_from_slice(format!("{identity:032x}").as_bytes());
        into.extend_from_slice(&self.after);
        into.push(b'\n');
    }
}

/// The first `count` messages of a file that have an identity.
///
/// # Errors
/// The file cannot be read.
pub fn templates(file: &Path, count: usize) -> Result<Vec<Template>> {
    let lines = BufReader::new(std::fs::File::open(file)?).lines();
    let mut templates = Vec::new();
    for line in lines {
        templates.extend(Template::of(&line?));
        if templates.len() == count {
            break;
        }
    }
    anyhow::ensure!(!templates.is_empty(), "{} has no message with a msg_id", file.display());
    Ok(templates)
}

/// A message of about 140 bytes of this user and identity, and the end of the line.
#[must_use]
pub fn small(user: &str, identity: u64, time_us: i64) -> String {
    let (seconds, micros) = (time_us / 1_000_000, time_us % 1_000_000);
    format!(
        "{{\"msg_id\": \"{identity:032x}\", \"topic\": \"org.example.prod.area{}.event\", \
         \"timestamp\": {seconds}.{micros:06}, \"username\": \"{user}\", \"msg\": {{}}}}\n",
        identity % 17
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_template_keeps_all_of_a_message_but_its_identity() {
        let template = Template::of(r#"{"msg_id": "2015-a", "topic": "t"}"#).unwrap();
        let mut line = Vec::new();
        template.write(10, &mut line);
        let expected = "{\"msg_id\": \"0000000000000000000000000000000a\", \"topic\": \"t\"}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        assert!(Template::of("{}").is_none());
    }
}
