//! What a processor sent, by its first bytes: its label is never trusted.

use crate::messages::AudioFormat;

/// Bytes shown of something that is not audio.
const SHOWN_BYTES: usize = 16;

/// Length of a transport stream packet (ISO/IEC 13818-1 2.4.3.2).
const TS_PACKET: usize = 188;

/// Names the container of `data`, or none where it is not audio that can be used.
#[must_use]
pub fn sniff(data: &[u8]) -> Option<AudioFormat> {
    if let Some(after_tag) = skip_id3(data) {
        // HLS packed audio (RFC 8216 3.4) puts an ID3 tag before ADTS too.
        return Some(if is_adts(after_tag) { AudioFormat::Adts } else { AudioFormat::Mp3 });
    }
    let at = |offset: usize, magic: &[u8]| data.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if is_mp4(data) {
        Some(AudioFormat::Mp4)
    } else if (at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64")) && at(8, b"WAVE") {
        Some(AudioFormat::Wav)
    } else if at(0, b"OggS") {
        Some(AudioFormat::Ogg)
    } else if at(0, b"fLaC") {
        Some(AudioFormat::Flac)
    } else if is_ts(data) {
        Some(AudioFormat::MpegTs)
    } else if is_adts(data) {
        Some(AudioFormat::Adts)
    } else if is_mp3(data) {
        Some(AudioFormat::Mp3)
    } else {
        None
    }
}

/// Says what `data` is when it is not audio: its length and first bytes.
#[must_use]
pub fn describe(data: &[u8]) -> String {
    if data.is_empty() {
        return "0 bytes".to_owned();
    }
    let shown = data.len().min(SHOWN_BYTES);
    let hex: Vec<String> = data[..shown].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes that begin with {}", data.len(), hex.join(" "))
}

/// ISO/IEC 14496-12 4.2: a box is its size and its type; 0 means to the end, 1 that 64 bits follow.
fn is_mp4(data: &[u8]) -> bool {
    let Some((size, rest)) = data.split_first_chunk::<4>() else { return false };
    let size = u32::from_be_bytes(*size);
    let known = [b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"prft", b"free", b"skip"];
    (size <= 1 || size >= 8) && known.iter().any(|name| rest.starts_with(*name))
}

/// One sync byte is also the letter G; a stream worth the name has a PAT, a PMT and audio behind it.
fn is_ts(data: &[u8]) -> bool {
    data.len() >= 3 * TS_PACKET && (0..3).all(|packet| data[packet * TS_PACKET] == 0x47)
}

/// ISO/IEC 13818-7 6.2: syncword 0xFFF, layer 0, a valid rate, and the next frame where this one ends.
fn is_adts(data: &[u8]) -> bool {
    let Some(header) = data.first_chunk::<7>() else { return false };
    let frame_len =
        usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5]) >> 5;
    let rate_index = header[2] >> 2 & 0xf;
    let valid = header[0] == 0xff && header[1] & 0xf6 == 0xf0 && rate_index < 13 && frame_len >= 7;
    let next = data.get(frame_len..frame_len.saturating_add(2));
    valid && next.is_none_or(|next| next[0] == 0xff && next[1] & 0xf6 == 0xf0)
}

/// ISO/IEC 11172-3 2.4.1.3: 11 bits of sync (MPEG-2.5 clears the twelfth), layer III, nothing reserved.
fn is_mp3(data: &[u8]) -> bool {
    let Some(header) = data.first_chunk::<4>() else { return false };
    let version = header[1] >> 3 & 3;
    let layer = header[1] >> 1 & 3;
    let bitrate_index = header[2] >> 4;
    let rate_index = header[2] >> 2 & 3;
    header[0] == 0xff
        && header[1] & 0xe0 == 0xe0
        && version != 1
        && layer == 1
        && !matches!(bitrate_index, 0 | 15)
        && rate_index != 3
}

