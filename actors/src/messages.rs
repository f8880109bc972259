//! What supervisor and children say to each other.
//!
//! Commands (imperative) go down as actix messages to one child; everything a child has to say goes up as
//! a [`Report`] through its [`Reporter`]. Messages carry names, numbers and paths, never media.

use std::path::PathBuf;
use std::sync::Arc;

use actix::{Message, Recipient};
use overdub_media::sample::{AudioConfig, VideoConfig};
use serde::{Deserialize, Serialize};

use crate::clock::UnixMicros;
use crate::metrics::{Mailbox, Waiting};

/// Which child of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChildId {
    /// Playlist polling, downloads, segments to disk.
    Fetcher,
    /// Segments to `video.fmp4` and `audio.fmp4`.
    Demuxer,
    /// The socket to the processor of the rendition named.
    ProcessorLink(Arc<str>),
    /// Fitted audio and `output.fmp4` of the rendition named.
    Remuxer(Arc<str>),
    /// The output named: `hls`, or `{rendition}/rtmp-{index}`.
    Publisher(Arc<str>),
}

/// What a child tells its supervisor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Report {
    /// Who says it.
    pub child: ChildId,
    /// Which incarnation of the child; the supervisor drops reports of dead ones.
    pub generation: u32,
    /// What it says.
    pub event: ChildEvent,
    /// Counts it as waiting until it has been dealt with.
    pub waiting: Waiting,
}

/// A child's way to its supervisor.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// The supervisor, or a test.
    pub recipient: Recipient<Report>,
    /// Who speaks.
    pub child: ChildId,
    /// Which incarnation speaks.
    pub generation: u32,
    /// Counts what waits for the supervisor.
    pub mailbox: Mailbox,
}

impl Reporter {
    /// Tells the supervisor. What is in flight is bounded by the ledger, so this never waits.
    pub fn tell(&self, event: impl Into<ChildEvent>) {
        self.recipient.do_send(Report {
            child: self.child.clone(),
            generation: self.generation,
            event: event.into(),
            waiting: self.mailbox.enter(),
        });
    }
}

/// Everything a child may say.
#[derive(Debug)]
pub enum ChildEvent {
    /// Still making progress; nothing else to say.
    Alive,
    /// From the fetcher.
    Fetcher(FetcherEvent),
    /// From the demuxer.
    Demuxer(DemuxerEvent),
    /// From a processor link.
    Link(LinkEvent),
    /// From a remuxer.
    Remuxer(RemuxerEvent),
    /// From a publisher.
    Publisher(PublisherEvent),
}

macro_rules! child_event_from {
    ($($variant:ident($event:ty)),*) => {$(
        impl From<$event> for ChildEvent {
            fn from(event: $event) -> Self {
                Self::$variant(event)
            }
        }
    )*};
}
child_event_from!(
    Fetcher(FetcherEvent),
    Demuxer(DemuxerEvent),
    Link(LinkEvent),
    Remuxer(RemuxerEvent),
    Publisher(PublisherEvent)
);

// ---------------------------------------------------------------- fetcher

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
    /// Values of EXT-X-DATERANGE tags that begin within it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub date_ranges: Vec<String>,
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

// ---------------------------------------------------------------- demuxer

/// One stretch of a track within a file: a `moof` and its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// Byte position of the `moof` in the file.
    pub offset: u64,
    /// Bytes of `moof` and `mdat`.
    pub len: u64,
    /// Earliest presentation time, in the track's timescale, on the output timeline.
    pub start: i64,
    /// Duration in the track's timescale.
    pub duration: u64,
    /// Samples in it.
    pub samples: u32,
}

/// A batch's video on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoMedia {
    /// Decoder configuration.
    pub config: VideoConfig,
    /// Bytes of `ftyp` and `moov` at the head of `video.fmp4`.
    pub init_len: u64,
    /// Fragments, each starting with a sync sample, timescale 90 kHz.
    pub cuts: Vec<Cut>,
}

/// A batch's audio on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioMedia {
    /// Decoder configuration.
    pub config: AudioConfig,
    /// Bytes of `ftyp` and `moov` at the head of `audio.fmp4`.
    pub init_len: u64,
    /// Timeline position of the first access unit, in samples; `audio.fmp4` itself counts from zero.
    pub start: i64,
    /// Slot length in samples.
    pub duration: u64,
    /// Access units in the slot.
    pub access_units: u32,
    /// Fragments of `audio.fmp4`, beside the video's cuts; `start` is on the output timeline.
    pub cuts: Vec<Cut>,
}

