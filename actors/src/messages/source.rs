//! What the fetcher says: segments stored and lost, and what the source is like.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMicros;

/// One media segment of the source, stored on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredSegment {
    /// Number in the file's name; the media sequence number, moved up after a reset so that it only grows.
    pub number: u64,
    /// The source's own media sequence number.
    pub media_sequence: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// EXTINF in microseconds.
    pub duration_us: i64,
    /// Whether EXT-X-DISCONTINUITY (or a reset) stands before it.
    pub discontinuity: bool,
    /// EXT-X-PROGRAM-DATE-TIME of its first sample, given or carried on.
    pub program_date_time: Option<UnixMicros>,
    /// Microseconds of media that the source listed after it at that moment and that were still to be fetched.
    #[serde(default)]
    pub backlog_us: i64,
    /// Nothing comes after it: it is the last of a playlist with EXT-X-ENDLIST.
    #[serde(default)]
    pub is_last: bool,
    /// Values of EXT-X-DATERANGE tags that begin within it, or came or changed late.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub date_ranges: Vec<String>,
    /// Date ranges that came with it and that no output carries: the source does not say what time it is.
    #[serde(default)]
    pub date_ranges_dropped: u32,
    /// Cue tags of vendors before it, which no output carries.
    #[serde(default)]
    pub cue_tags: u32,
    /// Segments of the audio's own playlist that overlap it; none where sound travels beside the pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<Vec<StoredAudio>>,
}

/// One segment of the audio's own playlist, stored on disk. A segment of video owns the files that it lists: where
/// audio overlaps two, both have a name of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredAudio {
    /// The audio playlist's media sequence number.
    pub media_sequence: u64,
    /// Where it lies.
    pub path: PathBuf,
}

impl StoredSegment {
    /// All its files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.path).chain(self.audio.iter().flatten().map(|audio| &audio.path))
    }
}

/// Events of the fetcher.
#[derive(Debug)]
pub enum FetcherEvent {
    /// A media playlist was read; sent when the values change.
    PlaylistRead {
        /// EXT-X-TARGETDURATION in seconds.
        target_duration_s: u32,
    },
    /// A choice was made of a multivariant playlist.
    VariantChosen {
        /// Which variant, and why.
        variant: String,
        /// Which audio, and why; none where the variant has no audio renditions.
        audio: Option<String>,
    },
    /// The audio's own playlist delivers, or does not; the pictures go on meanwhile. Sent when that changes.
    AudioChanged {
        /// What is in the way, without secrets.
        trouble: Option<String>,
    },
    /// A segment lies on disk, complete.
    SegmentStored(StoredSegment),
    /// A segment could not be had and never will be.
    SegmentLost {
        /// The source's media sequence number.
        media_sequence: u64,
        /// EXTINF in microseconds, 0 where unknown.
        duration_us: i64,
        /// Why.
        reason: String,
    },
    /// The source does not deliver; it is tried again. Sent once a distinct reason.
    SourceFailed {
        /// What is wrong, without secrets.
        reason: String,
    },
    /// The source delivers again.
    SourceRecovered,
    /// EXT-X-ENDLIST stood in the playlist and every segment before it is stored.
    SourceEnded,
}
