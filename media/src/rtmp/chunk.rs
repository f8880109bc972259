//! Chunks: how messages share one connection (RTMP 1.0 5.3).

mod reader;
mod writer;

pub use reader::ChunkReader;
pub use writer::{ChunkWriter, MessageHeader};

use bytes::Bytes;

/// Both sides' chunk size until they say otherwise (RTMP 1.0 5.4.1).
pub const DEFAULT_CHUNK_SIZE: usize = 128;

/// Largest message: its length has 24 bits (RTMP 1.0 5.3.1.2.1).
pub const MAX_MESSAGE_LEN: usize = 0xFF_FFFF;

/// Value of the 24-bit timestamp field that announces a 32-bit one (RTMP 1.0 5.3.1.3).
const EXTENDED: u32 = 0xFF_FFFF;

/// One message, put together from its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chunk stream that it came over.
    pub chunk_stream: u32,
    /// Message type id (RTMP 1.0 5.4 and 7.1).
    pub type_id: u8,
    /// Milliseconds on the sender's clock, modulo 2^32.
    pub timestamp_ms: u32,
    /// Message stream id, 0 for the connection itself.
    pub stream_id: u32,
    /// Its bytes.
    pub payload: Bytes,
}

/// Why chunks cannot be read or written; the connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A message larger than the limit.
    #[error("byte {at}: message of {len} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Byte position in the stream of chunks.
        at: u64,
        /// Length announced.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// More chunk streams, or more unfinished messages, than any real peer has.
    #[error("byte {at}: too many interleaved messages")]
    TooManyStreams {
        /// Byte position in the stream of chunks.
        at: u64,
    },
    /// A chunk refers to an earlier one that never came.
    #[error("byte {at}: chunk stream {chunk_stream} begins with a chunk that needs an earlier one")]
    NoPrevious {
        /// Byte position in the stream of chunks.
        at: u64,
        /// The chunk stream.
        chunk_stream: u32,
    },
    /// A new message begins before the one before it is complete.
    #[error("byte {at}: chunk stream {chunk_stream} begins a message within another")]
    Interrupted {
        /// Byte position in the stream of chunks.
        at: u64,
        /// The chunk stream.
        chunk_stream: u32,
    },
    /// A chunk size of 0 or above 2^31 - 1, or a control message too short to hold one.
    #[error("byte {at}: chunk size cannot be set to that")]
    ChunkSize {
        /// Byte position in the stream of chunks.
        at: u64,
    },
    /// A chunk stream id outside 2..=65599 (RTMP 1.0 5.3.1.1); only when writing.
    #[error("chunk stream {chunk_stream} does not exist")]
    ChunkStream {
        /// The id.
        chunk_stream: u32,
    },
}

#[cfg(test)]
mod tests;
