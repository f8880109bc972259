//! What others may ask of the registry, and what it answers: the only way into the tree.
//!
//! Views serialise to the API's JSON (camelCase, seconds, RFC 3339) and never hold a secret.

mod media;
mod storage;
mod webhooks;

use std::path::PathBuf;

use actix::Message;
use serde::Serialize;
use utoipa::ToSchema;

use crate::settings::{ImpossibleChange, StreamId, StreamSettings};
pub use media::{AudioTrack, ChangeStream, GetBatchAudio, GetLogs, LogEntry};
pub use storage::{CleanStorage, CleanView, GetStorage, StorageView};
pub use webhooks::{
    AddWebhook, ListWebhooks, RemoveWebhook, TestWebhook, WebhookAttempt, WebhookTest, WebhookView,
};

/// Why the registry refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such stream.
    #[error("stream {0} is not known; POST /api/streams creates it")]
    Unknown(StreamId),
    /// The id is taken or already running.
    #[error("stream {id} {state}; {advice}")]
    Conflict {
        /// The stream.
        id: StreamId,
        /// What it is, e.g. "is already running".
        state: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The stream runs, and its run cannot follow these changes.
    #[error("stream {id} has a run that cannot follow a change of {}; stop it first, or ask with ?restart=true", fields.join(", "))]
    NeedsRestart {
        /// The stream.
        id: StreamId,
        /// The settings that need a new run.
        fields: Vec<String>,
    },
    /// The change cannot be made of these settings.
    #[error("{0}")]
    Impossible(ImpossibleChange),
    /// No such webhook.
    #[error("webhook {0:?} is not known; GET /api/webhooks lists those that there are")]
    UnknownWebhook(String),
    /// The webhook's address is not allowed.
    #[error("{0}")]
    Webhook(String),
    /// There are as many webhooks as there may be.
    #[error("there are {} webhooks already; remove one first", crate::webhooks::MAX_WEBHOOKS)]
    TooManyWebhooks,
    /// State could not be read or written.
    #[error("state could not be stored: {0}")]
    Storage(String),
    /// The registry is shutting down.
    #[error("the service is shutting down; ask again after its next start")]
    ShuttingDown,
}

/// Create a stream, and start it if `start`. A known id is a conflict.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct CreateStream {
    /// Its settings, checked.
    pub settings: StreamSettings,
    /// Whether it is to run at once.
    pub start: bool,
}

/// Start with these settings: creates the stream, or starts a stopped, failed or ended one with them.
/// A running one is a conflict (the plain API's start).
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct StartWithSettings {
    /// Its settings, checked.
    pub settings: StreamSettings,
}

/// Start a known stream; conflict when it runs.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct StartStream {
    /// Which.
    pub id: StreamId,
}

/// Drain and stop a stream; answers when it has stopped. Stopping a stopped stream is no error.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct StopStream {
    /// Which.
    pub id: StreamId,
}

/// Stop and forget a stream; answers when it is gone.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct DeleteStream {
    /// Which.
    pub id: StreamId,
    /// Whether its files go too.
    pub purge: bool,
}

/// All streams, by id.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<StreamView>")]
pub struct ListStreams;

/// One stream.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<StreamView, RequestError>")]
pub struct GetStream {
    /// Which.
    pub id: StreamId,
}

/// A stream's batches, newest first.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<BatchView>, RequestError>")]
pub struct GetBatches {
    /// Which stream.
    pub id: StreamId,
    /// At most this many.
    pub limit: usize,
    /// Only batches with a lower number.
    pub before: Option<u64>,
}

/// One resource of a stream's HLS output.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Option<LiveResource>, RequestError>")]
pub struct GetLive {
    /// Which stream.
    pub id: StreamId,
    /// Path below `/live/{id}/`, e.g. `index.m3u8`; unchecked.
    pub path: String,
}

/// Whether all streams of the last run are restored and the state can be written.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Readiness")]
pub struct GetReadiness;

/// Drain all streams and stop; answers when everything is on disk.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

/// What `/live/…` serves.
#[derive(Debug, Clone)]
pub enum LiveResource {
    /// A playlist, `application/vnd.apple.mpegurl`.
    Playlist(String),
    /// A file that clients address by byte ranges, `video/mp4` or `audio/mp4`.
    File {
        /// Where it lies.
        path: PathBuf,
        /// `video/mp4` or `audio/mp4`.
        content_type: &'static str,
        /// Overwrites of 8 bytes to apply while sending: position in the file and big-endian bytes.
        /// (The original audio counts from zero on disk and is moved to its place on the timeline.)
        patches: Vec<(u64, [u8; 8])>,
    },
}

/// Answer to [`GetReadiness`].
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether the service can take work.
    pub ready: bool,
    /// Why not, if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// State of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Children are coming up.
    Starting,
    /// No source yet, or lost.
    Waiting,
    /// All is well.
    Running,
    /// A rendition is on fallback or an output is down.
    Degraded,
    /// Could not be kept up; tried again.
    Failed,
    /// Draining.
    Stopping,
    /// Not wanted to run.
    Stopped,
    /// The source has ended, and all of it that could be has aired.
    Ended,
}

impl StreamState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Waiting,
        Self::Running,
        Self::Degraded,
        Self::Failed,
        Self::Stopping,
        Self::Stopped,
        Self::Ended,
    ];

    /// Whether the stream has children.
    #[must_use]
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Stopped | Self::Ended)
    }

    /// The state's name in API and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Ended => "ended",
        }
    }
}

