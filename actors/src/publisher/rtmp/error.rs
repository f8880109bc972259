//! Why there is no connection.

use std::io;

use overdub_media::rtmp::chunk::ChunkError;
use overdub_media::rtmp::handshake::HandshakeError;
use overdub_media::rtmp::message::MessageError;

/// Why a connection could not be opened, or ended. Its text holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Name resolution or TCP failed.
    #[error("cannot connect to {host}:{port}: {source}")]
    Connect {
        /// Host of the URL.
        host: String,
        /// Port of the URL.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// TLS failed.
    #[error("TLS with {host}: {source}")]
    Tls {
        /// Host of the URL.
        host: String,
        /// What was wrong.
        source: io::Error,
    },
    /// The peer let a deadline pass.
    #[error("no answer to {step} within {seconds} s")]
    Timeout {
        /// What was waited for.
        step: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The peer does not speak RTMP.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Chunks cannot be read (or written).
    #[error("chunks: {0}")]
    Chunk(#[from] ChunkError),
    /// A message cannot be read.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The server said no, or that it is over.
    #[error("server refused {step}: {answer}")]
    Refused {
        /// What it refused.
        step: &'static str,
        /// Its words, without secrets.
        answer: String,
    },
    /// The server closed the connection before it had accepted.
    #[error("server closed the connection during {step}")]
    ClosedDuring {
        /// What was under way.
        step: &'static str,
    },
    /// The server closed the connection.
    #[error("server closed the connection")]
    Closed,
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(io::Error),
    /// The server takes nothing.
    #[error("server took no data for {seconds} s")]
    Stalled {
        /// How long.
        seconds: u64,
    },
    /// The server takes less than the stream's rate.
    #[error("server takes data too slowly, more than {seconds} s behind")]
    TooSlow {
        /// How far behind.
        seconds: u64,
    },
    /// The video is H.265, and the server does not say that it takes it.
    #[error("server does not say that it takes H.265: if it does, set the output's takesH265")]
    NoH265,
    /// The server asks for more answers than it reads.
    #[error("server asks for answers that it does not read")]
    Flooded,
}
