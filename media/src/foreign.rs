//! Audio that must be transcoded to AAC, for a process of the caller's that can: what it is fed, and what of its
//! output is used.
//!
//! | module | what |
//! | --- | --- |
//! | [`reader`] | a batch's segments to frames |
//! | [`plan`] | frames to stretches: which access units of the encoder's output lie where |
//!
//! The access units of consecutive batches lie on one grid, each encoded from the same sound as its neighbours:
//! every batch feeds the end of the one before once more, and leaves its own last access units to the next. So there
//! is no gap and no click at a border. What is assumed of the encoder is what FFmpeg's own AAC encoder does: 1024
//! samples of priming, so that the access unit with index n decodes to the samples from (n - 1) * 1024 on.

pub mod plan;
pub mod reader;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::audio::ForeignCodec;

pub use reader::ForeignReader;

/// Samples of an AAC LC access unit.
pub const AAC_FRAME: u64 = 1024;

/// What to transcode of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcode {
    /// What it is.
    pub codec: ForeignCodec,
    /// Rate to encode to: the source's own, which AAC has too.
    pub sample_rate: u32,
    /// Channels to encode to: the source's own, at most six.
    pub channels: u8,
    /// One, unless the source has holes or jumps.
    pub stretches: Vec<Stretch>,
    /// What the next batch's reader must know.
    pub carry: ForeignCarry,
    /// Frames that came in the batch's segments.
    pub frames: u64,
    /// What was tolerated.
    pub counters: Vec<(&'static str, u64)>,
}

/// Unbroken sound: one run of the encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The decoder's input, in the format that [`ForeignCodec::ffmpeg_format`] names.
    pub stream: Vec<Bytes>,
    /// Samples (of `sample_rate`) to cut from the front of the decoded sound before it is encoded.
    pub trim_start_samples: u64,
    /// Access units to drop from the front of the encoder's output.
    pub skip_access_units: usize,
    /// Access units to use after those. (Where fewer come, the source was damaged.)
    pub take_access_units: usize,
    /// Time of the first one used, in 90 kHz ticks of the source's clock.
    pub pts_90k: i64,
}

/// What the next batch's reader must know; `ForeignCarry::default()` stands before the first batch and after a
/// discontinuity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignCarry {
    codec: Option<ForeignCodec>,
    #[serde(default)]
    sample_rate: u32,
    /// Channel layout that the last frames of AAC have without saying it.
    #[serde(default)]
    layout: Bytes,
    /// The last frames, to be fed again.
    tail: Vec<TailFrame>,
    /// Samples from the first of them to the first access unit that was not used yet.
    lead: u64,
    /// Time of the first of them, as samples behind a time as sent.
    anchor_90k: i64,
    since_anchor: u64,
    /// Bytes of a frame that the batch cut off.
    rest: Bytes,
    rest_time_90k: Option<i64>,
    overrides: Vec<crate::assemble::content::Override>,
    program: Option<crate::ts::Program>,
}

impl ForeignCarry {
    /// Drops the sound that was left to the next batch, which lies before media that is lost; gives how many access
    /// units it would have been.
    pub(crate) fn forget_sound(&mut self) -> u64 {
        let samples: u64 = self.tail.iter().map(|frame| u64::from(frame.samples)).sum();
        let units = samples.saturating_sub(self.lead) / AAC_FRAME;
        self.tail.clear();
        (self.lead, self.since_anchor) = (0, 0);
        (self.rest, self.rest_time_90k) = (Bytes::new(), None);
        units
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TailFrame {
    data: Bytes,
    samples: u32,
    /// 0 where it does not say.
    #[serde(default)]
    channels: u8,
    /// The decoder can begin here.
    entry: bool,
}
