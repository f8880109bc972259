//! Packed audio (RFC 8216 3.4): frames one behind the other, their start in an ID3 tag.

use bytes::Bytes;

use super::unit::{EventKind, RawEvent, Unit};
use crate::aac::{AacParams, AdtsReader, UnsupportedAac};
use crate::counters::Counters;
use crate::id3;
use crate::sample::AudioConfig;
use crate::ts::Timestamps;

/// A source of packed AAC.
#[derive(Debug, Default)]
pub struct Packed {
    reader: Option<AdtsReader>,
}

impl Packed {
    /// Takes a whole segment. `hint` is the time that it is given where it says none and follows nothing.
    ///
    /// # Errors
    /// AAC that has no place in a configuration.
    #[expect(clippy::too_many_arguments, reason = "what goes in and the three that it comes out to")]
    pub fn segment(
        &mut self,
        data: &Bytes,
        origin: u32,
        known: Option<&AudioConfig>,
        hint: i64,
        counters: &mut Counters,
        units: &mut Vec<Unit>,
        events: &mut Vec<RawEvent>,
    ) -> Result<(), UnsupportedAac> {
        let (start, body) = split_tags(data, events);
        let first = self.reader.is_none() && known.is_none();
        let reader =
            self.reader.get_or_insert_with(|| AdtsReader::resume(known.and_then(AacParams::of), &[], None));
        let start = start.or(first.then_some(hint));
        reader.begin_pes(start.map(|pts| Timestamps { pts, dts: pts }), origin);
        let mut frames = Vec::new();
        let mut found = Counters::default();
        reader.push(&body, &mut found, &mut frames);
        // A segment holds whole frames: what is left is damaged.
        let (rest, _) = reader.finish(&mut found, &mut frames);
        found.add("adts_skipped_bytes", rest.len() as u64);
        counters.merge(&found);
        if found.get("adts_multiple_blocks") > frames.len() as u64 {
            return Err(UnsupportedAac::SeveralBlocks);
        }
        if let Some(cause) = frames.iter().find_map(|frame| frame.params.config().err()) {
            return Err(cause);
        }
        units.extend(frames.into_iter().map(|frame| Unit::Audio(frame.into())));
        Ok(())
    }
}

/// The start that the leading tags tell, and what is behind them. Tags that hold more are events.
pub fn split_tags(data: &Bytes, events: &mut Vec<RawEvent>) -> (Option<i64>, Bytes) {
    let mut start = None;
    let mut body = data.clone();
    while let Some(len) = id3::tag_len(&body) {
        let tag = body.split_to(len.min(body.len()));
        start = start.or(id3::start_90k(&tag));
        if id3::is_metadata(&tag) {
            events.push(RawEvent { raw_90k: start, kind: EventKind::Id3(Bytes::copy_from_slice(&tag)) });
        }
    }
    (start, body)
}
