//! AC-3 and E-AC-3 frame headers (ETSI TS 102 366, 4.3 and E.1.2).

use super::{ForeignCodec, Header};

/// kbit/s by frmsizecod / 2 (table 4.13).
const BITRATES: [u32; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

const RATES: [u32; 3] = [48_000, 44_100, 32_000];

/// Channels by acmod, without the low frequency one (table 4.3).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// The header at the start of `bytes`; `None` where there is none. Substreams that add to the frame before
/// them have no samples of their own.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Header> {
    let head = bytes.first_chunk::<8>()?;
    if head[..2] != [0x0b, 0x77] {
        return None;
    }
    match head[5] >> 3 {
        bsid @ 0..=10 => ac3(head, bsid),
        11..=16 => eac3(head),
        _ => None,
    }
}

fn ac3(head: &[u8; 8], bsid: u8) -> Option<Header> {
    let rate = *RATES.get(usize::from(head[4] >> 6))?;
    let code = head[4] & 0x3f;
    let bitrate = *BITRATES.get(usize::from(code >> 1))?;
    // Words of 16 bits in 1536 samples; at 44.1 kHz they alternate.
    let words = match rate {
        48_000 => bitrate * 2,
        44_100 => 320 * bitrate / 147 + u32::from(code & 1),
        _ => bitrate * 3,
    };
    // Beyond 8, rates are halved once or twice.
    let halvings = u32::from(bsid.saturating_sub(8));
    let acmod = head[6] >> 5;
    let mut lfe_bit = 3;
    if acmod & 1 != 0 && acmod != 1 {
        lfe_bit += 2;
    }
    if acmod & 4 != 0 {
        lfe_bit += 2;
    }
    if acmod == 2 {
        lfe_bit += 2;
    }
    let low = (u16::from_be_bytes([head[6], head[7]]) >> (15 - lfe_bit) & 1) as u8;
    Some(Header {
        codec: ForeignCodec::Ac3,
        len: words as usize * 2,
        sample_rate: rate >> halvings,
        channels: CHANNELS[usize::from(acmod)] + low,
        samples: 1536,
    })
}

fn eac3(head: &[u8; 8]) -> Option<Header> {
    let (stream_type, substream) = (head[2] >> 6, head[2] >> 3 & 7);
    let words = usize::from(head[2] & 7) << 8 | usize::from(head[3]);
    let code = head[4] >> 6;
    let (sample_rate, blocks) = match RATES.get(usize::from(code)) {
        Some(rate) => (*rate, [1, 2, 3, 6][usize::from(head[4] >> 4 & 3)]),
        None => (*RATES.get(usize::from(head[4] >> 4 & 3))? / 2, 6),
    };
    let own = matches!(stream_type, 0 | 2) && substream == 0;
    let acmod = head[4] >> 1 & 7;
    Some(Header {
        codec: ForeignCodec::EAc3,
        len: (words + 1) * 2,
        sample_rate,
        channels: CHANNELS[usize::from(acmod)] + (head[4] & 1),
        samples: if own { blocks * 256 } else { 0 },
    })
    .filter(|_| stream_type < 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_by_their_bitstream_identification() {
        // 48 kHz, 192 kbit/s, stereo.
        let ac3 = parse(&[0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43, 0]).unwrap();
        assert_eq!((ac3.codec, ac3.len, ac3.sample_rate, ac3.channels), (ForeignCodec::Ac3, 768, 48_000, 2));
        // 3/2 with low frequency channel.
        let surround = parse(&[0x0b, 0x77, 0, 0, 0x1c, 0x40, 0xe1, 0]).unwrap();
        assert_eq!((surround.channels, surround.len), (6, 1536));
        // 44.1 kHz, 128 kbit/s: 278 words, or 279.
        assert_eq!(parse(&[0x0b, 0x77, 0, 0, 0x50, 0x40, 0x43, 0]).unwrap().len, 556);
        assert_eq!(parse(&[0x0b, 0x77, 0, 0, 0x51, 0x40, 0x43, 0]).unwrap().len, 558);
        // Independent substream 0 of 512 words, 48 kHz, six blocks, 3/2 with low frequency channel, bsid 16.
        let eac3 = parse(&[0x0b, 0x77, 0x01, 0xff, 0x3f, 0x80, 0, 0]).unwrap();
        assert_eq!((eac3.codec, eac3.len, eac3.samples, eac3.channels), (ForeignCodec::EAc3, 1024, 1536, 6));
        // A dependent one.
        assert_eq!(parse(&[0x0b, 0x77, 0x41, 0xff, 0x3f, 0x80, 0, 0]).unwrap().samples, 0);
        assert_eq!(parse(&[0x0b, 0x77, 0, 0, 0, 0xf8, 0, 0]), None);
    }
}
