//! Writing playlists.
//!
//! No string can leave its place: within quotes a quote becomes an apostrophe and a control character a
//! space; in a URI both are percent-encoded.

use std::fmt::Write;

use super::attributes::AttributeList;
use super::{
    ByteRange, KeyMethod, MediaPlaylist, MultivariantPlaylist, RenditionKind, Segment, format_date_time,
};

/// Text of a multivariant playlist: renditions first, then variants, in their order.
#[must_use]
pub fn write_multivariant(playlist: &MultivariantPlaylist) -> String {
    let mut text = head(playlist.version, playlist.independent_segments);
    for rendition in &playlist.renditions {
        let mut list = AttributeList::default();
        let kind = match rendition.kind {
            RenditionKind::Audio => "AUDIO",
            RenditionKind::Video => "VIDEO",
            RenditionKind::Subtitles => "SUBTITLES",
            RenditionKind::ClosedCaptions => "CLOSED-CAPTIONS",
        };
        list.bare("TYPE", kind).quoted("GROUP-ID", &rendition.group_id).quoted("NAME", &rendition.name);
        list.quoted_if("LANGUAGE", rendition.language.as_deref());
        list.bare("DEFAULT", yes_or_no(rendition.default));
        // rfc8216bis 4.4.6.1: where AUTOSELECT is present, it must be YES if DEFAULT is.
        list.bare("AUTOSELECT", yes_or_no(rendition.autoselect || rendition.default));
        list.quoted_if("CHANNELS", rendition.channels.as_deref());
        match rendition.kind {
            // Captions travel inside the video; the tag requires to say in which channel.
            RenditionKind::ClosedCaptions => _ = list.quoted("INSTREAM-ID", "CC1"),
            _ => _ = list.quoted_if("URI", rendition.uri.as_deref().map(uri).as_deref()),
        }
        line(&mut text, format_args!("#EXT-X-MEDIA:{}", list.as_str()));
    }
    for variant in &playlist.variants {
        let mut list = AttributeList::default();
        list.bare("BANDWIDTH", variant.bandwidth);
        if let Some(average) = variant.average_bandwidth {
            list.bare("AVERAGE-BANDWIDTH", average);
        }
        list.quoted_if("CODECS", variant.codecs.as_deref());
        if let Some((width, height)) = variant.resolution {
            list.bare("RESOLUTION", format_args!("{width}x{height}"));
        }
        if let Some(milli) = variant.frame_rate_milli {
            list.bare("FRAME-RATE", format_args!("{}.{:03}", milli / 1000, milli % 1000));
        }
        list.quoted_if("AUDIO", variant.audio_group.as_deref());
        line(&mut text, format_args!("#EXT-X-STREAM-INF:{}", list.as_str()));
        line(&mut text, format_args!("{}", uri(&variant.uri)));
    }
    text
}

/// Text of a media playlist.
///
/// KEY and MAP are written where they change (MAP also after a discontinuity, for players that forget it
/// there), PROGRAM-DATE-TIME wherever a segment bears one, to the millisecond.
#[must_use]
pub fn write_media(playlist: &MediaPlaylist) -> String {
    let mut text = head(playlist.version, playlist.independent_segments);
    line(&mut text, format_args!("#EXT-X-TARGETDURATION:{}", playlist.target_duration_s));
    line(&mut text, format_args!("#EXT-X-MEDIA-SEQUENCE:{}", playlist.media_sequence));
    if playlist.discontinuity_sequence > 0 || playlist.segments.iter().any(|s| s.discontinuity) {
        line(&mut text, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", playlist.discontinuity_sequence));
    }
    let mut last = &Segment::default();
    for segment in &playlist.segments {
        if segment.discontinuity {
            line(&mut text, format_args!("#EXT-X-DISCONTINUITY"));
        }
        write_key(&mut text, last, segment);
        write_map(&mut text, last, segment);
        if let Some(at) = segment.program_date_time {
            line(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", format_date_time(at)));
        }
        if segment.gap {
            line(&mut text, format_args!("#EXT-X-GAP"));
        }
        let duration_us = segment.duration_us.max(0);
        line(&mut text, format_args!("#EXTINF:{}.{:06},", duration_us / 1_000_000, duration_us % 1_000_000));
        if let Some(ByteRange { offset, len }) = segment.byte_range {
            line(&mut text, format_args!("#EXT-X-BYTERANGE:{len}@{offset}"));
        }
        line(&mut text, format_args!("{}", uri(&segment.uri)));
        last = segment;
    }
    for range in &playlist.date_ranges {
        line(&mut text, format_args!("#EXT-X-DATERANGE:{}", range.to_text()));
    }
    if playlist.ended {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    }
    text
}

fn head(version: u32, independent_segments: bool) -> String {
    let mut text = String::with_capacity(2048);
    line(&mut text, format_args!("#EXTM3U\n#EXT-X-VERSION:{version}"));
    if independent_segments {
        line(&mut text, format_args!("#EXT-X-INDEPENDENT-SEGMENTS"));
    }
    text
}

fn write_key(text: &mut String, last: &Segment, segment: &Segment) {
    if segment.key == last.key {
        return;
    }
    let mut list = AttributeList::default();
    match &segment.key {
        None => _ = list.bare("METHOD", "NONE"),
        Some(key) => {
            match &key.method {
                KeyMethod::Aes128 => list.bare("METHOD", "AES-128"),
                KeyMethod::Other(name) => list.bare("METHOD", name),
            };
            list.quoted_if("URI", key.uri.as_deref().map(uri).as_deref());
            if let Some(iv) = key.iv {
                list.bare("IV", format_args!("0x{:032x}", u128::from_be_bytes(iv)));
            }
            list.quoted_if("KEYFORMAT", key.key_format.as_deref());
        }
    }
    line(text, format_args!("#EXT-X-KEY:{}", list.as_str()));
}

fn write_map(text: &mut String, last: &Segment, segment: &Segment) {
    let Some(map) = &segment.map else { return };
    if segment.map == last.map && !segment.discontinuity {
        return;
    }
    let mut list = AttributeList::default();
    list.quoted("URI", &uri(&map.uri));
    if let Some(ByteRange { offset, len }) = map.byte_range {
        list.quoted("BYTERANGE", &format!("{len}@{offset}"));
    }
    line(text, format_args!("#EXT-X-MAP:{}", list.as_str()));
}

/// `text` as it may stand on a line of its own or within quotes.
fn uri(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        // A line that begins with '#' is a tag or a comment; spaces at its ends are no part of it.
        if c == '"' || c.is_control() || c.is_whitespace() || (index == 0 && c == '#') {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                _ = write!(safe, "%{byte:02X}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    _ = text.write_fmt(content);
    text.push('\n');
}

#[cfg(test)]
mod tests;
