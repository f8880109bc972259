//! Opening a connection: TCP, TLS, the HTTP upgrade, and what their failures mean to people.

use std::io;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError, WsClientError};

use super::codec::MAX_MESSAGE_BYTES;
use super::target::Target;
use super::wire::Wire;

thread_local! {
    // One client an arbiter: building one parses the certificate store.
    static CLIENT: awc::Client = client();
}

fn client() -> awc::Client {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Building a client without a provider panics. A lost race means that there is one now.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    // The connector's limit counts connections for as long as they live, upgraded ones too: with its
    // default of 100 the next link would wait for ever. HTTP/2 cannot carry the upgrade.
    let connector = awc::Connector::new().limit(0).max_http_version(awc::http::Version::HTTP_11);
    awc::Client::builder().connector(connector).disable_timeout().disable_redirects().finish()
}

/// Opens a WebSocket to the target's Engine.IO endpoint. Has no deadline of its own.
///
/// # Errors
/// What went wrong, for people to read, without secrets.
pub async fn dial(target: &Target) -> Result<Wire, String> {
    let mut request = CLIENT.with(|client| client.ws(&target.endpoint)).max_frame_size(MAX_MESSAGE_BYTES);
    if let Some((user, password)) = &target.credentials {
        request = request.basic_auth(user, Some(password));
    }
    match request.connect().await {
        Ok((_, framed)) => Ok(Wire::new(framed)),
        Err(error) => Err(target.scrub(&reason(&error))),
    }
}

/// What is said when the whole of a connection's beginning takes too long.
#[must_use]
pub fn timeout_reason(deadline: Duration) -> String {
    format!("no answer within {} s", deadline.as_secs_f32())
}

fn reason(error: &WsClientError) -> String {
    match error {
        WsClientError::InvalidResponseStatus(status) => match status.as_u16() {
            401 | 403 => format!("answered HTTP {}: access denied", status.as_u16()),
            code @ 500.. => format!("answered HTTP {code}: the server fails"),
            code => format!("answered HTTP {code}: not a Socket.IO server"),
        },
        WsClientError::SendRequest(SendRequestError::Connect(error)) => connect_reason(error),
        WsClientError::SendRequest(SendRequestError::Response(_)) => {
            "answered something that is not HTTP".to_owned()
        }
        WsClientError::SendRequest(SendRequestError::Send(error)) => io_reason(error),
        WsClientError::SendRequest(SendRequestError::Timeout) => "no answer in time".to_owned(),
        WsClientError::SendRequest(error) => format!("the request failed: {error}"),
        other => format!("not a WebSocket server: {other}"),
    }
}

fn connect_reason(error: &ConnectError) -> String {
    match error {
        ConnectError::Io(error) => io_reason(error),
        ConnectError::Resolver(_) | ConnectError::NoRecords => "host name not found".to_owned(),
        ConnectError::Timeout => "no answer in time".to_owned(),
        ConnectError::Disconnected => "server closed the connection before it answered".to_owned(),
        other => other.to_string(),
    }
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            "server closed the connection before it answered".to_owned()
        }
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        io::ErrorKind::InvalidData => format!("TLS failed: {error}"),
        _ => error.to_string(),
    }
}
