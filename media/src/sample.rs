//! What every container carries: samples and the codec configurations that explain them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// H.264 decoder configuration, enough to write `avcC` and an AVC sequence header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoConfig {
    /// Sequence parameter sets, NAL units without start code.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, NAL units without start code.
    pub pps: Vec<Bytes>,
    /// Displayed width in pixels, cropping applied.
    pub width: u16,
    /// Displayed height in pixels, cropping applied.
    pub height: u16,
}

/// AAC decoder configuration, enough to write `esds` and an AAC sequence header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1).
    pub audio_specific_config: Bytes,
    /// Samples a second; the audio track's timescale.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u8,
    /// Audio object type (2 is AAC LC).
    pub object_type: u8,
    /// Samples of one access unit, in `sample_rate` units (1024 for AAC LC).
    pub frame_samples: u32,
}

/// One access unit of video on the 90 kHz timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSample {
    /// Decode time in 90 kHz ticks.
    pub dts_90k: i64,
    /// Presentation time in 90 kHz ticks.
    pub pts_90k: i64,
    /// Time to the next sample's decode time in 90 kHz ticks.
    pub duration_90k: u32,
    /// Whether decoding can start here (an IDR picture).
    pub sync: bool,
    /// NAL units in order, without start codes or lengths.
    pub nals: Vec<Bytes>,
}

impl VideoSample {
    /// Bytes of this sample in AVC format: each NAL unit behind a 4-byte length (ISO/IEC 14496-15 5.3.3.1.2).
    #[must_use]
    pub fn avc_len(&self) -> usize {
        self.nals.iter().map(|nal| nal.len() + 4).sum()
    }
}

/// One access unit of audio; times count in the track's sample rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSample {
    /// Presentation time in samples of the timeline (seconds × sample rate).
    pub time: i64,
    /// Time to the next access unit, in samples.
    pub duration: u32,
    /// The raw access unit, without ADTS header.
    pub data: Bytes,
}
