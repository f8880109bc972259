//! Engine.IO and Socket.IO messages: lines are texts, and every second one an attachment.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use overdub_actors::link::codec::{Assembler, Incoming};

fuzz_target!(|bytes: &[u8]| {
    let mut assembler = Assembler::default();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let message = Bytes::copy_from_slice(line);
        let incoming = if index % 2 == 0 { assembler.text(&message) } else { assembler.binary(message) };
        if let Ok(Incoming::Packet(packet)) = incoming {
            let _ = packet.event();
            let _ = packet.error_message();
        }
    }
});
