//! PES packet headers (ISO/IEC 13818-1 2.4.3.6).

use serde::{Deserialize, Serialize};

/// Presentation and decoding time as sent, in 90 kHz ticks: 33 bits from a transport stream, not unwrapped; signed
/// from other containers. Equal values modulo 2^33 are the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamps {
    /// Presentation time.
    pub pts: i64,
    /// Decoding time; the presentation time where none was sent (2.4.3.7: it is left out when equal).
    pub dts: i64,
}

/// What a PES packet's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PesHeader {
    /// stream_id.
    pub stream_id: u8,
    /// Times of the first access unit that commences in the packet.
    pub stamp: Option<Timestamps>,
    /// Bytes of payload; `None` where PES_packet_length is 0 and the next start ends the packet.
    pub payload_len: Option<usize>,
}

/// Outcome of reading a header from the first bytes of a PES packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderParse {
    /// The header and its length in bytes.
    Complete(PesHeader, usize),
    /// More bytes are needed.
    NeedMore,
    /// No PES packet, or one that bears no elementary stream.
    Invalid,
}

/// Longest header: 9 bytes and what header_data_length can count.
pub const MAX_HEADER_LEN: usize = 9 + 255;

/// Reads the header at the start of `bytes`.
#[must_use]
pub fn parse_header(bytes: &[u8]) -> HeaderParse {
    let Some(head) = bytes.first_chunk::<9>() else { return HeaderParse::NeedMore };
    let stream_id = head[3];
    // Table 2-21: these have no optional header; padding, maps, ECM and the like are no elementary streams.
    let plain = matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff);
    if head[..3] != [0, 0, 1] || plain || head[6] & 0xc0 != 0x80 {
        return HeaderParse::Invalid;
    }
    let header_len = 9 + usize::from(head[8]);
    let Some(fields) = bytes.get(9..header_len) else { return HeaderParse::NeedMore };
    let stamp = match head[7] >> 6 {
        0b10 => timestamp(fields, 0).map(|pts| Timestamps { pts, dts: pts }),
        0b11 => timestamp(fields, 0).zip(timestamp(fields, 5)).map(|(pts, dts)| Timestamps { pts, dts }),
        _ => None,
    };
    let packet_len = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let payload_len = match packet_len {
        0 => None,
        // PES_packet_length counts from the byte after itself.
        len => match (len + 6).checked_sub(header_len) {
            Some(payload_len) => Some(payload_len),
            None => return HeaderParse::Invalid,
        },
    };
    HeaderParse::Complete(PesHeader { stream_id, stamp, payload_len }, header_len)
}

/// A 33-bit time in five bytes. Muxers exist that leave the marker bits out: nothing is read into them.
fn timestamp(fields: &[u8], at: usize) -> Option<i64> {
    let bytes = fields.get(at..at + 5)?;
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|i| i64::from(bytes[i]));
    Some((a >> 1 & 0x7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pts_and_dts_are_read() {
        // PTS 0x1_2345_6789, DTS 0x0_8000_0001.
        let bytes = [
            0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 11, 0x39, 0x8d, 0x15, 0xcf, 0x13, 0x15, 0x00, 0x01, 0x00, 0x03,
            0xff,
        ];
        let HeaderParse::Complete(header, len) = parse_header(&bytes) else { panic!("incomplete") };
        assert_eq!(len, 20);
        assert_eq!(header.stamp, Some(Timestamps { pts: 0x1_2345_6789, dts: 0x0_8000_0001 }));
        assert_eq!(header.payload_len, None);
        assert_eq!(parse_header(&bytes[..19]), HeaderParse::NeedMore);
        let without_markers =
            bytes.map(|byte| if matches!(byte, 0x39 | 0x15 | 0x13) { byte & !1 } else { byte });
        assert_ne!(without_markers, bytes);
        assert_eq!(parse_header(&without_markers), HeaderParse::Complete(header, len));
    }

    #[test]
    fn the_dts_is_the_pts_where_it_is_left_out() {
        let bytes = [0, 0, 1, 0xc0, 0, 18, 0x80, 0x80, 5, 0x21, 0, 1, 0, 0x0b];
        let HeaderParse::Complete(header, _) = parse_header(&bytes) else { panic!("incomplete") };
        assert_eq!(header.stamp, Some(Timestamps { pts: 5, dts: 5 }));
        assert_eq!(header.payload_len, Some(10));
    }

    #[test]
    fn what_is_no_pes_packet_is_refused() {
        assert_eq!(parse_header(&[0, 0, 2, 0xe0, 0, 0, 0x80, 0, 0]), HeaderParse::Invalid);
        assert_eq!(parse_header(&[0, 0, 1, 0xbe, 0, 9, 0x80, 0, 0]), HeaderParse::Invalid);
        // The header alone is longer than the whole packet.
        assert_eq!(parse_header(&[0, 0, 1, 0xe0, 0, 3, 0x80, 0, 1, 0xff]), HeaderParse::Invalid);
    }
}
