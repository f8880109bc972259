//! Messages: types, control messages, commands and their answers (RTMP 1.0 5.4, 6.2 and 7).

use bytes::{Buf, Bytes};

use super::amf0::{self, Amf0Error, Value};
use super::chunk::{Message, MessageHeader};

/// Message type ids (RTMP 1.0 5.4 and 7.1).
#[expect(missing_docs, reason = "the names are the specification's own")]
pub mod type_id {
    pub const SET_CHUNK_SIZE: u8 = 1;
    pub const ABORT: u8 = 2;
    pub const ACKNOWLEDGEMENT: u8 = 3;
    pub const USER_CONTROL: u8 = 4;
    pub const WINDOW_ACK_SIZE: u8 = 5;
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    pub const AUDIO: u8 = 8;
    pub const VIDEO: u8 = 9;
    pub const COMMAND_AMF3: u8 = 17;
    pub const DATA_AMF0: u8 = 18;
    pub const COMMAND_AMF0: u8 = 20;
}

/// Chunk streams that messages of a kind are sent over. Audio and video have one each, so that their headers
/// compress; the numbers are those that encoders in the field use.
#[expect(missing_docs, reason = "the names say it")]
pub mod chunk_stream {
    pub const CONTROL: u32 = 2;
    pub const COMMAND: u32 = 3;
    pub const AUDIO: u32 = 4;
    pub const DATA: u32 = 5;
    pub const VIDEO: u32 = 6;
}

// User control events (RTMP 1.0 7.1.7).
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;

/// Why a message cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A control message without all its fields.
    #[error("message of type {type_id} has {len} bytes, too few")]
    TooShort {
        /// Its type.
        type_id: u8,
        /// Its length.
        len: usize,
    },
    /// A command without a name.
    #[error("command has no name")]
    NoName,
    /// A command whose values cannot be read.
    #[error("command: {0}")]
    Amf0(#[from] Amf0Error),
}

/// What a peer said.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// Answer with [`ping_response`] and the same value.
    PingRequest(u32),
    /// Acknowledge after each so many bytes.
    WindowAckSize(u32),
    /// The peer wants us to announce this window.
    SetPeerBandwidth(u32),
    /// A command, or the answer to one.
    Command(Command),
    /// Nothing that a publisher must act on.
    Other,
}

/// A command message (RTMP 1.0 7.2).
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its name; `_result` and `_error` are answers.
    pub name: String,
    /// Which request it answers, or 0.
    pub transaction: f64,
    /// The command object, often null.
    pub object: Value,
    /// What follows.
    pub arguments: Vec<Value>,
}

/// The information object of `onStatus`, `_error` and `_result`; empty texts where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// `status`, `warning` or `error`.
    pub level: String,
    /// For example `NetStream.Publish.Start`.
    pub code: String,
    /// Words for people; comes from the peer, so it may hold anything.
    pub description: String,
}

impl Command {
    /// A command with a null command object.
    #[must_use]
    pub fn new(name: &str, transaction: u32, arguments: Vec<Value>) -> Self {
        Self { name: name.to_owned(), transaction: f64::from(transaction), object: Value::Null, arguments }
    }

    /// Its payload, as AMF0.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        Value::text(self.name.as_str()).encode(&mut out);
        Value::Number(self.transaction).encode(&mut out);
        self.object.encode(&mut out);
        for argument in &self.arguments {
            argument.encode(&mut out);
        }
        out.into()
    }

    /// What its information object says.
    #[must_use]
    pub fn status(&self) -> Status {
        let text = |name| {
            self.arguments
                .iter()
                .chain([&self.object])
                .find_map(|value| value.get(name))
                .and_then(Value::as_text)
                .unwrap_or_default()
                .to_owned()
        };
        Status { level: text("level"), code: text("code"), description: text("description") }
    }

    fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut values = amf0::decode_all(bytes)?.into_iter();
        let Some(Value::String(name)) = values.next() else { return Err(MessageError::NoName) };
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }
}

