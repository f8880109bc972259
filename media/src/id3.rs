//! ID3v2 tags (id3.org, ID3v2.3 and ID3v2.4), as HLS uses them: timed metadata, and the start of packed audio.

/// Longest tag that is looked at.
pub const MAX_TAG_LEN: usize = 1 << 20;

/// Owner of the PRIV frame with a packed audio segment's start (RFC 8216 3.4).
const TIMESTAMP_OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";

/// Bytes of the tag at the start of `bytes`, header and footer included; `None` where there is no whole header.
#[must_use]
pub fn tag_len(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<10>()?;
    if &header[..3] != b"ID3" || header[3] == 0xff || header[4] == 0xff {
        return None;
    }
    let size = synchsafe(&header[6..])?;
    let footer = if header[5] & 0x10 != 0 { 10 } else { 0 };
    Some(10 + size + footer)
}

/// How many bytes of whole tags `bytes` begins with.
#[must_use]
pub fn leading_tags(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = bytes.get(at..).and_then(tag_len) {
        at = at.saturating_add(len);
    }
    at.min(bytes.len())
}

/// Start of a packed audio segment in 90 kHz ticks of the 33-bit clock, as its tag says (RFC 8216 3.4).
#[must_use]
pub fn start_90k(tag: &[u8]) -> Option<i64> {
    let content = frames(tag)
        .find_map(|(id, content)| content.strip_prefix(TIMESTAMP_OWNER).filter(|_| id == *b"PRIV"))?;
    let value = u64::from_be_bytes(content.get(..8)?.try_into().ok()?);
    Some((value & ((1 << 33) - 1)).cast_signed())
}

/// Whether the tag holds anything beside a packed audio segment's start.
#[must_use]
pub fn is_metadata(tag: &[u8]) -> bool {
    frames(tag).any(|(id, content)| id != *b"PRIV" || !content.starts_with(TIMESTAMP_OWNER))
}

/// Id and content of each frame, as far as the lengths hold.
fn frames(tag: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let version = tag.get(3).copied().unwrap_or(0);
    let extended = tag.get(5).is_some_and(|flags| flags & 0x40 != 0);
    let len = tag_len(tag).unwrap_or(0).min(tag.len());
    let mut rest = tag.get(10..len).unwrap_or_default();
    if extended {
        // The size counts itself from version 4 on.
        let skip = rest.get(..4).and_then(|size| frame_size(size, version)).unwrap_or(0);
        let skip = if version >= 4 { skip } else { skip + 4 };
        rest = rest.get(skip..).unwrap_or_default();
    }
    std::iter::from_fn(move || {
        let head = rest.first_chunk::<10>()?;
        let id: [u8; 4] = *head.first_chunk()?;
        // Padding ends the frames.
        if id[0] == 0 {
            return None;
        }
        let size = frame_size(&head[4..8], version)?;
        let content = rest.get(10..10usize.checked_add(size)?)?;
        rest = &rest[10 + size..];
        Some((id, content))
    })
}

fn frame_size(bytes: &[u8], version: u8) -> Option<usize> {
    if version >= 4 {
        return synchsafe(bytes);
    }
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    usize::try_from(size).ok()
}

/// Seven bits a byte.
fn synchsafe(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.first_chunk::<4>()?;
    let fits = bytes.iter().all(|byte| byte & 0x80 == 0);
    fits.then(|| bytes.iter().fold(0, |size, byte| size << 7 | usize::from(*byte)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn frame(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut frame = id.to_vec();
        frame.extend((content.len() as u32).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(content);
        frame
    }

    /// A tag with a packed audio segment's start.
    pub fn timestamp_tag(time: u64) -> Vec<u8> {
        let frame = frame(b"PRIV", &[TIMESTAMP_OWNER, &time.to_be_bytes()].concat());
        let mut tag = b"ID3\x04\0\0\0\0\0".to_vec();
        tag.push(frame.len() as u8);
        tag.extend(frame);
        tag
    }

    #[test]
    fn a_segments_start_is_read() {
        let tag = timestamp_tag(0x1_2345_6789);
        assert_eq!(tag_len(&tag), Some(tag.len()));
        assert_eq!(start_90k(&tag), Some(0x1_2345_6789));
        assert!(!is_metadata(&tag));
        assert_eq!(leading_tags(&[&tag[..], &tag, b"\xff\xf1"].concat()), 2 * tag.len());
        for cut in 0..tag.len() {
            assert_eq!(start_90k(&tag[..cut]), None);
        }
    }

    #[test]
    fn other_frames_are_metadata() {
        let title = frame(b"TIT2", b"\x03a title");
        let mut tag = b"ID3\x03\0\0\0\0\0".to_vec();
        tag.push(title.len() as u8 + 4);
        tag.extend(title);
        tag.extend([0; 4]);
        assert!(is_metadata(&tag));
        assert_eq!(start_90k(&tag), None);
        assert_eq!(tag_len(b"ID3\x04\0\0\x80\0\0\0"), None);
    }
}
