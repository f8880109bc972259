//! What may be asked of a stream's storage.

use actix::Message;
use serde::Serialize;
use utoipa::ToSchema;

use super::RequestError;
use crate::settings::StreamId;

/// How much a stream (or all) stores.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<StorageView, RequestError>")]
pub struct GetStorage {
    /// Which stream; all together when `None`.
    pub id: Option<StreamId>,
}

/// Remove published batches but the newest `keep_last`. What is unpublished or listed stays.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<CleanView, RequestError>")]
pub struct CleanStorage {
    /// Which stream.
    pub id: StreamId,
    /// How many published batches stay at least.
    pub keep_last: u64,
}

/// Storage figures, bytes.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageView {
    /// Bytes of segments.
    pub original_stream_size: u64,
    /// Bytes of batch folders.
    pub processed_fragments_size: u64,
    /// Both.
    pub total_size: u64,
    /// Lowest batch number on disk.
    pub oldest_batch: Option<u64>,
    /// Highest batch number on disk.
    pub newest_batch: Option<u64>,
}

/// What a cleanup did.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanView {
    /// Batches removed.
    pub removed_batches: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
}
