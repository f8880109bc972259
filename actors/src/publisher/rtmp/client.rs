//! Opening a connection up to an accepted publish, and closing it (RTMP 1.0 7.2 and what servers made of it).

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use overdub_media::rtmp::amf0::Value;
use overdub_media::rtmp::handshake::{Handshake, Progress, RANDOM_LEN};
use overdub_media::rtmp::message::{self, Command};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connection::{Connection, Io};
use super::enhanced;
use super::error::LinkError;
use super::socket::Socket;
use super::target::Target;

/// For TCP, TLS and the handshake, each.
const CONNECT_SECONDS: u64 = 5;

/// For each command: servers may have to ask somebody else whether this key may publish.
const COMMAND_SECONDS: u64 = 10;

/// For the goodbye as a whole.
const CLOSE: Duration = Duration::from_secs(3);

/// One chunk holds most messages, and it is the largest size that every server takes without complaint (SRS warns
/// above it; nginx allocates a buffer of this size for each message under way).
const CHUNK_SIZE: u32 = 64 * 1024;

const CONNECT: u32 = 1;
const RELEASE_STREAM: u32 = 2;
const FC_PUBLISH: u32 = 3;
const CREATE_STREAM: u32 = 4;
const PUBLISH: u32 = 5;
const FC_UNPUBLISH: u32 = 6;
const DELETE_STREAM: u32 = 7;

/// A connection on which media may be sent.
pub struct Published {
    /// The connection.
    pub connection: Connection,
    /// The message stream that media goes over.
    pub stream_id: u32,
    /// Whether the server takes H.265: it says so, or who set up the output does.
    pub takes_h265: bool,
}

/// Connects and publishes, each step with its deadline; refuses a server that does not take H.265 if that `is_h265`
/// what will be sent.
pub async fn open(
    target: Arc<Target>,
    tls: Arc<ClientConfig>,
    is_h265: bool,
) -> Result<Published, LinkError> {
    let (host, port) = (target.host.as_str(), target.port);
    let tcp = within("TCP connect", CONNECT_SECONDS, async {
        let connected = Socket::connect(host, port).await;
        connected.map_err(|source| LinkError::Connect { host: host.to_owned(), port, source })
    })
    .await?;
    let mut socket = if target.tls {
        within("TLS", CONNECT_SECONDS, async {
            let secured = Socket::secure(tcp, host, tls).await;
            secured.map_err(|source| LinkError::Tls { host: host.to_owned(), source })
        })
        .await?
    } else {
        Socket::Plain(tcp)
    };
    let input = within("handshake", CONNECT_SECONDS, shake_hands(&mut socket)).await?;
    let mut connection = Connection::new(socket, input);

    connection.set_chunk_size(CHUNK_SIZE)?;
    connection.command(0, &message::connect(CONNECT, &target.application, &target.tc_url))?;
    let connected = request(&mut connection, &target, "connect", CONNECT).await?;
    let takes_h265 = target.takes_h265 || enhanced::takes_h265(&connected);
    if is_h265 && !takes_h265 {
        return Err(LinkError::NoH265);
    }

    // The first two are asked without waiting: servers that do not know them say nothing or complain, and neither
    // matters.
    connection.command(0, &message::release_stream(RELEASE_STREAM, &target.key))?;
    connection.command(0, &message::fc_publish(FC_PUBLISH, &target.key))?;
    connection.command(0, &message::create_stream(CREATE_STREAM))?;
    let created = request(&mut connection, &target, "createStream", CREATE_STREAM).await?;
    let stream_id = stream_id(&created).ok_or_else(|| LinkError::Refused {
        step: "createStream",
        answer: "the answer bears no stream id".to_owned(),
    })?;

    connection.command(stream_id, &message::publish(PUBLISH, &target.key))?;
    request(&mut connection, &target, "publish", PUBLISH).await?;
    Ok(Published { connection, stream_id, takes_h265 })
}

