//! Playlists of what is listed: one multivariant, one for video, one a rendition, one for the original audio.

use std::collections::BTreeMap;
use std::sync::Arc;

use overdub_media::hls::{
    ByteRange, DateRange, Map, MediaPlaylist, MultivariantPlaylist, Rendition, RenditionKind, Segment,
    Variant, merge_date_ranges, write_media, write_multivariant,
};
use overdub_media::mp4::{TrackConfig, codecs};
use overdub_media::time::rescale;

use super::{ListedBatch, Listing, ORIGINAL_SEGMENTS, VIDEO_SEGMENTS, rendition_segments};
use crate::ledger::playlist_window_90k;
use crate::messages::{Cut, ListBatch};

/// `EXT-X-VERSION`: fMP4 segments with EXT-X-MAP need 6, and 7 without a restriction to I-frames
/// (rfc8216bis 8).
const VERSION: u32 = 7;
const AUDIO_GROUP: &str = "audio";

/// Playlists by name; none before the first segment.
pub(super) fn playlists(listing: &Listing) -> BTreeMap<String, String> {
    let window = Window::of(listing);
    let Some(newest) = window.segments.last().map(|segment| segment.batch) else {
        return BTreeMap::new();
    };
    let mut playlists = BTreeMap::new();
    playlists.insert("index.m3u8".to_owned(), write_multivariant(&multivariant(newest, &window)));
    if newest.media.video.is_some() {
        let text = window.playlist(listing.ended, window.date_ranges(), video_segment);
        playlists.insert("video.m3u8".to_owned(), text);
    }
    if newest.media.audio.is_some() {
        playlists
            .insert("original.m3u8".to_owned(), window.playlist(listing.ended, Vec::new(), original_segment));
        for rendition in &newest.renditions {
            let track = |segment: &WindowSegment<'_>| rendition_segment(segment, &rendition.name);
            let text = window.playlist(listing.ended, Vec::new(), track);
            playlists.insert(rendition_playlist(&rendition.name), text);
        }
    }
    playlists
}

fn rendition_playlist(name: &str) -> String {
    format!("audio-{name}.m3u8")
}

/// One listed segment: a cut of a batch.
struct WindowSegment<'a> {
    batch: &'a ListBatch,
    index: usize,
}

/// The listed segments, oldest first, as long as a playlist is.
struct Window<'a> {
    segments: Vec<WindowSegment<'a>>,
    target_duration_s: u32,
}

impl<'a> Window<'a> {
    fn of(listing: &'a Listing) -> Self {
        let newest_first = listing.batches.iter().rev().flat_map(|ListedBatch { batch, listed }| {
            (0..*listed).rev().map(|index| WindowSegment { batch, index })
        });
        let target_duration_s = listing
            .batches
            .iter()
            .filter(|b| b.listed > 0)
            .map(|b| b.batch.target_duration_s)
            .max()
            .unwrap_or(1);
        let most_us = playlist_window_90k(target_duration_s) / 9 * 100;
        let (mut total_us, mut segments) = (0, Vec::new());
        for segment in newest_first {
            if total_us >= most_us {
                break;
            }
            total_us += segment.duration_us();
            segments.push(segment);
        }
        segments.reverse();
        Self { segments, target_duration_s }
    }

    /// Whether pictures can be shown from every listed segment's beginning on (rfc8216bis 4.4.2.1).
    fn is_independent(&self) -> bool {
        let begins_inside_gop = |segment: &WindowSegment<'_>| {
            segment.index == 0
                && segment.batch.media.video.as_ref().is_some_and(|video| video.begins_inside_gop)
        };
        !self.segments.iter().any(begins_inside_gop)
    }

    /// The date ranges of the listed batches, each once and as it was told last.
    fn date_ranges(&self) -> Vec<DateRange> {
        let batches = self.segments.chunk_by(|one, next| one.batch.batch == next.batch.batch);
        let listed = batches.flat_map(|segments| &segments[0].batch.media.date_ranges);
        merge_date_ranges(listed.filter_map(|text| DateRange::read(text)))
    }

    fn playlist(
        &self,
        ended: bool,
        date_ranges: Vec<DateRange>,
        track: impl Fn(&WindowSegment<'_>) -> Segment,
    ) -> String {
        let first = self.segments.first();
        let segments = self.segments.iter().map(|listed| {
            let mut segment = track(listed);
            segment.discontinuity = listed.begins_epoch();
            segment.program_date_time = listed.program_date_time();
            segment
        });
        write_media(&MediaPlaylist {
            version: VERSION,
            target_duration_s: self.target_duration_s,
            media_sequence: first.map_or(0, WindowSegment::sequence),
            // Counts the discontinuities that have left the playlist; the first segment's own is still in it.
            discontinuity_sequence: first
                .map_or(0, |s| s.batch.discontinuities.saturating_sub(u64::from(s.begins_epoch()))),
            independent_segments: self.is_independent(),
            ended,
            segments: segments.collect(),
            date_ranges,
            ..MediaPlaylist::default()
        })
    }
}

