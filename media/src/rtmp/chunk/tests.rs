use super::*;
use bytes::BytesMut;
use proptest::prelude::*;

const VIDEO: MessageHeader = MessageHeader { chunk_stream: 6, type_id: 9, timestamp_ms: 0, stream_id: 1 };

fn concat(out: &[Bytes]) -> Vec<u8> {
    out.concat()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut reader = ChunkReader::new(MAX_MESSAGE_LEN);
    let mut input = BytesMut::from(bytes);
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut input)? {
        messages.push(message);
    }
    Ok(messages)
}

#[test]
fn headers_shrink_from_type_0_to_type_3() {
    let mut writer = ChunkWriter::default();
    let mut out = Vec::new();
    for timestamp_ms in [1000, 1040, 1080] {
        writer
            .message(MessageHeader { timestamp_ms, ..VIDEO }, &[Bytes::from_static(b"ab")], &mut out)
            .unwrap();
    }
    writer
        .message(MessageHeader { timestamp_ms: 1120, ..VIDEO }, &[Bytes::from_static(b"c")], &mut out)
        .unwrap();
    let expected = [
        &b"\x06\x00\x03\xe8\x00\x00\x02\x09\x01\x00\x00\x00ab"[..],
        b"\x86\x00\x00\x28ab",
        b"\xc6ab",
        b"\x46\x00\x00\x28\x00\x00\x01\x09c",
    ]
    .concat();
    assert_eq!(concat(&out), expected);
}

#[test]
fn a_long_payload_is_sliced_and_not_copied() {
    let mut writer = ChunkWriter::default();
    let payload = Bytes::from(vec![7u8; 300]);
    let mut out = Vec::new();
    let written = writer
        .message(VIDEO, &[Bytes::from_static(b"\x17\x01\x00\x00\x00"), payload.clone()], &mut out)
        .unwrap();
    // Header and prefix; 123 bytes; header; 128; header; 49.
    assert_eq!(out.iter().map(Bytes::len).collect::<Vec<_>>(), [17, 123, 1, 128, 1, 49]);
    assert_eq!(out[1].as_ptr(), payload.as_ptr());
    assert_eq!(out[3].as_ptr(), payload[123..].as_ptr());
    assert_eq!(written, concat(&out).len() as u64);
}

#[test]
fn a_time_of_24_bits_and_more_is_extended_in_every_chunk_of_its_message() {
    let mut writer = ChunkWriter::default();
    let mut out = Vec::new();
    let header = MessageHeader { timestamp_ms: 0x0100_0000, ..VIDEO };
    writer.message(header, &[Bytes::from(vec![1u8; 200])], &mut out).unwrap();
    let bytes = concat(&out);
    assert_eq!(bytes[..16], *b"\x06\xff\xff\xff\x00\x00\xc8\x09\x01\x00\x00\x00\x01\x00\x00\x00");
    assert_eq!(bytes[16 + 128..][..5], *b"\xc6\x01\x00\x00\x00");
    // The next one needs only the difference.
    let mut next = Vec::new();
    writer
        .message(
            MessageHeader { timestamp_ms: 0x0100_0028, ..VIDEO },
            &[Bytes::from(vec![1u8; 200])],
            &mut next,
        )
        .unwrap();
    assert_eq!(concat(&next)[..4], *b"\x86\x00\x00\x28");
    let messages = read_all(&[bytes, concat(&next)].concat()).unwrap();
    assert_eq!(messages.iter().map(|m| m.timestamp_ms).collect::<Vec<_>>(), [0x0100_0000, 0x0100_0028]);
}

#[test]
fn the_wrap_of_the_32_bit_clock_begins_with_a_full_header() {
    let mut writer = ChunkWriter::default();
    let mut out = Vec::new();
    for timestamp_ms in [u32::MAX - 10, 20, 60] {
        writer
            .message(MessageHeader { timestamp_ms, ..VIDEO }, &[Bytes::from_static(b"x")], &mut out)
            .unwrap();
    }
    let times: Vec<_> = read_all(&concat(&out)).unwrap().iter().map(|m| m.timestamp_ms).collect();
    assert_eq!(times, [u32::MAX - 10, 20, 60]);
    assert_eq!(out[1][0], 0x06);
}

#[test]
fn interleaved_messages_are_put_together() {
    let (a, b) = ([1u8; 200], [2u8; 130]);
    let bytes = [
        &b"\x04\x00\x00\x05\x00\x00\xc8\x08\x01\x00\x00\x00"[..],
        &a[..128],
        b"\x06\x00\x00\x06\x00\x00\x82\x09\x01\x00\x00\x00",
        &b[..128],
        b"\xc4",
        &a[128..],
        b"\xc6",
        &b[128..],
    ]
    .concat();
    let messages = read_all(&bytes).unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].type_id, &messages[0].payload[..]), (8, &a[..]));
    assert_eq!((messages[1].type_id, &messages[1].payload[..]), (9, &b[..]));
}

#[test]
fn an_aborted_message_is_forgotten() {
    let bytes = [
        &b"\x04\x00\x00\x05\x00\x00\xc8\x08\x01\x00\x00\x00"[..],
        &[1u8; 128],
        b"\x02\x00\x00\x00\x00\x00\x04\x02\x00\x00\x00\x00\x00\x00\x00\x04",
        b"\x04\x00\x00\x09\x00\x00\x01\x08\x01\x00\x00\x00\x55",
    ]
    .concat();
    let messages = read_all(&bytes).unwrap();
    assert_eq!(messages.iter().map(|m| m.payload.len()).collect::<Vec<_>>(), [4, 1]);
}

