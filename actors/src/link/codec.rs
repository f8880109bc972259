//! Engine.IO v4 and Socket.IO v5 packets: text and attachments in, values out, and back.
//!
//! Pure, and shared by both ends: the link dials with it, `overdub processor` serves with it. A parser
//! crate for this exists, but it rejects CONNECT_ERROR, reads the wall clock, and copies every attachment.
//! Here a payload is a slice of the message that it came in, and JSON is only looked at where somebody
//! asks, so a hostile message costs no more memory than its own bytes.

use std::fmt;

use bytes::Bytes;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Largest message, and largest sum of one packet's attachments, that either end takes: 64 MiB. Two
/// minutes of 48 kHz stereo WAV, the longest batch in the bulkiest form, are 23 MB, in base64 31 MB.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Attachments of one packet that either end takes; the protocol needs one.
pub const MAX_ATTACHMENTS: usize = 8;

/// Longest namespace that either end takes, in bytes.
const MAX_NAMESPACE_BYTES: usize = 1024;

/// Why a message is not Engine.IO or Socket.IO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The message is empty.
    #[error("empty message")]
    Empty,
    /// The first character is no Engine.IO v4 packet type.
    #[error("byte 0x{0:02x} is not an engine.io packet type")]
    EngineType(u8),
    /// The character after it is no Socket.IO v5 packet type.
    #[error("byte 0x{0:02x} is not a socket.io packet type")]
    SocketType(u8),
    /// A text message is not UTF-8 from this byte on.
    #[error("text is not utf-8 from byte {0} on")]
    NotUtf8(usize),
    /// A binary packet does not say how many attachments follow.
    #[error("binary packet without a count of its attachments")]
    AttachmentCount,
    /// More attachments than [`MAX_ATTACHMENTS`].
    #[error("packet with {0} attachments, more than {MAX_ATTACHMENTS}")]
    TooManyAttachments(u64),
    /// Attachments of more than [`MAX_MESSAGE_BYTES`].
    #[error("attachments of more than {MAX_MESSAGE_BYTES} bytes")]
    AttachmentsTooLarge,
    /// A namespace that is too long or has no end.
    #[error("namespace of more than {MAX_NAMESPACE_BYTES} bytes")]
    Namespace,
    /// An acknowledgement number that does not fit.
    #[error("acknowledgement number out of range")]
    AckNumber,
    /// A text message came where an attachment is due.
    #[error("text message instead of attachment {due}")]
    AttachmentDue {
        /// Which attachment, from 0.
        due: usize,
    },
    /// A binary message came where none is due.
    #[error("binary message of {0} bytes that no packet announced")]
    StrayBinary(usize),
    /// The payload is not the JSON that belongs there.
    #[error("payload: {0}")]
    Json(String),
}

/// The server's first words on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handshake {
    /// The session's id.
    pub sid: String,
    /// Transports that it could be upgraded to; none over WebSocket.
    #[serde(default)]
    pub upgrades: Vec<String>,
    /// Milliseconds between the server's pings.
    pub ping_interval: u64,
    /// Milliseconds that the server waits for a pong.
    pub ping_timeout: u64,
    /// Largest message in bytes that the server takes; none said (before Engine.IO 6.2) or 0: no limit.
    #[serde(default)]
    pub max_payload: Option<u64>,
}

impl Handshake {
    /// The server's limit on a message's bytes, if there is one.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.max_payload.filter(|&limit| limit > 0)
    }
}

/// Socket.IO packet types that matter to us, with what only they bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Join a namespace, or the answer to it.
    Connect,
    /// Leave a namespace.
    Disconnect,
    /// An event, with or without attachments.
    Event,
    /// The answer to an event that asked for one.
    Ack,
    /// The namespace may not be joined.
    ConnectError,
}

/// One Socket.IO packet, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub kind: Kind,
    /// Which namespace it belongs to, `/` by default.
    pub namespace: String,
    /// Acknowledgement number: asked for by an event, answered by an ack.
    pub ack: Option<u64>,
    /// The JSON payload as it came, UTF-8, possibly empty; not yet looked at.
    pub payload: Bytes,
    /// Binary attachments in order.
    pub attachments: Vec<Bytes>,
}

