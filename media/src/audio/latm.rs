//! AAC in LOAS and LATM (ISO/IEC 14496-3 1.7).

use bytes::Bytes;

use super::{ForeignCodec, Header};
use crate::mp4::read_audio_specific_config;

/// Bytes of the AudioSyncStream's header.
const HEADER_LEN: usize = 3;

/// Most bytes of a frame's configuration that are looked at.
const CONFIG_LEN: usize = 64;

/// The frame at the start of `bytes` (1.7.2); rate, channels and samples are 0 where the frame goes by the
/// configuration of one before it.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let head = bytes.first_chunk::<HEADER_LEN>()?;
    if head[0] != 0x56 || head[1] & 0xe0 != 0xe0 {
        return None;
    }
    let len = HEADER_LEN + (usize::from(head[1] & 0x1f) << 8 | usize::from(head[2]));
    let element = &bytes[HEADER_LEN..len.min(bytes.len())];
    let (sample_rate, channels, samples) = config(element).unwrap_or_default();
    Some(Header { codec: ForeignCodec::Latm, len, sample_rate, channels, samples })
}

/// Rate, channels and samples a frame from a StreamMuxConfig (1.7.3.1) of one program with one layer.
fn config(element: &[u8]) -> Option<(u32, u8, u32)> {
    let mut at = 0;
    let mut take = |count: usize| {
        let value = (at..at + count).try_fold(0u32, |value, bit| {
            let byte = element.get(bit / 8)?;
            Some(value << 1 | u32::from(byte >> (7 - bit % 8) & 1))
        });
        at += count;
        value
    };
    let same_as_before = take(1)? == 1;
    let version = take(1)?;
    // audioMuxVersionA is reserved.
    if same_as_before || (version == 1 && take(1)? == 1) {
        return None;
    }
    // LatmGetValue (1.7.3.1): taraBufferFullness, and the configuration's length.
    let skip_value = |take: &mut dyn FnMut(usize) -> Option<u32>| {
        let bytes = take(2)? + 1;
        (0..bytes).try_for_each(|_| take(8).map(|_| ()))
    };
    if version == 1 {
        skip_value(&mut take)?;
    }
    take(1)?;
    let sub_frames = take(6)? + 1;
    if take(4)? != 0 || take(3)? != 0 {
        return None;
    }
    if version == 1 {
        skip_value(&mut take)?;
    }
    let config = shifted(element, at);
    let config = read_audio_specific_config(&config, 2)?;
    let samples = config.frame_samples * sub_frames;
    Some(match config.object_type {
        5 => (config.sample_rate, config.channels, samples),
        // Parametric stereo.
        29 => (config.sample_rate, config.channels.max(2), samples),
        _ => super::with_implicit_sbr(config.sample_rate, config.channels, samples),
    })
}

/// The bits from `at` on, as bytes.
fn shifted(bytes: &[u8], at: usize) -> Bytes {
    let bytes = bytes.get(at / 8..).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(CONFIG_LEN)];
    let shift = at % 8;
    let next = bytes.iter().skip(1).copied().chain([0]);
    bytes
        .iter()
        .zip(next)
        .map(|(byte, next)| (u16::from_be_bytes([*byte, next]) << shift >> 8) as u8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frames_configuration_is_read() {
        // useSameStreamMux 0, audioMuxVersion 0, allStreamsSameTimeFraming 1, one sub-frame, program and layer;
        // then AAC LC, 48 kHz, stereo (0x1190).
        let old = "0 0 1 000000 0000 000 00010 0011 0010 000";
        // audioMuxVersion 1, audioMuxVersionA 0: taraBufferFullness of two bytes, ascLen 16 before the same.
        let new = "0 1 0 01 1111111111111111 1 000000 0000 000 00 00010000 00010 0011 0010 000";
        for bits in [old, new] {
            let bits = bits.replace(' ', "") + "00000";
            let element: Vec<u8> = bits
                .as_bytes()
                .chunks(8)
                .map(|bits| bits.iter().enumerate().fold(0, |byte, (n, bit)| byte | (bit & 1) << (7 - n)))
                .collect();
            let frame = [&[0x56, 0xe0, element.len() as u8][..], &element].concat();
            let header = parse(&frame).unwrap();
            assert_eq!((header.len, header.sample_rate, header.channels), (frame.len(), 48_000, 2));
            assert_eq!(header.samples, 1024);
        }
        assert_eq!(parse(&[0x56, 0xe0, 9, 0x80]).unwrap().sample_rate, 0);
        assert_eq!(parse(&[0xff, 0xf1, 0]), None);
    }
}