/// Reads a message from a peer.
pub fn parse(message: &Message) -> Result<Received, MessageError> {
    let mut bytes = &message.payload[..];
    let too_short = |_| MessageError::TooShort { type_id: message.type_id, len: message.payload.len() };
    Ok(match message.type_id {
        type_id::WINDOW_ACK_SIZE => Received::WindowAckSize(bytes.try_get_u32().map_err(too_short)?),
        type_id::SET_PEER_BANDWIDTH => Received::SetPeerBandwidth(bytes.try_get_u32().map_err(too_short)?),
        type_id::USER_CONTROL => {
            if bytes.try_get_u16().map_err(too_short)? == PING_REQUEST {
                Received::PingRequest(bytes.try_get_u32().map_err(too_short)?)
            } else {
                Received::Other
            }
        }
        type_id::COMMAND_AMF0 => Received::Command(Command::decode(bytes)?),
        // RTMP 1.0 7.1.1: in practice a zero byte and then AMF0.
        type_id::COMMAND_AMF3 => Received::Command(Command::decode(bytes.get(1..).unwrap_or_default())?),
        _ => Received::Other,
    })
}

/// A message of the connection itself, ready for [`super::chunk::ChunkWriter::message`].
#[must_use]
pub fn control(type_id: u8, payload: Bytes) -> (MessageHeader, Bytes) {
    let chunk_stream = chunk_stream::CONTROL;
    (MessageHeader { chunk_stream, type_id, timestamp_ms: 0, stream_id: 0 }, payload)
}

/// Answers a ping (RTMP 1.0 7.1.7).
#[must_use]
pub fn ping_response(value: u32) -> (MessageHeader, Bytes) {
    let mut payload = PING_RESPONSE.to_be_bytes().to_vec();
    payload.extend_from_slice(&value.to_be_bytes());
    control(type_id::USER_CONTROL, payload.into())
}

/// Acknowledges `bytes` received in all, modulo 2^32 (RTMP 1.0 5.4.3).
#[must_use]
pub fn acknowledgement(bytes: u64) -> (MessageHeader, Bytes) {
    control(type_id::ACKNOWLEDGEMENT, Bytes::copy_from_slice(&(bytes as u32).to_be_bytes()))
}

/// Announces after how many bytes we expect an acknowledgement (RTMP 1.0 5.4.4).
#[must_use]
pub fn window_ack_size(bytes: u32) -> (MessageHeader, Bytes) {
    control(type_id::WINDOW_ACK_SIZE, Bytes::copy_from_slice(&bytes.to_be_bytes()))
}

/// A command on a message stream (0 is the connection).
#[must_use]
pub fn command(stream_id: u32, command: &Command) -> (MessageHeader, Bytes) {
    let header = MessageHeader {
        chunk_stream: chunk_stream::COMMAND,
        type_id: type_id::COMMAND_AMF0,
        timestamp_ms: 0,
        stream_id,
    };
    (header, command.encode())
}

/// `connect` (RTMP 1.0 7.2.1.1), with the codecs beyond FLV's own that we may send (Enhanced RTMP v1).
#[must_use]
pub fn connect(transaction: u32, application: &str, tc_url: &str) -> Command {
    let object = Value::object([
        ("app", Value::text(application)),
        ("type", Value::text("nonprivate")),
        ("flashVer", Value::text("FMLE/3.0 (compatible; Overdub)")),
        ("tcUrl", Value::text(tc_url)),
        ("fourCcList", Value::StrictArray(vec![Value::text("hvc1")])),
    ]);
    Command { name: "connect".to_owned(), transaction: f64::from(transaction), object, arguments: Vec::new() }
}

/// `releaseStream`: frees the key of a publisher that did not say goodbye.
#[must_use]
pub fn release_stream(transaction: u32, key: &str) -> Command {
    Command::new("releaseStream", transaction, vec![Value::text(key)])
}

/// `FCPublish`, which some servers want before `publish`.
#[must_use]
pub fn fc_publish(transaction: u32, key: &str) -> Command {
    Command::new("FCPublish", transaction, vec![Value::text(key)])
}