impl WindowSegment<'_> {
    fn sequence(&self) -> u64 {
        self.batch.sequence + self.index as u64
    }

    fn begins_epoch(&self) -> bool {
        self.index == 0 && self.batch.media.discontinuity
    }

    fn duration_us(&self) -> i64 {
        self.batch.media.timing_cut(self.index).map_or(0, |(cut, timescale)| micros(cut.duration, timescale))
    }

    fn program_date_time(&self) -> Option<i64> {
        let (first, timescale) = self.batch.media.timing_cut(0)?;
        let (own, _) = self.batch.media.timing_cut(self.index)?;
        let base = self.batch.media.program_date_time?;
        Some(base.0 + rescale(own.start - first.start, timescale, 1_000_000))
    }
}

fn micros(duration: u64, timescale: u32) -> i64 {
    rescale(i64::try_from(duration).unwrap_or(i64::MAX), timescale, 1_000_000)
}

/// What segments of one track have in common.
struct Track {
    name: &'static str,
    timescale: u32,
    init_len: u64,
}

fn video_segment(listed: &WindowSegment<'_>) -> Segment {
    let Some(video) = &listed.batch.media.video else { return gap(listed, VIDEO_SEGMENTS) };
    let track = Track { name: "video", timescale: 90_000, init_len: video.init_len };
    segment(listed, video.cuts.get(listed.index), &track, VIDEO_SEGMENTS)
}

fn original_segment(listed: &WindowSegment<'_>) -> Segment {
    let cuts = listed.batch.media.audio.as_ref().map(|audio| audio.cuts.as_slice());
    audio_segment(listed, cuts, ORIGINAL_SEGMENTS)
}

fn rendition_segment(listed: &WindowSegment<'_>, name: &str) -> Segment {
    let rendition = listed.batch.renditions.iter().find(|rendition| &*rendition.name == name);
    audio_segment(listed, rendition.map(|rendition| rendition.cuts.as_slice()), &rendition_segments(name))
}

fn audio_segment(listed: &WindowSegment<'_>, cuts: Option<&[Cut]>, file: &str) -> Segment {
    let (Some(audio), Some(cuts)) = (&listed.batch.media.audio, cuts) else { return gap(listed, file) };
    let track = Track { name: "audio", timescale: audio.config.sample_rate, init_len: audio.init_len };
    segment(listed, cuts.get(listed.index), &track, file)
}

fn segment_uri(listed: &WindowSegment<'_>, file: &str) -> String {
    format!("batch-{}/{file}", listed.batch.batch)
}

/// A place in the playlist with nothing to fetch.
fn gap(listed: &WindowSegment<'_>, file: &str) -> Segment {
    let uri = segment_uri(listed, file);
    Segment { uri, duration_us: listed.duration_us(), gap: true, ..Segment::default() }
}

/// A cut as a segment; a gap where the batch has nothing of the track.
fn segment(listed: &WindowSegment<'_>, cut: Option<&Cut>, track: &Track, file: &str) -> Segment {
    let Some(cut) = cut.filter(|cut| cut.len > 0) else { return gap(listed, file) };
    // Its length is told as well: FFmpeg would else expect the last segment's of a connection it uses again.
    let map = Map {
        uri: format!("init-{}-{}.mp4", listed.batch.media.epoch, track.name),
        byte_range: Some(ByteRange { offset: 0, len: track.init_len }),
    };
    Segment {
        uri: segment_uri(listed, file),
        duration_us: micros(cut.duration, track.timescale),
        byte_range: Some(ByteRange { offset: cut.offset, len: cut.len }),
        map: Some(Arc::new(map)),
        ..Segment::default()
    }
}

