//! Opening a connection: TCP, TLS, the HTTP upgrade, and what their failures mean to people.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError, WsClientError};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};

use super::codec::MAX_MESSAGE_BYTES;
use super::target::Target;
use super::wire::Wire;

thread_local! {
    // One client an arbiter: they share nothing across threads.
    static CLIENT: awc::Client = client(web_roots());
}

/// The certificate authorities that browsers trust.
fn web_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn client(roots: RootCertStore) -> awc::Client {
    if CryptoProvider::get_default().is_none() {
        // Without a provider the connector panics. A lost race means that there is one now.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    // HTTP/2 cannot carry the upgrade, so it must not be negotiated.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    // The connector's limit counts connections for as long as they live, upgraded ones too: with its
    // default of 100 the next link would wait for ever.
    let connector = awc::Connector::new().limit(0).rustls_0_23(Arc::new(tls));
    awc::Client::builder().connector(connector).disable_timeout().disable_redirects().finish()
}

/// Opens a WebSocket to the target's Engine.IO endpoint. Has no deadline of its own.
///
/// # Errors
/// What went wrong, for people to read, without secrets.
pub async fn dial(target: &Target) -> Result<Wire, String> {
    dial_with(&CLIENT.with(awc::Client::clone), target).await
}

async fn dial_with(client: &awc::Client, target: &Target) -> Result<Wire, String> {
    let mut request = client.ws(&target.endpoint).max_frame_size(MAX_MESSAGE_BYTES);
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
            code @ 300..400 => {
                format!("answered HTTP {code}: it redirects, so give the URL that it leads to")
            }
            // What Socket.IO servers answer where they do not like the handshake.
            400 => "answered HTTP 400: it does not take Socket.IO 3 or later over WebSocket".to_owned(),
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

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::link::wire::Step;

    /// A TLS server that upgrades one connection and says `0{}`, and a client that trusts it.
    async fn secure_peer() -> (Target, awc::Client) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        // As servers are that speak both: what the client offers decides.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        actix_rt::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
                let accept = actix_http::ws::hash_key(key.as_bytes());
                let accept = std::str::from_utf8(&accept).unwrap();
                let response = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                     sec-websocket-accept: {accept}\r\n\r\n"
                );
                stream.write_all(response.as_bytes()).await.unwrap();
                stream.write_all(b"\x81\x030{}").await.unwrap();
                let _ = stream.read_u8().await;
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        (Target::parse(&format!("wss://localhost:{port}")).unwrap(), client(roots))
    }

    #[actix_rt::test]
    async fn a_server_behind_tls_is_reached() {
        let (target, client) = secure_peer().await;
        let mut wire = dial_with(&client, &target).await.map_err(|reason| panic!("{reason}")).unwrap();
        assert!(matches!(wire.step().await, Ok(Step::Text(text)) if text == "0{}"));
    }

    #[actix_rt::test]
    async fn a_certificate_that_nobody_vouches_for_is_refused_with_the_reason() {
        let (target, _) = secure_peer().await;
        let reason = dial(&target).await.err().unwrap();
        assert_eq!(reason, "TLS failed: invalid peer certificate: UnknownIssuer");
    }

    #[actix_rt::test]
    async fn a_server_without_tls_is_told_from_one_that_is_gone() {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let port = listener.local_addr().unwrap().port();
        actix_rt::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            }
        });
        let target = Target::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
        let reason = dial(&target).await.err().unwrap();
        assert!(reason.starts_with("TLS failed: received corrupt message"), "{reason}");
    }

    #[actix_rt::test]
    async fn no_address_makes_it_panic() {
        for url in ["ws://localhost:0/", "ws://no-such-host.invalid/", "ws://[::1]:1/", "ws://0.0.0.0:1/"] {
            let reason = dial(&Target::parse(url).unwrap()).await.err().unwrap();
            assert!(reason.len() > 5 && reason.len() < 80, "{url}: {reason}");
        }
    }
}
