//! RTMP as it travels: handshake, chunks, AMF0 and the messages that a publisher needs.
//!
//! | module | what |
//! | --- | --- |
//! | [`handshake`] | the simple handshake, both sides |
//! | [`chunk`] | messages to chunks (without copying payloads) and back |
//! | [`amf0`] | the values inside commands and metadata |
//! | [`message`] | message types, commands and their answers |
//!
//! Clauses cite Adobe's "Real-Time Messaging Protocol (RTMP) specification 1.0" as `RTMP 1.0 n.n`.

pub mod amf0;
pub mod chunk;
pub mod handshake;
pub mod message;
