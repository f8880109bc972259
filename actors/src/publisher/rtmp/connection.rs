//! A connection that has shaken hands: writes what is queued, reads what comes, answers what must be answered.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use overdub_media::rtmp::chunk::{ChunkError, ChunkReader, ChunkWriter, MessageHeader};
use overdub_media::rtmp::message::{self, Command, Received};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::error::LinkError;
use super::socket::Socket;

/// Largest message that a server sends to a publisher; real ones are a few hundred bytes.
const MAX_RECEIVED: usize = 256 * 1024;

/// Slices handed to one write call.
const SLICES: usize = 64;

/// A peer that asks for more answers than it reads is cut off when so many slices wait.
const MAX_QUEUED: usize = 16 * 1024;

/// What happened on a connection.
#[derive(Debug)]
pub enum Io {
    /// All that was queued has been handed to the kernel.
    Drained,
    /// The peer sent a command or an answer.
    Command(Command),
}

/// One side's chunks over a socket.
pub struct Connection {
    socket: Socket,
    input: BytesMut,
    reader: ChunkReader,
    writer: ChunkWriter,
    queue: VecDeque<Bytes>,
    fresh: Vec<Bytes>,
    unflushed: bool,
    queued_since: Option<Instant>,
    /// Acknowledge after so many bytes, if the peer wants it.
    window: Option<u32>,
    acknowledged: u64,
}

impl Connection {
    /// Takes over a socket after the handshake; `input` is what was read beyond it.
    pub fn new(socket: Socket, input: BytesMut) -> Self {
        Self {
            socket,
            input,
            reader: ChunkReader::new(MAX_RECEIVED),
            writer: ChunkWriter::default(),
            queue: VecDeque::new(),
            fresh: Vec::new(),
            unflushed: false,
            queued_since: None,
            window: None,
            acknowledged: 0,
        }
    }

    /// Announces our chunk size and uses it from then on.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), ChunkError> {
        self.writer.set_chunk_size(size, &mut self.fresh)?;
        self.take_fresh();
        Ok(())
    }

    /// Queues a message; returns the bytes it takes.
    pub fn queue(&mut self, header: MessageHeader, parts: &[Bytes]) -> Result<u64, ChunkError> {
        let len = self.writer.message(header, parts, &mut self.fresh)?;
        self.take_fresh();
        Ok(len)
    }

    /// Queues a command.
    pub fn command(&mut self, stream_id: u32, command: &Command) -> Result<(), ChunkError> {
        let (header, payload) = message::command(stream_id, command);
        self.queue(header, &[payload]).map(|_| ())
    }

    /// Since when something has been waiting to be written; none when all is written.
    pub fn queued_since(&self) -> Option<Instant> {
        self.queued_since
    }

    /// Reads and writes until something happened. May be dropped and called again at any point.
    pub async fn next(&mut self) -> Result<Io, LinkError> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Ends our direction and waits until the peer has ended its own.
    pub async fn shutdown(mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await?;
        loop {
            self.input.clear();
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Ok(());
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Io, LinkError>> {
        loop {
            while let Some(message) = self.reader.read(&mut self.input)? {
                if let Some(command) = self.answer(message::parse(&message)?)? {
                    return Poll::Ready(Ok(Io::Command(command)));
                }
            }
            self.acknowledge()?;
            // Reading goes on while the peer takes nothing, else neither side would ever get on.
            if let Poll::Ready(drained) = self.poll_write(cx)
                && drained.map_err(LinkError::Lost)?
            {
                return Poll::Ready(Ok(Io::Drained));
            }
            if ready!(self.poll_fill(cx)).map_err(LinkError::Lost)? == 0 {
                return Poll::Ready(Err(LinkError::Closed));
            }
        }
    }

    /// Writes the queue; ready with whether there was one, pending while the peer takes no more.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.queued_since.is_none() {
            return Poll::Ready(Ok(false));
        }
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            let mut written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            while let Some(front) = self.queue.front_mut() {
                if written < front.len() {
                    front.advance(written);
                    break;
                }
                written -= front.len();
                self.queue.pop_front();
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.unflushed = false;
        }
        self.queued_since = None;
        Poll::Ready(Ok(true))
    }

    /// Reads once; ready with the number of bytes.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0u8; 2048];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        self.input.put_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn answer(&mut self, received: Received) -> Result<Option<Command>, LinkError> {
        let (header, payload) = match received {
            Received::Command(command) => return Ok(Some(command)),
            Received::PingRequest(value) => message::ping_response(value),
            Received::SetPeerBandwidth(bytes) => message::window_ack_size(bytes),
            Received::WindowAckSize(bytes) => {
                self.window = (bytes > 0).then_some(bytes);
                return Ok(None);
            }
            Received::Other => return Ok(None),
        };
        self.queue_answer(header, payload)?;
        Ok(None)
    }

    /// RTMP 1.0 5.4.3: acknowledges after each window of bytes received.
    fn acknowledge(&mut self) -> Result<(), LinkError> {
        let position = self.reader.position();
        if self.window.is_some_and(|window| position - self.acknowledged >= u64::from(window)) {
            self.acknowledged = position;
            let (header, payload) = message::acknowledgement(position);
            self.queue_answer(header, payload)?;
        }
        Ok(())
    }

    fn queue_answer(&mut self, header: MessageHeader, payload: Bytes) -> Result<(), LinkError> {
        if self.queue.len() > MAX_QUEUED {
            return Err(LinkError::Flooded);
        }
        self.queue(header, &[payload])?;
        Ok(())
    }

    fn take_fresh(&mut self) {
        self.queue.extend(self.fresh.drain(..));
        self.queued_since.get_or_insert_with(Instant::now);
    }
}