#[test]
fn chunk_stream_ids_take_one_two_or_three_bytes() {
    for chunk_stream in [2, 63, 64, 319, 320, 65_599] {
        let mut out = Vec::new();
        let header = MessageHeader { chunk_stream, ..VIDEO };
        ChunkWriter::default().message(header, &[Bytes::from_static(b"x")], &mut out).unwrap();
        assert_eq!(read_all(&concat(&out)).unwrap()[0].chunk_stream, chunk_stream);
    }
    for chunk_stream in [0, 1, 65_600] {
        let header = MessageHeader { chunk_stream, ..VIDEO };
        let error = ChunkWriter::default().message(header, &[], &mut Vec::new());
        assert_eq!(error, Err(ChunkError::ChunkStream { chunk_stream }));
    }
}

#[test]
fn what_cannot_be_is_named_with_its_position() {
    assert_eq!(read_all(b"\xc6"), Err(ChunkError::NoPrevious { at: 0, chunk_stream: 6 }));
    let within = [
        &b"\x04\x00\x00\x05\x00\x00\xc8\x08\x01\x00\x00\x00"[..],
        &[1u8; 128],
        b"\x04\x00\x00\x05\x00\x00\xc8\x08\x01\x00\x00\x00",
    ]
    .concat();
    assert_eq!(read_all(&within), Err(ChunkError::Interrupted { at: 152, chunk_stream: 4 }));
    let zero = b"\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(read_all(zero), Err(ChunkError::ChunkSize { at: 16 }));
    let mut reader = ChunkReader::new(100);
    let mut input = BytesMut::from(&b"\x04\x00\x00\x05\x00\x00\xc8\x08\x01\x00\x00\x00"[..]);
    assert_eq!(reader.read(&mut input), Err(ChunkError::TooLarge { at: 0, len: 200, limit: 100 }));
    let too_large = [Bytes::from(vec![0u8; MAX_MESSAGE_LEN]), Bytes::from_static(b"x")];
    assert!(ChunkWriter::default().message(VIDEO, &too_large, &mut Vec::new()).is_err());
}

#[test]
fn unfinished_messages_are_bounded_in_number_and_size() {
    let mut reader = ChunkReader::new(1000);
    let mut input = BytesMut::new();
    for id in 3..=62u8 {
        input.extend_from_slice(&[id, 0, 0, 0, 0, 3, 0xE8, 8, 1, 0, 0, 0]);
        input.extend_from_slice(&[0; 128]);
    }
    assert!(matches!(reader.read(&mut input), Err(ChunkError::TooManyStreams { .. })));
    let mut reader = ChunkReader::new(1000);
    let mut input = BytesMut::new();
    for low in 0..=64u8 {
        input.extend_from_slice(&[0, low, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
    }
    let error = loop {
        match reader.read(&mut input) {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(error, Err(ChunkError::TooManyStreams { .. })));
}

fn any_message() -> impl Strategy<Value = Message> {
    let stream = prop_oneof![3u32..8, 60u32..70, 300u32..330];
    let kind = prop_oneof![Just(8u8), Just(9), Just(18), Just(20)];
    let time = prop_oneof![0u32..2000, 0xFF_FF00u32..0x100_0100, Just(u32::MAX), any::<u32>()];
    (stream, kind, time, 0u32..3, proptest::collection::vec(any::<u8>(), 0..600)).prop_map(
        |(chunk_stream, type_id, timestamp_ms, stream_id, payload)| Message {
            chunk_stream,
            type_id,
            timestamp_ms,
            stream_id,
            payload: payload.into(),
        },
    )
}

fn write_all(messages: &[Message], sizes: &[u32]) -> Vec<u8> {
    let mut writer = ChunkWriter::default();
    let mut out = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if let Some(&size) = sizes.get(index) {
            writer.set_chunk_size(size, &mut out).unwrap();
        }
        let header = MessageHeader {
            chunk_stream: message.chunk_stream,
            type_id: message.type_id,
            timestamp_ms: message.timestamp_ms,
            stream_id: message.stream_id,
        };
        let middle = message.payload.len() / 3;
        let parts = [message.payload.slice(..middle), message.payload.slice(middle..)];
        writer.message(header, &parts, &mut out).unwrap();
    }
    concat(&out)
}

proptest! {
    #[test]
    fn what_is_written_is_read_equal_however_it_is_split(
        messages in proptest::collection::vec(any_message(), 1..12),
        sizes in proptest::collection::vec(1u32..700, 0..4),
        cuts in proptest::collection::vec(1usize..400, 1..30),
    ) {
        let bytes = write_all(&messages, &sizes);
        let mut reader = ChunkReader::new(1000);
        let mut input = BytesMut::new();
        let (mut at, mut read) = (0, Vec::new());
        for cut in cuts.into_iter().chain([bytes.len()]) {
            let end = (at + cut).min(bytes.len());
            input.extend_from_slice(&bytes[at..end]);
            at = end;
            while let Some(message) = reader.read(&mut input).unwrap() {
                if message.type_id != 1 {
                    read.push(message);
                }
            }
        }
        prop_assert_eq!(read, messages);
        prop_assert_eq!(reader.position(), bytes.len() as u64);
    }

    #[test]
    fn changed_bytes_never_panic_and_hold_no_more_than_allowed(
        messages in proptest::collection::vec(any_message(), 1..8),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = write_all(&messages, &[]);
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        let mut reader = ChunkReader::new(1000);
        let mut input = BytesMut::from(&bytes[..]);
        while let Ok(Some(message)) = reader.read(&mut input) {
            prop_assert!(message.payload.len() <= 1000);
        }
    }
}
