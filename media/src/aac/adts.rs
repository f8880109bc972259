//! Frames out of a pushed ADTS stream (1.A.2).

use bytes::{Bytes, BytesMut};

use super::config::{AacParams, FRAME_SAMPLES};
use super::layout;
use crate::audio;
use crate::counters::Counters;
use crate::ts::Timestamps;
use crate::ts::marks::Marks;

/// Bytes of a header without CRC.
const HEADER_LEN: usize = 7;

/// Bytes of the CRC that follows the header where protection_absent is 0.
const CRC_LEN: usize = 2;

/// Bytes gathered in one allocation; access units are slices of it.
const CHUNK: usize = 32 << 10;

/// One access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdtsFrame {
    /// The raw data block, without header and CRC.
    pub data: Bytes,
    /// What the header says of the decoder.
    pub params: AacParams,
    /// Times of the PES packet that it is the first frame of.
    pub stamp: Option<Timestamps>,
    /// Label of the PES packet in which it begins.
    pub origin: u32,
    /// Frames right before it that were left out because they could not be used.
    pub left_out: u32,
}

/// Rebuilds frames from an elementary stream.
#[derive(Debug, Default)]
pub struct AdtsReader {
    buffer: BytesMut,
    /// Position in the stream of the buffer's first byte.
    base: u64,
    marks: Marks,
    /// Parameters of the last frame.
    params: Option<AacParams>,
    left_out: u32,
    /// Times of the PES packet whose first frame was left out.
    left_out_stamp: Option<Timestamps>,
    /// Bytes are being skipped in search of a frame.
    searching: bool,
}

struct Header {
    params: AacParams,
    header_len: usize,
    frame_len: usize,
    raw_blocks: u32,
    crc: bool,
}

/// 1.A.2.2.1, 1.A.2.2.2; `None` where the bytes cannot be a header.
fn parse_header(bytes: &[u8]) -> Option<Header> {
    let head = bytes.first_chunk::<HEADER_LEN>()?;
    // syncword and layer; the ID bit (MPEG-2 or MPEG-4) may be either.
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return None;
    }
    let crc = head[1] & 1 == 0;
    let raw_blocks = usize::from(head[6] & 0x3) + 1;
    // 1.A.2.2.3: with several blocks, the positions of all but the first stand before the CRC.
    let header_len = if crc { HEADER_LEN + (raw_blocks - 1) * 2 + CRC_LEN } else { HEADER_LEN };
    let params = AacParams {
        object_type: (head[2] >> 6) + 1,
        rate_index: head[2] >> 2 & 0xf,
        channel_config: (head[2] & 1) << 2 | head[3] >> 6,
    };
    let frame_len = usize::from(head[3] & 0x3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    (params.sample_rate() > 0 && frame_len >= header_len).then_some(Header {
        params,
        header_len,
        frame_len,
        raw_blocks: raw_blocks as u32,
        crc,
    })
}

/// Bytes of the frame that `bytes` begins with, header included; `None` where they cannot be a header.
#[must_use]
pub fn frame_len(bytes: &[u8]) -> Option<usize> {
    parse_header(bytes).map(|header| header.frame_len)
}

/// The frame that `bytes` begins with, for a transcoder.
#[must_use]
pub fn foreign_header(bytes: &[u8]) -> Option<audio::Header> {
    let header = parse_header(bytes)?;
    let channels = match header.params.channel_config {
        0 => {
            let block = bytes.get(header.header_len..)?;
            layout::program_config(block).map_or(0, |config| config.channels)
        }
        7 => 8,
        config => config,
    };
    let (sample_rate, channels, samples) =
        audio::with_implicit_sbr(header.params.sample_rate(), channels, header.raw_blocks * FRAME_SAMPLES);
    Some(audio::Header {
        codec: audio::ForeignCodec::Adts,
        len: header.frame_len,
        sample_rate,
        channels,
        samples,
    })
}

/// Whether the frame's channels are described in access units and not in its header.
#[must_use]
pub fn has_own_layout(frame: &[u8]) -> bool {
    parse_header(frame).is_some_and(|header| header.params.channel_config == 0)
}

/// A frame with a channel layout of its own, made one that a decoder can begin with: where it does not bring the layout
/// (one in the first frame is enough for a file), the last one known is put into it. Gives the channels; `None` where the
/// layout is not known.
pub fn put_layout(frame: &mut Bytes, known: &mut Bytes) -> Option<u8> {
    let header = parse_header(frame)?;
    let block = frame.get(header.header_len..)?;
    if let Some(config) = layout::program_config(block) {
        *known = Bytes::copy_from_slice(&block[..config.len]);
        return Some(config.channels);
    }
    let config = layout::program_config(known)?;
    let len = frame.len() + config.len;
    let body = header.header_len;
    // Of several blocks, none but the first can be told where it begins. The CRC is not looked at by decoders.
    let fits = header.raw_blocks == 1 && len < 1 << 13;
    let mut whole = [frame.get(..body)?, &known[..config.len], &frame[body..]].concat();
    if !fits {
        return None;
    }
    whole[3] = whole[3] & 0xfc | (len >> 11) as u8;
    whole[4] = (len >> 3) as u8;
    whole[5] = whole[5] & 0x1f | (len << 5) as u8;
    *frame = Bytes::from(whole);
    Some(config.channels)
}

