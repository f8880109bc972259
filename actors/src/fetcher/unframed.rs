//! Answers of HTTP/1.1 that end with their connection (RFC 9112 6.3, rule 8).
//!
//! The HTTP client takes the body of such an answer for an empty one, unless the answer calls itself HTTP/1.0: so it
//! is made to. Below TLS nothing can be seen, and nothing is changed.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const VERSION: &[u8] = b"HTTP/1.1 ";
/// A longer head goes on as it is.
const MAX_HEAD: usize = 16 * 1024;

/// A stream on whose answers the client can rely.
#[derive(Debug)]
pub(super) struct Unframed<Io> {
    io: Io,
    /// Something was written, so what is read next begins an answer.
    awaits_head: bool,
    /// What of a head has come.
    head: Vec<u8>,
    /// What is still to be handed on.
    due: Vec<u8>,
}

impl<Io> Unframed<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self { io, awaits_head: false, head: Vec::new(), due: Vec::new() }
    }

    /// Takes what came; whether the head is complete, or none.
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.head.extend_from_slice(bytes);
        let same = self.head.len().min(VERSION.len());
        let is_http = self.head[..same] == VERSION[..same];
        let ended = self.head.windows(4).any(|window| window == b"\r\n\r\n");
        bytes.is_empty() || !is_http || ended || self.head.len() >= MAX_HEAD
    }

    fn hand_on(&mut self) {
        self.awaits_head = false;
        if ends_with_connection(&self.head)
            && let Some(minor) = self.head.get_mut(VERSION.len() - 2)
        {
            *minor = b'0';
        }
        self.due = std::mem::take(&mut self.head);
    }
}

/// Whether nothing in the head says where its body ends.
fn ends_with_connection(head: &[u8]) -> bool {
    let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let has_body = !status.starts_with('1') && !["204", "304"].contains(&status);
    let framed = |line: &str| line.starts_with("content-length:") || line.starts_with("transfer-encoding:");
    head.as_bytes().starts_with(b"http/1.1 ") && has_body && !lines.any(framed)
}

impl<Io: AsyncRead + Unpin> AsyncRead for Unframed<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.awaits_head {
            let mut bytes = [0; 2048];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
            if self.take(read.filled()) {
                self.hand_on();
            }
        }
        if self.due.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let len = self.due.len().min(buf.remaining());
        buf.put_slice(&self.due[..len]);
        self.due.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Unframed<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.awaits_head = true;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.awaits_head = true;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<Io: ActixStream> ActixStream for Unframed<Io> {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_write_ready(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is read of an answer that comes in pieces.
    async fn read(pieces: &[&[u8]]) -> Vec<u8> {
        let (io, mut server) = tokio::io::duplex(64 * 1024);
        let mut client = Unframed::new(io);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("memory");
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        tokio::spawn(async move {
            for piece in pieces {
                server.write_all(&piece).await.expect("memory");
                tokio::task::yield_now().await;
            }
        });
        let mut came = Vec::new();
        client.read_to_end(&mut came).await.expect("memory");
        came
    }

    #[tokio::test]
    async fn only_answers_without_an_end_of_their_own_are_changed() {
        for (answer, changed) in [
            ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody", true),
            ("HTTP/1.1 404 No\r\n\r\nbody", true),
            ("HTTP/1.1 200 OK\r\nContent-length: 4\r\n\r\nbody", false),
            ("HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: chunked\r\n\r\n0\r\n\r\n", false),
            ("HTTP/1.1 304 Not Modified\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\nbody", false),
            ("HTTP/1.1 200 cut", false),
            ("\x16\x03\x01 not HTTP at all", false),
            ("", false),
        ] {
            let expected =
                if changed { answer.replacen("HTTP/1.1", "HTTP/1.0", 1) } else { answer.to_owned() };
            let bytes = answer.as_bytes();
            assert_eq!(read(&[bytes]).await, expected.as_bytes(), "{answer}");
            let pieces: Vec<&[u8]> = bytes.chunks(3).collect();
            assert_eq!(read(&pieces).await, expected.as_bytes(), "{answer}, in pieces");
        }
        let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), vec![b'x'; 2 * MAX_HEAD]].concat();
        assert_eq!(read(&[&endless]).await, endless);
    }
}
