//! Opus: packets in transport streams (the Opus in MPEG-TS draft, 6.1) and in Ogg (RFC 7845).

use super::{ForeignCodec, Header};

/// Opus always decodes to this rate.
const RATE: u32 = 48_000;

/// Samples a channel of a packet (RFC 6716 3.1); `None` where the packet cannot be.
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * count).filter(|samples| (1..=5760).contains(samples))
}

/// The access unit at the start of `bytes`: its header's length and the whole unit's, and what it is.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(usize, Header)> {
    // opus_control_header: prefix 0x3ff, trim and extension flags.
    let head = bytes.first_chunk::<2>()?;
    if head[0] != 0x7f || head[1] & 0xe0 != 0xe0 {
        return None;
    }
    let mut at = 2;
    let mut size = 0;
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        size += usize::from(byte);
        if byte != 0xff {
            break;
        }
    }
    if head[1] & 0x10 != 0 {
        at += 2;
    }
    if head[1] & 0x08 != 0 {
        at += 2;
    }
    if head[1] & 0x04 != 0 {
        at += 1 + usize::from(*bytes.get(at)?);
    }
    let samples = packet_samples(bytes.get(at..)?)?;
    let header =
        Header { codec: ForeignCodec::Opus, len: at + size, sample_rate: RATE, channels: 2, samples };
    Some((at, header))
}

/// An Ogg stream of Opus, page by page.
#[derive(Debug, Default)]
pub struct OggWriter {
    sequence: u32,
    granule: u64,
}

impl OggWriter {
    /// The two header pages (RFC 7845 5): stereo, nothing skipped.
    pub fn head(&mut self) -> Vec<u8> {
        // OpusHead: version 1, channels, pre-skip 0, input rate, gain 0, mapping family 0.
        let mut head = b"OpusHead\x01\x02\0\0".to_vec();
        head.extend(RATE.to_le_bytes());
        head.extend([0, 0, 0]);
        let mut out = self.page(&head, 2);
        out.extend(self.page(b"OpusTags\0\0\0\0\0\0\0\0", 0));
        out
    }

    /// A page with one packet.
    pub fn packet(&mut self, packet: &[u8]) -> Vec<u8> {
        self.granule += u64::from(packet_samples(packet).unwrap_or(0));
        self.page(packet, 0)
    }

    /// RFC 3533 6. A packet of up to 255 * 255 bytes fits one page; longer ones do not occur.
    fn page(&mut self, packet: &[u8], kind: u8) -> Vec<u8> {
        let packet = &packet[..packet.len().min(255 * 255 - 1)];
        let lacing = packet.len() / 255 + 1;
        let mut page = b"OggS\0".to_vec();
        page.push(kind);
        page.extend(self.granule.to_le_bytes());
        // The stream's serial number.
        page.extend(1u32.to_le_bytes());
        page.extend(self.sequence.to_le_bytes());
        self.sequence += 1;
        page.extend([0; 4]);
        page.push(lacing as u8);
        page.extend(std::iter::repeat_n(255, lacing - 1));
        page.push((packet.len() % 255) as u8);
        page.extend(packet);
        let crc = crc32(&page);
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        page
    }
}

/// RFC 3533 6: the usual polynomial, begun with 0.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            crc << 1 ^ if crc & 0x8000_0000 != 0 { 0x04c1_1db7 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_packets_are_told_by_their_first_bytes() {
        assert_eq!(packet_samples(&[0x78]), Some(960), "hybrid, 20 ms");
        assert_eq!(packet_samples(&[0x18]), Some(2880), "SILK, 60 ms");
        assert_eq!(packet_samples(&[0xe1]), Some(240), "CELT, two of 2.5 ms");
        assert_eq!(packet_samples(&[0xfb, 3]), Some(2880));
        assert_eq!(packet_samples(&[0xfb, 0]), None);
        assert_eq!(packet_samples(&[]), None);
    }

    #[test]
    fn an_access_unit_has_its_size_before_it() {
        let mut unit = vec![0x7f, 0xe0, 0xff, 45];
        unit.push(0x78);
        unit.resize(4 + 300, 1);
        let (header_len, header) = parse(&unit).unwrap();
        assert_eq!((header_len, header.len, header.samples), (4, 304, 960));
        assert_eq!(parse(&[0x7f, 0xf0, 1, 0, 5, 0x78]).unwrap().0, 5);
        assert_eq!(parse(&[0x7f, 0x80, 1, 0x78]), None);
    }
}
