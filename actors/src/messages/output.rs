//! What publishers are told and say: batches on the air clock.

use std::path::PathBuf;
use std::sync::Arc;

use actix::Message;
use overdub_media::sample::{AudioConfig, VideoConfig};
use serde::{Deserialize, Serialize};

use super::{BatchMedia, Cut, OutputFragment};
use crate::clock::UnixMicros;

/// The stream's air clock: media time `p` goes on air at `anchor + p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AirClock {
    /// Unix time at which timeline position 0 airs.
    pub anchor: UnixMicros,
}

impl AirClock {
    /// When the timeline position (90 kHz ticks) goes on air.
    #[must_use]
    pub fn air_time(self, position_90k: i64) -> UnixMicros {
        self.anchor.plus_micros(ticks_to_micros(position_90k))
    }
}

/// 90 kHz ticks in microseconds, rounded down.
#[must_use]
pub fn ticks_to_micros(ticks_90k: i64) -> i64 {
    i64::try_from((i128::from(ticks_90k) * 100).div_euclid(9)).unwrap_or(i64::MAX)
}

/// Microseconds in 90 kHz ticks, rounded down.
#[must_use]
pub fn micros_to_ticks(micros: i64) -> i64 {
    i64::try_from((i128::from(micros) * 9).div_euclid(100)).unwrap_or(i64::MAX)
}

/// Command to an RTMP publisher: air this batch after those before it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct PublishBatch {
    /// The batch's number.
    pub batch: u64,
    /// When its samples go on air.
    pub clock: AirClock,
    /// The output file (`output.fmp4`): track 1 is video, track 2 audio; either may be missing.
    pub path: PathBuf,
    /// Its fragments, in order.
    pub fragments: Vec<OutputFragment>,
    /// Video configuration, if there is video.
    pub video: Option<VideoConfig>,
    /// Audio configuration, if there is audio.
    pub audio: Option<AudioConfig>,
}

/// Command to a publisher: end the output cleanly after the fragment on air, then report `Finished`.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FinishOutput;

/// Events of a publisher.
#[derive(Debug)]
pub enum PublisherEvent {
    /// The server accepted the publish.
    OutputUp,
    /// No connection, and why; it is tried again. Sent once a distinct reason.
    OutputDown {
        /// What is wrong, without secrets.
        reason: String,
    },
    /// The batch's first sample has been written to the output.
    BatchStarted {
        /// The batch's number.
        batch: u64,
    },
    /// The batch's last sample's time has passed.
    BatchAired {
        /// The batch's number.
        batch: u64,
        /// Samples that went out.
        sent: u64,
        /// Samples that did not, for want of a connection.
        missed: u64,
        /// Latest departure after a sample's air time, in microseconds.
        max_lateness_us: i64,
        /// Bytes written to the output.
        bytes: u64,
    },
    /// The output has ended cleanly.
    Finished,
}

/// Command to the HLS publisher: list this batch's segments when they have been on air, after those before it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ListBatch {
    /// The batch's number.
    pub batch: u64,
    /// When its samples go on air.
    pub clock: AirClock,
    /// What demuxing made of it.
    pub media: Arc<BatchMedia>,
    /// Media sequence number of its first segment.
    pub sequence: u64,
    /// Discontinuities up to and including its own.
    pub discontinuities: u64,
    /// How many of its segments count.
    pub segments: usize,
    /// EXT-X-TARGETDURATION, which only grows.
    pub target_duration_s: u32,
    /// Fitted audio by rendition, in the settings' order.
    pub renditions: Vec<ListedRendition>,
}

impl ListBatch {
    /// When the last frame of one of its segments goes on air.
    #[must_use]
    pub fn segment_airs_at(&self, index: usize) -> Option<UnixMicros> {
        self.media.segment_airs_at(self.clock, index)
    }
}

/// One rendition of a [`ListBatch`].
#[derive(Debug, Clone)]
pub struct ListedRendition {
    /// The rendition's name.
    pub name: Arc<str>,
    /// Its language.
    pub language: Option<String>,
    /// Fragments of its fitted audio; empty when it was dropped.
    pub cuts: Vec<Cut>,
}

/// Command to the HLS publisher: list nothing more; with `ended`, close the playlists for good (EXT-X-ENDLIST).
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FinishPlaylists {
    /// Whether the source has ended.
    pub ended: bool,
}
