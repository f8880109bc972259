//! What the ledger remembers on disk.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::air::SourcePace;
use crate::clock::UnixMicros;
use crate::messages::{
    AirClock, AudioFormat, BatchMedia, Cut, FitReport, FragmentFault, OutputFragment, StoredSegment,
};

/// A stream's record beside those of its batches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Number of the open batch.
    pub open_batch: u64,
    /// Segments of the open batch.
    pub open_segments: Vec<StoredSegment>,
    /// Whether the open batch begins a new epoch.
    pub open_discontinuity: bool,
    /// Media that was lost right before the open batch, microseconds.
    pub open_gap_us: i64,
    /// Length of the last segment, which stands for that of lost ones that were never listed; microseconds.
    pub usual_segment_us: i64,
    /// When the last segment was stored.
    pub last_stored_at: UnixMicros,
    /// The source's date at the end of the last segment.
    pub last_segment_end: Option<UnixMicros>,
    /// Media sequence number that the fetcher goes on with; none at the start of a run.
    pub next_media_sequence: Option<u64>,
    /// Lowest number that the next segment's file may bear.
    pub next_segment_number: u64,
    /// EXT-X-TARGETDURATION of the source.
    pub source_target_s: u32,
    /// The air clock for the next batch; none until the run's first batch is demuxed.
    pub clock: Option<AirClock>,
    /// Batches in a row that were complete too late, and not by less than the one before.
    pub late_in_a_row: u32,
    /// What the source had listed beyond the last late batch, microseconds.
    pub late_backlog_us: i64,
    /// How the source's clock runs against ours.
    pub pace: SourcePace,
    /// What demuxing the next batch must know.
    pub carry: Option<String>,
    /// Whether ENDLIST was seen.
    pub source_ended: bool,
    /// Media sequence number of the next HLS segment.
    pub hls_sequence: u64,
    /// Discontinuity sequence number at the next HLS segment.
    pub hls_discontinuities: u64,
    /// EXT-X-TARGETDURATION of the HLS output; only grows.
    pub hls_target_s: u32,
    /// Counters since the stream was created.
    pub totals: Totals,
}

/// Counters since the stream was created.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Totals {
    /// Segments stored.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// Segments that could not be had.
    pub lost_segments: u64,
    /// Holes that lost media left in the timeline.
    pub gaps: u64,
    /// Times that the air clock jumped because the source came too late.
    pub clock_jumps: u64,
    /// Batches skipped.
    pub skipped_batches: u64,
    /// By rendition.
    pub renditions: BTreeMap<Arc<str>, RenditionTotals>,
    /// By output.
    pub outputs: BTreeMap<Arc<str>, OutputTotals>,
}

/// Counters of one rendition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RenditionTotals {
    /// Batches whose reply was in time.
    pub processed: u64,
    /// Batches filled by the fallback.
    pub fallbacks: u64,
    /// Replies after the deadline.
    pub late: u64,
    /// Batches fitted.
    pub remuxed: u64,
}

/// Counters of one output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputTotals {
    /// Batches aired.
    pub published: u64,
    /// Samples sent.
    pub sent_samples: u64,
    /// Samples that could not be sent.
    pub missed_samples: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Latest departure after air time in the last batch, microseconds.
    pub last_lateness_us: i64,
}

/// A batch's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Its number.
    pub number: u64,
    /// Its segments.
    pub segments: Vec<StoredSegment>,
    /// Whether it begins a new epoch.
    pub discontinuity: bool,
    /// Media that was lost right before it, microseconds.
    #[serde(default)]
    pub gap_us: i64,
    /// When it was complete.
    pub collected_at: UnixMicros,
    /// When it was demuxed.
    pub demuxed_at: Option<UnixMicros>,
    /// Demuxing attempts that failed.
    pub demux_failures: u32,
    /// What demuxing made of it.
    pub media: Option<BatchMedia>,
    /// When its samples go on air.
    pub clock: Option<AirClock>,
    /// Media sequence number of its first HLS segment.
    pub hls_sequence: u64,
    /// Discontinuity sequence number of its first HLS segment.
    pub hls_discontinuities: u64,
    /// How many of its HLS segments count; all unless the stream was stopped while it aired.
    pub hls_segments: u32,
    /// Its renditions, in the settings' order.
    pub renditions: Vec<RenditionRecord>,
    /// Outputs that have aired it.
    pub aired: BTreeMap<Arc<str>, UnixMicros>,
    /// When all outputs had aired it.
    pub published_at: Option<UnixMicros>,
    /// When its files were removed.
    pub cleaned_at: Option<UnixMicros>,
    /// Why it was skipped, if it was.
    pub skipped: Option<SkipReason>,
}

/// Why a batch does not go on air.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum SkipReason {
    /// Three tries could not read its media.
    #[error("media could not be read: {detail}")]
    Unreadable {
        /// The last error.
        detail: String,
    },
    /// The stream was stopped before its air time.
    #[error("the stream was stopped before its air time")]
    Stopped,
}

