//! A document taken apart, whether it is JSON or not: what stands where.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    Comma,
    Colon,
    /// From quote to quote.
    Text,
    /// Anything else between blanks.
    Scalar,
}

/// A token; blanks lie between them.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

pub(super) fn pieces(text: &[u8]) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at;
        at += 1;
        let kind = match text[start] {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'{' | b'[' => Kind::Open,
            b'}' | b']' => Kind::Close,
            b',' => Kind::Comma,
            b':' => Kind::Colon,
            b'"' => {
                at = end_of_string(text, at);
                Kind::Text
            }
            _ => {
                while at < text.len() && !b"{}[],:\" \t\r\n".contains(&text[at]) {
                    at += 1;
                }
                Kind::Scalar
            }
        };
        found.push(Piece { kind, span: start..at });
    }
    found
}

fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The last piece of the value that begins with piece number `first`.
pub(super) fn last_of(pieces: &[Piece], first: usize) -> usize {
    let mut depth = 0_usize;
    for (number, piece) in pieces.iter().enumerate().skip(first) {
        match piece.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return number;
        }
    }
    pieces.len() - 1
}

/// Numbers of the pieces that begin a value.
pub(super) fn values(pieces: &[Piece]) -> Vec<usize> {
    let is_value = |&number: &usize| match pieces[number].kind {
        Kind::Open | Kind::Scalar => true,
        Kind::Text => !is_key(pieces, number),
        Kind::Close | Kind::Comma | Kind::Colon => false,
    };
    (0..pieces.len()).filter(is_value).collect()
}

/// Numbers of the pieces that are keys.
pub(super) fn keys(pieces: &[Piece]) -> Vec<usize> {
    (0..pieces.len()).filter(|&number| is_key(pieces, number)).collect()
}

fn is_key(pieces: &[Piece], number: usize) -> bool {
    let is_before_colon = pieces.get(number + 1).is_some_and(|next| next.kind == Kind::Colon);
    pieces[number].kind == Kind::Text && is_before_colon
}
