//! AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), as far as a track's timing needs it.

use bytes::Bytes;

use crate::aac::layout;
use crate::sample::AudioConfig;

/// ISO/IEC 14496-3 table 1.18.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u8> {
        let short = self.take(5)?;
        let object_type = if short == 31 { 32 + self.take(6)? } else { short };
        u8::try_from(object_type).ok()
    }

    fn rate(&mut self) -> Option<u32> {
        let index = self.take(4)?;
        let rate = if index == 15 { self.take(24)? } else { *RATES.get(index as usize)? };
        (rate > 0).then_some(rate)
    }
}

/// ISO/IEC 14496-3 table 1.19; `None` where the channels are listed elsewhere (0) or undefined.
fn channels_of(configuration: u32) -> Option<u8> {
    match configuration {
        1..=6 => u8::try_from(configuration).ok(),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        _ => None,
    }
}

/// The audio configuration that `config` describes; `None` when it is damaged or not one of AAC's general
/// audio types. `entry_channels` is what the sample entry says, for configurations that list channels.
///
/// With explicit SBR the rate is the output's, and a frame is twice as long in it.
#[must_use]
pub fn read_audio_specific_config(config: &Bytes, entry_channels: u16) -> Option<AudioConfig> {
    let mut bits = Bits { bytes: config, at: 0 };
    let object_type = bits.object_type()?;
    let core_rate = bits.rate()?;
    let channel_configuration = bits.take(4)?;
    let mut sample_rate = core_rate;
    let mut core_type = object_type;
    if matches!(object_type, 5 | 29) {
        sample_rate = bits.rate()?;
        core_type = bits.object_type()?;
    }
    let short_frames = match core_type {
        1..=4 | 6 | 7 | 17 | 19..=23 => bits.take(1)? == 1,
        _ => return None,
    };
    // 4.4.1: GASpecificConfig, of which a layout of its own is the last.
    if bits.take(1)? == 1 {
        bits.take(14)?;
    }
    bits.take(1)?;
    let own = if channel_configuration == 0 { layout::channels_at(config, bits.at) } else { None };
    let channels =
        channels_of(channel_configuration).or(own).or_else(|| u8::try_from(entry_channels).ok())?;
    let core_samples: u32 = match (core_type, short_frames) {
        (23, false) => 512,
        (23, true) => 480,
        (_, false) => 1024,
        (_, true) => 960,
    };
    let frame_samples = u64::from(core_samples) * u64::from(sample_rate) / u64::from(core_rate);
    let frame_samples = u32::try_from(frame_samples).ok().filter(|samples| *samples > 0)?;
    (channels > 0).then(|| AudioConfig {
        audio_specific_config: config.clone(),
        sample_rate,
        channels,
        object_type,
        frame_samples,
        ..AudioConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(config: &'static [u8]) -> Option<(u8, u32, u8, u32)> {
        read_audio_specific_config(&Bytes::from_static(config), 6)
            .map(|c| (c.object_type, c.sample_rate, c.channels, c.frame_samples))
    }

    #[test]
    fn aac_lc_and_he_aac_are_read() {
        assert_eq!(fields(&[0x11, 0x90]), Some((2, 48_000, 2, 1024)));
        assert_eq!(fields(&[0x12, 0x08]), Some((2, 44_100, 1, 1024)));
        assert_eq!(fields(&[0x12, 0x14]), Some((2, 44_100, 2, 960)));
        // SBR: 22.05 kHz core, 44.1 kHz out.
        assert_eq!(fields(&[0x2b, 0x92, 0x08, 0x00]), Some((5, 44_100, 2, 2048)));
        // Channel configuration 0: what the layout says, here two pairs; where it is cut, the sample entry counts.
        let quad = &[0x11, 0x80, 0x04, 0xc4, 0x04, 0x00, 0x21, 0x10];
        assert_eq!(fields(quad), Some((2, 48_000, 4, 1024)));
        assert_eq!(fields(&[0x11, 0x80, 0x00]), Some((2, 48_000, 6, 1024)));
        // An explicit rate of 24 bits, 12345 Hz, mono.
        assert_eq!(fields(&[0x17, 0x80, 0x18, 0x1c, 0x88]), Some((2, 12_345, 1, 1024)));
    }

    #[test]
    fn damage_and_other_object_types_are_refused() {
        assert_eq!(fields(&[]), None);
        assert_eq!(fields(&[0x11]), None);
        assert_eq!(fields(&[0x16, 0x90]), None, "rate index 13 is reserved");
        assert_eq!(fields(&[0xf9, 0x46, 0x20]), None, "USAC is no general audio");
    }
}