fn multivariant(newest: &ListBatch, window: &Window<'_>) -> MultivariantPlaylist {
    let media = &newest.media;
    let mut renditions = Vec::new();
    if let Some(audio) = &media.audio {
        let rendition = |before: &[Rendition], name: &str, language: Option<String>, uri: String| Rendition {
            kind: RenditionKind::Audio,
            group_id: AUDIO_GROUP.to_owned(),
            name: name.to_owned(),
            uri: Some(uri),
            default: before.is_empty(),
            autoselect: before.is_empty() || speaks_for_itself(before, language.as_deref()),
            language,
            channels: Some(audio.config.channels.to_string()),
        };
        for own in &newest.renditions {
            let uri = rendition_playlist(&own.name);
            renditions.push(rendition(&renditions, &own.name, own.language.clone(), uri));
        }
        // NAME is unique within a group (rfc8216bis 4.4.6.1.1).
        let taken = newest.renditions.iter().any(|own| &*own.name == "Original");
        let name = if taken { "Original (source)" } else { "Original" };
        renditions.push(rendition(&renditions, name, None, "original.m3u8".to_owned()));
    }
    let main_playlist = if media.video.is_some() {
        "video.m3u8".to_owned()
    } else {
        newest.renditions.first().map_or("original.m3u8".to_owned(), |main| rendition_playlist(&main.name))
    };
    let codec_list = [
        media.video.as_ref().map(|video| codecs(TrackConfig::Video(&video.config))),
        media.audio.as_ref().map(|audio| codecs(TrackConfig::Audio(&audio.config))),
    ];
    let (peak, average) = bandwidths(window);
    let has_group = media.video.is_some() && !renditions.is_empty();
    let variant = Variant {
        uri: main_playlist,
        bandwidth: peak,
        average_bandwidth: Some(average),
        resolution: media
            .video
            .as_ref()
            .map(|video| (u32::from(video.config.width), u32::from(video.config.height))),
        frame_rate_milli: frame_rate_milli(newest),
        codecs: Some(codec_list.into_iter().flatten().collect::<Vec<_>>().join(",")),
        audio_group: has_group.then(|| AUDIO_GROUP.to_owned()),
    };
    if !has_group {
        renditions.clear();
    }
    MultivariantPlaylist {
        version: VERSION,
        independent_segments: window.is_independent(),
        variants: vec![variant],
        renditions,
        ..MultivariantPlaylist::default()
    }
}

/// Whether a player may take it by the viewer's language: those that it may differ in it (rfc8216bis 4.4.6.1.1).
fn speaks_for_itself(before: &[Rendition], language: Option<&str>) -> bool {
    let Some(language) = language else { return false };
    let mut others = before.iter().filter(|rendition| rendition.autoselect);
    others.all(|other| other.language.as_ref().is_none_or(|known| !known.eq_ignore_ascii_case(language)))
}

/// Peak and average bits a second over the listed segments, video and the largest audio together.
fn bandwidths(window: &Window<'_>) -> (u64, u64) {
    let (mut peak, mut bits, mut total_us) = (0, 0, 0);
    for segment in &window.segments {
        let media = &segment.batch.media;
        let video = media.video.as_ref().and_then(|v| v.cuts.get(segment.index)).map_or(0, |cut| cut.len);
        let original = media.audio.as_ref().and_then(|a| a.cuts.get(segment.index)).map_or(0, |cut| cut.len);
        let fitted =
            segment.batch.renditions.iter().filter_map(|r| r.cuts.get(segment.index)).map(|cut| cut.len);
        let bytes = video + fitted.max().unwrap_or(0).max(original);
        let duration_us = segment.duration_us().max(1).unsigned_abs();
        peak = peak.max(bytes * 8 * 1_000_000 / duration_us);
        bits += bytes * 8;
        total_us += duration_us;
    }
    (peak, bits * 1_000_000 / total_us.max(1))
}

fn frame_rate_milli(newest: &ListBatch) -> Option<u32> {
    let video = newest.media.video.as_ref()?;
    let samples: u64 = video.cuts.iter().map(|cut| u64::from(cut.samples)).sum();
    let ticks: u64 = video.cuts.iter().map(|cut| cut.duration).sum();
    u32::try_from(samples * 90_000_000 / ticks.max(1)).ok().filter(|rate| *rate > 0)
}
