//! Frames of audio codecs that are not copied but transcoded: what their headers say, and where they end.
//!
//! | module | what |
//! | --- | --- |
//! | [`mpeg`] | MPEG-1/2 audio, layers I to III |
//! | [`ac3`] | AC-3 and E-AC-3 |
//! | [`latm`] | AAC in LOAS/LATM |
//! | [`opus`] | Opus packets, in transport streams and in Ogg |
//! | [`frames`] | frames out of a pushed elementary stream |

pub mod ac3;
pub mod frames;
pub mod latm;
pub mod mpeg;
pub mod opus;

use serde::{Deserialize, Serialize};

pub use frames::{Frame, Frames};

/// Codecs that FFmpeg can turn into AAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForeignCodec {
    /// MPEG audio layer I.
    MpegLayer1,
    /// MPEG audio layer II.
    MpegLayer2,
    /// MPEG audio layer III.
    MpegLayer3,
    /// AC-3.
    Ac3,
    /// E-AC-3.
    EAc3,
    /// Opus.
    Opus,
    /// AAC in LATM.
    Latm,
    /// AAC in ADTS that cannot be copied: a channel layout of its own, or several blocks a frame without the
    /// positions that a CRC brings.
    Adts,
}

impl ForeignCodec {
    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MpegLayer1 => "MP1",
            Self::MpegLayer2 => "MP2",
            Self::MpegLayer3 => "MP3",
            Self::Ac3 => "AC-3",
            Self::EAc3 => "E-AC-3",
            Self::Opus => "Opus",
            Self::Latm => "AAC in LATM",
            Self::Adts => "AAC of a rare form",
        }
    }

    /// FFmpeg's name for the form in which [`crate::foreign`] gives it.
    #[must_use]
    pub fn ffmpeg_format(self) -> &'static str {
        match self {
            // One demuxer for all layers.
            Self::MpegLayer1 | Self::MpegLayer2 | Self::MpegLayer3 => "mp3",
            Self::Ac3 => "ac3",
            Self::EAc3 => "eac3",
            Self::Opus => "ogg",
            Self::Latm => "loas",
            Self::Adts => "aac",
        }
    }

    /// Frames before a frame that its decoder must have seen to give it whole: overlap, and layer III's bit
    /// reservoir, which reaches back 511 bytes.
    #[must_use]
    pub fn preroll_frames(self) -> usize {
        match self {
            Self::MpegLayer3 => 12,
            // 80 ms (RFC 7845 4.6) of frames as short as 2.5 ms are 32; they are 20 ms as a rule.
            Self::Opus => 8,
            _ => 3,
        }
    }
}

/// Rate, channels and samples a frame of AAC whose header may keep quiet about SBR and parametric stereo (ISO/IEC
/// 14496-3 1.6.6): up to 24 kHz it has both, as decoders assume too.
pub(crate) fn with_implicit_sbr(rate: u32, channels: u8, samples: u32) -> (u32, u8, u32) {
    if rate > 24_000 {
        return (rate, channels, samples);
    }
    (rate * 2, if channels == 1 { 2 } else { channels }, samples * 2)
}

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its codec.
    pub codec: ForeignCodec,
    /// Bytes of the frame, header included.
    pub len: usize,
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels; 0 where it does not say.
    pub channels: u8,
    /// Samples a channel that the frame decodes to; 0 where it only adds to the frame before.
    pub samples: u32,
}
