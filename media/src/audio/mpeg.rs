//! MPEG audio frame headers (ISO/IEC 11172-3 2.4.1.3, ISO/IEC 13818-3 2.4.2.3).

use super::{ForeignCodec, Header};

/// kbit/s by bitrate_index, for MPEG-1 layers I, II, III and for the lower rates' layer I, and II and III.
const BITRATES: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// The header at the start of `bytes`; `None` where there is none, or its length is not told ("free" bitrate).
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let &[sync, b, c, d] = bytes.first_chunk::<4>()?;
    if sync != 0xff || b & 0xe0 != 0xe0 {
        return None;
    }
    // 3 is MPEG-1, 2 is MPEG-2, 0 is "MPEG-2.5".
    let version = b >> 3 & 3;
    let halvings = match version {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return None,
    };
    let (codec, layer) = match b >> 1 & 3 {
        3 => (ForeignCodec::MpegLayer1, 0),
        2 => (ForeignCodec::MpegLayer2, 1),
        1 => (ForeignCodec::MpegLayer3, 2),
        _ => return None,
    };
    let table = match (version, layer) {
        (3, layer) => layer,
        (_, 0) => 3,
        _ => 4,
    };
    let bitrate = u32::from(*BITRATES[table].get(usize::from(c >> 4)).filter(|rate| **rate > 0)?) * 1000;
    let sample_rate = [44_100u32, 48_000, 32_000].get(usize::from(c >> 2 & 3))? >> halvings;
    let padding = u32::from(c >> 1 & 1);
    let (len, samples) = match (codec, version) {
        (ForeignCodec::MpegLayer1, _) => ((12 * bitrate / sample_rate + padding) * 4, 384),
        (ForeignCodec::MpegLayer3, 0 | 2) => (72 * bitrate / sample_rate + padding, 576),
        _ => (144 * bitrate / sample_rate + padding, 1152),
    };
    let channels = if d >> 6 == 3 { 1 } else { 2 };
    Some(Header { codec, len: len as usize, sample_rate, channels, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_is_told_from_the_header() {
        // 128 kbit/s, 44.1 kHz, joint stereo, layer III.
        let mp3 = parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap();
        assert_eq!((mp3.codec, mp3.len, mp3.samples, mp3.channels), (ForeignCodec::MpegLayer3, 417, 1152, 2));
        // 192 kbit/s, 48 kHz, mono, layer II.
        let mp2 = parse(&[0xff, 0xfd, 0xa4, 0xc4]).unwrap();
        assert_eq!(
            (mp2.codec, mp2.len, mp2.sample_rate, mp2.channels),
            (ForeignCodec::MpegLayer2, 576, 48_000, 1)
        );
        // MPEG-2 layer III, 64 kbit/s, 22.05 kHz.
        let low = parse(&[0xff, 0xf3, 0x80, 0x64]).unwrap();
        assert_eq!((low.len, low.samples, low.sample_rate), (208, 576, 22_050));
        // ADTS has layer 0.
        assert_eq!(parse(&[0xff, 0xf1, 0x4c, 0x80]), None);
    }
}