/// What demuxing made of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchMedia {
    /// Run of the source on one clock that the batch belongs to.
    pub epoch: u32,
    /// Whether the batch begins its epoch, or follows a hole in the timeline, and is not the stream's first.
    pub discontinuity: bool,
    /// Earliest decode time of any sample, 90 kHz ticks on the output timeline.
    pub start_90k: i64,
    /// Where the next batch begins, 90 kHz ticks.
    pub end_90k: i64,
    /// Video, if there is any.
    pub video: Option<VideoMedia>,
    /// Audio, if there is any.
    pub audio: Option<AudioMedia>,
    /// EXT-X-PROGRAM-DATE-TIME of the first segment.
    pub program_date_time: Option<UnixMicros>,
    /// Values of the EXT-X-DATERANGE tags that begin within it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub date_ranges: Vec<String>,
}

impl BatchMedia {
    /// HLS segments in it.
    #[must_use]
    pub fn cut_count(&self) -> usize {
        let video = self.video.as_ref().map_or(0, |video| video.cuts.len());
        video.max(self.audio.as_ref().map_or(0, |audio| audio.cuts.len()))
    }

    /// Seconds of media.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        (self.end_90k - self.start_90k) as f64 / 90_000.0
    }

    /// The cut that times an HLS segment, and its timescale: the video's where there is video.
    #[must_use]
    pub fn timing_cut(&self, index: usize) -> Option<(&Cut, u32)> {
        match (&self.video, &self.audio) {
            (Some(video), _) => Some((video.cuts.get(index)?, 90_000)),
            (None, Some(audio)) => Some((audio.cuts.get(index)?, audio.config.sample_rate)),
            (None, None) => None,
        }
    }

    /// When the last frame of an HLS segment goes on air.
    #[must_use]
    pub fn segment_airs_at(&self, clock: AirClock, index: usize) -> Option<UnixMicros> {
        let (cut, timescale) = self.timing_cut(index)?;
        let frame = cut.duration / u64::from(cut.samples.max(1));
        let last = cut.start + i64::try_from(cut.duration - frame).unwrap_or(0);
        Some(clock.air_time(overdub_media::time::rescale(last, timescale, 90_000)))
    }
}

impl ListBatch {
    /// When the last frame of one of its segments goes on air.
    #[must_use]
    pub fn segment_airs_at(&self, index: usize) -> Option<UnixMicros> {
        self.media.segment_airs_at(self.clock, index)
    }
}

/// Events of the demuxer.
#[derive(Debug)]
pub enum DemuxerEvent {
    /// A batch lies demuxed in its folder.
    BatchDemuxed {
        /// The batch's number.
        batch: u64,
        /// What it holds.
        media: Box<BatchMedia>,
        /// What demuxing the next batch must know; opaque JSON.
        carry: String,
        /// Leniencies counted: name and how often.
        leniencies: Vec<(&'static str, u64)>,
    },
    /// A batch could not be demuxed.
    DemuxFailed {
        /// The batch's number.
        batch: u64,
        /// Which segment, which byte, what.
        reason: String,
        /// Whether it was for want of room on the disk.
        no_space: bool,
    },
}

// ---------------------------------------------------------------- processor link

/// The description that travels with a batch's audio and is echoed by the processor (design, section 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fragment {
    /// `{streamId}-{batch}`, or `{streamId}-{rendition}-{batch}` beyond rendition `main`.
    pub id: String,
    /// The stream's id.
    pub stream_id: String,
    /// The rendition's name.
    pub rendition: String,
    /// The rendition's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The batch's number.
    pub sequence_number: u64,
    /// The batch's number.
    pub batch_number: u64,
    /// Unix milliseconds when the batch was collected.
    pub timestamp: i64,
    /// Milliseconds, measured from the audio.
    pub duration: f64,
    /// `aac`.
    pub codec: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u8,
    /// `audio/mp4`.
    pub content_type: String,
    /// Bytes of `data`.
    pub size: u64,
    /// About the file.
    pub metadata: FragmentMetadata,
}

/// The `metadata` of a [`Fragment`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FragmentMetadata {
    /// The file's name.
    pub file_name: String,
    /// The file's size in bytes.
    pub file_size: u64,
    /// Whether the batch begins a new epoch.
    pub discontinuity: bool,
}

