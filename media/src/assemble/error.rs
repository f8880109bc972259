//! Why a batch cannot be assembled.

use crate::counters::Counters;
use crate::mp4::Mp4Error;

/// Why a batch cannot be assembled. Segments count from 0 within the batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// Neither MPEG-TS, nor fMP4, nor packed audio.
    #[error(
        "segment {segment} of the batch holds no media ({what}): {len} bytes that start with {first_bytes}"
    )]
    NotMedia {
        /// Which segment.
        segment: u32,
        /// What it is instead.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// Its first bytes as hex digits and as text.
        first_bytes: String,
    },
    /// The video or audio is of a codec that is not copied.
    #[error("segment {segment} of the batch: {codec} ({place}) is not supported")]
    UnsupportedCodec {
        /// Which segment.
        segment: u32,
        /// The codec's name.
        codec: String,
        /// Where it is.
        place: String,
        /// It is audio that can be transcoded to AAC.
        transcodable: bool,
    },
    /// AAC of a kind that is not handled.
    #[error("segment {segment} of the batch: {cause}")]
    UnsupportedAac {
        /// Which segment.
        segment: u32,
        /// Which kind.
        cause: crate::aac::UnsupportedAac,
    },
    /// An fMP4 segment without init section.
    #[error("segment {segment} of the batch is fMP4 and has no init section (EXT-X-MAP)")]
    NoInit {
        /// Which segment.
        segment: u32,
    },
    /// An init section that cannot be read.
    #[error("init section of segment {segment} of the batch: {cause}")]
    Init {
        /// Which segment.
        segment: u32,
        /// Why.
        cause: Mp4Error,
    },
    /// A segment of which nothing could be read.
    #[error("segment {segment} of the batch: {cause}")]
    Damaged {
        /// Which segment.
        segment: u32,
        /// Why.
        cause: Mp4Error,
    },
    /// No track of the wanted kind.
    #[error("segment {segment} of the batch has no {wanted} track")]
    NoTrack {
        /// Which segment.
        segment: u32,
        /// What was wanted.
        wanted: &'static str,
    },
    /// The program is scrambled (conditional access).
    #[error(
        "the program is scrambled: {scrambled} of {packets} packets in {segments} segments, none readable"
    )]
    Scrambled {
        /// Segments of the batch.
        segments: u32,
        /// Scrambled packets among those looked at.
        scrambled: u64,
        /// Packets in them.
        packets: u64,
    },
    /// Packets, but no program with video or audio that is handled.
    #[error("no program with H.264, H.265 or AAC in {segments} segments of {packets} packets ({tolerated})")]
    NoProgram {
        /// Segments of the batch.
        segments: u32,
        /// Packets in them.
        packets: u64,
        /// What was tolerated.
        tolerated: String,
    },
    /// A program, but not one usable access unit.
    #[error("no usable picture and no audio in {segments} segments of {packets} packets ({tolerated})")]
    NoMedia {
        /// Segments of the batch.
        segments: u32,
        /// Packets in them.
        packets: u64,
        /// What was tolerated.
        tolerated: String,
    },
}

/// What was tolerated, for an error.
pub(super) fn describe_counters(counters: &Counters) -> String {
    let counted: Vec<String> =
        counters.to_vec().iter().map(|(name, times)| format!("{name} {times}")).collect();
    if counted.is_empty() { "nothing out of order".to_owned() } else { counted.join(", ") }
}
