//! Opus: packets in transport streams (the Opus in MPEG-TS draft, 6.1) and in Ogg (RFC 7845).

use serde::{Deserialize, Serialize};

use super::{ForeignCodec, Header};

/// Opus always decodes to this rate.
const RATE: u32 = 48_000;

/// RFC 7845 5.1.1.2: streams, coupled ones among them and the channels' order, for one channel to eight.
const VORBIS_ORDER: [(u8, u8, [u8; 8]); 8] = [
    (1, 0, [0, 0, 0, 0, 0, 0, 0, 0]),
    (1, 1, [0, 1, 0, 0, 0, 0, 0, 0]),
    (2, 1, [0, 2, 1, 0, 0, 0, 0, 0]),
    (2, 2, [0, 1, 2, 3, 0, 0, 0, 0]),
    (3, 2, [0, 4, 1, 2, 3, 0, 0, 0]),
    (4, 2, [0, 4, 1, 2, 3, 5, 0, 0]),
    (4, 3, [0, 4, 1, 2, 3, 5, 6, 0]),
    (5, 3, [0, 6, 1, 2, 3, 4, 5, 7]),
];

/// Which channels the streams of a packet hold (RFC 7845 5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Output channel count, 1 to 8.
    pub channels: u8,
    gain: i16,
    streams: u8,
    coupled: u8,
    mapping: [u8; 8],
}

impl Layout {
    /// Channels in the order that Vorbis has; `None` where there are none or more than eight.
    #[must_use]
    pub fn of(channels: u8) -> Option<Self> {
        let (streams, coupled, mapping) = *VORBIS_ORDER.get(usize::from(channels).checked_sub(1)?)?;
        Some(Self { channels, gain: 0, streams, coupled, mapping })
    }

    /// That of an Opus audio descriptor's channel_config_code (the Opus in MPEG-TS draft, 4.2); `None` where the
    /// channels are described one by one.
    #[must_use]
    pub fn of_config_code(code: u8) -> Option<Self> {
        // 0 is two channels that have nothing to do with each other.
        Self::of(if code == 0 { 2 } else { code })
    }

    /// Reads the body of a `dOps` box (Encapsulation of Opus in ISO Base Media File Format, 4.3.2); `None` where its
    /// mapping family is neither 0 nor 1, or it contradicts itself.
    #[must_use]
    pub fn read_dops(body: &[u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<11>()?;
        let (channels, gain, family) = (head[1], i16::from_be_bytes([head[8], head[9]]), head[10]);
        let usual = Self::of(channels)?;
        match family {
            0 if channels <= 2 => Some(Self { gain, ..usual }),
            1 => {
                let (&[streams, coupled], rest) = rest.split_first_chunk::<2>()?;
                let mut mapping = [0; 8];
                let known = rest.get(..usize::from(channels))?;
                mapping[..known.len()].copy_from_slice(known);
                // 255 is a silent channel.
                let decoded = streams.checked_add(coupled)?;
                let fits = streams > 0
                    && coupled <= streams
                    && known.iter().all(|index| *index < decoded || *index == 255);
                fits.then_some(Self { channels, gain, streams, coupled, mapping })
            }
            _ => None,
        }
    }

    /// Body of an `OpusHead` packet that skips nothing.
    fn head(&self) -> Vec<u8> {
        let family = u8::from(self.channels > 2 || (self.streams, self.coupled) != (1, self.channels - 1));
        let mut head = b"OpusHead\x01".to_vec();
        head.extend([self.channels, 0, 0]);
        head.extend(RATE.to_le_bytes());
        head.extend(self.gain.to_le_bytes());
        head.push(family);
        if family != 0 {
            head.extend([self.streams, self.coupled]);
            head.extend(&self.mapping[..usize::from(self.channels)]);
        }
        head
    }
}

impl Default for Layout {
    fn default() -> Self {
        let (streams, coupled, mapping) = VORBIS_ORDER[1];
        Self { channels: 2, gain: 0, streams, coupled, mapping }
    }
}

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

/// The access unit at the start of `bytes`: its header's length and the whole unit's, and what it is. How many
/// channels it has stands outside.
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
    /// The two header pages (RFC 7845 5).
    pub fn head(&mut self, layout: Layout) -> Vec<u8> {
        let mut out = self.page(&layout.head(), 2);
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
    fn layouts_are_read_and_written() {
        let of_eight = Layout::of_config_code(8).unwrap();
        assert_eq!(&of_eight.head()[18..], [1, 5, 3, 0, 6, 1, 2, 3, 4, 5, 7]);
        assert_eq!(&Layout::default().head()[8..], [1, 2, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0]);
        assert_eq!(Layout::of_config_code(0), Some(Layout::default()));
        assert_eq!((Layout::of(0), Layout::of_config_code(0x81)), (None, None));
        // dOps: version, channels, pre-skip, rate, gain -1, family.
        let dops = |channels: u8, rest: &[u8]| {
            Layout::read_dops(&[&[0, channels, 1, 56, 0, 0, 0xbb, 0x80, 0xff, 0xff], rest].concat())
        };
        assert_eq!(dops(2, &[0]), Some(Layout { gain: -1, ..Layout::default() }));
        let surround = dops(6, &[1, 4, 2, 0, 4, 1, 2, 3, 5]).unwrap();
        assert_eq!(surround, Layout { gain: -1, ..Layout::of(6).unwrap() });
        assert_eq!(surround.head().len(), 19 + 2 + 6);
        for refused in
            [&[0][..], &[2, 4, 2, 0, 4, 1, 2, 3, 5], &[1, 4, 2, 0, 4], &[1, 1, 0, 0, 4, 1, 2, 3, 5]]
        {
            assert_eq!(dops(6, refused), None, "{refused:?}");
        }
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
