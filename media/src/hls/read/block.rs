//! The few lines of one thing, in strict form, read by m3u8-rs.

use m3u8_rs::{AlternativeMedia, AlternativeMediaType, MediaSegment, VariantStream};

use super::super::attributes::{AttributeList, attributes, find};
use super::super::{ByteRange, Key, KeyMethod, Map, Rendition, RenditionKind, Variant};

/// What one segment's block may hold, beside its URI.
#[derive(Debug, Default)]
pub(super) struct SegmentTags<'a> {
    /// Value of EXT-X-KEY.
    pub key: Option<&'a str>,
    /// Value of EXT-X-MAP.
    pub map: Option<&'a str>,
    /// Value of EXT-X-BYTERANGE.
    pub byte_range: Option<&'a str>,
}

/// One segment's own tags; none where m3u8-rs reads something else than was handed to it.
pub(super) fn segment(uri: &str, tags: &SegmentTags<'_>) -> Option<MediaSegment> {
    let mut block = String::from("#EXTM3U\n");
    if let Some(value) = tags.key {
        let mut list = AttributeList::default();
        list.bare("METHOD", find(value, "METHOD").unwrap_or("UNKNOWN"));
        list.quoted_if("URI", find(value, "URI"));
        if let Some(iv) = find(value, "IV") {
            list.bare("IV", iv);
        }
        list.quoted_if("KEYFORMAT", find(value, "KEYFORMAT"));
        line(&mut block, "#EXT-X-KEY:", list.as_str());
    }
    if let Some(value) = tags.map {
        let mut list = AttributeList::default();
        list.quoted_if("URI", find(value, "URI")).quoted_if("BYTERANGE", find(value, "BYTERANGE"));
        line(&mut block, "#EXT-X-MAP:", list.as_str());
    }
    if let Some(value) = tags.byte_range {
        // `587500@` is seen in the field, and means no offset; so are spaces around the sign.
        let value: String = value.split_whitespace().collect();
        line(&mut block, "#EXT-X-BYTERANGE:", value.strip_suffix('@').unwrap_or(&value));
    }
    line(&mut block, "#EXTINF:", "0,");
    line(&mut block, "", uri);
    let playlist = m3u8_rs::parse_media_playlist_res(block.as_bytes()).ok()?;
    let [segment] = <[MediaSegment; 1]>::try_from(playlist.segments).ok()?;
    let whole = segment.uri == uri
        && segment.key.is_some() == tags.key.is_some()
        && segment.map.is_some() == tags.map.is_some()
        && segment.byte_range.is_some() == tags.byte_range.is_some();
    whole.then_some(segment)
}

/// Whether EXT-X-KEY's value says that what follows is clear.
///
/// Decided here: m3u8-rs refuses `METHOD=NONE` without an IV, which is its only legal form.
pub(super) fn is_clear(key: &str) -> bool {
    find(key, "METHOD") == Some("NONE")
}

/// Our key of m3u8-rs's; none where the IV is not a hexadecimal number of at most 128 bits.
pub(super) fn key(key: &m3u8_rs::Key) -> Option<Key> {
    let method = match &key.method {
        m3u8_rs::KeyMethod::AES128 => KeyMethod::Aes128,
        m3u8_rs::KeyMethod::Other(name) if name == "UNKNOWN" => KeyMethod::Other(String::new()),
        other => KeyMethod::Other(other.to_string()),
    };
    let iv = match &key.iv {
        Some(text) => Some(iv(text)?),
        None => None,
    };
    Some(Key { method, uri: key.uri.clone(), iv, key_format: key.keyformat.clone() })
}

