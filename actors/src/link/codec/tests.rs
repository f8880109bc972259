use std::collections::VecDeque;

use proptest::prelude::*;
use socketioxide_core::Value;
use socketioxide_core::packet::{Packet as OraclePacket, PacketData};
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_parser_common::CommonParser;

use super::*;

fn text(assembler: &mut Assembler, message: &str) -> Result<Incoming, CodecError> {
    assembler.text(&Bytes::copy_from_slice(message.as_bytes()))
}

fn packet(message: &str) -> Packet {
    match text(&mut Assembler::default(), message) {
        Ok(Incoming::Packet(packet)) => packet,
        other => panic!("{message}: {other:?}"),
    }
}

#[test]
fn the_handshake_of_an_official_server_is_read() {
    let message = r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    let Ok(Incoming::Open(handshake)) = text(&mut Assembler::default(), message) else { panic!() };
    assert_eq!((handshake.ping_interval, handshake.ping_timeout), (25_000, 20_000));
    assert_eq!(handshake.limit(), Some(1_000_000));
    assert_eq!(encode_open(&handshake).unwrap(), message);
}

#[test]
fn a_handshake_without_a_limit_has_none() {
    for message in [
        r#"0{"sid":"a","pingInterval":1,"pingTimeout":2}"#,
        r#"0{"sid":"a","pingInterval":1,"pingTimeout":2,"maxPayload":0}"#,
    ] {
        let Ok(Incoming::Open(handshake)) = text(&mut Assembler::default(), message) else { panic!() };
        assert_eq!(handshake.limit(), None);
    }
}