/// Says goodbye and waits a little for the server to have understood.
pub async fn close(mut published: Published, target: &Target) {
    let goodbye = async {
        let connection = &mut published.connection;
        connection.command(0, &message::fc_unpublish(FC_UNPUBLISH, &target.key))?;
        connection.command(0, &message::delete_stream(DELETE_STREAM, published.stream_id))?;
        while !matches!(connection.next().await?, Io::Drained) {}
        published.connection.shutdown().await.map_err(LinkError::Lost)
    };
    match timeout(CLOSE, goodbye).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(target = %target.shown, %error, "server left during the goodbye"),
        Err(_) => tracing::debug!(target = %target.shown, "server did not close in time"),
    }
}

/// What an unasked command means: none when nothing that matters.
pub fn verdict(command: &Command, target: &Target) -> Option<LinkError> {
    let status = command.status();
    let over = command.name == "close"
        || status.level == "error"
        || matches!(status.code.as_str(), "NetStream.Unpublish.Success" | "NetConnection.Connect.Closed");
    // What servers think of releaseStream and FCPublish, and of our goodbye, changes nothing.
    (over && command.name != "_error" && command.name != "_result")
        .then(|| refused("the running publish", command, target))
}

async fn within<T>(
    step: &'static str,
    seconds: u64,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    match timeout(Duration::from_secs(seconds), work).await {
        Ok(result) => result.map_err(|error| during(step, error)),
        Err(_) => Err(LinkError::Timeout { step, seconds }),
    }
}

fn during(step: &'static str, error: LinkError) -> LinkError {
    if matches!(error, LinkError::Closed) { LinkError::ClosedDuring { step } } else { error }
}

async fn shake_hands(socket: &mut Socket) -> Result<BytesMut, LinkError> {
    let mut random = [0; RANDOM_LEN];
    fastrand::fill(&mut random);
    let (mut handshake, hello) = Handshake::client(0, &random);
    socket.write_all(&hello).await.map_err(LinkError::Lost)?;
    socket.flush().await.map_err(LinkError::Lost)?;
    let mut input = BytesMut::with_capacity(4096);
    loop {
        match handshake.receive(&mut input)? {
            Progress::Done => return Ok(input),
            Progress::Reply(echo) => {
                socket.write_all(&echo).await.map_err(LinkError::Lost)?;
                socket.flush().await.map_err(LinkError::Lost)?;
            }
            Progress::NeedMore => match socket.read_buf(&mut input).await {
                Ok(0) => return Err(LinkError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(LinkError::Closed);
                }
                Err(error) => return Err(LinkError::Lost(error)),
            },
        }
    }
}

/// Waits for the answer to `transaction`; a publish is also answered by `onStatus`.
async fn request(
    connection: &mut Connection,
    target: &Target,
    step: &'static str,
    transaction: u32,
) -> Result<Command, LinkError> {
    within(step, COMMAND_SECONDS, async {
        loop {
            let Io::Command(command) = connection.next().await? else { continue };
            let answers = command.transaction == f64::from(transaction);
            match command.name.as_str() {
                "_result" if answers => return Ok(command),
                "_error" if answers => return Err(refused(step, &command, target)),
                "close" => return Err(refused(step, &command, target)),
                "onStatus" => {
                    let status = command.status();
                    if status.level == "error" {
                        return Err(refused(step, &command, target));
                    }
                    if transaction == PUBLISH && status.code == "NetStream.Publish.Start" {
                        return Ok(command);
                    }
                }
                _ => {}
            }
        }
    })
    .await
}

fn refused(step: &'static str, command: &Command, target: &Target) -> LinkError {
    let status = command.status();
    let answer = match (status.code.as_str(), status.description.as_str()) {
        ("", "") => command.name.clone(),
        (code, "") => code.to_owned(),
        ("", description) => description.to_owned(),
        (code, description) => format!("{code} ({description})"),
    };
    LinkError::Refused { step, answer: target.sanitize(&answer) }
}

fn stream_id(created: &Command) -> Option<u32> {
    let number = created.arguments.first().and_then(Value::as_number)?;
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    whole.then_some(number as u32)
}

#[cfg(test)]
mod tests;
