//! Any segment, as the demuxer reads it: transport streams first of all.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use overdub_media::assemble::{Assembler, Carry, Input, Take, probe};
use overdub_media::foreign::ForeignReader;

fuzz_target!(|bytes: &[u8]| {
    let data = Bytes::copy_from_slice(bytes);
    let take = [Take::All, Take::Video, Take::Audio][bytes.len() % 3];
    let input = Input::whole(&data).take(take);
    let _ = probe(&input);
    let mut carry = Carry::default();
    for _ in 0..2 {
        let mut assembler = Assembler::new(carry, false);
        let mut reader = ForeignReader::new(assembler.foreign_carry());
        let _ = reader.push(&input);
        if let Some(transcode) = reader.finish() {
            assembler.set_foreign_carry(transcode.carry);
        }
        let _ = assembler.push(&input);
        let _ = assembler.take_cuts();
        match assembler.finish() {
            Ok(end) => carry = end.carry,
            Err(_) => return,
        }
    }
});