/// rfc8216bis 4.2: a hexadecimal-sequence, here of at most 128 bits, filled up on the left.
fn iv(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// Our map of m3u8-rs's; none where its range does not fit.
pub(super) fn map(map: &m3u8_rs::Map) -> Option<Map> {
    let byte_range = match &map.byte_range {
        // rfc8216bis 4.4.4.5: without an offset the range begins at the resource's first byte.
        Some(range) => Some(byte_range(range, 0)?),
        None => None,
    };
    Some(Map { uri: map.uri.clone(), byte_range })
}

/// Our byte range of m3u8-rs's, beginning at `default_offset` where it names no offset.
pub(super) fn byte_range(range: &m3u8_rs::ByteRange, default_offset: u64) -> Option<ByteRange> {
    let offset = range.offset.unwrap_or(default_offset);
    offset.checked_add(range.length)?;
    Some(ByteRange { offset, len: range.length })
}

/// One variant; none where it cannot be read.
pub(super) fn variant(value: &str, uri: &str) -> Option<Variant> {
    let mut list = AttributeList::default();
    list.bare("BANDWIDTH", whole_number(value, "BANDWIDTH").unwrap_or(0));
    if let Some(average) = whole_number(value, "AVERAGE-BANDWIDTH") {
        list.bare("AVERAGE-BANDWIDTH", average);
    }
    list.quoted_if("CODECS", find(value, "CODECS")).quoted_if("AUDIO", find(value, "AUDIO"));
    if let Some((width, height)) = find(value, "RESOLUTION").and_then(resolution) {
        list.bare("RESOLUTION", format_args!("{width}x{height}"));
    }
    let mut block = String::from("#EXTM3U\n");
    line(&mut block, "#EXT-X-STREAM-INF:", list.as_str());
    line(&mut block, "", uri);
    let playlist = m3u8_rs::parse_master_playlist_res(block.as_bytes()).ok()?;
    let [variant] = <[VariantStream; 1]>::try_from(playlist.variants).ok()?;
    if variant.uri != uri {
        return None;
    }
    let frame_rate_milli = find(value, "FRAME-RATE")
        .and_then(crate::hls::decimal::leading_micros)
        .and_then(|micros| u32::try_from((micros + 500) / 1000).ok());
    Some(Variant {
        uri: variant.uri,
        bandwidth: variant.bandwidth,
        average_bandwidth: variant.average_bandwidth,
        resolution: variant
            .resolution
            .and_then(|r| Some((u32::try_from(r.width).ok()?, u32::try_from(r.height).ok()?))),
        frame_rate_milli,
        codecs: variant.codecs,
        audio_group: variant.audio,
    })
}

/// Whether a variant's attributes name its bandwidth.
pub(super) fn has_bandwidth(value: &str) -> bool {
    whole_number(value, "BANDWIDTH").is_some()
}

/// One rendition; none where it cannot be read.
pub(super) fn rendition(value: &str) -> Option<Rendition> {
    let mut list = AttributeList::default();
    list.bare("TYPE", find(value, "TYPE")?);
    list.quoted_if("GROUP-ID", find(value, "GROUP-ID")).quoted_if("NAME", find(value, "NAME"));
    for name in ["LANGUAGE", "CHANNELS"] {
        list.quoted_if(name, find(value, name));
    }
    if find(value, "TYPE") == Some("CLOSED-CAPTIONS") {
        // Required by m3u8-rs, and of no use here.
        list.quoted("INSTREAM-ID", "CC1");
    } else {
        list.quoted_if("URI", find(value, "URI"));
    }
    for name in ["DEFAULT", "AUTOSELECT"] {
        if find(value, name).is_some_and(|v| v.eq_ignore_ascii_case("YES")) {
            list.bare(name, "YES");
        }
    }
    let mut block = String::from("#EXTM3U\n");
    line(&mut block, "#EXT-X-MEDIA:", list.as_str());
    let playlist = m3u8_rs::parse_master_playlist_res(block.as_bytes()).ok()?;
    let [media] = <[AlternativeMedia; 1]>::try_from(playlist.alternatives).ok()?;
    let kind = match media.media_type {
        AlternativeMediaType::Audio => RenditionKind::Audio,
        AlternativeMediaType::Video => RenditionKind::Video,
        AlternativeMediaType::Subtitles => RenditionKind::Subtitles,
        AlternativeMediaType::ClosedCaptions => RenditionKind::ClosedCaptions,
        AlternativeMediaType::Other(_) => return None,
    };
    Some(Rendition {
        kind,
        group_id: media.group_id,
        name: media.name,
        language: media.language,
        uri: media.uri,
        default: media.default,
        autoselect: media.autoselect,
        channels: media.channels,
    })
}

fn whole_number(list: &str, name: &str) -> Option<u64> {
    attributes(list).find(|a| a.name == name)?.value.parse().ok()
}

fn resolution(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once(['x', 'X'])?;
    Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
}

fn line(block: &mut String, tag: &str, value: &str) {
    block.push_str(tag);
    block.push_str(value);
    block.push('\n');
}
