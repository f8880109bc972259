//! Media playlists.

use std::sync::Arc;

use super::super::{ByteRange, Key, KeyMethod, Leniencies, Map, MediaPlaylist, Segment};
use super::block::{self, SegmentTags};
use super::{
    Common, Lines, MAX_DATE_RANGES, MAX_SEGMENTS, MAX_SEQUENCE, PlaylistError, lenient, overlook, tag_of,
};
use crate::hls::attributes::find;
use crate::hls::{DateRange, decimal, parse_date_time};

/// Longest that a target duration is believed, one day.
const MAX_TARGET_S: u32 = 86_400;

/// What the tags since the last URI line said, with the line of those that may yet be refused.
#[derive(Debug, Default)]
struct Pending<'a> {
    duration_us: Option<Option<i64>>,
    discontinuity: bool,
    gap: bool,
    cue_tags: u32,
    date_time: Option<i64>,
    byte_range: Option<(usize, &'a str)>,
    key: Option<(usize, &'a str)>,
    map: Option<(usize, &'a str)>,
}

/// What goes on from segment to segment.
#[derive(Debug, Default)]
struct Inherited {
    key: Option<Arc<Key>>,
    map: Option<Arc<Map>>,
    next_date_time: Option<i64>,
    /// Where the last byte range ended, and of which URI.
    range_end: Option<(String, u64)>,
}

pub(super) fn read(lines: Lines<'_>, leniencies: Leniencies) -> Result<MediaPlaylist, PlaylistError> {
    let mut playlist = MediaPlaylist { version: 1, leniencies, ..MediaPlaylist::default() };
    let mut pending = Pending::default();
    let mut inherited = Inherited::default();
    for (number, line) in lines {
        if let Some((name, value)) = tag_of(line) {
            read_tag(&mut playlist, &mut pending, number, name, value)?;
        } else if !line.starts_with('#') {
            read_uri(&mut playlist, &mut pending, &mut inherited, number, line)?;
        }
    }
    finish(&mut playlist);
    Ok(playlist)
}

fn read_tag<'a>(
    playlist: &mut MediaPlaylist,
    pending: &mut Pending<'a>,
    line: usize,
    name: &str,
    value: &'a str,
) -> Result<(), PlaylistError> {
    match name {
        "INF" => pending.duration_us = Some(decimal::leading_micros(value)),
        "-X-TARGETDURATION" => {
            // An integer by the specification; 6.5 is seen, and must not end below its segments.
            let seconds = decimal::leading_micros(value).map_or(0, |micros| (micros + 999_999) / 1_000_000);
            playlist.target_duration_s = u32::try_from(seconds).unwrap_or(0).min(MAX_TARGET_S);
        }
        "-X-MEDIA-SEQUENCE" => playlist.media_sequence = sequence(playlist, line, value)?,
        "-X-DISCONTINUITY-SEQUENCE" => playlist.discontinuity_sequence = sequence(playlist, line, value)?,
        "-X-ENDLIST" => playlist.ended = true,
        "-X-DISCONTINUITY" => pending.discontinuity = true,
        "-X-GAP" => pending.gap = true,
        "-X-CUE-OUT" | "-X-CUE-IN" | "-X-CUE" | "-OATCLS-SCTE35" | "-X-SCTE35" | "-X-SPLICEPOINT-SCTE35" => {
            pending.cue_tags = pending.cue_tags.saturating_add(1);
        }
        "-X-I-FRAMES-ONLY" => playlist.i_frames_only = true,
        "-X-SKIP" => {
            // What it leaves out is known to whoever asked for it; the numbers of what follows count on.
            let skipped = find(value, "SKIPPED-SEGMENTS").unwrap_or("");
            playlist.skipped_segments = sequence(playlist, line, skipped)?;
            overlook(&mut playlist.leniencies, lenient::DELTA_UPDATE);
        }
        "-X-DATERANGE" => {
            if playlist.date_ranges.len() >= MAX_DATE_RANGES {
                return Err(PlaylistError::TooMany { line, limit: MAX_DATE_RANGES, what: "date ranges" });
            }
            match DateRange::read(value) {
                Some(range) => playlist.date_ranges.push(range),
                None => overlook(&mut playlist.leniencies, lenient::BAD_DATE_RANGE),
            }
        }
        "-X-BYTERANGE" => pending.byte_range = Some((line, value)),
        "-X-MAP" => pending.map = Some((line, value)),
        "-X-KEY" => {
            // Several keys may stand before a segment, one a KEYFORMAT; `identity` is the one that needs no DRM.
            let identity = find(value, "KEYFORMAT").is_none_or(|format| format == "identity");
            if identity || pending.key.is_none() {
                pending.key = Some((line, value));
            }
        }
        "-X-PROGRAM-DATE-TIME" => match parse_date_time(value) {
            Some(date_time) => pending.date_time = Some(date_time),
            None => overlook(&mut playlist.leniencies, lenient::BAD_DATE),
        },
        _ => playlist.read_common(name, value),
    }
    Ok(())
}

fn sequence(playlist: &mut MediaPlaylist, line: usize, value: &str) -> Result<u64, PlaylistError> {
    if let Ok(number) = value.parse::<u64>() {
        if number <= MAX_SEQUENCE {
            return Ok(number);
        }
        return Err(PlaylistError::Tag { line, tag: "sequence number", reason: "is larger than 2^63" });
    }
    overlook(&mut playlist.leniencies, lenient::BAD_SEQUENCE);
    Ok(0)
}

fn read_uri<'a>(
    playlist: &mut MediaPlaylist,
    pending: &mut Pending<'a>,
    inherited: &mut Inherited,
    line: usize,
    uri: &str,
) -> Result<(), PlaylistError> {
    let tags = std::mem::take(pending);
    let Some(duration_us) = tags.duration_us else {
        // Players leave such a line out; what stood before it goes to the next.
        overlook(&mut playlist.leniencies, lenient::NO_EXTINF);
        *pending = tags;
        return Ok(());
    };
    if playlist.segments.len() >= MAX_SEGMENTS {
        return Err(PlaylistError::TooMany { line, limit: MAX_SEGMENTS, what: "segments" });
    }
    let byte_range = read_block(playlist, inherited, &tags, line, uri)?;
    let duration_us = duration_us.unwrap_or_else(|| {
        overlook(&mut playlist.leniencies, lenient::BAD_DURATION);
        i64::from(playlist.target_duration_s) * 1_000_000
    });
    let program_date_time = tags.date_time.or(inherited.next_date_time);
    inherited.next_date_time = program_date_time.and_then(|at| at.checked_add(duration_us));
    playlist.segments.push(Segment {
        uri: uri.to_owned(),
        media_sequence: 0,
        duration_us,
        discontinuity: tags.discontinuity,
        byte_range,
        key: inherited.key.clone(),
        map: inherited.map.clone(),
        program_date_time,
        gap: tags.gap,
        cue_tags: tags.cue_tags,
    });
    Ok(())
}

