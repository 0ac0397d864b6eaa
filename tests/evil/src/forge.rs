//! Rows that the SDK would not let anybody write: an instance by hand.

use std::time::Duration;

use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString};
use statmill_plugin_api::abi::{
    BatchAbi, DictionaryAbi, FoldReport, PluginInstance, SinkAbi, StatObject, StatObject_TO,
};
use statmill_plugin_api::encoding::BlockWriter;
use statmill_plugin_api::encoding::leb128::push_u64;
use statmill_plugin_api::export::Created;

/// Drains, for every batch, rows of its own making.
pub(crate) struct Forger {
    forgery: Forgery,
}

#[derive(Clone, Copy)]
enum Forgery {
    NotUtf8,
    NotCanonical,
    Nan,
    OtherMeasures,
    Descending,
    CutShort,
    ClaimedLength,
    NoSuchModel,
    HugeRow,
    WithoutEnd,
    Boasting,
    NotText,
    LateSink,
}

impl Forger {
    /// The forger of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let forgery = match name {
            "rows not utf-8" => Forgery::NotUtf8,
            "rows not canonical" => Forgery::NotCanonical,
            "rows of nan" => Forgery::Nan,
            "rows of other measures" => Forgery::OtherMeasures,
            "rows descending" => Forgery::Descending,
            "rows cut short" => Forgery::CutShort,
            "rows of claimed length" => Forgery::ClaimedLength,
            "rows of no model" => Forgery::NoSuchModel,
            "a huge row" => Forgery::HugeRow,
            "rows without end" => Forgery::WithoutEnd,
            "a boast" => Forgery::Boasting,
            "an error that is no text" => Forgery::NotText,
            "a late sink" => Forgery::LateSink,
            _ => return None,
        };
        Some(Self { forgery })
    }

    pub(crate) fn instance(self) -> Created {
        let stat = StatObject_TO::from_value(self, TD_Opaque);
        RResult::ROk(PluginInstance { stat, views: ROption::RNone, reserved: [0; 2] })
    }
}

/// The cell of a text, as it is.
fn text(bytes: &[u8]) -> Vec<u8> {
    [b"\x01", bytes, b"\0"].concat()
}

fn block(rows: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in rows {
        push_u64(key.len() as u64, &mut out);
        out.extend_from_slice(key);
        push_u64(value.len() as u64, &mut out);
        out.extend_from_slice(value);
    }
    out
}

impl StatObject for Forger {
    fn fold(&mut self, _: &BatchAbi<'_>) -> RResult<FoldReport, RString> {
        match self.forgery {
            Forgery::Boasting => RResult::ROk(FoldReport { rows: u64::MAX, bytes: u64::MAX }),
            Forgery::NotText => {
                let bytes = b"not \xff\xfe UTF-8".to_vec();
                // SAFETY: there is none; it is what is to be survived.
                RResult::RErr(unsafe { String::from_utf8_unchecked(bytes) }.into())
            }
            _ => RResult::ROk(FoldReport { rows: 1, bytes: 64 }),
        }
    }

    fn drain(
        &mut self,
        _: RSlice<'_, DictionaryAbi<'_>>,
        sink: SinkAbi<'_>,
    ) -> RResult<(), RString> {
        let one: &[u8] = b"\x01";
        let forged = match self.forgery {
            Forgery::NotUtf8 => block(&[(&text(b"\xff\xfe"), one)]),
            Forgery::NotCanonical => block(&[(&text(b"a\x01\x03"), one)]),
            // Where a count should be, what would be a NaN were it a number.
            Forgery::Nan => block(&[(&text(b"a"), b"\x7f\xf8\0\0\0\0\0\x01")]),
            Forgery::OtherMeasures => block(&[(&text(b"a"), b"\x01\x01")]),
            Forgery::Descending => block(&[(&text(b"b"), one), (&text(b"a"), one)]),
            Forgery::CutShort => {
                let mut block = block(&[(&text(b"a"), one)]);
                block.pop();
                block
            }
            Forgery::ClaimedLength => vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1],
            Forgery::HugeRow => block(&[(&text(&vec![b'x'; 100 << 20]), one)]),
            Forgery::NoSuchModel => {
                // That it is refused is of no interest to it.
                let _ = sink.rows(7, &block(&[(&text(b"a"), one)]));
                return RResult::ROk(());
            }
            Forgery::WithoutEnd => {
                let many = block(&[(&text(&vec![b'x'; 1 << 20]), one)]);
                loop {
                    if !sink.rows(0, &many) {
                        return RResult::ROk(());
                    }
                }
            }
            Forgery::LateSink => {
                let mut writer = BlockWriter::new();
                writer.push(&text(b"late"), one);
                // SAFETY: there is none; the sink is used after its life on purpose.
                let late: SinkAbi<'static> = unsafe { std::mem::transmute(sink) };
                let late = Late(late);
                let row = writer.into_bytes();
                drop(std::thread::spawn(move || {
                    let Late(sink) = { late };
                    for _ in 0..100 {
                        std::thread::sleep(Duration::from_millis(2));
                        let _ = sink.rows(0, &row);
                    }
                }));
                return RResult::ROk(());
            }
            Forgery::Boasting | Forgery::NotText => return RResult::ROk(()),
        };
        let _ = sink.rows(0, &forged);
        RResult::ROk(())
    }

    fn restore(&mut self, _: u32, _: RSlice<'_, u8>) -> RResult<(), RString> {
        RResult::ROk(())
    }

    fn command(&mut self, _: RStr<'_>) -> RResult<RString, RString> {
        RResult::RErr("there are none".into())
    }
}

struct Late(SinkAbi<'static>);

// SAFETY: there is none; see where it is made.
unsafe impl Send for Late {}
