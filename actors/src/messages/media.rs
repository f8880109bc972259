//! What the demuxer says: a batch on the output timeline.

use overdub_media::sample::{AudioConfig, VideoConfig};
use serde::{Deserialize, Serialize};

use super::AirClock;
use crate::clock::UnixMicros;

/// One stretch of a track within a file: a `moof` and its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// Byte position of the `moof` in the file.
    pub offset: u64,
    /// Bytes of `moof` and `mdat`.
    pub len: u64,
    /// Earliest presentation time, in the track's timescale, on the output timeline.
    pub start: i64,
    /// Duration in the track's timescale.
    pub duration: u64,
    /// Samples in it.
    pub samples: u32,
}

/// A batch's video on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoMedia {
    /// Decoder configuration.
    pub config: VideoConfig,
    /// Bytes of `ftyp` and `moov` at the head of `video.fmp4`.
    pub init_len: u64,
    /// Fragments, timescale 90 kHz; all but the first begin with a sync sample.
    pub cuts: Vec<Cut>,
    /// The first fragment begins with another sample: the source's segment did.
    #[serde(default)]
    pub begins_inside_gop: bool,
}

/// A batch's audio on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioMedia {
    /// Decoder configuration.
    pub config: AudioConfig,
    /// Bytes of `ftyp` and `moov` at the head of `audio.fmp4`.
    pub init_len: u64,
    /// Timeline position of the first access unit, in samples; `audio.fmp4` itself counts from zero.
    pub start: i64,
    /// Slot length in samples.
    pub duration: u64,
    /// Access units in the slot.
    pub access_units: u32,
    /// Fragments of `audio.fmp4`, beside the video's cuts; `start` is on the output timeline.
    pub cuts: Vec<Cut>,
}

/// What demuxing made of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchMedia {
    /// Run of the source on one clock that the batch belongs to.
    pub epoch: u32,
    /// Whether the batch begins its epoch, or follows a hole in the timeline, and is not the stream's first.
    pub discontinuity: bool,
    /// Earliest decode time of any sample, 90 kHz ticks on the output timeline.
    pub start_90k: i64,
    /// Where the next batch begins, 90 kHz ticks.
    pub end_90k: i64,
    /// Video, if there is any.
    pub video: Option<VideoMedia>,
    /// Audio, if there is any.
    pub audio: Option<AudioMedia>,
    /// EXT-X-PROGRAM-DATE-TIME of the first segment.
    pub program_date_time: Option<UnixMicros>,
    /// Values of the EXT-X-DATERANGE tags that begin within it, or came or changed late.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub date_ranges: Vec<String>,
}

impl BatchMedia {
    /// Forgets what lies where in the files, which are gone.
    pub fn forget_files(&mut self) {
        self.date_ranges.clear();
        if let Some(video) = &mut self.video {
            video.cuts.clear();
        }
        if let Some(audio) = &mut self.audio {
            audio.cuts.clear();
        }
    }

    /// HLS segments in it.
    #[must_use]
    pub fn cut_count(&self) -> usize {
        let video = self.video.as_ref().map_or(0, |video| video.cuts.len());
        video.max(self.audio.as_ref().map_or(0, |audio| audio.cuts.len()))
    }

    /// Seconds of media.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        (self.end_90k - self.start_90k) as f64 / 90_000.0
    }

    /// The cut that times an HLS segment, and its timescale: the video's where there is video.
    #[must_use]
    pub fn timing_cut(&self, index: usize) -> Option<(&Cut, u32)> {
        match (&self.video, &self.audio) {
            (Some(video), _) => Some((video.cuts.get(index)?, 90_000)),
            (None, Some(audio)) => Some((audio.cuts.get(index)?, audio.config.sample_rate)),
            (None, None) => None,
        }
    }

    /// When the last frame of an HLS segment goes on air.
    #[must_use]
    pub fn segment_airs_at(&self, clock: AirClock, index: usize) -> Option<UnixMicros> {
        let (cut, timescale) = self.timing_cut(index)?;
        let frame = cut.duration / u64::from(cut.samples.max(1));
        let last = cut.start + i64::try_from(cut.duration - frame).unwrap_or(0);
        Some(clock.air_time(overdub_media::time::rescale(last, timescale, 90_000)))
    }
}

/// Events of the demuxer.
#[derive(Debug)]
pub enum DemuxerEvent {
    /// A batch lies demuxed in its folder.
    BatchDemuxed {
        /// The batch's number.
        batch: u64,
        /// What it holds.
        media: Box<BatchMedia>,
        /// What demuxing the next batch must know; opaque JSON.
        carry: String,
        /// Leniencies counted: name and how often.
        leniencies: Vec<(&'static str, u64)>,
    },
    /// A batch could not be demuxed.
    DemuxFailed {
        /// The batch's number.
        batch: u64,
        /// Which segment, which byte, what.
        reason: String,
        /// Whether it was for want of room on the disk.
        no_space: bool,
    },
}
