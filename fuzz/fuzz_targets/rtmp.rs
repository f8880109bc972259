//! RTMP: handshake, chunks, messages, AMF0, FLV.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use overdub_media::flv;
use overdub_media::rtmp::chunk::ChunkReader;
use overdub_media::rtmp::handshake::Handshake;
use overdub_media::rtmp::{amf0, message};

fuzz_target!(|bytes: &[u8]| {
    let mut reader = ChunkReader::new(1 << 20);
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(received)) = reader.read(&mut input) {
        let _ = message::parse(&received);
    }
    let (mut client, _) = Handshake::client(0, &[7; 1528]);
    let _ = client.receive(&mut BytesMut::from(bytes));
    let _ = Handshake::server(0, &[7; 1528]).receive(&mut BytesMut::from(bytes));
    let _ = amf0::decode_all(bytes);
    let _ = flv::read_tags(&Bytes::copy_from_slice(bytes));
});
