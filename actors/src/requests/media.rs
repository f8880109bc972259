//! What may be asked of a stream's log, of a batch's sound, and of other settings.

use actix::Message;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{LiveResource, RequestError};
use crate::events::LogLevel;
use crate::settings::{Difference, SettingsChange, StreamId};

/// The last lines of a stream's own log.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<LogEntry>, RequestError>")]
pub struct GetLogs {
    /// Which stream.
    pub id: StreamId,
    /// Lines as grave as this.
    pub level: LogLevel,
    /// At most this many.
    pub limit: usize,
}

/// One line of a stream's log.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// RFC 3339.
    pub at: String,
    /// How grave it is.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
    /// Everything else that it says.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
}

/// Which sound of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum AudioTrack {
    /// The source's own, as the processor got it.
    Original,
    /// What the processor sent.
    Processed,
    /// What went on air.
    Fitted,
}

/// A batch's sound; none where it is not there (any more).
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Option<LiveResource>, RequestError>")]
pub struct GetBatchAudio {
    /// Which stream.
    pub id: StreamId,
    /// Which batch.
    pub batch: u64,
    /// Which sound.
    pub track: AudioTrack,
    /// Of which rendition: a checked name.
    pub rendition: StreamId,
}

/// Change a stream's settings; of a running one only those that its run can follow.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Difference>, RequestError>")]
pub struct ChangeStream {
    /// Which stream.
    pub id: StreamId,
    /// What is to be different.
    pub change: SettingsChange,
}
