//! Messages to chunks, headers interleaved with slices of the payload.

use bytes::{BufMut, Bytes, BytesMut};

use super::{ChunkError, DEFAULT_CHUNK_SIZE, EXTENDED, MAX_MESSAGE_LEN};
use crate::rtmp::message::type_id;

/// Slices up to this length are copied next to the header before them: that costs less than one more
/// entry in a vectored write.
const COPIED_LEN: usize = 32;

/// Headers share one allocation until so much of it is used.
const SCRATCH_LEN: usize = 2048;
/// Of an allocation with less than this left, no message begins: basic header, message header and two copied parts.
const SCRATCH_ROOM: usize = 18 + 2 * COPIED_LEN;

/// What a message's header says beside its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHeader {
    /// Chunk stream to send it over, 2 to 65599.
    pub chunk_stream: u32,
    /// Message type id.
    pub type_id: u8,
    /// Milliseconds modulo 2^32.
    pub timestamp_ms: u32,
    /// Message stream id.
    pub stream_id: u32,
}

/// What the last message on a chunk stream said.
#[derive(Debug)]
struct Previous {
    header: MessageHeader,
    len: usize,
    /// Difference to the message before, once there were two.
    delta_ms: Option<u32>,
}

/// Turns messages into chunks for vectored writes.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
    previous: Vec<Previous>,
    scratch: BytesMut,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self { chunk_size: DEFAULT_CHUNK_SIZE, previous: Vec::new(), scratch: BytesMut::new() }
    }
}

impl ChunkWriter {
    /// Announces a chunk size (1 to 2^31 - 1) and uses it from then on.
    pub fn set_chunk_size(&mut self, size: u32, out: &mut Vec<Bytes>) -> Result<(), ChunkError> {
        if size == 0 || size > i32::MAX as u32 {
            return Err(ChunkError::ChunkSize { at: 0 });
        }
        // RTMP 1.0 5.4: protocol control messages go over chunk stream 2, message stream 0.
        let header = MessageHeader {
            chunk_stream: 2,
            type_id: type_id::SET_CHUNK_SIZE,
            timestamp_ms: 0,
            stream_id: 0,
        };
        self.message(header, &[Bytes::copy_from_slice(&size.to_be_bytes())], out)?;
        self.chunk_size = size as usize;
        Ok(())
    }

    /// Appends one message to `out`; its payload is `parts` one after the other, of which long ones are not copied.
    /// Returns the number of bytes appended.
    pub fn message(
        &mut self,
        header: MessageHeader,
        parts: &[Bytes],
        out: &mut Vec<Bytes>,
    ) -> Result<u64, ChunkError> {
        let chunk_stream = header.chunk_stream;
        if !(2..=65_599).contains(&chunk_stream) {
            return Err(ChunkError::ChunkStream { chunk_stream });
        }
        let len = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        if len > MAX_MESSAGE_LEN {
            return Err(ChunkError::TooLarge { at: 0, len, limit: MAX_MESSAGE_LEN });
        }
        if self.scratch.capacity() < SCRATCH_ROOM {
            self.scratch.reserve(SCRATCH_LEN);
        }
        let extended = self.begin(header, len);
        let mut written = 0;
        let mut room = self.chunk_size;
        for part in parts {
            let mut rest = part.clone();
            while !rest.is_empty() {
                if room == 0 {
                    self.continuation(chunk_stream, extended);
                    room = self.chunk_size;
                }
                let piece = rest.split_to(rest.len().min(room));
                room -= piece.len();
                if piece.len() <= COPIED_LEN {
                    self.scratch.extend_from_slice(&piece);
                } else {
                    written += self.flush(out) + piece.len() as u64;
                    out.push(piece);
                }
            }
        }
        Ok(written + self.flush(out))
    }

    /// Writes the first chunk's header in the shortest form (RTMP 1.0 5.3.1.2); returns the extended timestamp,
    /// if it has one.
    fn begin(&mut self, header: MessageHeader, len: usize) -> Option<u32> {
        let slot = self.previous.iter_mut().find(|p| p.header.chunk_stream == header.chunk_stream);
        let (format, time) = match &slot {
            Some(p) if p.header.stream_id == header.stream_id => {
                // A time that goes back, and a difference that itself would need an extended field (which
                // peers disagree about in chunks of type 3), are sent in full.
                match header.timestamp_ms.checked_sub(p.header.timestamp_ms) {
                    Some(delta) if delta < EXTENDED => {
                        if p.len != len || p.header.type_id != header.type_id {
                            (1, delta)
                        } else if p.delta_ms == Some(delta) {
                            (3, delta)
                        } else {
                            (2, delta)
                        }
                    }
                    _ => (0, header.timestamp_ms),
                }
            }
            _ => (0, header.timestamp_ms),
        };
        // After a type 0 chunk no difference is known: RTMP 1.0 5.3.1.2.4 takes its timestamp for it, servers take 0.
        let previous = Previous { header, len, delta_ms: (format != 0).then_some(time) };
        match slot {
            Some(slot) => *slot = previous,
            None => self.previous.push(previous),
        }

        self.basic_header(format, header.chunk_stream);
        let extended = (format == 0 && time >= EXTENDED).then_some(time);
        if format <= 2 {
            self.scratch.put_uint(u64::from(time.min(EXTENDED)), 3);
        }
        if format <= 1 {
            self.scratch.put_uint(len as u64, 3);
            self.scratch.put_u8(header.type_id);
        }
        if format == 0 {
            self.scratch.put_u32_le(header.stream_id);
        }
        if let Some(time) = extended {
            self.scratch.put_u32(time);
        }
        extended
    }

    fn continuation(&mut self, chunk_stream: u32, extended: Option<u32>) {
        self.basic_header(3, chunk_stream);
        // RTMP 1.0 5.3.1.3: also in chunks of type 3.
        if let Some(time) = extended {
            self.scratch.put_u32(time);
        }
    }

    fn basic_header(&mut self, format: u8, chunk_stream: u32) {
        let format = format << 6;
        match chunk_stream {
            0..=63 => self.scratch.put_u8(format | chunk_stream as u8),
            64..=319 => {
                self.scratch.put_u8(format);
                self.scratch.put_u8((chunk_stream - 64) as u8);
            }
            _ => {
                // RTMP 1.0 5.3.1.1: (third byte) * 256 + second byte + 64.
                self.scratch.put_u8(format | 1);
                self.scratch.put_u16_le((chunk_stream - 64) as u16);
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<Bytes>) -> u64 {
        if self.scratch.is_empty() {
            return 0;
        }
        let bytes = self.scratch.split().freeze();
        let len = bytes.len() as u64;
        out.push(bytes);
        len
    }
}