/// A stream as shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamView {
    /// Its id.
    pub stream_id: StreamId,
    /// Its state.
    pub state: StreamState,
    /// Why, unless running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// RFC 3339 time of the last change of state.
    pub since: String,
    /// Its settings, secrets hidden.
    pub settings: StreamSettings,
    /// Its children.
    pub actors: Vec<ActorView>,
    /// The source.
    pub source: SourceView,
    /// Its renditions.
    pub renditions: Vec<RenditionView>,
    /// Its outputs.
    pub outputs: Vec<OutputView>,
    /// Seconds that its processors have at least: the setting.
    pub delay: f64,
    /// Measured seconds from the newest segment's arrival to its air time; none before a batch is demuxed.
    pub end_to_end: Option<f64>,
    /// Seconds from the newest batch's completion to its slot being filled, its processor's own time excluded.
    pub last_turnaround: Option<f64>,
    /// Unix time in RFC 3339 at which timeline position 0 airs; none before batch 0 is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// The newest fault of any child, kept until the stream is started again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ErrorView>,
    /// Path of the HLS output, if it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_path: Option<String>,
}

/// One child of a stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActorView {
    /// `fetcher`, `demuxer`, `processor-link/main`, `remuxer/main`, `publisher/hls`, `publisher/main/rtmp-0`.
    pub name: String,
    /// Whether it runs (as opposed to waiting out a backoff).
    pub running: bool,
    /// How often it was replaced since the stream started.
    pub restarts: u32,
    /// Why it was last replaced, or what it last complained of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<ErrorView>,
}

/// A dated fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    /// Whose: an actor's name.
    pub actor: String,
    /// What, without secrets.
    pub message: String,
    /// RFC 3339.
    pub at: String,
}

/// Figures of a stream's source.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceView {
    /// Whether the last attempt to reach it succeeded.
    pub up: bool,
    /// Which variant of a multivariant playlist was taken, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Which of its audio renditions was taken, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    /// Tracks of the newest batch, and what there is to process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// Segments stored since the stream was created.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that could not be had.
    pub lost_segments: u64,
    /// Holes in the timeline, one for each run of lost media.
    pub gaps: u64,
    /// Seconds of media in the open batch.
    pub accumulated_duration: f64,
    /// Number of the open batch.
    pub current_batch: u64,
    /// Times that the output clock had to jump because the source came too late.
    pub clock_jumps: u64,
    /// Bits a second over the last segments; none while it is down.
    pub bitrate: Option<f64>,
    /// Seconds of media that make a batch: the setting.
    pub buffer_duration: f64,
}

/// Figures of one rendition.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenditionView {
    /// Its name.
    pub name: String,
    /// BCP 47 tag of its language, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether its processor is connected.
    pub connected: bool,
    /// Batches whose reply was in time.
    pub processed: u64,
    /// Batches that were filled by the fallback.
    pub fallbacks: u64,
    /// Replies after the deadline.
    pub late: u64,
    /// Batches with the processor or waiting for it.
    pub pending: u64,
    /// Batches fitted.
    pub remuxed: u64,
    /// Batches waiting for fitting.
    pub pending_remux: u64,
    /// How its slots were filled in the last hour.
    pub history: HistoryView,
    /// Whether the newest of its batches that is decided is on fallback.
    pub on_fallback: bool,
    /// The newest fallback, if there was one, however long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fallback: Option<FallbackView>,
}

/// How a rendition's slots were filled in the last hour, bucket by bucket, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryView {
    /// Length of a bucket.
    pub bucket_seconds: u32,
    /// Batches whose slot was filled.
    pub batches: Vec<u32>,
    /// Those of them that the fallback filled.
    pub fallbacks: Vec<u32>,
}

/// A fallback: why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FallbackView {
    /// The reason's name, as in metrics, e.g. `no_reply`.
    pub reason: &'static str,
    /// The reason in a sentence.
    pub message: String,
    /// RFC 3339.
    pub at: String,
}

/// Figures of one output.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputView {
    /// `hls`, or `{rendition}/rtmp-{index}`.
    pub name: String,
    /// Where it goes, secrets hidden; the path below the service for HLS.
    pub target: String,
    /// Whether it is connected (HLS: a playlist is there).
    pub up: bool,
    /// `connected`, `connecting` or `disconnected`.
    pub connection_status: String,
    /// Batches aired.
    pub published: u64,
    /// Samples that could not be sent.
    pub missed_samples: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Largest departure after air time in the last batch, milliseconds.
    pub max_lateness_ms: f64,
    /// Why it is down, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One batch as shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// Its number.
    pub batch: u64,
    /// How far it is.
    #[schema(pattern = "^(collected|demuxed|publishing|published|cleaned|skipped)$")]
    pub state: &'static str,
    /// First and last segment numbers.
    pub first_segment: u64,
    /// Last segment number.
    pub last_segment: u64,
    /// Seconds of media.
    pub duration: f64,
    /// Epoch it belongs to.
    pub epoch: u32,
    /// RFC 3339 times by transition: `collected`, `demuxed`, `published`, `cleaned`.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub times: std::collections::BTreeMap<&'static str, String>,
    /// RFC 3339 time at which its first sample airs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub air_time: Option<String>,
    /// RFC 3339 time by which its processors must have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Why it was skipped, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its renditions.
    pub renditions: Vec<BatchRenditionView>,
}

/// One rendition of a batch as shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchRenditionView {
    /// The rendition's name.
    pub name: String,
    /// How far its slot is.
    #[schema(pattern = "^(waiting|sent|processed|fallback|remuxed)$")]
    pub state: &'static str,
    /// RFC 3339 times by transition: `sent`, `processed`, `fallback`, `remuxed`, `late`.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub times: std::collections::BTreeMap<&'static str, String>,
    /// Name of the reason why the fallback fills the slot, e.g. `no_reply`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_kind: Option<&'static str>,
    /// Why the fallback fills the slot, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// How the slot was filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<crate::messages::FitReport>,
    /// Metadata that came with the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}
