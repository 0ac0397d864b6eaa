//! What one commit writes: records as columns, and the few things that must become durable with them.

use std::ops::Range;

/// Records to be appended, as columns: all have one element for each record.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Event time of each, µs since 1970.
    pub times: Vec<i64>,
    /// When each was accepted, µs since 1970.
    pub arrivals: Vec<i64>,
    /// Hash of each record's identity; 0 = it has none.
    pub identities: Vec<u128>,
    /// Hash of each record's canonical content; 0 = not computed.
    pub contents: Vec<u128>,
}

/// What becomes durable in the same commit as the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Idempotency keys and what was answered to them.
    pub keys: Vec<KeyEntry>,
    /// Messages that were left out because another log holds a copy of their content.
    pub matched: Vec<Match>,
    /// Where fetching goes on (fills).
    pub cursor: Option<Vec<u8>>,
}

/// A message that was left out because another log holds a copy of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Hash of its canonical content.
    pub content: u128,
    /// Hash of its identity; 0 = it has none.
    pub identity: u128,
    /// Its event time, µs since 1970.
    pub time_us: i64,
}

/// An idempotency key and the counts answered when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Hash of the key.
    pub key: u128,
    /// Hash of the body it came with.
    pub body: u64,
    /// Messages written.
    pub accepted: u32,
    /// Messages that were there already.
    pub duplicates: u32,
    /// Messages refused.
    pub rejected: u32,
    /// When the request arrived, µs since 1970.
    pub arrival_us: i64,
}

impl Entries {
    /// No records, and room for so many bytes of text.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Appends a record.
    pub fn push(
        &mut self,
        text: &[u8],
        time_us: i64,
        arrival_us: i64,
        identity: u128,
        content: u128,
    ) {
        self.text.extend_from_slice(text);
        self.ends.push(self.text.len());
        self.times.push(time_us);
        self.arrivals.push(arrival_us);
        self.identities.push(identity);
        self.contents.push(content);
    }

    /// Appends record `row` of `other`.
    pub fn push_from(&mut self, other: &Entries, row: usize) {
        self.push(
            other.record(row),
            other.times[row],
            other.arrivals[row],
            other.identities[row],
            other.contents[row],
        );
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Text of record `row`.
    #[must_use]
    pub fn record(&self, row: usize) -> &[u8] {
        &self.text[self.start(row)..self.ends[row]]
    }

    /// Bytes of text in all records.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Texts of a run of records, one after the other.
    pub(super) fn texts(&self, rows: Range<usize>) -> &[u8] {
        if rows.is_empty() {
            return &[];
        }
        &self.text[self.start(rows.start)..self.ends[rows.end - 1]]
    }

    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1] }
    }
}

impl Extras {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.matched.is_empty() && self.cursor.is_none()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for key in &self.keys {
            out.push(1);
            key.encode(out);
        }
        for matched in &self.matched {
            out.push(2);
            matched.encode(out);
        }
        if let Some(cursor) = &self.cursor {
            out.push(3);
            out.extend_from_slice(&(cursor.len() as u32).to_le_bytes());
            out.extend_from_slice(cursor);
        }
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut extras = Self::default();
        while let Some((tag, rest)) = bytes.split_first() {
            bytes = rest;
            match tag {
                1 => extras.keys.push(KeyEntry::decode(bytes.split_off(..KeyEntry::BYTES)?)?),
                2 => extras.matched.push(Match::decode(bytes.split_off(..Match::BYTES)?)?),
                3 => {
                    let length = u32::from_le_bytes(bytes.split_off(..4)?.try_into().ok()?);
                    extras.cursor = Some(bytes.split_off(..length as usize)?.to_vec());
                }
                _ => return None,
            }
        }
        Some(extras)
    }
}

impl Match {
    pub(super) const BYTES: usize = 40;

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.content.to_le_bytes());
        out.extend_from_slice(&self.identity.to_le_bytes());
        out.extend_from_slice(&self.time_us.to_le_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            content: u128::from_le_bytes(bytes.get(..16)?.try_into().ok()?),
            identity: u128::from_le_bytes(bytes.get(16..32)?.try_into().ok()?),
            time_us: i64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?),
        })
    }
}

impl KeyEntry {
    pub(super) const BYTES: usize = 44;

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&self.body.to_le_bytes());
        for count in [self.accepted, self.duplicates, self.rejected] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(&self.arrival_us.to_le_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let count = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            key: u128::from_le_bytes(bytes.get(..16)?.try_into().ok()?),
            body: u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?),
            accepted: count(24)?,
            duplicates: count(28)?,
            rejected: count(32)?,
            arrival_us: i64::from_le_bytes(bytes.get(36..44)?.try_into().ok()?),
        })
    }
}
