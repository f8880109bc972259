//! WebSocket frames by their first bytes, so that one too large is refused before it is read.
//!
//! actix-http's codec knows a largest size too, but looks at it when the whole frame is in memory: the
//! other end could fill that with one frame. Both ends therefore look first.

use actix_http::ws::{Codec, Frame, Message, ProtocolError};
use bytes::BytesMut;

use super::codec::MAX_MESSAGE_BYTES;

/// Lengths of a frame's header and payload, once its first bytes say so (RFC 6455 5.2).
#[must_use]
pub fn announced(bytes: &[u8]) -> Option<(usize, u64)> {
    let second = *bytes.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    match second & 0x7f {
        126 => {
            let len = bytes.get(2..)?.first_chunk::<2>()?;
            Some((4 + mask, u64::from(u16::from_be_bytes(*len))))
        }
        127 => Some((10 + mask, u64::from_be_bytes(*bytes.get(2..)?.first_chunk::<8>()?))),
        short => Some((2 + mask, u64::from(short))),
    }
}

/// actix-http's codec behind a look at the next frame's length.
#[derive(Debug)]
pub struct Bounded(pub Codec);

impl actix_codec::Decoder for Bounded {
    type Item = Frame;
    type Error = ProtocolError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        match announced(bytes) {
            Some((_, len)) if len > MAX_MESSAGE_BYTES as u64 => Err(ProtocolError::Overflow),
            _ => self.0.decode(bytes),
        }
    }
}

impl actix_codec::Encoder<Message> for Bounded {
    type Error = ProtocolError;

    fn encode(&mut self, message: Message, bytes: &mut BytesMut) -> Result<(), ProtocolError> {
        self.0.encode(message, bytes)
    }
}

/// Follows a byte stream from frame to frame, without keeping any of it.
#[derive(Debug, Default)]
pub struct FrameGuard {
    header: Vec<u8>,
    payload_left: u64,
}

impl FrameGuard {
    /// Takes the next bytes; false where they begin a frame larger than [`MAX_MESSAGE_BYTES`].
    #[must_use]
    pub fn admits(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let skipped = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            bytes = &bytes[skipped..];
            self.payload_left -= skipped as u64;
            if bytes.is_empty() {
                return true;
            }
            // A header is 14 bytes at most, and rarely comes in two reads.
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some((header_len, payload_len)) = announced(&self.header) {
                if payload_len > MAX_MESSAGE_BYTES as u64 {
                    return false;
                }
                if self.header.len() == header_len {
                    self.header.clear();
                    self.payload_left = payload_len;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_codec::{Decoder, Encoder};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_read_in_all_three_forms() {
        assert_eq!(announced(&[0x82]), None);
        assert_eq!(announced(&[0x82, 5]), Some((2, 5)));
        assert_eq!(announced(&[0x82, 0x85]), Some((6, 5)));
        assert_eq!(announced(&[0x82, 126, 1]), None);
        assert_eq!(announced(&[0x82, 126, 1, 2]), Some((4, 0x102)));
        assert_eq!(announced(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 1, 0]), Some((14, 0x100)));
        assert_eq!(
            announced(&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Some((10, u64::MAX))
        );
    }

    #[test]
    fn a_frame_that_is_too_large_is_refused_by_its_header_alone() {
        let header = |len: usize| [&[0x82, 127][..], &(len as u64).to_be_bytes()].concat();
        let mut codec = Bounded(Codec::new().max_size(MAX_MESSAGE_BYTES).client_mode());
        let decoded = codec.decode(&mut BytesMut::from(&header(MAX_MESSAGE_BYTES + 1)[..]));
        assert!(matches!(decoded, Err(ProtocolError::Overflow)));
        assert!(matches!(codec.decode(&mut BytesMut::from(&header(MAX_MESSAGE_BYTES)[..])), Ok(None)));
        assert!(FrameGuard::default().admits(&header(MAX_MESSAGE_BYTES)));
        assert!(!FrameGuard::default().admits(&header(MAX_MESSAGE_BYTES + 1)));
    }

    proptest! {
        #[test]
        fn the_guard_finds_every_frame_however_the_bytes_are_cut(
            lens in proptest::collection::vec(prop_oneof![0_usize..10, 120_usize..130, 65_530_usize..65_540], 0..5),
            cut in 1_usize..5000,
        ) {
            let mut stream = BytesMut::new();
            // A client's frames are masked, the longer headers.
            let mut codec = Bounded(Codec::new().client_mode());
            for len in lens {
                codec.encode(Message::Binary(vec![0xff; len].into()), &mut stream).unwrap();
            }
            stream.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 4, 0, 0]);
            let mut guard = FrameGuard::default();
            for part in stream.chunks(cut) {
                prop_assert!(guard.admits(part));
            }
            prop_assert!(!guard.admits(&[1]));
        }

        #[test]
        fn no_bytes_make_the_guard_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = FrameGuard::default().admits(&bytes);
        }
    }
}