/// `createStream` (RTMP 1.0 7.2.1.3); its result's first argument is the message stream's id.
#[must_use]
pub fn create_stream(transaction: u32) -> Command {
    Command::new("createStream", transaction, Vec::new())
}

/// `publish` (RTMP 1.0 7.2.2.6), live: sent on the message stream.
#[must_use]
pub fn publish(transaction: u32, key: &str) -> Command {
    Command::new("publish", transaction, vec![Value::text(key), Value::text("live")])
}

/// `FCUnpublish`: the counterpart of [`fc_publish`].
#[must_use]
pub fn fc_unpublish(transaction: u32, key: &str) -> Command {
    Command::new("FCUnpublish", transaction, vec![Value::text(key)])
}

/// `deleteStream` (RTMP 1.0 7.2.2.3).
#[must_use]
pub fn delete_stream(transaction: u32, stream_id: u32) -> Command {
    Command::new("deleteStream", transaction, vec![Value::Number(f64::from(stream_id))])
}

/// `onMetaData` with these properties, as a publisher sends it.
#[must_use]
pub fn metadata(
    stream_id: u32,
    timestamp_ms: u32,
    properties: Vec<(String, Value)>,
) -> (MessageHeader, Bytes) {
    let header = MessageHeader {
        chunk_stream: chunk_stream::DATA,
        type_id: type_id::DATA_AMF0,
        timestamp_ms,
        stream_id,
    };
    let values = [Value::text("@setDataFrame"), Value::text("onMetaData"), Value::EcmaArray(properties)];
    (header, amf0::encode_all(&values).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(type_id: u8, payload: &[u8]) -> Message {
        Message {
            chunk_stream: 3,
            type_id,
            timestamp_ms: 0,
            stream_id: 0,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    #[test]
    fn answers_are_read_with_their_status() {
        let answer = Command {
            name: "onStatus".into(),
            transaction: 0.0,
            object: Value::Null,
            arguments: vec![Value::object([
                ("level", Value::text("error")),
                ("code", Value::text("NetStream.Publish.BadName")),
                ("description", Value::text("Already publishing")),
            ])],
        };
        let Ok(Received::Command(read)) = parse(&message(20, &answer.encode())) else { panic!("no command") };
        assert_eq!(read, answer);
        assert_eq!(
            read.status(),
            Status {
                level: "error".into(),
                code: "NetStream.Publish.BadName".into(),
                description: "Already publishing".into()
            }
        );
        let amf3 = [&[0][..], &answer.encode()].concat();
        assert_eq!(parse(&message(17, &amf3)), Ok(Received::Command(answer)));
        assert_eq!(create_stream(4).status(), Status::default());
    }

    #[test]
    fn control_messages_are_read_and_answered() {
        assert_eq!(parse(&message(5, &[0, 0x26, 0x25, 0xA0])), Ok(Received::WindowAckSize(2_500_000)));
        assert_eq!(parse(&message(6, &[0, 0x26, 0x25, 0xA0, 2])), Ok(Received::SetPeerBandwidth(2_500_000)));
        assert_eq!(parse(&message(4, &[0, 6, 0, 0, 1, 2])), Ok(Received::PingRequest(258)));
        assert_eq!(parse(&message(4, &[0, 0, 0, 0, 0, 1])), Ok(Received::Other));
        assert_eq!(parse(&message(4, &[0, 6, 0])), Err(MessageError::TooShort { type_id: 4, len: 3 }));
        assert_eq!(ping_response(258).1[..], [0, 7, 0, 0, 1, 2]);
        assert_eq!(acknowledgement((1 << 32) + 5).1[..], [0, 0, 0, 5]);
        assert_eq!(parse(&message(20, &[5])), Err(MessageError::NoName));
        assert_eq!(parse(&message(17, &[])), Err(MessageError::NoName));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(type_id in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&message(type_id, &payload));
        }
    }
}