/// What follows an ID3v2 tag (id3.org, ID3v2.4.0 3.1: a size of four times seven bits), if there is one.
fn skip_id3(data: &[u8]) -> Option<&[u8]> {
    let header = data.first_chunk::<10>()?;
    if !header.starts_with(b"ID3") || header[6..].iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let size = header[6..].iter().fold(0_usize, |size, &byte| size << 7 | usize::from(byte));
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Some(data.get(10 + size + footer..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn padded(head: &[u8], len: usize) -> Vec<u8> {
        let mut data = head.to_vec();
        data.resize(len, 0);
        data
    }

    #[test]
    fn audio_is_told_by_its_first_bytes() {
        assert_eq!(sniff(b"\0\0\0\x1cftypiso5"), Some(AudioFormat::Mp4));
        assert_eq!(sniff(b"\0\0\0\x18stypmsdh"), Some(AudioFormat::Mp4));
        assert_eq!(sniff(b"\0\0\x04\0moof\0\0"), Some(AudioFormat::Mp4));
        assert_eq!(sniff(b"\0\0\0\x01moov\0\0"), Some(AudioFormat::Mp4));
        assert_eq!(sniff(b"RIFF\x24\0\0\0WAVEfmt "), Some(AudioFormat::Wav));
        assert_eq!(sniff(b"OggS\0\x02"), Some(AudioFormat::Ogg));
        assert_eq!(sniff(b"fLaC\0\0"), Some(AudioFormat::Flac));
        // MPEG-1 layer III, 128 kbit/s, 44.1 kHz; and MPEG-2.5.
        assert_eq!(sniff(&padded(&[0xff, 0xfb, 0x90, 0x64], 417)), Some(AudioFormat::Mp3));
        assert_eq!(sniff(&padded(&[0xff, 0xe3, 0x90, 0x64], 417)), Some(AudioFormat::Mp3));
    }

    #[test]
    fn a_transport_stream_needs_more_than_one_sync_byte() {
        let mut stream = vec![0xff; 4 * TS_PACKET];
        for packet in stream.chunks_mut(TS_PACKET) {
            packet[0] = 0x47;
        }
        assert_eq!(sniff(&stream), Some(AudioFormat::MpegTs));
        stream[TS_PACKET] = 0;
        assert_eq!(sniff(&stream), None);
        assert_eq!(sniff(b"GIF89a"), None);
    }

    #[test]
    fn adts_needs_the_next_frame_where_the_first_ends() {
        // AAC LC, 48 kHz, stereo, frames of 16 bytes.
        let frame = padded(&[0xff, 0xf1, 0x4c, 0x80, 0x02, 0x1f, 0xfc], 16);
        let two = [frame.clone(), frame.clone()].concat();
        assert_eq!(sniff(&frame), Some(AudioFormat::Adts));
        assert_eq!(sniff(&two), Some(AudioFormat::Adts));
        assert_eq!(sniff(&[frame.clone(), vec![0; 16]].concat()), None);
        let tagged = [b"ID3\x04\0\0\0\0\0\x05HELLO".as_slice(), &two].concat();
        assert_eq!(sniff(&tagged), Some(AudioFormat::Adts));
        assert_eq!(sniff(b"ID3\x04\0\0\0\0\0\x05HELLO"), Some(AudioFormat::Mp3));
    }

    #[test]
    fn what_is_not_audio_is_described() {
        for junk in [b"".as_slice(), b"\0", b"{\"error\":1}", b"<html>", b"\x89PNG\r\n", b"RIFF\0\0\0\0AVI "]
        {
            assert_eq!(sniff(junk), None, "{junk:?}");
        }
        assert_eq!(describe(b""), "0 bytes");
        assert_eq!(describe(b"<html>"), "6 bytes that begin with 3c 68 74 6d 6c 3e");
        assert!(describe(&[0xab; 100]).starts_with("100 bytes that begin with ab ab"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = (sniff(&data), describe(&data));
        }

        #[test]
        fn no_audio_header_with_junk_behind_it_makes_it_panic(
            head in prop_oneof![Just(&b"ID3"[..]), Just(&b"\xff\xf1"[..]), Just(&b"\xff\xfb"[..]), Just(&b"G"[..])],
            data in proptest::collection::vec(any::<u8>(), 0..20)
        ) {
            let _ = sniff(&[head, &data].concat());
        }
    }
}
