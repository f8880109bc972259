//! What a remuxer says: how a rendition's slot was filled.

use serde::{Deserialize, Serialize};

use super::Cut;

/// How sure it is where a reply's sound begins, and so that it is in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FitTiming {
    /// The container tells it, the format has no priming, or the access units are the ones that were sent.
    #[default]
    Exact,
    /// Nothing tells it; the reply's length and its encoder's convention do.
    Assumed,
    /// Nothing tells it and nothing hints at it: taken from the first sample.
    Unknown,
}

/// How a batch's slot was filled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FitReport {
    /// The slot's length in samples.
    pub slot_samples: u64,
    /// Samples that came, after priming was removed, at the slot's rate.
    pub received_samples: u64,
    /// Samples that came too many (cut) or, below 0, too few (silence at the end).
    pub difference_samples: i64,
    /// How sure it is where the sound begins.
    pub timing: FitTiming,
    /// Access units beside the batch's borders that were encoded anew, so that nothing clicks.
    pub border_units: u32,
    /// Encoder priming removed, in samples of what came.
    pub priming_samples: u64,
    /// Whether an FFmpeg child had to convert it.
    pub converted: bool,
}

/// Events of a remuxer.
#[derive(Debug)]
pub enum RemuxerEvent {
    /// The batch's fitted audio and, where asked for, its output file are complete.
    BatchRemuxed {
        /// The batch's number.
        batch: u64,
        /// Fragments of the fitted audio file, beside the video's cuts; empty when dropped.
        audio_cuts: Vec<Cut>,
        /// Bytes of `ftyp` and `moov` at the head of the fitted audio file.
        audio_init_len: u64,
        /// Fragments of the output file; empty when none was asked for.
        output: Vec<OutputFragment>,
        /// How the slot was filled.
        fit: FitReport,
    },
    /// It could not be done.
    RemuxFailed {
        /// The batch's number.
        batch: u64,
        /// What went wrong.
        reason: String,
        /// Whether it was for want of room on the disk.
        no_space: bool,
    },
}

/// One GOP of an output file: a `moof` with a video and an audio `traf`, and its `mdat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFragment {
    /// Byte position of the `moof` in the file.
    pub offset: u64,
    /// Bytes of `moof` and `mdat`.
    pub len: u64,
    /// Earliest decode time in it, 90 kHz ticks on the output timeline.
    pub start_90k: i64,
    /// Where the next fragment begins, 90 kHz ticks.
    pub end_90k: i64,
}
