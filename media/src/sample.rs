//! What every container carries: samples and the codec configurations that explain them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Codecs of video that is copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VideoCodec {
    /// H.264 (ISO/IEC 14496-10).
    #[default]
    H264,
    /// H.265 (ISO/IEC 23008-2).
    H265,
}

impl VideoCodec {
    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
        }
    }
}

/// Video decoder configuration, enough to write `avcC` or `hvcC` and a sequence header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoConfig {
    /// Which codec.
    #[serde(default)]
    pub codec: VideoCodec,
    /// Video parameter sets of H.265, NAL units without start code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vps: Vec<Bytes>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The access units hold SBR data that the configuration does not tell of (HE-AAC, ISO/IEC 14496-3 1.6.5.2):
    /// decoders that know it give twice `sample_rate` and twice `frame_samples`, so an access unit lasts as long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sbr: bool,
}

impl AudioConfig {
    /// Samples a second that decoders give.
    #[must_use]
    pub fn output_rate(&self) -> u32 {
        if self.sbr { self.sample_rate.saturating_mul(2) } else { self.sample_rate }
    }
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
    /// Whether decoding can start here (an IDR or IRAP picture).
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
