//! HTTP Live Streaming playlists (RFC 8216 and its successor draft, rfc8216bis): reading and writing.
//!
//! | function | what |
//! | --- | --- |
//! | [`read_playlist`] | bytes of a playlist to [`Playlist`]; lenient, each leniency counted |
//! | [`read_playlist_in`] | the same, where variables come from the URI or from the multivariant playlist |
//! | [`write_multivariant`] | [`MultivariantPlaylist`] to text |
//! | [`write_media`] | [`MediaPlaylist`] to text |
//!
//! Both directions share one model, so what is written can be read back and compared.

use std::sync::Arc;

mod attributes;
mod date_range;
mod date_time;
mod decimal;
mod read;
mod write;

pub use date_range::{DateRange, merge_date_ranges};
pub use date_time::{format_date_time, parse_date_time};
pub use read::{
    MAX_DATE_RANGES, MAX_SEGMENTS, MAX_VARIABLES, MAX_VARIANTS, PlaylistError, Surroundings, read_playlist,
    read_playlist_in,
};
pub use write::{write_media, write_multivariant};

/// Leniencies that reading needed: what, and how often.
pub type Leniencies = Vec<(&'static str, u64)>;

/// Names and values of EXT-X-DEFINE (rfc8216bis 4.4.2.3).
pub type Variables = Vec<(String, String)>;

/// A playlist of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Playlist {
    /// Lists variants of the same content.
    Multivariant(MultivariantPlaylist),
    /// Lists segments.
    Media(MediaPlaylist),
}

/// A multivariant playlist (rfc8216bis 4.4.6).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MultivariantPlaylist {
    /// EXT-X-VERSION; 1 where it is missing (rfc8216bis 4.4.1.2).
    pub version: u32,
    /// Whether every segment can be decoded by itself (EXT-X-INDEPENDENT-SEGMENTS).
    pub independent_segments: bool,
    /// EXT-X-STREAM-INF, in order.
    pub variants: Vec<Variant>,
    /// EXT-X-MEDIA, in order.
    pub renditions: Vec<Rendition>,
    /// EXT-X-DEFINE: names and values, for the media playlists that import them. Not written.
    pub variables: Variables,
    /// What had to be overlooked to read it.
    pub leniencies: Leniencies,
}

/// EXT-X-STREAM-INF and the URI after it (rfc8216bis 4.4.6.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variant {
    /// Its media playlist.
    pub uri: String,
    /// BANDWIDTH: peak bits a second of the most demanding combination of renditions; 0 where it is missing.
    pub bandwidth: u64,
    /// AVERAGE-BANDWIDTH, bits a second.
    pub average_bandwidth: Option<u64>,
    /// RESOLUTION: width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// FRAME-RATE in thousandths of a frame a second.
    pub frame_rate_milli: Option<u32>,
    /// CODECS (RFC 6381), comma separated.
    pub codecs: Option<String>,
    /// AUDIO: the group of audio renditions.
    pub audio_group: Option<String>,
}

/// What a rendition carries (the TYPE of EXT-X-MEDIA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the specification's own")]
pub enum RenditionKind {
    #[default]
    Audio,
    Video,
    Subtitles,
    ClosedCaptions,
}

/// EXT-X-MEDIA (rfc8216bis 4.4.6.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendition {
    /// TYPE.
    pub kind: RenditionKind,
    /// GROUP-ID.
    pub group_id: String,
    /// NAME, for people.
    pub name: String,
    /// LANGUAGE (BCP 47).
    pub language: Option<String>,
    /// URI of its media playlist; none where it travels inside the variant's.
    pub uri: Option<String>,
    /// DEFAULT: played unless the user chooses otherwise.
    pub default: bool,
    /// AUTOSELECT: may be chosen by the user's language without being asked for.
    pub autoselect: bool,
    /// CHANNELS: the channel count, and what follows it after `/`.
    pub channels: Option<String>,
}

/// A media playlist (rfc8216bis 4.4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaPlaylist {
    /// EXT-X-VERSION; 1 where it is missing.
    pub version: u32,
    /// EXT-X-TARGETDURATION in seconds, at least 1; the longest segment's where it is missing.
    pub target_duration_s: u32,
    /// EXT-X-MEDIA-SEQUENCE: number of the first segment.
    pub media_sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE: discontinuities that have left the playlist.
    pub discontinuity_sequence: u64,
    /// EXT-X-INDEPENDENT-SEGMENTS.
    pub independent_segments: bool,
    /// EXT-X-ENDLIST: nothing will be added.
    pub ended: bool,
    /// EXT-X-I-FRAMES-ONLY: each segment is a single picture. Not written.
    pub i_frames_only: bool,
    /// EXT-X-SKIP: segments that a delta update leaves out before the first one listed. Not written.
    pub skipped_segments: u64,
    /// The segments, oldest first.
    pub segments: Vec<Segment>,
    /// EXT-X-DATERANGE, in order.
    pub date_ranges: Vec<DateRange>,
    /// What had to be overlooked to read it.
    pub leniencies: Leniencies,
}

/// One segment with everything that applies to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its URI, relative to the playlist.
    pub uri: String,
    /// Its media sequence number; writing derives it from the playlist's instead.
    pub media_sequence: u64,
    /// EXTINF in microseconds.
    pub duration_us: i64,
    /// EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// EXT-X-BYTERANGE, its offset resolved.
    pub byte_range: Option<ByteRange>,
    /// The EXT-X-KEY in force; none where the segment is clear. Shared, since one may apply to thousands.
    pub key: Option<Arc<Key>>,
    /// The EXT-X-MAP in force.
    pub map: Option<Arc<Map>>,
    /// EXT-X-PROGRAM-DATE-TIME in Unix microseconds, given or carried on by durations.
    pub program_date_time: Option<i64>,
    /// EXT-X-GAP: the segment is missing and must not be asked for.
    pub gap: bool,
    /// Tags of vendors before it that say where advertisements begin or end; writing leaves them out.
    pub cue_tags: u32,
}

/// A part of a resource, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Where it begins.
    pub offset: u64,
    /// How long it is. `offset + len` fits `u64` in everything that was read.
    pub len: u64,
}

/// How segments are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMethod {
    /// Whole segments, AES-128 CBC with PKCS#7 padding.
    Aes128,
    /// Anything else, by its name; empty where the tag bears none.
    Other(String),
}

impl MediaPlaylist {
    /// Number of the timeline that each segment is on: discontinuities before it, those that have left the
    /// playlist included. Renditions of one presentation agree on it (rfc8216bis 4.4.3.3).
    pub fn timelines(&self) -> impl Iterator<Item = u64> + '_ {
        self.segments.iter().scan(self.discontinuity_sequence, |timeline, segment| {
            *timeline = timeline.saturating_add(u64::from(segment.discontinuity));
            Some(*timeline)
        })
    }
}

/// EXT-X-KEY (rfc8216bis 4.4.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// METHOD; `NONE` is the absence of a key.
    pub method: KeyMethod,
    /// Where the key lies.
    pub uri: Option<String>,
    /// IV; where it is missing, the segment's media sequence number serves (rfc8216bis 5.2).
    pub iv: Option<[u8; 16]>,
    /// KEYFORMAT; none means `identity`.
    pub key_format: Option<String>,
}

/// EXT-X-MAP (rfc8216bis 4.4.4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Where the initialization section lies.
    pub uri: String,
    /// Which part of it; all where it is missing.
    pub byte_range: Option<ByteRange>,
}
