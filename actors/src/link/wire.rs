//! The WebSocket itself: whole messages in and out over awc, everything bounded.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_codec::{AsyncRead, AsyncWrite, Framed, ReadBuf};
use actix_http::ws;
use awc::BoxedSocket;
use bytes::{Bytes, BytesMut};
use futures_util::{Sink, Stream};

use super::codec::MAX_MESSAGE_BYTES;
use super::frames::Bounded;

/// Answers (pongs, acknowledgements) that may wait for the other end to read, in bytes. One that asks
/// without reading is not answered any more.
const MAX_UNREAD_ANSWERS: usize = 16 * 1024;

/// Buffers beyond this size are given back once their message is through: a link at rest holds no media.
const KEPT_BUFFER_BYTES: usize = 64 * 1024;

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other end said so, with its reason.
    #[error("server closed the connection{0}")]
    Closed(String),
    /// The socket ended without a word.
    #[error("server closed the connection without a close frame")]
    Gone,
    /// A message larger than [`MAX_MESSAGE_BYTES`].
    #[error("server sent a message of more than {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    /// Something that RFC 6455 forbids.
    #[error("server broke the WebSocket protocol: {0}")]
    Protocol(String),
    /// The socket failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
}

/// What happened on the connection.
#[derive(Debug)]
pub enum Step {
    /// A text message, whole.
    Text(Bytes),
    /// A binary message, whole.
    Binary(Bytes),
    /// All that was queued is with the kernel.
    Flushed,
}

/// A WebSocket connection, client side.
pub struct Wire {
    framed: Framed<Metered, Bounded>,
    partial: Option<(Kind, BytesMut)>,
    unflushed: bool,
    unread_answers: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Binary,
}

impl Wire {
    /// Takes over a connection whose handshake is done.
    #[must_use]
    pub fn new(framed: Framed<BoxedSocket, ws::Codec>) -> Self {
        let framed = framed.into_map_io(|io| Metered { io, written: 0 }).into_map_codec(Bounded);
        Self { framed, partial: None, unflushed: false, unread_answers: 0 }
    }

