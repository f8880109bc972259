//! Frames out of a pushed elementary stream.

use bytes::{Bytes, BytesMut};

use super::{Header, ac3, latm, mpeg, opus};
use crate::aac::adts;
use crate::counters::Counters;
use crate::ts::Timestamps;
use crate::ts::marks::Marks;

/// Longest frame: LATM's length has 13 bits, E-AC-3's 12, and every other one is shorter.
const MAX_FRAME: usize = 16 << 10;

/// How frames of a stream are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// MPEG audio of any layer.
    Mpeg,
    /// AC-3 and E-AC-3.
    Ac3,
    /// AAC in LOAS.
    Latm,
    /// Opus with control headers.
    Opus,
    /// AAC in ADTS.
    Adts,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its bytes; of Opus, the packet alone.
    pub data: Bytes,
    /// What its header says.
    pub header: Header,
    /// Times of the PES packet that it is the first frame of.
    pub stamp: Option<Timestamps>,
}

/// Rebuilds frames from an elementary stream.
#[derive(Debug)]
pub struct Frames {
    family: Family,
    buffer: BytesMut,
    /// Position in the stream of the buffer's first byte.
    base: u64,
    marks: Marks,
    searching: bool,
}

enum Next {
    Frame { skip: usize, header: Header },
    Skip,
    NeedMore,
}

impl Frames {
    /// A stream of this family.
    #[must_use]
    pub fn new(family: Family) -> Self {
        Self { family, buffer: BytesMut::new(), base: 0, marks: Marks::default(), searching: false }
    }

    /// How its frames are told apart.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// A PES packet, or a segment with a time of its own, starts.
    pub fn begin_pes(&mut self, stamp: Option<Timestamps>) {
        self.marks.put(self.base + self.buffer.len() as u64, stamp, 0);
    }

    /// Takes the next bytes; gives the frames that are complete.
    pub fn push(&mut self, data: &[u8], counters: &mut Counters, out: &mut Vec<Frame>) {
        self.buffer.extend_from_slice(data);
        self.parse(false, counters, out);
    }

    /// No more bytes come for now: gives the last frame if it is complete, else the bytes that it has.
    pub fn finish(&mut self, counters: &mut Counters, out: &mut Vec<Frame>) -> (Bytes, Option<Timestamps>) {
        self.parse(true, counters, out);
        let rest = self.buffer.split().freeze();
        let (stamp, _) = self.marks.take(self.base);
        self.base += rest.len() as u64;
        (rest, stamp)
    }

    fn parse(&mut self, last: bool, counters: &mut Counters, out: &mut Vec<Frame>) {
        loop {
            match self.next(last) {
                Next::NeedMore => return,
                Next::Skip => {
                    if !std::mem::replace(&mut self.searching, true) {
                        counters.add("audio_sync_losses", 1);
                    }
                    counters.add("audio_skipped_bytes", 1);
                    let _ = self.buffer.split_to(1);
                    self.base += 1;
                }
                Next::Frame { skip, header } => {
                    self.searching = false;
                    let (stamp, _) = self.marks.take(self.base);
                    self.base += header.len as u64;
                    // Copied: frames are few and small, and outlive the batch as the next one's pre-roll.
                    let data = Bytes::copy_from_slice(&self.buffer[skip..header.len]);
                    let _ = self.buffer.split_to(header.len);
                    out.push(Frame { data, header, stamp });
                }
            }
        }
    }

    /// A header is believed when another one follows where it says.
    fn next(&self, last: bool) -> Next {
        let Some((skip, header)) = self.header(&self.buffer) else {
            return if self.buffer.len() >= 8 || (last && !self.buffer.is_empty()) {
                // An Opus header may be longer than that; its first bytes tell.
                if self.family == Family::Opus && !last && self.could_be_opus() {
                    Next::NeedMore
                } else {
                    Next::Skip
                }
            } else {
                Next::NeedMore
            };
        };
        if header.len <= skip || header.len > MAX_FRAME {
            return Next::Skip;
        }
        let Some(following) = self.buffer.get(header.len..) else {
            return Next::NeedMore;
        };
        let sure = match (following.len() >= 8, last) {
            (true, _) => self.header(following).is_some() || self.family == Family::Opus,
            (false, true) => true,
            (false, false) => return Next::NeedMore,
        };
        if sure { Next::Frame { skip, header } } else { Next::Skip }
    }

    fn could_be_opus(&self) -> bool {
        self.buffer.len() < MAX_FRAME && self.buffer[0] == 0x7f && self.buffer[1] & 0xe0 == 0xe0
    }

    fn header(&self, bytes: &[u8]) -> Option<(usize, Header)> {
        match self.family {
            Family::Mpeg => mpeg::parse(bytes).map(|header| (0, header)),
            Family::Ac3 => ac3::parse(bytes).map(|header| (0, header)),
            Family::Latm => latm::parse(bytes).map(|header| (0, header)),
            Family::Opus => opus::parse(bytes),
            Family::Adts => adts::foreign_header(bytes).map(|header| (0, header)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 32 kbit/s, 48 kHz, layer III: 96 bytes.
    fn mp3(number: u8) -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x14, 0xc4];
        frame.resize(96, number);
        frame
    }

    #[test]
    fn frames_cross_pes_borders_and_junk_is_skipped() {
        let bytes = [b"junk".to_vec(), mp3(1), mp3(2), mp3(3)[..50].to_vec(), mp3(4), mp3(5)].concat();
        let (mut frames, mut counters, mut out) =
            (Frames::new(Family::Mpeg), Counters::default(), Vec::new());
        frames.begin_pes(Some(Timestamps { pts: 7, dts: 7 }));
        frames.push(&bytes[..60], &mut counters, &mut out);
        frames.begin_pes(Some(Timestamps { pts: 9, dts: 9 }));
        frames.push(&bytes[60..], &mut counters, &mut out);
        let (rest, _) = frames.finish(&mut counters, &mut out);
        let seen: Vec<_> = out.iter().map(|f| (f.data[10], f.stamp.map(|s| s.pts))).collect();
        assert_eq!(seen, [(1, Some(7)), (2, Some(9)), (4, None), (5, None)]);
        assert!(rest.is_empty());
        assert_eq!(counters.get("audio_sync_losses"), 2);
    }

    proptest! {
        #[test]
        fn hostile_bytes_end_and_chunking_changes_nothing(
            bytes in proptest::collection::vec(
                prop_oneof![Just(0xffu8), Just(0x7f), Just(0x0b), Just(0x77), Just(0x56), any::<u8>()], 0..400),
            cut in 0usize..400,
        ) {
            let cut = cut.min(bytes.len());
            for family in [Family::Mpeg, Family::Ac3, Family::Latm, Family::Opus, Family::Adts] {
                let run = |chunks: &[&[u8]]| {
                    let (mut frames, mut counters, mut out) =
                        (Frames::new(family), Counters::default(), Vec::new());
                    for chunk in chunks {
                        frames.push(chunk, &mut counters, &mut out);
                    }
                    let rest = frames.finish(&mut counters, &mut out);
                    (out, rest)
                };
                prop_assert_eq!(run(&[&bytes]), run(&[&bytes[..cut], &bytes[cut..]]));
            }
        }
    }
}