/// An event's name and its first argument, as they stand in the payload.
#[derive(Debug)]
pub struct Event<'a> {
    /// The event's name.
    pub name: String,
    /// Its first argument, as JSON text.
    pub argument: Option<&'a RawValue>,
}

impl Packet {
    /// Reads the payload of an event: `["name", argument, ...]`.
    ///
    /// # Errors
    /// [`CodecError::Json`] where it is no such array.
    pub fn event(&self) -> Result<Event<'_>, CodecError> {
        serde_json::from_slice(&self.payload).map_err(json_error)
    }

    /// The `message` of a CONNECT_ERROR, or its payload as it stands.
    #[must_use]
    pub fn error_message(&self) -> String {
        #[derive(Deserialize)]
        struct ConnectError {
            message: String,
        }
        serde_json::from_slice::<ConnectError>(&self.payload)
            .map_or_else(|_| String::from_utf8_lossy(&self.payload).into_owned(), |error| error.message)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Event<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of an event's name and its arguments")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Event<'de>, A::Error> {
                let name = seq.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                let argument = seq.next_element::<&'de RawValue>()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Event { name, argument })
            }
        }
        deserializer.deserialize_seq(Array)
    }
}

/// What a message turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The Engine.IO handshake.
    Open(Handshake),
    /// The other end closes the connection.
    Close,
    /// A ping, with the text to be echoed.
    Ping(String),
    /// A pong.
    Pong,
    /// A Socket.IO packet with all its attachments.
    Packet(Packet),
    /// Nothing to act on: a no-op, or a packet that waits for its attachments.
    Nothing,
}

/// Puts packets and their attachments together. One a connection.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    packet: Packet,
    announced: usize,
    bytes: usize,
}

impl Assembler {
    /// Takes a text message.
    ///
    /// # Errors
    /// The message is not Engine.IO or Socket.IO; the connection is of no use any more.
    pub fn text(&mut self, message: &Bytes) -> Result<Incoming, CodecError> {
        let text = std::str::from_utf8(message).map_err(|error| CodecError::NotUtf8(error.valid_up_to()))?;
        let mut chars = text.chars();
        let kind = chars.next().ok_or(CodecError::Empty)?;
        let rest = chars.as_str();
        // Engine.IO v4: 0 open, 1 close, 2 ping, 3 pong, 4 message, 5 upgrade, 6 noop.
        match kind {
            '0' => Ok(Incoming::Open(serde_json::from_str(rest).map_err(json_error)?)),
            '1' => Ok(Incoming::Close),
            '2' => Ok(Incoming::Ping(rest.chars().take(64).collect())),
            '3' => Ok(Incoming::Pong),
            '4' => self.packet(message, rest),
            '5' | '6' => Ok(Incoming::Nothing),
            _ => Err(CodecError::EngineType(message[0])),
        }
    }

    fn packet(&mut self, message: &Bytes, text: &str) -> Result<Incoming, CodecError> {
        if let Some(partial) = &self.partial {
            return Err(CodecError::AttachmentDue { due: partial.packet.attachments.len() });
        }
        let (packet, announced) = parse_packet(message, text)?;
        if announced == 0 {
            return Ok(Incoming::Packet(packet));
        }
        self.partial = Some(Partial { packet, announced, bytes: 0 });
        Ok(Incoming::Nothing)
    }

    /// Takes a binary message: an attachment of the packet before it.
    ///
    /// # Errors
    /// No attachment is due, or the packet's grow too large.
    pub fn binary(&mut self, message: Bytes) -> Result<Incoming, CodecError> {
        let Some(mut partial) = self.partial.take() else {
            return Err(CodecError::StrayBinary(message.len()));
        };
        partial.bytes = partial.bytes.saturating_add(message.len());
        if partial.bytes > MAX_MESSAGE_BYTES {
            return Err(CodecError::AttachmentsTooLarge);
        }
        partial.packet.attachments.push(message);
        if partial.packet.attachments.len() == partial.announced {
            return Ok(Incoming::Packet(partial.packet));
        }
        self.partial = Some(partial);
        Ok(Incoming::Nothing)
    }
}