/// Command to a processor link: send this batch's audio, and again after each reconnect until it is
/// answered or cancelled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct SendFragment {
    /// The batch's number.
    pub batch: u64,
    /// Its description.
    pub fragment: Fragment,
    /// The audio to send.
    pub audio_path: PathBuf,
    /// Where the reply's bytes go (written to a temporary name, then renamed).
    pub reply_path: PathBuf,
}

/// Command to a processor link: the batch's deadline has passed; do not send it again. A reply that still
/// comes is stored and reported all the same.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct CancelFragment {
    /// The batch's number.
    pub batch: u64,
}

/// What a processor sent, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the formats' own")]
pub enum AudioFormat {
    Mp4,
    MpegTs,
    Adts,
    Wav,
    Mp3,
    Ogg,
    Flac,
}

/// Why a processor gave no audio for a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum FragmentFault {
    /// Larger than the server's `maxPayload`.
    #[error("fragment of {size} bytes is larger than the processor's maxPayload of {limit} bytes")]
    TooLarge {
        /// Bytes that the message would take.
        size: u64,
        /// The server's limit.
        limit: u64,
    },
    /// `fragment:error` came back.
    #[error("processor reported an error: {message}")]
    Refused {
        /// The processor's own words, shortened.
        message: String,
    },
    /// The reply's `data` is missing or not audio.
    #[error("processor's reply is not audio: {detail}")]
    NotAudio {
        /// What it is instead.
        detail: String,
    },
    /// The reply could not be kept, or the audio could not be read.
    #[error("file error: {detail}")]
    File {
        /// Which file, which error.
        detail: String,
    },
}

/// Events of a processor link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The namespace is joined; fragments can go.
    Connected,
    /// No connection, and why; it is tried again. Sent once a distinct reason.
    Disconnected {
        /// What is wrong, without secrets.
        reason: String,
    },
    /// The batch's fragment is on its way (again).
    FragmentSent {
        /// The batch's number.
        batch: u64,
    },
    /// The batch's reply lies at its `reply_path`.
    FragmentProcessed {
        /// The batch's number.
        batch: u64,
        /// Size of the reply's audio.
        bytes: u64,
        /// What it is.
        format: AudioFormat,
        /// `metadata` of the reply as JSON text, shortened to 4 KiB.
        metadata: Option<String>,
    },
    /// The processor will not give audio for this batch.
    FragmentFailed {
        /// The batch's number.
        batch: u64,
        /// Why.
        fault: FragmentFault,
    },
    /// A reply that matches nothing pending was dropped.
    UnmatchedReply,
    /// A second reply for a batch already answered was dropped.
    DuplicateReply {
        /// The batch's number.
        batch: u64,
    },
}

// ---------------------------------------------------------------- remuxer

/// How sure it is where a reply's sound begins, and so that it is in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum FitTiming {
    /// The container tells it, the format has no priming, or the access units are the ones that were sent.
    #[default]
    Exact,
    /// Nothing tells it; the reply's length and its encoder's convention do.
    Assumed,
    /// Nothing tells it and nothing hints at it: taken from the first sample.
    Unknown,
}

/// How a batch's slot was filled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FitReport {
    /// The slot's length in samples.
    pub slot_samples: u64,
    /// Samples that came, after priming was removed, at the slot's rate.
    pub received_samples: u64,
    /// Samples that came too many (cut) or, below 0, too few (silence at the end).
    pub difference_samples: i64,
    /// How sure it is where the sound begins.
    pub timing: FitTiming,
    /// Access units beside the batch's borders that were encoded anew, so that nothing clicks.
    pub border_units: u32,
    /// Encoder priming removed, in samples of what came.
    pub priming_samples: u64,
    /// Whether an FFmpeg child had to convert it.
    pub converted: bool,
}

/// Events of a remuxer.
#[derive(Debug)]
pub enum RemuxerEvent {
    /// The batch's fitted audio and, where asked for, its output file are complete.
    BatchRemuxed {
        /// The batch's number.
        batch: u64,
        /// Fragments of the fitted audio file, beside the video's cuts; empty when dropped.
        audio_cuts: Vec<Cut>,
        /// Bytes of `ftyp` and `moov` at the head of the fitted audio file.
        audio_init_len: u64,
        /// Fragments of the output file; empty when none was asked for.
        output: Vec<OutputFragment>,
        /// How the slot was filled.
        fit: FitReport,
    },
    /// It could not be done.
    RemuxFailed {
        /// The batch's number.
        batch: u64,
        /// What went wrong.
        reason: String,
        /// Whether it was for want of room on the disk.
        no_space: bool,
    },
}

