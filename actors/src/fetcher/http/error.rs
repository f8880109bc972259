//! Why something could not be had, in words that bear no URL.

use std::fmt;
use std::io;
use std::time::Duration;

use actix_http::error::ParseError;
use awc::error::{ConnectError, SendRequestError};
use awc::http::StatusCode;

use crate::fetcher::address::PrivateAddress;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fetcher) enum Subject {
    Playlist,
    Segment,
    Key,
    /// EXT-X-MAP.
    Init,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Playlist => "playlist",
            Self::Segment => "segment",
            Self::Key => "key",
            Self::Init => "init section",
        })
    }
}

/// Why something could not be had. Bears no URL: those may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::fetcher) enum FetchError {
    #[error("source answered {0}")]
    Status(StatusCode),
    #[error("{subject} is larger than {limit} bytes")]
    TooLarge { subject: Subject, limit: u64 },
    #[error("no answer for {} s", .0.as_secs())]
    NoAnswer(Duration),
    #[error("no data for {} s", .0.as_secs())]
    Idle(Duration),
    #[error("{subject} took longer than {} s", .limit.as_secs())]
    TooSlow { subject: Subject, limit: Duration },
    #[error("connection {0}")]
    Connection(&'static str),
    #[error("host name does not resolve")]
    Dns,
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("more than {0} redirects")]
    Redirects(u32),
    #[error("redirect leads nowhere")]
    BadRedirect,
    #[error("address is neither http nor https")]
    Scheme,
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    #[error("URI cannot be resolved")]
    BadUri,
    #[error("answer is not HTTP")]
    NotHttp,
    /// Over TLS; see [`crate::fetcher::unframed`].
    #[error("answer bears neither Content-Length nor chunks, so its end cannot be known")]
    NoLength,
    #[error("{subject} ends after {got} bytes of {}", .of.map_or("an unknown number".to_owned(), |of| of.to_string()))]
    Truncated { subject: Subject, got: u64, of: Option<u64> },
    #[error("source answered with another byte range than asked for")]
    WrongRange,
    #[error("answer is packed in a way that was not asked for, or damaged")]
    BadEncoding,
}

impl FetchError {
    /// Whether the address has expired, so that a fresh one may help (token URLs).
    pub(in crate::fetcher) fn is_expired(&self) -> bool {
        matches!(self, Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE))
    }

    /// Whether asking again cannot help.
    pub(in crate::fetcher) fn is_final(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Scheme | Self::Private(_) | Self::BadUri)
    }
}

/// Whether a kept connection may have been closed just as it was used again.
pub(super) fn is_stale(error: &SendRequestError) -> bool {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => true,
        SendRequestError::Send(error) => {
            matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        }
        _ => false,
    }
}

/// What went wrong before there was an answer.
pub(super) fn classify(error: SendRequestError) -> FetchError {
    match error {
        SendRequestError::Connect(ConnectError::Resolver(error)) => error
            .downcast::<PrivateAddress>()
            .map_or(FetchError::Dns, |private| FetchError::Private(*private)),
        SendRequestError::Connect(ConnectError::NoRecords) => FetchError::Dns,
        SendRequestError::Connect(ConnectError::Timeout) | SendRequestError::Timeout => {
            FetchError::Connection("timed out")
        }
        SendRequestError::Connect(ConnectError::Disconnected) => {
            FetchError::Connection("closed without an answer")
        }
        SendRequestError::Connect(ConnectError::Io(error)) | SendRequestError::Send(error) => {
            classify_io(&error)
        }
        SendRequestError::Response(ParseError::Io(error)) => classify_io(&error),
        SendRequestError::Response(_) => FetchError::NotHttp,
        SendRequestError::Url(_) => FetchError::BadUri,
        _ => FetchError::Connection("failed"),
    }
}

/// What went wrong on the socket.
pub(super) fn classify_io(error: &io::Error) -> FetchError {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return FetchError::Tls(tls.to_string());
    }
    FetchError::Connection(match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            "reset"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "impossible: no route to the host"
        }
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::UnexpectedEof => "closed in the middle of an answer",
        _ => "failed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_well() {
        let subject = Subject::Playlist;
        for (error, text) in [
            (FetchError::Status(StatusCode::NOT_FOUND), "source answered 404 Not Found"),
            (FetchError::TooLarge { subject, limit: 4 << 20 }, "playlist is larger than 4194304 bytes"),
            (FetchError::Idle(Duration::from_secs(10)), "no data for 10 s"),
            (classify_io(&io::ErrorKind::ConnectionRefused.into()), "connection refused"),
            (FetchError::Truncated { subject, got: 5, of: Some(9) }, "playlist ends after 5 bytes of 9"),
            (
                FetchError::Truncated { subject, got: 5, of: None },
                "playlist ends after 5 bytes of an unknown number",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