enum Next {
    Frame(Header),
    Skip,
    NeedMore,
}

impl AdtsReader {
    /// Goes on where another reader ended: with the bytes and times that its [`Self::finish`] gave.
    #[must_use]
    pub fn resume(params: Option<AacParams>, rest: &[u8], stamp: Option<Timestamps>) -> Self {
        let mut reader = Self { params, ..Self::default() };
        if !rest.is_empty() {
            reader.marks.put(0, stamp, 0);
            reader.buffer.extend_from_slice(rest);
        }
        reader
    }

    /// A PES packet starts; `origin` is the caller's label.
    pub fn begin_pes(&mut self, stamp: Option<Timestamps>, origin: u32) {
        self.marks.put(self.base + self.buffer.len() as u64, stamp, origin);
    }

    /// Takes the next bytes; gives the frames that are complete.
    pub fn push(&mut self, data: &[u8], counters: &mut Counters, out: &mut Vec<AdtsFrame>) {
        if self.buffer.capacity() - self.buffer.len() < data.len() {
            self.buffer.reserve(CHUNK.max(data.len()));
        }
        self.buffer.extend_from_slice(data);
        self.parse(false, counters, out);
    }

    /// No more bytes come for now: gives the last complete frame, and returns the bytes of the frame that is
    /// cut, with the times that it begins at.
    pub fn finish(
        &mut self,
        counters: &mut Counters,
        out: &mut Vec<AdtsFrame>,
    ) -> (Bytes, Option<Timestamps>) {
        self.parse(true, counters, out);
        let rest = self.buffer.split().freeze();
        let (stamp, _) = self.marks.take(self.base);
        self.base += rest.len() as u64;
        (rest, stamp)
    }

    fn parse(&mut self, last: bool, counters: &mut Counters, out: &mut Vec<AdtsFrame>) {
        loop {
            match self.next(last) {
                Next::NeedMore => return,
                Next::Skip => {
                    if !self.searching {
                        self.searching = true;
                        counters.add("adts_sync_losses", 1);
                    }
                    // Up to the next byte that could begin a header.
                    let skip = 1 + self.buffer[1..].iter().take_while(|byte| **byte != 0xff).count();
                    counters.add("adts_skipped_bytes", skip as u64);
                    self.consume(skip);
                }
                Next::Frame(header) => self.frame(&header, counters, out),
            }
        }
    }

    /// A header is believed when the next one follows where it says, and says the same or what was said before:
    /// the 12 bits of the syncword alone occur in audio data every few kilobytes.
    fn next(&self, last: bool) -> Next {
        if self.buffer.len() < HEADER_LEN {
            let could_be = self.buffer.iter().zip([0xff, 0xf0]).all(|(byte, sync)| byte & sync == sync);
            return if could_be { Next::NeedMore } else { Next::Skip };
        }
        let Some(header) = parse_header(&self.buffer) else { return Next::Skip };
        let known = self.params == Some(header.params);
        let following = self.buffer.get(header.frame_len..).unwrap_or_default();
        if following.len() >= HEADER_LEN {
            return match parse_header(following) {
                Some(next) if known || next.params == header.params => Next::Frame(header),
                None if known && is_tag(following) => Next::Frame(header),
                _ => Next::Skip,
            };
        }
        if !last || self.buffer.len() < header.frame_len {
            return Next::NeedMore;
        }
        // The last frame has fewer bytes behind it than a header, or none.
        let could_be =
            following.iter().zip([0xff, 0xf0]).all(|(byte, sync)| byte & sync == sync) || is_tag(following);
        if (known || self.params.is_none()) && could_be { Next::Frame(header) } else { Next::Skip }
    }

