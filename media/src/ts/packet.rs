//! One transport stream packet (ISO/IEC 13818-1 2.4.3.2).

/// Bytes of a packet.
pub const PACKET_LEN: usize = 188;

/// First byte of every packet.
pub const SYNC_BYTE: u8 = 0x47;

/// A packet's fields that demultiplexing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Packet identifier, 13 bits.
    pub pid: u16,
    /// A PES packet or a section starts in the payload.
    pub unit_start: bool,
    /// The payload is scrambled.
    pub scrambled: bool,
    /// continuity_counter, 4 bits.
    pub continuity: u8,
    /// discontinuity_indicator of the adaptation field: the counter may jump here.
    pub discontinuity: bool,
    /// Payload; `None` where the packet has none (and does not count).
    pub payload: Option<&'a [u8]>,
}

/// Why a packet cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A demodulator flagged it as damaged.
    #[error("transport_error_indicator is set")]
    TransportError,
    /// The adaptation field does not fit the packet, or its control value is reserved.
    #[error("adaptation field is invalid")]
    AdaptationField,
}

impl<'a> Packet<'a> {
    /// Parses a packet that starts with the sync byte.
    pub fn parse(bytes: &'a [u8; PACKET_LEN]) -> Result<Self, PacketError> {
        if bytes[1] & 0x80 != 0 {
            return Err(PacketError::TransportError);
        }
        let (payload_start, discontinuity) = match (bytes[3] >> 4) & 0x3 {
            0b01 => (4, false),
            control @ (0b10 | 0b11) => {
                let length = usize::from(bytes[4]);
                // 2.4.3.4: 183 without payload, 0 to 182 with one. Muxers exist that fill whole packets with an
                // adaptation field and still announce, and count, a payload: an empty one.
                if length > 183 {
                    return Err(PacketError::AdaptationField);
                }
                let discontinuity = length > 0 && bytes[5] & 0x80 != 0;
                (if control == 0b11 { 5 + length } else { PACKET_LEN }, discontinuity)
            }
            _ => return Err(PacketError::AdaptationField),
        };
        Ok(Self {
            pid: u16::from_be_bytes([bytes[1] & 0x1f, bytes[2]]),
            unit_start: bytes[1] & 0x40 != 0,
            scrambled: bytes[3] & 0xc0 != 0,
            continuity: bytes[3] & 0x0f,
            discontinuity,
            payload: bytes.get(payload_start..).filter(|_| bytes[3] & 0x10 != 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET_LEN] {
        let mut bytes = [0xff; PACKET_LEN];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn a_packet_with_an_adaptation_field_gives_what_follows_it() {
        let bytes = packet(&[0x47, 0x41, 0x00, 0x37, 0x02, 0x80, 0xff, 0xaa, 0xbb]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.pid, packet.unit_start, packet.continuity), (0x100, true, 7));
        assert!(packet.discontinuity && !packet.scrambled);
        assert_eq!(packet.payload.map(|p| (p.len(), p[0])), Some((181, 0xaa)));
    }

    #[test]
    fn a_packet_without_payload_has_none() {
        let bytes = packet(&[0x47, 0x01, 0x00, 0x20, 183, 0x10]);
        assert_eq!(Packet::parse(&bytes).unwrap().payload, None);
        let bytes = packet(&[0x47, 0x01, 0x00, 0x30, 183, 0x10]);
        assert_eq!(Packet::parse(&bytes).unwrap().payload, Some([].as_slice()));
    }

    #[test]
    fn damaged_packets_are_refused() {
        assert_eq!(Packet::parse(&packet(&[0x47, 0x81, 0, 0x10])), Err(PacketError::TransportError));
        assert_eq!(Packet::parse(&packet(&[0x47, 0x01, 0, 0x00])), Err(PacketError::AdaptationField));
        assert_eq!(Packet::parse(&packet(&[0x47, 0x01, 0, 0x30, 184])), Err(PacketError::AdaptationField));
        assert_eq!(Packet::parse(&packet(&[0x47, 0x01, 0, 0x20, 184])), Err(PacketError::AdaptationField));
    }
}
