//! What one batch leaves to the next.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::audio::AudioCarry;
use super::clock::ClockCarry;
use super::picture_times::PictureTimesCarry;
use super::video::VideoCarry;
use crate::counters::Counters;
use crate::foreign::ForeignCarry;
use crate::sample::{AudioConfig, VideoConfig};
use crate::ts::{Codec, Program, Timestamps};

/// Opaque to callers, a few kilobytes; `Carry::default()` stands before the first batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Carry {
    pub(super) started: bool,
    pub(super) epoch: u32,
    #[serde(flatten)]
    pub(super) main: SourceCarry,
    /// The source of audio alone, where there is one.
    #[serde(default)]
    pub(super) audio_source: SourceCarry,
    pub(super) pictures_flow: bool,
    pub(super) open_gops: bool,
    #[serde(default)]
    pub(super) picture_times: PictureTimesCarry,
    pub(super) clock: ClockCarry,
    pub(super) video: VideoCarry,
    pub(super) video_config: Option<VideoConfig>,
    pub(super) audio: AudioCarry,
    pub(super) audio_config: Option<AudioConfig>,
    /// Configurations of the last batch that had video and audio in this epoch.
    #[serde(default)]
    pub(super) batch_configs: (Option<VideoConfig>, Option<AudioConfig>),
    /// Of audio that is transcoded.
    #[serde(default)]
    pub(super) foreign: ForeignCarry,
    /// Where the audio of a playlist of its own ends, in the source's times.
    #[serde(default)]
    pub(super) beside_end_90k: Option<i64>,
    /// How far the video was when audio last came.
    pub(super) video_at_last_audio_90k: Option<i64>,
}

/// What the next batch must know of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceCarry {
    pub(super) program: Option<Program>,
    pub(super) adts: AdtsRest,
    /// What streams really carry whose declared type lies: PID, declared codec, real one.
    pub(super) overrides: Vec<(u16, Codec, Codec)>,
    pub(super) has: [bool; 2],
    /// Where tracks of fMP4 ended, by track id, in their timescales.
    pub(super) fragment_ends: Vec<(u32, i64)>,
}

/// An ADTS frame that the batch cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdtsRest {
    pub(super) bytes: Bytes,
    pub(super) stamp: Option<Timestamps>,
}

impl Carry {
    /// Number of the epoch that the last batch belonged to.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Where the media so far ends on the output timeline, in 90 kHz ticks: the later of video and audio.
    #[must_use]
    pub fn end_90k(&self) -> Option<i64> {
        self.video.end_90k().max(self.audio.end_90k())
    }

    /// Forgets what was cut off where media is lost; the source's clock and codecs are taken to go on.
    pub(super) fn cross_gap(&mut self, counters: &mut Counters) {
        for source in [&mut self.main, &mut self.audio_source] {
            counters.add("adts_skipped_bytes", source.adts.bytes.len() as u64);
            source.adts = AdtsRest::default();
        }
        let left = self.foreign.forget_sound();
        counters.add("audio_units_lost_at_gap", left);
        self.picture_times = PictureTimesCarry::default();
        // Pictures before the next sync sample refer to lost ones.
        self.pictures_flow = false;
        self.video_at_last_audio_90k = None;
    }

    /// Forgets all that does not outlive the source's clock and codecs.
    pub(super) fn begin_epoch(&mut self, counters: &mut Counters) {
        if self.started {
            self.epoch = self.epoch.saturating_add(1);
        }
        let cut = self.main.adts.bytes.len() + self.audio_source.adts.bytes.len();
        counters.add("adts_skipped_bytes", cut as u64);
        *self = Self {
            started: self.started,
            epoch: self.epoch,
            open_gops: self.open_gops,
            clock: ClockCarry::new_epoch(),
            video: self.video.clone(),
            audio: self.audio.end_of_epoch(),
            ..Self::default()
        };
    }
}