    fn frame(&mut self, header: &Header, counters: &mut Counters, out: &mut Vec<AdtsFrame>) {
        self.searching = false;
        self.params = Some(header.params);
        let (stamp, origin) = self.marks.take(self.base);
        let bytes = self.consume(header.frame_len);
        let blocks = blocks(&bytes, header);
        if blocks.is_empty() {
            let name = if header.raw_blocks > 1 { "adts_multiple_blocks" } else { "adts_empty_frames" };
            counters.add(name, 1);
            if stamp.is_some() {
                self.left_out_stamp = stamp;
                self.left_out = 0;
            }
            self.left_out = self.left_out.saturating_add(header.raw_blocks);
            return;
        }
        let earlier = self.left_out_stamp.take();
        for (index, data) in blocks.into_iter().enumerate() {
            out.push(AdtsFrame {
                data,
                params: header.params,
                // A left-out frame's time is still the time to count from.
                stamp: if index == 0 { stamp.or(earlier) } else { None },
                origin,
                left_out: if stamp.is_some() { 0 } else { self.left_out },
            });
            self.left_out = 0;
        }
    }

    fn consume(&mut self, len: usize) -> Bytes {
        self.base += len as u64;
        self.buffer.split_to(len).freeze()
    }
}

/// Whether an ID3 tag, of version 2 or 1, begins here: between frames or behind the last.
fn is_tag(bytes: &[u8]) -> bool {
    bytes.starts_with(b"ID3") || bytes.starts_with(b"TAG")
}