    /// Bytes that the kernel has taken so far: while this grows, the other end reads.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.framed.io_ref().written
    }

    /// Queues a text message; it goes out with the next [`Wire::step`]s.
    ///
    /// # Errors
    /// None in practice: whole messages can always be encoded.
    pub fn send_text(&mut self, text: String) -> Result<(), WireError> {
        self.queue(ws::Message::Text(text.into()))
    }

    /// Queues a binary message.
    ///
    /// # Errors
    /// As [`Wire::send_text`].
    pub fn send_binary(&mut self, data: Bytes) -> Result<(), WireError> {
        self.queue(ws::Message::Binary(data))
    }

    /// Queues a short text message that answers one of the other end's, unless too many wait already.
    ///
    /// # Errors
    /// As [`Wire::send_text`].
    pub fn answer(&mut self, text: String) -> Result<(), WireError> {
        let len = text.len();
        self.queue_answer(ws::Message::Text(text.into()), len)
    }

    fn queue_answer(&mut self, message: ws::Message, len: usize) -> Result<(), WireError> {
        if self.unread_answers + len > MAX_UNREAD_ANSWERS {
            return Ok(());
        }
        self.unread_answers += len + 16;
        self.queue(message)
    }

    fn queue(&mut self, message: ws::Message) -> Result<(), WireError> {
        self.unflushed = true;
        Pin::new(&mut self.framed).start_send(message).map_err(protocol_error)
    }

    /// Writes what is queued and reads what comes, both at once, until something happened. Loses nothing
    /// when dropped half-way.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn step(&mut self) -> Result<Step, WireError> {
        loop {
            let frame = poll_fn(|cx| {
                if self.unflushed
                    && let Poll::Ready(done) = Sink::<ws::Message>::poll_flush(Pin::new(&mut self.framed), cx)
                {
                    self.unflushed = false;
                    self.unread_answers = 0;
                    return Poll::Ready(done.map(|()| None));
                }
                match Pin::new(&mut self.framed).poll_next(cx) {
                    Poll::Ready(Some(frame)) => Poll::Ready(frame.map(Some)),
                    // An end of file after half a frame: a reset, a killed peer.
                    Poll::Ready(None) => {
                        Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()))
                    }
                    Poll::Pending => Poll::Pending,
                }
            });
            let Some(frame) = frame.await.map_err(protocol_error)? else { return Ok(Step::Flushed) };
            if let Some(step) = self.take(frame)? {
                return Ok(step);
            }
        }
    }

    fn take(&mut self, frame: ws::Frame) -> Result<Option<Step>, WireError> {
        match frame {
            ws::Frame::Text(text) => Ok(Some(Step::Text(text))),
            ws::Frame::Binary(data) => Ok(Some(Step::Binary(data))),
            ws::Frame::Continuation(item) => self.continued(item),
            ws::Frame::Ping(payload) => {
                let len = payload.len();
                self.queue_answer(ws::Message::Pong(payload), len).map(|()| None)
            }
            ws::Frame::Pong(_) => Ok(None),
            ws::Frame::Close(reason) => Err(WireError::Closed(close_text(reason))),
        }
    }

    /// RFC 6455 5.4: a message may come in several frames.
    fn continued(&mut self, item: ws::Item) -> Result<Option<Step>, WireError> {
        let (part, last) = match item {
            ws::Item::FirstText(part) => {
                self.partial = Some((Kind::Text, BytesMut::new()));
                (part, false)
            }
            ws::Item::FirstBinary(part) => {
                self.partial = Some((Kind::Binary, BytesMut::new()));
                (part, false)
            }
            ws::Item::Continue(part) => (part, false),
            ws::Item::Last(part) => (part, true),
        };
        let Some((kind, mut message)) = self.partial.take() else {
            return Err(WireError::Protocol("continuation of nothing".to_owned()));
        };
        if message.len().saturating_add(part.len()) > MAX_MESSAGE_BYTES {
            return Err(WireError::TooLarge);
        }
        message.extend_from_slice(&part);
        if !last {
            self.partial = Some((kind, message));
            return Ok(None);
        }
        let message = message.freeze();
        Ok(Some(match kind {
            Kind::Text => Step::Text(message),
            Kind::Binary => Step::Binary(message),
        }))
    }

    /// Gives the buffers back that a large message has grown. To be called when it is through.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let mut parts = self.framed.into_parts();
        for buffer in [&mut parts.write_buf, &mut parts.read_buf] {
            // A view's capacity says nothing of the allocation that it shares, so what is left is copied.
            if buffer.len() <= KEPT_BUFFER_BYTES {
                *buffer = BytesMut::from(&buffer[..]);
            }
        }
        Self { framed: Framed::from_parts(parts), ..self }
    }
}

fn protocol_error(error: ws::ProtocolError) -> WireError {
    match error {
        ws::ProtocolError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => WireError::Gone,
        // The codec gives non-zero reserved bits this way.
        ws::ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            WireError::Protocol(error.to_string())
        }
        ws::ProtocolError::Io(error) => WireError::Io(error),
        ws::ProtocolError::Overflow => WireError::TooLarge,
        other => WireError::Protocol(other.to_string()),
    }
}

fn close_text(reason: Option<ws::CloseReason>) -> String {
    let Some(reason) = reason else { return String::new() };
    let code = u16::from(reason.code);
    // RFC 6455 7.4.1; servers that find a message too large close with this code.
    let meaning = if code == 1009 { " (a message was too large for it)" } else { "" };
    match reason.description {
        Some(text) => format!(": {code} {}{meaning}", super::fragments::shorten(&text, 120)),
        None => format!(": {code}{meaning}"),
    }
}