/// Parses `<type>[<attachments>-][<namespace>,][<ack>][payload]`; `text` is the end of `message`.
fn parse_packet(message: &Bytes, text: &str) -> Result<(Packet, usize), CodecError> {
    let kind_byte = *text.as_bytes().first().ok_or(CodecError::Empty)?;
    let (kind, binary) = match kind_byte {
        b'0' => (Kind::Connect, false),
        b'1' => (Kind::Disconnect, false),
        b'2' => (Kind::Event, false),
        b'3' => (Kind::Ack, false),
        b'4' => (Kind::ConnectError, false),
        b'5' => (Kind::Event, true),
        b'6' => (Kind::Ack, true),
        other => return Err(CodecError::SocketType(other)),
    };
    let mut rest = &text[1..];
    let mut announced = 0;
    if binary {
        let (digits, after) = rest.split_once('-').ok_or(CodecError::AttachmentCount)?;
        let count: u64 = digits.parse().map_err(|_| CodecError::AttachmentCount)?;
        announced = usize::try_from(count).unwrap_or(usize::MAX);
        if announced > MAX_ATTACHMENTS {
            return Err(CodecError::TooManyAttachments(count));
        }
        rest = after;
    }
    let mut namespace = "/".to_owned();
    if rest.starts_with('/') {
        // The comma may be missing where nothing follows: `1/admin`.
        let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
        if name.len() > MAX_NAMESPACE_BYTES {
            return Err(CodecError::Namespace);
        }
        // A query after a namespace is how older clients passed parameters; it is no part of the name.
        name.split('?').next().unwrap_or(name).clone_into(&mut namespace);
        rest = after;
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let ack = match &rest[..digits] {
        "" => None,
        number => Some(number.parse().map_err(|_| CodecError::AckNumber)?),
    };
    let payload = message.slice(message.len() - (rest.len() - digits)..);
    Ok((Packet { kind, namespace, ack, payload, attachments: Vec::new() }, announced))
}

fn json_error(error: serde_json::Error) -> CodecError {
    // Only the position and the kind: serde's own text can quote what the other end sent.
    CodecError::Json(format!("not the expected json at line {} column {}", error.line(), error.column()))
}

/// `namespace` as it stands in a packet: nothing for the default one, else with its comma.
fn namespace_prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// A binary attachment's place in a payload.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Placeholder {
    #[serde(rename = "_placeholder")]
    placeholder: bool,
    num: usize,
}

impl Placeholder {
    /// The place of the attachment numbered `num` from 0.
    #[must_use]
    pub fn new(num: usize) -> Self {
        Self { placeholder: true, num }
    }
}

/// The text message of an event whose one argument has `attachments` placeholders in it.
///
/// # Errors
/// [`CodecError::Json`] where the argument has no JSON form.
pub fn encode_event<T: Serialize>(
    namespace: &str,
    name: &str,
    argument: &T,
    attachments: usize,
) -> Result<String, CodecError> {
    let json = serde_json::to_string(&(name, argument)).map_err(json_error)?;
    let namespace = namespace_prefix(namespace);
    Ok(if attachments == 0 {
        format!("42{namespace}{json}")
    } else {
        format!("45{attachments}-{namespace}{json}")
    })
}

/// The text message by which a client joins `namespace`.
#[must_use]
pub fn encode_connect(namespace: &str) -> String {
    format!("40{}", namespace_prefix(namespace))
}

/// The text message by which a server lets a client join `namespace`.
#[must_use]
pub fn encode_connected(namespace: &str, sid: &str) -> String {
    format!("40{}{}", namespace_prefix(namespace), serde_json::json!({ "sid": sid }))
}

/// The text message by which a server refuses `namespace`.
#[must_use]
pub fn encode_connect_error(namespace: &str, message: &str) -> String {
    format!("44{}{}", namespace_prefix(namespace), serde_json::json!({ "message": message }))
}

/// The text message that acknowledges the event numbered `ack`, without arguments.
#[must_use]
pub fn encode_ack(namespace: &str, ack: u64) -> String {
    format!("43{}{ack}[]", namespace_prefix(namespace))
}

/// The text message of an Engine.IO handshake.
///
/// # Errors
/// None in practice: a handshake always has a JSON form.
pub fn encode_open(handshake: &Handshake) -> Result<String, CodecError> {
    Ok(format!("0{}", serde_json::to_string(handshake).map_err(json_error)?))
}

#[cfg(test)]
mod tests;
