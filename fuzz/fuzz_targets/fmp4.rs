//! MP4 as a source's segment and as what processors send: the first byte says where the init section ends.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use overdub_media::assemble::{Assembler, Carry, Input, probe};
use overdub_media::mp4;

fuzz_target!(|bytes: &[u8]| {
    let data = Bytes::copy_from_slice(bytes);
    let _ = mp4::read_file(&data);
    let Ok(movie) = mp4::read_init(&data) else { return };
    let _ = mp4::read_fragment(&movie, &data);
    let read = mp4::read_segment(&movie, &data);
    for sample in read.tracks.iter().flat_map(|track| &track.samples) {
        let _ = mp4::split_nals(&sample.data, 4);
    }
    let _ = mp4::event_messages(&data);
    let input = Input::whole(&data).with_init(&data);
    let _ = probe(&input);
    let mut assembler = Assembler::new(Carry::default(), false);
    let _ = assembler.push(&input);
    let _ = assembler.take_cuts();
    let _ = assembler.finish();
});
