//! FLV files: the header and a list of tags (annex E.2 to E.4). For recordings and tests.

use bytes::{BufMut, Bytes};

/// Bytes of a tag's header.
const TAG_HEADER_LEN: usize = 11;

/// What a tag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// Audio (8).
    Audio,
    /// Video (9).
    Video,
    /// Script data, AMF0 (18).
    Script,
    /// Any other type.
    Other(u8),
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What it holds.
    pub kind: TagKind,
    /// When it is to be decoded, in milliseconds; wraps after 49 days.
    pub timestamp_ms: u32,
    /// Its body, a slice of the input.
    pub body: Bytes,
}

/// Why an FLV file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// It does not begin with `FLV`, version 1.
    #[error("flv file does not begin with a version 1 header")]
    Header,
    /// It ends inside a tag.
    #[error("flv tag at byte {at}: {needed} bytes are needed, {left} are left")]
    Short {
        /// Where the tag begins.
        at: usize,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
}

/// Appends the header of a file with audio and video.
pub fn put_file_header(out: &mut Vec<u8>) {
    out.extend_from_slice(b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
}

/// Appends a tag whose body is `parts` together. The body must be shorter than 16 MiB.
pub fn put_tag(out: &mut Vec<u8>, kind: TagKind, timestamp_ms: u32, parts: &[&[u8]]) {
    let code = match kind {
        TagKind::Audio => 8,
        TagKind::Video => 9,
        TagKind::Script => 18,
        TagKind::Other(code) => code,
    };
    let len = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
    out.put_u8(code);
    out.put_uint(u64::from(len), 3);
    // E.4.1: the low 24 bits, then the high 8.
    out.put_uint(u64::from(timestamp_ms & 0x00ff_ffff), 3);
    out.put_u8((timestamp_ms >> 24) as u8);
    out.put_uint(0, 3);
    for part in parts {
        out.extend_from_slice(part);
    }
    out.put_u32(len + TAG_HEADER_LEN as u32);
}

/// All tags of a file. The size after each tag is not checked; recorders leave the last one out.
///
/// # Errors
/// When the header is wrong or the file ends inside a tag.
pub fn read_tags(data: &Bytes) -> Result<Vec<Tag>, FlvError> {
    // E.2: signature, version, flags, length of the header; then the size of the tag before the first, 0.
    let header: [u8; 9] = data.first_chunk().copied().ok_or(FlvError::Header)?;
    let [b'F', b'L', b'V', 1, _, a, b, c, d] = header else {
        return Err(FlvError::Header);
    };
    let mut at = u32::from_be_bytes([a, b, c, d]) as usize;
    if at < header.len() {
        return Err(FlvError::Header);
    }
    let mut tags = Vec::new();
    loop {
        at = at.saturating_add(4);
        let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) else {
            return Ok(tags);
        };
        let left = rest.len();
        let Some(header) = rest.first_chunk::<TAG_HEADER_LEN>() else {
            return Err(FlvError::Short { at, needed: TAG_HEADER_LEN, left });
        };
        let [kind, s0, s1, s2, t0, t1, t2, t3, ..] = *header;
        let body_len = u32::from_be_bytes([0, s0, s1, s2]) as usize;
        let needed = TAG_HEADER_LEN + body_len;
        if needed > left {
            return Err(FlvError::Short { at, needed, left });
        }
        let kind = match kind & 31 {
            8 => TagKind::Audio,
            9 => TagKind::Video,
            18 => TagKind::Script,
            other => TagKind::Other(other),
        };
        tags.push(Tag {
            kind,
            timestamp_ms: u32::from_be_bytes([t3, t0, t1, t2]),
            body: data.slice(at + TAG_HEADER_LEN..at + needed),
        });
        at += needed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_written() {
        let mut file = Vec::new();
        put_file_header(&mut file);
        put_tag(&mut file, TagKind::Script, 0, &[b"meta"]);
        put_tag(&mut file, TagKind::Video, 0xfedc_ba98, &[b"ab", b"", b"cde"]);
        put_tag(&mut file, TagKind::Audio, 7, &[]);
        let file = Bytes::from(file);
        let tags = read_tags(&file).unwrap();
        let seen: Vec<_> = tags.iter().map(|tag| (tag.kind, tag.timestamp_ms, &tag.body[..])).collect();
        assert_eq!(
            seen,
            [
                (TagKind::Script, 0, &b"meta"[..]),
                (TagKind::Video, 0xfedc_ba98, b"abcde"),
                (TagKind::Audio, 7, b"")
            ]
        );
        for cut in 0..file.len() {
            let _ = read_tags(&file.slice(..cut));
        }
        assert_eq!(
            read_tags(&file.slice(..27)).unwrap_err().to_string(),
            "flv tag at byte 13: 15 bytes are needed, 14 are left"
        );
    }
}
