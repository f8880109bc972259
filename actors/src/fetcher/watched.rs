//! A socket that notes its end.
//!
//! The HTTP client ends a body quietly when the connection ends within it. A length in the head shows what is
//! missing; of a chunked body, only that the socket ended before the last chunk had been read.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_rt::net::{ActixStream, Ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts the ends that were read, over all sockets of a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends(Rc<Cell<u64>>);

impl Ends {
    pub(super) fn count(&self) -> u64 {
        self.0.get()
    }
}

/// A stream whose end is counted when it is read.
#[derive(Debug)]
pub(super) struct Watched<Io> {
    io: Io,
    ends: Ends,
}

impl<Io> Watched<Io> {
    pub(super) fn new(io: Io, ends: Ends) -> Self {
        Self { io, ends }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buf.filled().len(), buf.remaining());
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        let nothing = room > 0 && buf.filled().len() == before;
        if nothing && matches!(result, Poll::Ready(Ok(()))) {
            self.ends.0.set(self.ends.0.get() + 1);
        }
        result
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<Io: ActixStream> ActixStream for Watched<Io> {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_write_ready(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn only_an_end_is_counted() {
        let ends = Ends::default();
        let mut stream = Watched::new(&b"ab"[..], ends.clone());
        let mut byte = [0];
        for expected in [0, 0, 1] {
            let _ = stream.read(&mut byte).await.expect("memory");
            assert_eq!(ends.count(), expected);
        }
    }
}
