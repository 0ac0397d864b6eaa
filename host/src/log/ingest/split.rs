//! Cuts a request body into documents, without changing a byte of them.

use memchr::{memchr_iter, memchr2};

/// How the documents lie in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Empty,
    One,
    Lines,
    Array,
}

/// Decides by the content type where it says lines, else by the bytes.
///
/// Several lines are a document each if the first is one, or if all together are not one.
pub(super) fn form(
    body: &[u8],
    content_type: Option<&str>,
    is_whole: impl Fn(&[u8]) -> bool,
) -> Form {
    let body = body.trim_ascii();
    let kind = content_type.and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    let says_lines = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
    ]
    .iter()
    .any(|known| kind.eq_ignore_ascii_case(known));
    match body.first() {
        _ if says_lines => Form::Lines,
        None => Form::Empty,
        Some(b'[') => Form::Array,
        Some(_) => match memchr::memchr(b'\n', body) {
            None => Form::One,
            Some(end) if is_whole(body[..end].trim_ascii()) => Form::Lines,
            Some(_) if is_whole(body) => Form::One,
            Some(_) => Form::Lines,
        },
    }
}

/// The lines of a body that are not blank, numbered from 1.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
    let ends = memchr_iter(b'\n', body).chain([body.len()]);
    let lines = ends.scan(0, |start, end| {
        let line = &body[*start..end];
        *start = end + 1;
        Some(line.trim_ascii())
    });
    (1..).zip(lines).filter(|(_, line)| !line.is_empty()).map(|(number, line)| (number, Some(line)))
}

/// The elements of an array, numbered from 1; `None` where the array itself is malformed.
///
/// Only commas and the closing bracket outside of everything are looked for: whether an element is a
/// document is for the reader of its text to say.
pub(super) fn elements(body: &[u8]) -> Elements<'_> {
    let body = body.trim_ascii();
    Elements { rest: body.get(1..), number: 0 }
}

pub(super) struct Elements<'a> {
    /// What follows the opening bracket or a comma; `None` after the end.
    rest: Option<&'a [u8]>,
    number: u64,
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u64, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let Some(end) = element_end(rest) else {
            self.number += 1;
            return Some((self.number, None));
        };
        let (element, after) = (rest[..end].trim_ascii(), &rest[end + 1..]);
        if rest[end] == b',' {
            self.rest = Some(after);
        } else if !after.is_empty() {
            self.number += 1;
            return Some((self.number, None));
        } else if element.is_empty() && self.number == 0 {
            return None;
        }
        self.number += 1;
        Some((self.number, Some(element)))
    }
}

/// Where the comma or bracket lies that ends the first element.
fn element_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = string_end(text, at + 1)?,
            b'{' | b'[' => depth += 1,
            b',' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the quote lies that closes the string whose inside begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}