/// Counts what the kernel takes.
struct Metered {
    io: BoxedSocket,
    written: u64,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, data);
        if let Poll::Ready(Ok(written)) = poll {
            self.written = self.written.saturating_add(written as u64);
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use actix_codec::{Decoder, Encoder};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn pair() -> (Wire, DuplexStream) {
        let (ours, theirs) = duplex(16 * 1024);
        let codec = ws::Codec::new().max_size(MAX_MESSAGE_BYTES).client_mode();
        (Wire::new(Framed::new(Box::new(ours) as BoxedSocket, codec)), theirs)
    }

    /// What a server would put on the wire.
    fn encoded(message: ws::Message) -> BytesMut {
        let mut bytes = BytesMut::new();
        ws::Codec::new().encode(message, &mut bytes).unwrap();
        bytes
    }

    fn kept(wire: Wire) -> (usize, usize) {
        let parts = wire.framed.into_parts();
        (parts.write_buf.capacity(), parts.read_buf.capacity())
    }

    #[tokio::test]
    async fn a_connection_at_rest_holds_no_media() {
        let (mut wire, mut theirs) = pair();
        let reader = tokio::spawn(async move {
            let mut bytes = vec![0; 1 << 20];
            theirs.read_exact(&mut bytes).await.unwrap();
            theirs.write_all(&encoded(ws::Message::Binary(bytes.into()))).await.unwrap();
            theirs
        });
        wire.send_binary(vec![7; 1 << 20].into()).unwrap();
        assert!(matches!(wire.step().await, Ok(Step::Flushed)));
        assert!(matches!(wire.step().await, Ok(Step::Binary(data)) if data.len() == 1 << 20));
        let _theirs = reader.await.unwrap();
        let (write, read) = kept(wire.trimmed());
        assert!(write <= KEPT_BUFFER_BYTES && read <= KEPT_BUFFER_BYTES, "{write} {read}");
    }

    #[tokio::test]
    async fn trimming_loses_nothing_that_was_read_or_queued() {
        let (mut wire, mut theirs) = pair();
        let two =
            [encoded(ws::Message::Text("one".into())), encoded(ws::Message::Text("two".into()))].concat();
        theirs.write_all(&two).await.unwrap();
        assert!(matches!(wire.step().await, Ok(Step::Text(text)) if text == "one"));
        wire.send_text("three".to_owned()).unwrap();
        let mut wire = wire.trimmed();
        assert!(matches!(wire.step().await, Ok(Step::Flushed)));
        assert!(matches!(wire.step().await, Ok(Step::Text(text)) if text == "two"));
        let mut bytes = BytesMut::new();
        theirs.read_buf(&mut bytes).await.unwrap();
        let frame = ws::Codec::new().decode(&mut bytes).unwrap();
        assert_eq!(frame, Some(ws::Frame::Text("three".into())));
    }

    #[tokio::test]
    async fn a_server_that_pings_and_does_not_read_makes_nothing_grow() {
        let (mut wire, mut theirs) = pair();
        let flood = tokio::spawn(async move {
            let ping = encoded(ws::Message::Ping(vec![b'x'; 125].into()));
            for _ in 0..20_000 {
                theirs.write_all(&ping).await.unwrap();
            }
            theirs.write_all(&encoded(ws::Message::Text("end".into()))).await.unwrap();
            theirs
        });
        loop {
            match wire.step().await.unwrap() {
                Step::Flushed => {}
                Step::Text(text) => break assert_eq!(text, "end"),
                Step::Binary(_) => panic!("nothing binary was sent"),
            }
        }
        let _theirs = flood.await.unwrap();
        let (write, _) = kept(wire);
        assert!(write <= 4 * MAX_UNREAD_ANSWERS, "{write}");
    }

    #[tokio::test]
    async fn a_message_in_pieces_is_bounded_as_a_whole() {
        let (mut wire, mut theirs) = pair();
        let piece = Bytes::from(vec![0; 1 << 20]);
        let flood = tokio::spawn(async move {
            let mut codec = ws::Codec::new();
            let mut item = ws::Item::FirstBinary(piece.clone());
            loop {
                let mut bytes = BytesMut::new();
                codec.encode(ws::Message::Continuation(item), &mut bytes).unwrap();
                if theirs.write_all(&bytes).await.is_err() {
                    return;
                }
                item = ws::Item::Continue(piece.clone());
            }
        });
        assert!(matches!(wire.step().await, Err(WireError::TooLarge)));
        drop(wire);
        flood.await.unwrap();
    }
}