/// One GOP of an output file: a `moof` with a video and an audio `traf`, and its `mdat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputFragment {
    /// Byte position of the `moof` in the file.
    pub offset: u64,
    /// Bytes of `moof` and `mdat`.
    pub len: u64,
    /// Earliest decode time in it, 90 kHz ticks on the output timeline.
    pub start_90k: i64,
    /// Where the next fragment begins, 90 kHz ticks.
    pub end_90k: i64,
}

// ---------------------------------------------------------------- publishers

/// The stream's air clock: media time `p` goes on air at `anchor + p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AirClock {
    /// Unix time at which timeline position 0 airs.
    pub anchor: UnixMicros,
}

impl AirClock {
    /// When the timeline position (90 kHz ticks) goes on air.
    #[must_use]
    pub fn air_time(self, position_90k: i64) -> UnixMicros {
        self.anchor.plus_micros(ticks_to_micros(position_90k))
    }
}

/// 90 kHz ticks in microseconds, rounded down.
#[must_use]
pub fn ticks_to_micros(ticks_90k: i64) -> i64 {
    i64::try_from((i128::from(ticks_90k) * 100).div_euclid(9)).unwrap_or(i64::MAX)
}

/// Microseconds in 90 kHz ticks, rounded down.
#[must_use]
pub fn micros_to_ticks(micros: i64) -> i64 {
    i64::try_from((i128::from(micros) * 9).div_euclid(100)).unwrap_or(i64::MAX)
}

/// Command to an RTMP publisher: air this batch after those before it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct PublishBatch {
    /// The batch's number.
    pub batch: u64,
    /// When its samples go on air.
    pub clock: AirClock,
    /// The output file (`output.fmp4`): track 1 is video, track 2 audio; either may be missing.
    pub path: PathBuf,
    /// Its fragments, in order.
    pub fragments: Vec<OutputFragment>,
    /// Video configuration, if there is video.
    pub video: Option<VideoConfig>,
    /// Audio configuration, if there is audio.
    pub audio: Option<AudioConfig>,
}

/// Command to a publisher: end the output cleanly after the fragment on air, then report `Finished`.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FinishOutput;

/// Events of a publisher.
#[derive(Debug)]
pub enum PublisherEvent {
    /// The server accepted the publish.
    OutputUp,
    /// No connection, and why; it is tried again. Sent once a distinct reason.
    OutputDown {
        /// What is wrong, without secrets.
        reason: String,
    },
    /// The batch's first sample has been written to the output.
    BatchStarted {
        /// The batch's number.
        batch: u64,
    },
    /// The batch's last sample's time has passed.
    BatchAired {
        /// The batch's number.
        batch: u64,
        /// Samples that went out.
        sent: u64,
        /// Samples that did not, for want of a connection.
        missed: u64,
        /// Latest departure after a sample's air time, in microseconds.
        max_lateness_us: i64,
        /// Bytes written to the output.
        bytes: u64,
    },
    /// The output has ended cleanly.
    Finished,
}

/// Command to the HLS publisher: list this batch's segments when they have been on air, after those before it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ListBatch {
    /// The batch's number.
    pub batch: u64,
    /// When its samples go on air.
    pub clock: AirClock,
    /// What demuxing made of it.
    pub media: Arc<BatchMedia>,
    /// Media sequence number of its first segment.
    pub sequence: u64,
    /// Discontinuities up to and including its own.
    pub discontinuities: u64,
    /// How many of its segments count.
    pub segments: usize,
    /// EXT-X-TARGETDURATION, which only grows.
    pub target_duration_s: u32,
    /// Fitted audio by rendition, in the settings' order.
    pub renditions: Vec<ListedRendition>,
}

/// One rendition of a [`ListBatch`].
#[derive(Debug, Clone)]
pub struct ListedRendition {
    /// The rendition's name.
    pub name: Arc<str>,
    /// Its language.
    pub language: Option<String>,
    /// Fragments of its fitted audio; empty when it was dropped.
    pub cuts: Vec<Cut>,
}

/// Command to the HLS publisher: list nothing more; with `ended`, close the playlists for good (EXT-X-ENDLIST).
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct FinishPlaylists {
    /// Whether the source has ended.
    pub ended: bool,
}
