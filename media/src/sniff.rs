//! Which container bytes are, from the bytes alone: names and labels lie.

use crate::audio::{Header, ac3, mpeg};
use crate::ts::framer::find_stride;
use crate::{aac, id3};

/// Bytes at the head of a segment that are looked through for transport stream packets.
const LOOKED_AT: usize = 64 << 10;

/// A container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// MPEG-TS whose packets start so many bytes apart: 188, 192 (with arrival times) or 204 (with parity).
    MpegTs {
        /// Distance of packet starts.
        stride: u16,
    },
    /// ISO base media file: an init section or fragments.
    Mp4,
    /// Audio frames one behind the other, perhaps behind an ID3 tag (RFC 8216 3.4).
    Packed(Packed),
    /// WebVTT subtitles.
    WebVtt,
    /// None of these.
    Unknown,
}

/// Frames of packed audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// AAC in ADTS.
    Adts,
    /// MPEG audio of any layer.
    MpegAudio,
    /// AC-3 or E-AC-3.
    Ac3,
}

impl Container {
    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MpegTs { stride: 192 } => "MPEG-TS (192-byte packets)",
            Self::MpegTs { stride: 204 } => "MPEG-TS (204-byte packets)",
            Self::MpegTs { .. } => "MPEG-TS",
            Self::Mp4 => "fMP4",
            Self::Packed(Packed::Adts) => "packed audio (AAC)",
            Self::Packed(Packed::MpegAudio) => "packed audio (MPEG)",
            Self::Packed(Packed::Ac3) => "packed audio (AC-3)",
            Self::WebVtt => "WebVTT",
            Self::Unknown => "unknown",
        }
    }
}

/// The container that `bytes`, the beginning of a segment or all of it, are of.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Container {
    if is_mp4(bytes) {
        return Container::Mp4;
    }
    let audio = &bytes[id3::leading_tags(bytes)..];
    if let Some(packed) = packed(audio) {
        return Container::Packed(packed);
    }
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    if let Some(stride) = find_stride(head, head.len() == bytes.len()) {
        return Container::MpegTs { stride };
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.starts_with(b"WEBVTT") { Container::WebVtt } else { Container::Unknown }
}

/// ISO/IEC 14496-12 4.2: a box of a kind that stands at the top level.
fn is_mp4(bytes: &[u8]) -> bool {
    let Some(&[a, b, c, d, ref name @ ..]) = bytes.first_chunk::<8>() else { return false };
    let size = u32::from_be_bytes([a, b, c, d]);
    let known = matches!(
        name,
        b"ftyp"
            | b"styp"
            | b"moov"
            | b"moof"
            | b"mdat"
            | b"sidx"
            | b"ssix"
            | b"emsg"
            | b"prft"
            | b"free"
            | b"skip"
            | b"wide"
            | b"pdin"
            | b"uuid"
            | b"mfra"
            | b"meta"
    );
    known && !(2..8).contains(&size)
}

/// Two frames in a row, or one that fills all there is.
fn packed(bytes: &[u8]) -> Option<Packed> {
    let follows = |header: fn(&[u8]) -> Option<usize>| {
        let first = header(bytes).filter(|len| *len > 0)?;
        match bytes.get(first..) {
            Some([]) => Some(()),
            Some(rest) => header(rest).map(|_| ()),
            None => None,
        }
    };
    if follows(aac::adts::frame_len).is_some() {
        return Some(Packed::Adts);
    }
    if follows(|bytes| mpeg::parse(bytes).map(|header: Header| header.len)).is_some() {
        return Some(Packed::MpegAudio);
    }
    follows(|bytes| ac3::parse(bytes).map(|header| header.len)).map(|()| Packed::Ac3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(stride: usize, lead: usize) -> Vec<u8> {
        (0..5)
            .flat_map(|n| {
                let mut packet = vec![n; stride];
                packet[lead] = 0x47;
                packet
            })
            .collect()
    }

    #[test]
    fn transport_streams_are_known_by_their_packets() {
        assert_eq!(sniff(&packets(188, 0)), Container::MpegTs { stride: 188 });
        assert_eq!(sniff(&packets(192, 4)), Container::MpegTs { stride: 192 });
        assert_eq!(sniff(&packets(204, 0)), Container::MpegTs { stride: 204 });
        assert_eq!(sniff(&[b"junk".to_vec(), packets(188, 0)].concat()), Container::MpegTs { stride: 188 });
        assert_eq!(sniff(&packets(188, 0)[..188]), Container::MpegTs { stride: 188 });
    }

    #[test]
    fn the_others_are_known_by_their_heads() {
        assert_eq!(sniff(b"\0\0\0\x18styp...."), Container::Mp4);
        assert_eq!(sniff(b"\xef\xbb\xbfWEBVTT\n"), Container::WebVtt);
        assert_eq!(sniff(b"<!DOCTYPE html>"), Container::Unknown);
        assert_eq!(sniff(b""), Container::Unknown);
        let frame = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x1f, 0xfc, 0];
        let tagged = [crate::id3::tests::timestamp_tag(1), frame.repeat(2)].concat();
        assert_eq!(sniff(&tagged), Container::Packed(Packed::Adts));
    }
}