/// The raw data blocks of a frame; none where they cannot be told apart: without CRC nothing says where the
/// second of several begins, short of decoding the first.
fn blocks(frame: &Bytes, header: &Header) -> Vec<Bytes> {
    let body = frame.slice(header.header_len..);
    if header.raw_blocks == 1 {
        return if body.is_empty() { Vec::new() } else { vec![body] };
    }
    if !header.crc {
        return Vec::new();
    }
    // 1.A.3.2: positions count from the first block; each block has a CRC of its own behind it.
    let positions = frame[HEADER_LEN..header.header_len - CRC_LEN]
        .chunks_exact(2)
        .map(|at| usize::from(u16::from_be_bytes([at[0], at[1]])));
    let ends: Vec<usize> = positions.chain([body.len()]).collect();
    let mut start = 0;
    let blocks = ends.into_iter().map(|end| {
        let range = start..end.checked_sub(CRC_LEN)?;
        start = end;
        (range.start < range.end && range.end <= body.len()).then(|| body.slice(range))
    });
    blocks.collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 48 kHz stereo LC, `payload` and, if asked for, a CRC.
    fn frame(payload: &[u8], crc: bool, blocks: u8) -> Vec<u8> {
        let len = payload.len() + if crc { 9 } else { 7 };
        let mut bytes = vec![0xff, 0xf1 - u8::from(crc), 0x4c, 0x80, 0, 0x1f, 0xfc | (blocks - 1)];
        bytes[3] |= (len >> 11) as u8;
        bytes[4] = (len >> 3) as u8;
        bytes[5] |= (len << 5) as u8;
        if crc {
            bytes.extend([0xaa, 0xaa]);
        }
        bytes.extend(payload);
        bytes
    }

    fn stamp(pts: i64) -> Option<Timestamps> {
        Some(Timestamps { pts, dts: pts })
    }

    fn read(pes: &[(i64, &[u8])]) -> (Vec<AdtsFrame>, Counters, Bytes) {
        let (mut reader, mut counters, mut out) = (AdtsReader::default(), Counters::default(), Vec::new());
        for (pts, data) in pes {
            reader.begin_pes(stamp(*pts), 0);
            reader.push(data, &mut counters, &mut out);
        }
        let (rest, _) = reader.finish(&mut counters, &mut out);
        (out, counters, rest)
    }

    #[test]
    fn frames_cross_pes_borders_and_the_time_is_that_of_the_first_that_begins() {
        let bytes = [frame(&[1; 20], false, 1), frame(&[2; 30], true, 1), frame(&[3; 10], false, 1)].concat();
        let (out, counters, rest) = read(&[(100, &bytes[..40]), (200, &bytes[40..])]);
        assert_eq!(out.iter().map(|f| f.data[0]).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(out.iter().map(|f| f.stamp).collect::<Vec<_>>(), [stamp(100), None, stamp(200)]);
        assert_eq!(out[1].data.len(), 30);
        assert!(rest.is_empty());
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn a_tag_between_frames_or_behind_the_last_costs_none() {
        let tag = [b"ID3\x04\0\0\0\0\0\x0a".as_slice(), &[0; 10]].concat();
        let frames = [1, 2, 3].map(|n| frame(&[n; 20], false, 1));
        let bytes = [&frames[0], &frames[1], &tag, &frames[2]].map(Vec::as_slice).concat();
        let bytes = [bytes.as_slice(), b"TAG", &[b' '; 125]].concat();
        let (out, ..) = read(&[(100, &bytes)]);
        assert_eq!(out.iter().map(|frame| frame.data[0]).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_cut_frame_goes_on_in_the_next_reader() {
        let bytes =
            [frame(&[1; 20], false, 1), frame(&[2; 30], false, 1), frame(&[3; 30], false, 1)].concat();
        let (mut reader, mut counters, mut out) = (AdtsReader::default(), Counters::default(), Vec::new());
        reader.begin_pes(stamp(7), 0);
        reader.push(&bytes[..27], &mut counters, &mut out);
        reader.begin_pes(stamp(9), 0);
        reader.push(&bytes[27..40], &mut counters, &mut out);
        let (rest, pending) = reader.finish(&mut counters, &mut out);
        assert_eq!((out.len(), rest.len(), pending), (1, 13, stamp(9)));
        let mut reader = AdtsReader::resume(reader.params, &rest, pending);
        reader.push(&bytes[40..], &mut counters, &mut out);
        reader.finish(&mut counters, &mut out);
        assert_eq!(
            out.iter().map(|f| (f.data[0], f.stamp)).collect::<Vec<_>>(),
            [(1, stamp(7)), (2, stamp(9)), (3, None)]
        );
    }

    #[test]
    fn a_damaged_frame_is_left_out_and_the_next_found() {
        let mut bytes = frame(&[1; 20], false, 1);
        bytes.extend(&frame(&[2; 200], false, 1)[..100]);
        bytes.extend([frame(&[3; 90], false, 1), frame(&[4; 90], false, 1)].concat());
        let (out, counters, _) = read(&[(0, &bytes)]);
        assert_eq!(out.iter().map(|f| f.data[0]).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(counters.get("adts_sync_losses"), 1);
        assert_eq!(counters.get("adts_skipped_bytes"), 100);
    }

    #[test]
    fn what_only_looks_like_a_header_is_not_believed() {
        // 44.1 kHz, 16 bytes long: the next syncword is where it says, but what stands there says otherwise.
        let mut bytes = vec![0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([frame(&[1; 20], false, 1), frame(&[2; 20], false, 1)].concat());
        let (out, counters, _) = read(&[(0, &bytes)]);
        assert_eq!(out.iter().map(|f| f.data[0]).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(counters.get("adts_skipped_bytes"), 16);
    }

    #[test]
    fn a_frame_of_several_blocks_is_left_out_and_its_time_counted() {
        let bytes =
            [frame(&[1; 20], false, 3), frame(&[2; 20], false, 1), frame(&[3; 20], false, 1)].concat();
        let (out, counters, _) = read(&[(50, &bytes)]);
        assert_eq!(
            out.iter().map(|f| (f.data[0], f.stamp, f.left_out)).collect::<Vec<_>>(),
            [(2, stamp(50), 3), (3, None, 0)]
        );
        assert_eq!(counters.get("adts_multiple_blocks"), 1);
    }

    #[test]
    fn blocks_of_a_frame_with_crc_are_told_apart() {
        let mut bytes = frame(&[], true, 3);
        bytes.truncate(7);
        for position in [22u16, 54] {
            bytes.extend(position.to_be_bytes());
        }
        bytes.extend([0xaa, 0xaa]);
        for (block, len) in [(1u8, 20), (2, 30), (3, 10)] {
            bytes.extend(vec![block; len]);
            bytes.extend([0xbb, 0xbb]);
        }
        let len = bytes.len();
        bytes[4] = (len >> 3) as u8;
        bytes[5] = 0x1f | (len << 5) as u8;
        let (out, counters, _) = read(&[(50, &[bytes.clone(), bytes.clone()].concat())]);
        let seen: Vec<_> = out.iter().map(|f| (f.data[0], f.data.len(), f.stamp)).collect();
        let block = |stamp| [(1, 20, stamp), (2, 30, None), (3, 10, None)];
        assert_eq!(seen, [block(stamp(50)), block(None)].concat());
        assert_eq!(counters, Counters::default());
        // A position beyond the frame.
        bytes[7] = 0xff;
        let (out, counters, _) = read(&[(50, &[bytes, frame(&[4; 9], true, 1)].concat())]);
        assert_eq!(out.iter().map(|f| (f.data[0], f.left_out)).collect::<Vec<_>>(), [(4, 3)]);
        assert_eq!(counters.get("adts_multiple_blocks"), 1);
    }

    proptest! {
        #[test]
        fn hostile_bytes_end_and_chunking_changes_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(0xffu8), Just(0xf1), any::<u8>()], 0..600),
            cut in 0usize..600,
        ) {
            let cut = cut.min(bytes.len());
            let run = |chunks: &[&[u8]]| {
                let (mut reader, mut counters, mut out) = (AdtsReader::default(), Counters::default(), Vec::new());
                for chunk in chunks {
                    reader.push(chunk, &mut counters, &mut out);
                }
                let rest = reader.finish(&mut counters, &mut out);
                (out, rest)
            };
            prop_assert_eq!(run(&[&bytes]), run(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