/// One rendition of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenditionRecord {
    /// The rendition's name.
    pub name: Arc<str>,
    /// Where it stands.
    pub state: RenditionState,
    /// When its fragment was first sent.
    pub sent_at: Option<UnixMicros>,
    /// When the reply came.
    pub processed_at: Option<UnixMicros>,
    /// When the fallback was chosen.
    pub fallback_at: Option<UnixMicros>,
    /// Why.
    pub fallback: Option<FallbackReason>,
    /// When a reply came after the deadline.
    pub late_at: Option<UnixMicros>,
    /// What the processor sent.
    pub format: Option<AudioFormat>,
    /// Metadata of the reply, JSON.
    pub metadata: Option<String>,
    /// When it was fitted.
    pub remuxed_at: Option<UnixMicros>,
    /// Remuxing attempts that failed.
    pub remux_failures: u32,
    /// How the slot was filled.
    pub fit: Option<FitReport>,
    /// Fragments of the fitted audio.
    pub audio_cuts: Vec<Cut>,
    /// Fragments of the output file.
    pub output: Vec<OutputFragment>,
}

/// Where a rendition of a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RenditionState {
    /// Not sent yet.
    Waiting,
    /// With the processor.
    Sent,
    /// The processor's audio is here.
    Processed,
    /// The fallback fills the slot.
    Fallback,
    /// Ready to air.
    Remuxed,
}

/// Why the fallback fills a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum FallbackReason {
    /// The processor was not connected by the deadline.
    NotConnected,
    /// The batch itself was complete only after its deadline.
    TooLate,
    /// The processor did not answer by the deadline.
    NoReply,
    /// So many batches were with the processor that this one was never sent.
    Busy,
    /// The processor said no, or sent what is not audio.
    Fault(FragmentFault),
    /// Its audio could not be fitted.
    FitFailed {
        /// The error.
        detail: String,
    },
}

impl FallbackReason {
    /// Every name that [`Self::label`] gives.
    pub const LABELS: [&'static str; 9] = [
        "not_connected",
        "too_late",
        "no_reply",
        "busy",
        "too_large",
        "processor_error",
        "not_audio",
        "file_error",
        "fit_failed",
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::TooLate => "too_late",
            Self::NoReply => "no_reply",
            Self::Busy => "busy",
            Self::Fault(FragmentFault::TooLarge { .. }) => "too_large",
            Self::Fault(FragmentFault::Refused { .. }) => "processor_error",
            Self::Fault(FragmentFault::NotAudio { .. }) => "not_audio",
            Self::Fault(FragmentFault::File { .. }) => "file_error",
            Self::FitFailed { .. } => "fit_failed",
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("the processor was not connected by the deadline"),
            Self::TooLate => f.write_str("the batch was complete only after its deadline"),
            Self::NoReply => f.write_str("the processor did not answer by the deadline"),
            Self::Busy => f.write_str("the processor had as many batches as it may have until the deadline"),
            Self::Fault(fault) => fault.fmt(f),
            Self::FitFailed { detail } => write!(f, "the processed audio could not be fitted: {detail}"),
        }
    }
}

impl Header {
    /// A header whose numbers go on after these batches, and that knows nothing else.
    #[must_use]
    pub fn following(batches: &[BatchRecord]) -> Self {
        let after = |number: u64| number.saturating_add(1);
        let segments = batches.iter().flat_map(|batch| &batch.segments);
        Self {
            open_batch: batches.iter().map(|batch| after(batch.number)).max().unwrap_or(0),
            open_discontinuity: true,
            next_segment_number: segments.map(|segment| after(segment.number)).max().unwrap_or(0),
            hls_sequence: batches
                .iter()
                .map(|batch| batch.hls_sequence.saturating_add(batch.hls_segments.into()))
                .max()
                .unwrap_or(0),
            hls_discontinuities: batches.iter().map(|batch| batch.hls_discontinuities).max().unwrap_or(0),
            ..Self::default()
        }
    }
}

impl BatchRecord {
    /// Where it stands, as a word of the design.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        if self.cleaned_at.is_some() {
            "cleaned"
        } else if self.skipped.is_some() {
            "skipped"
        } else if self.published_at.is_some() {
            "published"
        } else if self.media.is_none() {
            "collected"
        } else if self.renditions.iter().all(|r| r.state == RenditionState::Remuxed) {
            "publishing"
        } else {
            "demuxed"
        }
    }

    /// Whether nothing more will be done for its output.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.published_at.is_some() || self.skipped.is_some()
    }

    /// Length by EXTINF, microseconds.
    #[must_use]
    pub fn listed_duration_us(&self) -> i64 {
        self.segments.iter().map(|segment| segment.duration_us).sum()
    }

    /// When its first sample goes on air.
    #[must_use]
    pub fn air_start(&self) -> Option<UnixMicros> {
        Some(self.clock?.air_time(self.media.as_ref()?.start_90k))
    }

    /// When its last sample has been on air.
    #[must_use]
    pub fn air_end(&self) -> Option<UnixMicros> {
        Some(self.clock?.air_time(self.media.as_ref()?.end_90k))
    }

    /// When the last frame of an HLS segment goes on air, and the segment may be listed.
    #[must_use]
    pub fn segment_airs_at(&self, index: usize) -> Option<UnixMicros> {
        self.media.as_ref()?.segment_airs_at(self.clock?, index)
    }
}

impl RenditionRecord {
    /// A rendition of a batch of which nothing is known yet.
    #[must_use]
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            state: RenditionState::Waiting,
            sent_at: None,
            processed_at: None,
            fallback_at: None,
            fallback: None,
            late_at: None,
            format: None,
            metadata: None,
            remuxed_at: None,
            remux_failures: 0,
            fit: None,
            audio_cuts: Vec::new(),
            output: Vec::new(),
        }
    }
}
