//! What goes over a processor link: fragments and what became of them.

use std::path::PathBuf;

use actix::Message;
use serde::{Deserialize, Serialize};

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
