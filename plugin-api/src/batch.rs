//! The messages a fold gets, and what it can ask of each.
//!
//! Everything here borrows from the host's batch and lives for one call of
//! [`fold`](crate::stat::Stat::fold); the compiler keeps an author from storing it.

use crate::abi::{BatchAbi, ColumnAbi, DictionaryAbi, span, state};
use crate::fields::{FieldSet, FieldValue, Fields};
use crate::manifest::FieldKind;
use crate::stat::PluginError;

/// A text that the host coded: equal texts of one column have equal codes.
///
/// Codes change when the host starts a new dictionary, which it does only between two drains; so a
/// `Sym` is good to group by and good for nothing else. [`Message::text_of`] gives its text, and
/// [`Memo`](crate::memo::Memo) keeps what was computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sym(u64);

impl Sym {
    /// `column` is 0 for the topic, else the field's place in the stat's fields plus one.
    #[inline]
    pub(crate) fn new(column: u32, code: u32) -> Self {
        // One number, not two: an `Option` of it is returned in registers.
        Self(u64::from(column) << 32 | u64::from(code))
    }

    #[inline]
    pub(crate) fn column(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn code(self) -> u32 {
        self.0 as u32
    }

    /// Column and code as one number.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }
}

/// The selected messages of a range of one log, ascending by offset.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    log_key: u64,
    offsets: &'a [u64],
    times: &'a [i64],
    topics: &'a [u32],
    rows: &'a [u32],
    columns: &'a [ColumnAbi<'a>],
    topic_names: &'a DictionaryAbi<'a>,
    text: &'a [u8],
    unescaped: &'a [u8],
    fields: Fields,
    /// Number of drains of the instance so far: codes mean the same while it stays the same.
    pub(crate) epoch: u64,
}

impl<'a> Batch<'a> {
    /// Wraps the host's batch for a stat that reads `fields`, after `epoch` drains.
    ///
    /// # Errors
    ///
    /// [`PluginError::Batch`] if its columns are not those fields or of unequal length.
    pub(crate) fn new(
        abi: &'a BatchAbi<'a>,
        fields: Fields,
        epoch: u64,
    ) -> Result<Self, PluginError> {
        let columns = abi.columns.as_slice();
        let len = abi.offsets.len();
        if columns.len() != fields.0.len() {
            return Err(PluginError::Batch { reason: "another number of columns than fields" });
        }
        if abi.times.len() != len || abi.topics.len() != len {
            return Err(PluginError::Batch { reason: "columns of unequal length" });
        }
        for (column, field) in columns.iter().zip(fields.0) {
            if column.kind != field.kind as u8 {
                return Err(PluginError::Batch {
                    reason: "a column of another kind than its field",
                });
            }
            let values =
                if field.kind == FieldKind::Sym { column.codes.len() } else { column.words.len() };
            if column.states.len() != len || values != len {
                return Err(PluginError::Batch { reason: "columns of unequal length" });
            }
        }
        Ok(Self {
            log_key: abi.log_key,
            offsets: abi.offsets.as_slice(),
            times: abi.times.as_slice(),
            topics: abi.topics.as_slice(),
            rows: abi.rows.as_slice(),
            columns,
            topic_names: &abi.topic_names,
            text: abi.text.as_slice(),
            unescaped: abi.unescaped.as_slice(),
            fields,
            epoch,
        })
    }

    /// Number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The messages with their fields; `F` is a struct made by [`fields!`](crate::fields!).
    ///
    /// # Panics
    ///
    /// If `F`'s fields are not the stat's: `const FIELDS: Fields = F::FIELDS;` is missing.
    pub fn rows<'b, F: FieldSet<'b> + 'b>(&'b self) -> impl Iterator<Item = F> + 'b {
        assert!(
            F::FIELDS == self.fields,
            "rows() reads other fields than the stat declared: set `const FIELDS: Fields` to those \
             of the struct given to rows()"
        );
        self.messages().map(F::of)
    }

    /// The messages, for a stat that reads only topics and times.
    pub fn messages<'b>(&'b self) -> impl Iterator<Item = Message<'b>> + 'b {
        self.rows.iter().map(move |&row| Message { batch: self, row: row as usize })
    }
}

