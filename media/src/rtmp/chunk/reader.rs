//! Chunks to messages.

use bytes::{Buf, BytesMut};

use super::{ChunkError, DEFAULT_CHUNK_SIZE, EXTENDED, Message};
use crate::rtmp::message::type_id;

/// Most chunk streams that a peer may use; real ones use five or so.
const MAX_CHUNK_STREAMS: usize = 64;

/// One chunk stream: the last header, and the message that is being put together.
#[derive(Debug, Default)]
struct ChunkStream {
    id: u32,
    timestamp_ms: u32,
    /// The last timestamp or difference as it stood in a header.
    field_ms: u32,
    extended: bool,
    len: usize,
    type_id: u8,
    stream_id: u32,
    /// Whether a message has begun and is not complete.
    open: bool,
    payload: BytesMut,
}

/// The chunk whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Current {
    /// Index of its chunk stream.
    stream: usize,
    /// Bytes still to come in this chunk.
    left: usize,
}

/// Puts messages together from chunks, however they are interleaved and split.
#[derive(Debug)]
pub struct ChunkReader {
    chunk_size: usize,
    max_message: usize,
    streams: Vec<ChunkStream>,
    current: Option<Current>,
    /// Bytes held of unfinished messages.
    held: usize,
    /// Bytes taken so far.
    position: u64,
}

/// A chunk header as read, not yet taken from the input.
struct Header {
    format: u8,
    chunk_stream: u32,
    /// Timestamp or difference.
    field_ms: u32,
    extended: bool,
    len: usize,
    type_id: u8,
    stream_id: u32,
    /// Bytes that it takes.
    size: usize,
}

impl ChunkReader {
    /// Reads messages of up to `max_message` bytes; unfinished ones together hold at most twice as much.
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            max_message,
            streams: Vec::new(),
            current: None,
            held: 0,
            position: 0,
        }
    }

    /// Bytes taken so far, which is what acknowledgements count (RTMP 1.0 5.4.3).
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes bytes from `input` up to the end of the next message; none means that more are needed.
    /// Set Chunk Size and Abort are obeyed and returned. After an error the reader is of no more use.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Message>, ChunkError> {
        loop {
            let Some(mut current) = self.current else {
                let Some(header) = self.header(input)? else { return Ok(None) };
                input.advance(header.size);
                self.position += header.size as u64;
                self.current = Some(self.begin(&header)?);
                continue;
            };
            let stream = &mut self.streams[current.stream];
            let taken = input.split_to(current.left.min(input.len()));
            stream.payload.extend_from_slice(&taken);
            self.position += taken.len() as u64;
            self.held += taken.len();
            current.left -= taken.len();
            if current.left > 0 {
                self.current = Some(current);
                return Ok(None);
            }
            self.current = None;
            if stream.payload.len() == stream.len {
                stream.open = false;
                self.held -= stream.len;
                let message = Message {
                    chunk_stream: stream.id,
                    type_id: stream.type_id,
                    timestamp_ms: stream.timestamp_ms,
                    stream_id: stream.stream_id,
                    payload: std::mem::take(&mut stream.payload).freeze(),
                };
                self.obey(&message)?;
                return Ok(Some(message));
            }
        }
    }

    /// Reads a chunk header without taking it; none when it is not complete.
    fn header(&self, input: &[u8]) -> Result<Option<Header>, ChunkError> {
        let at = self.position;
        let mut bytes = input;
        let Some(first) = bytes.try_get_u8().ok() else { return Ok(None) };
        let format = first >> 6;
        let chunk_stream = match first & 0x3F {
            0 => bytes.try_get_u8().ok().map(|low| 64 + u32::from(low)),
            1 => bytes.try_get_u16_le().ok().map(|id| 64 + u32::from(id)),
            id => Some(u32::from(id)),
        };
        let Some(chunk_stream) = chunk_stream else { return Ok(None) };
        let previous = self.streams.iter().find(|stream| stream.id == chunk_stream);
        // A type 1 chunk says all that is needed where nothing came before; some servers begin so.
        if previous.is_none() && format >= 2 {
            return Err(ChunkError::NoPrevious { at, chunk_stream });
        }
        let mut header = Header {
            format,
            chunk_stream,
            field_ms: previous.map_or(0, |p| p.field_ms),
            extended: previous.is_some_and(|p| p.extended),
            len: previous.map_or(0, |p| p.len),
            type_id: previous.map_or(0, |p| p.type_id),
            stream_id: previous.map_or(0, |p| p.stream_id),
            size: 0,
        };
        let need = [11, 7, 3, 0][usize::from(format)];
        if bytes.len() < need {
            return Ok(None);
        }
        if format <= 2 {
            header.field_ms = bytes.get_uint(3) as u32;
            header.extended = header.field_ms == EXTENDED;
        }
        if format <= 1 {
            header.len = bytes.get_uint(3) as usize;
            header.type_id = bytes.get_u8();
        }
        if format == 0 {
            header.stream_id = bytes.get_u32_le();
        }
        if header.extended {
            let Some(time) = bytes.try_get_u32().ok() else { return Ok(None) };
            header.field_ms = time;
        }
        header.size = input.len() - bytes.len();
        if header.len > self.max_message {
            return Err(ChunkError::TooLarge { at, len: header.len, limit: self.max_message });
        }
        if self.held > 2 * self.max_message {
            return Err(ChunkError::TooManyStreams { at });
        }
        Ok(Some(header))
    }

    /// Applies a header to its chunk stream.
    fn begin(&mut self, header: &Header) -> Result<Current, ChunkError> {
        let (at, chunk_stream) = (self.position, header.chunk_stream);
        let index = match self.streams.iter().position(|stream| stream.id == chunk_stream) {
            Some(index) => index,
            None if self.streams.len() < MAX_CHUNK_STREAMS => {
                self.streams.push(ChunkStream { id: chunk_stream, ..ChunkStream::default() });
                self.streams.len() - 1
            }
            None => return Err(ChunkError::TooManyStreams { at }),
        };
        let stream = &mut self.streams[index];
        if !stream.open {
            stream.timestamp_ms = match header.format {
                0 => header.field_ms,
                _ => stream.timestamp_ms.wrapping_add(header.field_ms),
            };
            stream.field_ms = header.field_ms;
            stream.extended = header.extended;
            stream.len = header.len;
            stream.type_id = header.type_id;
            stream.stream_id = header.stream_id;
            stream.open = true;
        } else if header.format != 3 {
            return Err(ChunkError::Interrupted { at, chunk_stream });
        }
        let left = (stream.len - stream.payload.len()).min(self.chunk_size);
        Ok(Current { stream: index, left })
    }

    /// Does what a message says about chunks.
    fn obey(&mut self, message: &Message) -> Result<(), ChunkError> {
        let at = self.position;
        match message.type_id {
            type_id::SET_CHUNK_SIZE => {
                let size = message.payload.clone().try_get_u32().map_err(|_| ChunkError::ChunkSize { at })?;
                // RTMP 1.0 5.4.1: the first bit is zero and so is no size.
                if size == 0 || size > i32::MAX as u32 {
                    return Err(ChunkError::ChunkSize { at });
                }
                self.chunk_size = size as usize;
            }
            type_id::ABORT => {
                let aborted = message.payload.clone().try_get_u32().ok();
                if let Some(stream) = self.streams.iter_mut().find(|stream| Some(stream.id) == aborted) {
                    self.held -= stream.payload.len();
                    stream.payload = BytesMut::new();
                    stream.open = false;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
