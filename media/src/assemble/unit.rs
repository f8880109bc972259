//! What sources give: access units and events with their times as sent.

use std::sync::Arc;

use bytes::Bytes;

use crate::aac::{AacParams, AdtsFrame, UnsupportedAac};
use crate::nal::AccessUnit;
use crate::sample::AudioConfig;
use crate::ts::Timestamps;

/// An access unit of either kind.
#[derive(Debug)]
pub enum Unit {
    /// A picture.
    Video(AccessUnit),
    /// A frame of audio.
    Audio(AudioUnit),
}

impl Unit {
    /// The picture, if it is one.
    #[must_use]
    pub fn picture(&self) -> Option<&AccessUnit> {
        match self {
            Self::Video(unit) => Some(unit),
            Self::Audio(_) => None,
        }
    }
}

/// A picture with its raw times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedPicture {
    /// Its NAL units.
    pub nals: Vec<Bytes>,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Its times as sent.
    pub stamp: Timestamps,
    /// Label of the PES packet it began in.
    pub origin: u32,
}

/// One access unit of AAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioUnit {
    /// The raw data block.
    pub data: Bytes,
    /// What decodes it.
    pub format: AudioFormat,
    /// Its time, unless it follows the one before.
    pub stamp: Option<Timestamps>,
    /// Label of the segment in which it begins.
    pub origin: u32,
    /// Frames right before it that were left out because they could not be used.
    pub left_out: u32,
}

/// What decodes an access unit of audio, in the form in which the source says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioFormat {
    /// The fields of an ADTS header.
    Adts(AacParams),
    /// A whole configuration that such a header cannot express.
    Config(Arc<AudioConfig>),
}

impl AudioFormat {
    /// The format that `config` describes.
    #[must_use]
    pub fn of(config: &AudioConfig) -> Self {
        match AacParams::of(config) {
            Some(params) => Self::Adts(params),
            None => Self::Config(Arc::new(AudioConfig { sbr: false, ..config.clone() })),
        }
    }

    /// The configuration of a decoder.
    ///
    /// # Errors
    /// When it has no place in an AudioSpecificConfig.
    pub fn config(&self) -> Result<AudioConfig, UnsupportedAac> {
        match self {
            Self::Adts(params) => params.config(),
            Self::Config(config) => Ok(AudioConfig::clone(config)),
        }
    }
}

impl From<AdtsFrame> for AudioUnit {
    fn from(frame: AdtsFrame) -> Self {
        let AdtsFrame { data, params, stamp, origin, left_out } = frame;
        Self { data, format: AudioFormat::Adts(params), stamp, origin, left_out }
    }
}

/// An event on the output timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in 90 kHz ticks of the output timeline.
    pub time_90k: i64,
    /// What.
    pub kind: EventKind,
}

/// What an event holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A whole ID3 tag.
    Id3(Bytes),
    /// A splice_info_section of SCTE 35, with its CRC.
    Scte35(Bytes),
    /// An event message of an MP4 segment; its own time and timescale are of no use any more.
    Message(crate::mp4::EventMessage),
}

/// An event with its time as sent.
#[derive(Debug)]
pub struct RawEvent {
    /// Its time, where it has one: else that of the picture or frame before.
    pub raw_90k: Option<i64>,
    /// What it is.
    pub kind: EventKind,
}
