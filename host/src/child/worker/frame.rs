//! Frames: the length of what follows (four bytes, little-endian), one byte that says what it is, the rest.

use std::io::{self, ErrorKind, Read};

/// What the host asks, and after it what the worker answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// [`super::Open`]; answered by `Text`, the plugin's manifest.
    Open = 1,
    /// [`super::Create`]; answered by `Done`.
    Create,
    /// A batch ([`super::batch`]); answered by `Folded`.
    Fold,
    /// Nothing; answered by `Rows`, as many as there are, then `Done`.
    Drain,
    /// Number of a model, a block of rows; answered by `Done`.
    Restore,
    /// Length of a view's name, the name, rows as JSON; answered by `Text`.
    Compute,
    /// It went well.
    Done = 101,
    /// It did not, and why: the plugin's words. The instance is gone.
    Said,
    /// Text.
    Text,
    /// Rows and bytes that the increments hold.
    Folded,
    /// Number of a model, a block of rows.
    Rows,
}

impl Kind {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        use Kind::{Compute, Create, Done, Drain, Fold, Folded, Open, Restore, Rows, Said, Text};
        [Open, Create, Fold, Drain, Restore, Compute, Done, Said, Text, Folded, Rows]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Bytes before the body of a frame.
pub(crate) const HEAD: usize = 5;

/// A frame that is being written.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
}

/// A frame is longer than four bytes can say.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes are more than a worker process can be sent at once")]
pub(crate) struct TooLong(usize);

impl Frame {
    /// Begins a frame; what was in the last one is gone.
    pub(crate) fn begin(&mut self, kind: Kind) -> &mut Self {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0, 0, 0, 0, kind as u8]);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    /// Numbers, one after the other, as they lie in memory of a little-endian machine.
    pub(crate) fn all<const N: usize>(
        &mut self,
        numbers: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.resize(start + N * numbers.len(), 0);
        let places = self.bytes[start..].as_chunks_mut::<N>().0;
        for (place, number) in places.iter_mut().zip(numbers) {
            *place = number;
        }
        self
    }

    /// The whole frame.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(crate) fn finish(&mut self) -> Result<&[u8], TooLong> {
        let length = self.bytes.len() - HEAD + 1;
        let head = u32::try_from(length).map_err(|_| TooLong(length))?;
        self.bytes[..4].copy_from_slice(&head.to_le_bytes());
        Ok(&self.bytes)
    }

    /// Gives back memory that only an unusually large frame needed.
    pub(crate) fn shrink(&mut self) {
        const USUAL: usize = 4 << 20;
        if self.bytes.capacity() > USUAL {
            self.bytes = Vec::new();
        }
    }
}

/// Length of the body and kind of a frame that begins with `head`; `None` if no frame begins so.
pub(crate) fn head(head: [u8; HEAD]) -> Option<(usize, Kind)> {
    let [a, b, c, d, kind] = head;
    let length = u32::from_le_bytes([a, b, c, d]).checked_sub(1)?;
    Some((usize::try_from(length).ok()?, Kind::of(kind)?))
}

/// Reads the next frame; `None` at the end of the input.
///
/// # Errors
/// The input fails or ends within a frame.
pub(crate) fn read(input: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Option<Kind>> {
    let mut bytes = [0; HEAD];
    let first = loop {
        match input.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => break outcome?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    input.read_exact(&mut bytes[first..])?;
    let (length, kind) = head(bytes).ok_or(ErrorKind::InvalidData)?;
    body.clear();
    body.resize(length, 0);
    input.read_exact(body)?;
    Ok(Some(kind))
}

/// Takes a frame's body apart.
pub(crate) struct Parts<'a>(pub(crate) &'a [u8]);

/// A body is shorter than what it should hold.
#[derive(Debug, thiserror::Error)]
#[error("a frame is too short")]
pub(crate) struct TooShort;

impl<'a> Parts<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], TooShort> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(TooShort)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, TooShort> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, TooShort> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TooShort> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(TooShort)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// `count` numbers, each made of its bytes by `number`.
    pub(crate) fn all<const N: usize, T>(
        &mut self,
        count: usize,
        number: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, TooShort> {
        let bytes = self.bytes(count.checked_mul(N).ok_or(TooShort)?)?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect())
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
