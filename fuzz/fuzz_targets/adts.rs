//! Elementary streams of audio: ADTS, and what is transcoded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use overdub_media::aac::{AdtsReader, sbr};
use overdub_media::audio::Frames;
use overdub_media::audio::frames::Family;
use overdub_media::counters::Counters;
use overdub_media::{id3, sniff};

fuzz_target!(|bytes: &[u8]| {
    let (cut, mut counters) = (bytes.len() / 2, Counters::default());
    let (mut reader, mut frames) = (AdtsReader::default(), Vec::new());
    reader.begin_pes(None, 0);
    reader.push(&bytes[..cut], &mut counters, &mut frames);
    reader.push(&bytes[cut..], &mut counters, &mut frames);
    reader.finish(&mut counters, &mut frames);
    for frame in frames {
        let _ = (frame.params.config(), sbr::ends_in_sbr(&frame.data));
    }
    for family in [Family::Mpeg, Family::Ac3, Family::Latm, Family::Opus, Family::Adts] {
        let (mut reader, mut frames) = (Frames::new(family), Vec::new());
        reader.push(bytes, &mut counters, &mut frames);
        reader.finish(&mut counters, &mut frames);
    }
    let _ = (id3::start_90k(bytes), id3::is_metadata(bytes), sniff::sniff(bytes));
});