/// Has m3u8-rs read the segment's own KEY, MAP and BYTERANGE; what it cannot read is an error with its line.
fn read_block(
    playlist: &mut MediaPlaylist,
    inherited: &mut Inherited,
    tags: &Pending<'_>,
    line: usize,
    uri: &str,
) -> Result<Option<ByteRange>, PlaylistError> {
    if let Some((_, value)) = tags.key
        && block::is_clear(value)
    {
        inherited.key = None;
    }
    let key = tags.key.filter(|(_, value)| !block::is_clear(value));
    let map = tags.map.filter(|(_, value)| find(value, "URI").is_some());
    if tags.map.is_some() && map.is_none() {
        overlook(&mut playlist.leniencies, lenient::BAD_MAP);
    }
    if key.is_none() && map.is_none() && tags.byte_range.is_none() {
        // Nothing for m3u8-rs to read: the common case.
        inherited.range_end = None;
        return Ok(None);
    }
    let block = SegmentTags {
        key: key.map(|(_, value)| value),
        map: map.map(|(_, value)| value),
        byte_range: tags.byte_range.map(|(_, value)| value),
    };
    let first_line = [key, map, tags.byte_range].iter().flatten().map(|(at, _)| *at).min().unwrap_or(line);
    let unreadable =
        PlaylistError::Tag { line: first_line, tag: "block of a segment", reason: "is unreadable" };
    let read = block::segment(uri, &block).ok_or(unreadable)?;

    if let (Some((line, _)), Some(read)) = (key, &read.key) {
        let reason = "has an IV that is not a hexadecimal number of 128 bits";
        let key = block::key(read).ok_or(PlaylistError::Tag { line, tag: "EXT-X-KEY", reason })?;
        if key.uri.is_none() || key.method == KeyMethod::Other(String::new()) {
            overlook(&mut playlist.leniencies, lenient::BAD_KEY);
        }
        inherited.key = Some(Arc::new(key));
    }
    if let (Some((line, _)), Some(read)) = (map, &read.map) {
        let reason = "has a byte range beyond 64 bits";
        inherited.map =
            Some(Arc::new(block::map(read).ok_or(PlaylistError::Tag { line, tag: "EXT-X-MAP", reason })?));
    }
    let (Some((line, _)), Some(read)) = (tags.byte_range, &read.byte_range) else {
        inherited.range_end = None;
        return Ok(None);
    };
    // rfc8216bis 4.4.4.2: without an offset it begins where the range before it, of the same resource, ended.
    let uri = uri.trim_start_matches("./");
    let next = inherited.range_end.as_ref().filter(|(last, _)| last == uri).map(|(_, end)| *end);
    if read.offset.is_none() && next.is_none() {
        overlook(&mut playlist.leniencies, lenient::OPEN_RANGE);
    }
    let reason = "is beyond 64 bits";
    let range = block::byte_range(read, next.unwrap_or(0)).ok_or(PlaylistError::Tag {
        line,
        tag: "EXT-X-BYTERANGE",
        reason,
    })?;
    inherited.range_end = Some((uri.to_owned(), range.offset.saturating_add(range.len)));
    Ok(Some(range))
}

fn finish(playlist: &mut MediaPlaylist) {
    if playlist.target_duration_s == 0 {
        overlook(&mut playlist.leniencies, lenient::BAD_TARGET_DURATION);
        let longest_us = playlist.segments.iter().map(|segment| segment.duration_us).max().unwrap_or(0);
        playlist.target_duration_s = u32::try_from((longest_us + 999_999) / 1_000_000).unwrap_or(1).max(1);
    }
    // MEDIA-SEQUENCE may stand anywhere, so numbers are given at the end; the limits keep the sum in range.
    for (index, segment) in (0u64..).zip(&mut playlist.segments) {
        segment.media_sequence = playlist.media_sequence + playlist.skipped_segments + index;
    }
}