/// One message of a batch.
#[derive(Clone, Copy)]
pub struct Message<'b> {
    batch: &'b Batch<'b>,
    row: usize,
}

impl<'b> Message<'b> {
    /// Event time, µs since 1970, UTC.
    #[inline]
    #[must_use]
    pub fn time(&self) -> i64 {
        self.batch.times[self.row]
    }

    /// Place in its log: ordered, opaque, never counted with.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.batch.offsets[self.row]
    }

    /// Orders messages of different logs at equal times.
    #[inline]
    #[must_use]
    pub fn log_key(&self) -> u64 {
        self.batch.log_key
    }

    /// The topic.
    ///
    /// # Panics
    ///
    /// If the host's dictionary lacks its code: a bug of the host.
    #[must_use]
    pub fn topic(&self) -> &'b str {
        self.text_of(self.topic_sym())
    }

    /// The topic's code in this batch's dictionary.
    #[inline]
    #[must_use]
    pub fn topic_code(&self) -> u32 {
        self.batch.topics[self.row]
    }

    /// The topic, to group by.
    #[inline]
    #[must_use]
    pub fn topic_sym(&self) -> Sym {
        Sym::new(0, self.topic_code())
    }

    /// The text of a `Sym` of this batch.
    ///
    /// # Panics
    ///
    /// If `sym` is of an earlier batch whose dictionary is gone.
    #[must_use]
    pub fn text_of(&self, sym: Sym) -> &'b str {
        let dictionary = match sym.column().checked_sub(1) {
            None => self.batch.topic_names,
            Some(column) => &self.batch.columns[column as usize].dictionary,
        };
        dictionary.get(sym.code()).expect("a code of this batch's dictionaries")
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.batch.epoch
    }

    /// The value of field number `field`, of kind `sym`.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn sym_field(&self, field: usize) -> FieldValue<Sym> {
        let column = &self.batch.columns[field];
        match column.states[self.row] {
            state::VALUE => FieldValue::Value(Sym::new(field as u32 + 1, column.codes[self.row])),
            other => FieldValue::without_value(other),
        }
    }

    /// The value of field number `field`, of kind `str`.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn str_field(&self, field: usize) -> FieldValue<&'b str> {
        // Checked although the host promises it: the check costs a few ns, trusting costs `unsafe`.
        match self.raw_field(field) {
            FieldValue::Value(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => FieldValue::Value(text),
                Err(_) => FieldValue::Invalid,
            },
            FieldValue::Missing => FieldValue::Missing,
            FieldValue::Null => FieldValue::Null,
            FieldValue::WrongType => FieldValue::WrongType,
            FieldValue::Invalid => FieldValue::Invalid,
        }
    }

    /// The bytes of field number `field`, of kind `raw` or `doc`.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn raw_field(&self, field: usize) -> FieldValue<&'b [u8]> {
        self.word(field, |word| span::get(word, self.batch.text, self.batch.unescaped))
    }

    /// The value of field number `field`, of kind `int` or `time`.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn int_field(&self, field: usize) -> FieldValue<i64> {
        self.word(field, u64::cast_signed)
    }

    /// The value of field number `field`, of kind `num`.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn num_field(&self, field: usize) -> FieldValue<f64> {
        self.word(field, f64::from_bits)
    }

    /// The value of field number `field`, of kind `bool`.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn bool_field(&self, field: usize) -> FieldValue<bool> {
        self.word(field, |word| word != 0)
    }

    #[inline]
    fn word<T>(&self, field: usize, read: impl FnOnce(u64) -> T) -> FieldValue<T> {
        let column = &self.batch.columns[field];
        match column.states[self.row] {
            state::VALUE => FieldValue::Value(read(column.words[self.row])),
            other => FieldValue::without_value(other),
        }
    }
}