#[test]
fn packets_without_attachments_are_read() {
    assert_eq!(packet("40").kind, Kind::Connect);
    assert_eq!(packet("40/dub,").namespace, "/dub");
    assert_eq!(packet("40/dub?token=x,{}").namespace, "/dub");
    assert_eq!(packet("41").kind, Kind::Disconnect);
    assert_eq!(packet("41/dub").namespace, "/dub");
    let event = packet(r#"42/dub,17["hello",{"a":1},2]"#);
    assert_eq!((event.kind, event.namespace.as_str(), event.ack), (Kind::Event, "/dub", Some(17)));
    let event = event.event().unwrap();
    assert_eq!((event.name.as_str(), event.argument.unwrap().get()), ("hello", r#"{"a":1}"#));
    assert!(packet(r#"42["hello"]"#).event().unwrap().argument.is_none());
    let refusal = packet(r#"44{"message":"not authorized","data":{"code":1}}"#);
    assert_eq!((refusal.kind, refusal.error_message().as_str()), (Kind::ConnectError, "not authorized"));
    assert_eq!(packet("44\"no\"").error_message(), "\"no\"");
    assert_eq!(packet("43/dub,17[]").ack, Some(17));
}

#[test]
fn a_packet_waits_for_its_attachments() {
    let mut assembler = Assembler::default();
    assert_eq!(text(&mut assembler, r#"452-["x",{}]"#), Ok(Incoming::Nothing));
    assert_eq!(assembler.binary(Bytes::from_static(b"one")), Ok(Incoming::Nothing));
    // Pings may come between a packet and its attachments.
    assert_eq!(text(&mut assembler, "2"), Ok(Incoming::Ping(String::new())));
    let Ok(Incoming::Packet(packet)) = assembler.binary(Bytes::from_static(b"two")) else { panic!() };
    assert_eq!(packet.attachments, [&b"one"[..], &b"two"[..]]);
    assert_eq!(assembler.binary(Bytes::from_static(b"three")), Err(CodecError::StrayBinary(5)));
}

#[test]
fn what_is_not_the_protocol_is_an_error() {
    let fails = |message: &str| text(&mut Assembler::default(), message).unwrap_err();
    assert_eq!(fails(""), CodecError::Empty);
    assert_eq!(fails("4"), CodecError::Empty);
    assert_eq!(fails("<html>"), CodecError::EngineType(b'<'));
    assert_eq!(fails("49"), CodecError::SocketType(b'9'));
    assert_eq!(fails("45[]"), CodecError::AttachmentCount);
    assert_eq!(fails("45-[]"), CodecError::AttachmentCount);
    assert_eq!(fails("459-[]"), CodecError::TooManyAttachments(9));
    assert_eq!(fails("4518446744073709551616-[]"), CodecError::AttachmentCount);
    assert_eq!(fails("42123456789012345678901[]"), CodecError::AckNumber);
    assert_eq!(fails(&format!("42/{},[]", "x".repeat(2000))), CodecError::Namespace);
    assert!(matches!(fails("0{}"), CodecError::Json(_)));
    let mut assembler = Assembler::default();
    text(&mut assembler, "451-[]").unwrap();
    assert_eq!(text(&mut assembler, "42[]"), Err(CodecError::AttachmentDue { due: 0 }));
    assert_eq!(Assembler::default().text(&Bytes::from_static(b"42\xff")), Err(CodecError::NotUtf8(2)));
}

#[test]
fn attachments_are_bounded_together() {
    let mut assembler = Assembler::default();
    text(&mut assembler, "452-[]").unwrap();
    assembler.binary(Bytes::from(vec![0; MAX_MESSAGE_BYTES])).unwrap();
    assert_eq!(assembler.binary(Bytes::from_static(b"x")), Err(CodecError::AttachmentsTooLarge));
}

#[test]
fn an_error_does_not_quote_the_other_end() {
    let error = packet(r#"42{"secret":1}"#).event().unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

fn namespaces() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[a-z0-9-]{1,12}"]
}

proptest! {
    #[test]
    fn an_event_survives_the_round_trip(
        namespace in namespaces(),
        name in "[a-z:\"\\\\é]{1,20}",
        value in ".{0,40}",
        attachments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..=MAX_ATTACHMENTS),
    ) {
        let argument = serde_json::json!({ "value": value, "data": Placeholder::new(0) });
        let message = encode_event(&namespace, &name, &argument, attachments.len()).unwrap();
        let mut assembler = Assembler::default();
        let mut incoming = text(&mut assembler, &message).unwrap();
        for attachment in &attachments {
            prop_assert_eq!(&incoming, &Incoming::Nothing);
            incoming = assembler.binary(attachment.clone().into()).unwrap();
        }
        let Incoming::Packet(packet) = incoming else { panic!("{incoming:?}") };
        prop_assert_eq!(&packet.namespace, &namespace);
        prop_assert_eq!(&packet.attachments, &attachments);
        let event = packet.event().unwrap();
        prop_assert_eq!(event.name, name);
        let back: serde_json::Value = serde_json::from_str(event.argument.unwrap().get()).unwrap();
        prop_assert_eq!(back, argument);
    }

    /// The oracle is another implementation's parser, both ways.
    #[test]
    fn events_agree_with_another_implementation(
        namespace in namespaces(),
        ack in proptest::option::of(0_i64..),
        json in prop_oneof![Just(r#"["a",{"b":"é"}]"#), Just(r#"["a"]"#)],
        attachments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..4),
    ) {
        let bins: VecDeque<Bytes> = attachments.iter().map(|data| Bytes::from(data.clone())).collect();
        let value = Value::Str(json.into(), (!bins.is_empty()).then_some(bins.clone()));
        let mut theirs = OraclePacket::event(namespace.clone(), value);
        if let Some(ack) = ack {
            theirs.inner.set_ack_id(ack);
        }
        let Value::Str(encoded, _) = CommonParser.encode(theirs.clone()) else { panic!() };
        let mut assembler = Assembler::default();
        let mut incoming = text(&mut assembler, &format!("4{encoded}")).unwrap();
        for bin in &bins {
            incoming = assembler.binary(bin.clone()).unwrap();
        }
        let Incoming::Packet(ours) = incoming else { panic!("{incoming:?}") };
        prop_assert_eq!(&ours.namespace, &namespace);
        prop_assert_eq!(ours.ack, ack.map(i64::unsigned_abs));
        prop_assert_eq!(&ours.payload[..], json.as_bytes());
        prop_assert_eq!(&ours.attachments, &Vec::from(bins.clone()));

        // And what we encode, they read.
        let message = encode_event(&namespace, "a", &serde_json::json!({ "b": "é" }), bins.len()).unwrap();
        let state = ParserState::default();
        let config = ParseConfig::default();
        let mut read = CommonParser.decode_str(&config, &state, message[1..].to_owned().into());
        for bin in &bins {
            prop_assert!(matches!(read, Err(ParseError::NeedsMoreBinaryData)));
            read = CommonParser.decode_bin(&config, &state, bin.clone());
        }
        let read = read.unwrap();
        prop_assert_eq!(read.ns.as_str(), namespace);
        let is_event = matches!(read.inner, PacketData::Event(..) | PacketData::BinaryEvent(..));
        prop_assert!(is_event);
    }

    #[test]
    fn mutated_packets_never_panic(
        seed in prop_oneof![
            Just(r#"451-/dub,12["fragment:processed",{"data":{"_placeholder":true,"num":0}}]"#),
            Just(r#"0{"sid":"x","pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#),
            Just(r#"44{"message":"no"}"#),
        ],
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let mut assembler = Assembler::default();
        if let Ok(Incoming::Packet(packet)) = assembler.text(&bytes.into()) {
            let _ = (packet.event().is_ok(), packet.error_message());
        }
        let _ = assembler.binary(Bytes::from_static(b"x"));
    }

    #[test]
    fn any_bytes_never_panic(messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..30)), 0..8)) {
        let mut assembler = Assembler::default();
        for (binary, bytes) in messages {
            let _ = if binary { assembler.binary(bytes.into()) } else { assembler.text(&bytes.into()) };
        }
    }
}
