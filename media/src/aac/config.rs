//! What an ADTS header says of the decoder, and AudioSpecificConfig (1.6.2.1).

use bytes::Bytes;

use crate::sample::AudioConfig;

/// Table 1.18.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

/// Samples of one access unit. ADTS cannot say 960.
pub(super) const FRAME_SAMPLES: u32 = 1024;

/// The fields of an ADTS header that stay the same from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AacParams {
    /// Audio object type (profile + 1): 1 Main, 2 LC, 3 SSR, 4 LTP.
    pub object_type: u8,
    /// sampling_frequency_index.
    pub rate_index: u8,
    /// channel_configuration.
    pub channel_config: u8,
}

/// AAC that has no place in an AudioSpecificConfig of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedAac {
    /// The channels are described in the first access unit instead of the header.
    #[error("AAC with a channel layout of its own (channel_configuration 0)")]
    ChannelLayout,
    /// Frames hold several access units and nothing says where each begins.
    #[error("AAC with several blocks a frame and no CRC")]
    SeveralBlocks,
}

impl AacParams {
    /// Samples a second, without what SBR adds; 0 for a reserved index.
    #[must_use]
    pub fn sample_rate(self) -> u32 {
        SAMPLE_RATES.get(usize::from(self.rate_index)).copied().unwrap_or(0)
    }

    /// The configuration of a decoder.
    ///
    /// HE-AAC stays signalled as ADTS signals it, implicitly: rate and frame length are those of the AAC core,
    /// so an access unit lasts as long as it should, and a decoder that knows SBR doubles both.
    pub fn config(self) -> Result<AudioConfig, UnsupportedAac> {
        let channels = match self.channel_config {
            1..=6 => self.channel_config,
            7 => 8,
            _ => return Err(UnsupportedAac::ChannelLayout),
        };
        let bits = u16::from(self.object_type) << 11
            | u16::from(self.rate_index) << 7
            | u16::from(self.channel_config) << 3;
        Ok(AudioConfig {
            audio_specific_config: Bytes::copy_from_slice(&bits.to_be_bytes()),
            sample_rate: self.sample_rate(),
            channels,
            object_type: self.object_type,
            frame_samples: FRAME_SAMPLES,
            ..AudioConfig::default()
        })
    }

    /// The parameters that an ADTS header needs to say what `config` says, whatever its bytes are; `None` where
    /// a header cannot say it.
    #[must_use]
    pub fn like(config: &AudioConfig) -> Option<Self> {
        let rate_index = SAMPLE_RATES.iter().position(|rate| *rate == config.sample_rate)?;
        let channel_config = match config.channels {
            channels @ 1..=6 => channels,
            8 => 7,
            _ => return None,
        };
        let fits = matches!(config.object_type, 1..=4) && config.frame_samples == FRAME_SAMPLES;
        let rate_index = u8::try_from(rate_index).ok()?;
        fits.then_some(Self { object_type: config.object_type, rate_index, channel_config })
    }

    /// The ADTS header (1.A.2.2) of an access unit of so many bytes; `None` where its length has no room.
    #[must_use]
    pub fn adts_header(self, payload_len: usize) -> Option<[u8; 7]> {
        let len = u16::try_from(payload_len + 7).ok().filter(|len| *len < 1 << 13)?;
        let [high, low] = len.to_be_bytes();
        Some([
            0xff,
            // MPEG-4, no CRC.
            0xf1,
            (self.object_type - 1) << 6 | self.rate_index << 2 | self.channel_config >> 2,
            (self.channel_config & 3) << 6 | high >> 3,
            high << 5 | low >> 3,
            // adts_buffer_fullness 0x7ff: variable rate.
            low << 5 | 0x1f,
            0xfc,
        ])
    }

    /// The parameters that made `config`, if it was made here.
    #[must_use]
    pub fn of(config: &AudioConfig) -> Option<Self> {
        let bits = u16::from_be_bytes(config.audio_specific_config.as_ref().try_into().ok()?);
        let [object_type, rate_index, channel_config] = [bits >> 11, bits >> 7 & 0xf, bits >> 3 & 0xf]
            .map(|field| u8::try_from(field).expect("fields of at most five bits"));
        let params = Self { object_type, rate_index, channel_config };
        let made = params.config().ok()?;
        (AudioConfig { sbr: config.sbr, ..made } == *config).then_some(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_configurations_are_the_well_known_bytes() {
        let stereo_48k = AacParams { object_type: 2, rate_index: 3, channel_config: 2 }.config().unwrap();
        assert_eq!(stereo_48k.audio_specific_config.as_ref(), [0x11, 0x90]);
        assert_eq!((stereo_48k.sample_rate, stereo_48k.channels), (48_000, 2));
        let mono_44k = AacParams { object_type: 2, rate_index: 4, channel_config: 1 };
        assert_eq!(mono_44k.config().unwrap().audio_specific_config.as_ref(), [0x12, 0x08]);
        assert_eq!(AacParams::of(&mono_44k.config().unwrap()), Some(mono_44k));
        assert_eq!(AacParams { channel_config: 0, ..mono_44k }.config(), Err(UnsupportedAac::ChannelLayout));
    }

    #[test]
    fn a_written_header_is_read_back() {
        let params = AacParams { object_type: 2, rate_index: 4, channel_config: 7 };
        let config = AudioConfig {
            audio_specific_config: Bytes::from_static(b"another form"),
            ..params.config().unwrap()
        };
        assert_eq!(AacParams::like(&config), Some(params));
        assert_eq!(AacParams::like(&AudioConfig { frame_samples: 960, ..config.clone() }), None);
        assert_eq!(AacParams::like(&AudioConfig { sample_rate: 12_345, ..config }), None);
        let mut bytes = Vec::new();
        let sizes = [3, 255, 256, 2047, 8184];
        for size in sizes {
            bytes.extend(params.adts_header(size).unwrap());
            bytes.extend(vec![0; size]);
        }
        assert_eq!(params.adts_header(8185), None);
        let (mut reader, mut counters, mut frames) = Default::default();
        crate::aac::AdtsReader::push(&mut reader, &bytes, &mut counters, &mut frames);
        reader.finish(&mut counters, &mut frames);
        assert_eq!(frames.iter().map(|frame| frame.data.len()).collect::<Vec<_>>(), sizes);
        assert!(frames.iter().all(|frame| frame.params == params));
    }
}
