//! Replies that are too short or too long, and slots that are filled without one.

use overdub_media::mp4;

use super::kit::{BLOCK, Stream, UNITS, chirps, has_ffmpeg, shift};
use crate::ledger::Fill;

const THREE_SECONDS: i64 = 144_000;
/// Where the sound of a reply that is three seconds short ends.
const END: usize = UNITS * BLOCK - THREE_SECONDS as usize;

const FORMATS: [(&str, &[&str]); 3] = [
    (
        "aac",
        &[
            "-c:a",
            "aac",
            "-b:a",
            "192k",
            "-movflags",
            "+frag_keyframe+delay_moov+default_base_moof",
            "-f",
            "mp4",
        ],
    ),
    ("wav", &["-f", "wav"]),
    ("opus", &["-c:a", "libopus", "-f", "ogg"]),
];

fn loudest(sound: &[f32]) -> f32 {
    sound.iter().fold(0.0, |most, sample| most.max(sample.abs()))
}

#[test]
fn three_seconds_too_few_are_silence_at_the_end() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    let original = stream.decode(&stream.units);
    for (name, args) in FORMATS {
        let end = format!("atrim=end_sample={END}");
        stream.process(0, &[&["-af", &end], args].concat());
        let report = stream.remux(0, Fill::Processed).unwrap().fit;
        eprintln!("{name}: {report:?}");
        assert!((report.difference_samples + THREE_SECONDS).abs() < BLOCK as i64, "{name}: {report:?}");
        let heard = stream.decode(&stream.fitted(0));
        assert_eq!(shift(&heard, &original, 4000).0, 0, "{name}");
        assert_eq!(shift(&heard, &original, END - 10_000).0, 0, "{name}");
        assert!(loudest(&heard[END - 3000..END - 1000]) > 0.1, "{name}");
        assert_eq!(loudest(&heard[END + 3 * BLOCK..]), 0.0, "{name}");
    }
}

#[test]
fn three_seconds_too_many_are_cut() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    let original = stream.decode(&stream.units);
    for (name, args) in FORMATS {
        stream.process(0, &[&["-af", "apad=pad_len=144000"], args].concat());
        let report = stream.remux(0, Fill::Processed).unwrap().fit;
        eprintln!("{name}: {report:?}");
        assert!((report.difference_samples - THREE_SECONDS).abs() < BLOCK as i64, "{name}: {report:?}");
        let heard = stream.decode(&stream.fitted(0));
        for place in [4000, UNITS * BLOCK - 10_000] {
            assert_eq!(shift(&heard, &original, place).0, 0, "{name}");
        }
    }
}

#[test]
fn what_is_no_sound_is_an_error_and_leaves_no_file() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    for junk in [&b"RIFF\x24\0\0\0WAVEfmt junk"[..], b"OggS\0\x02", b"<html>", b"", b"\0\0\0\x1cftypiso5"] {
        std::fs::write(stream.path(0, "processed_audio.fmp4"), junk).unwrap();
        assert!(stream.remux(0, Fill::Processed).is_err(), "{}", junk.escape_ascii());
        assert!(!stream.path(0, "fitted_audio.fmp4").exists());
    }
}

#[test]
fn an_echo_comes_back_bit_for_bit() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    std::fs::copy(stream.path(0, "audio.fmp4"), stream.path(0, "processed_audio.fmp4")).unwrap();
    let report = stream.remux(0, Fill::Processed).unwrap().fit;
    assert_eq!(stream.fitted(0), stream.units);
    assert_eq!((report.converted, report.border_units, report.difference_samples), (false, 0, 0));
}

#[test]
fn the_silence_fallback_fills_the_slot_and_the_output_file_with_silence() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    let remuxed = stream.remux(0, Fill::Silence).unwrap();
    assert_eq!(remuxed.audio_cuts.len(), 1);
    assert_eq!(remuxed.audio_cuts[0].samples as usize, UNITS);
    assert_eq!(loudest(&stream.decode(&stream.fitted(0))), 0.0);
    let output = std::fs::read(stream.path(0, "output.fmp4")).unwrap();
    let file = mp4::read_file(&output.into()).unwrap();
    let units: Vec<_> = file.tracks[0].samples.iter().map(|sample| sample.data.clone()).collect();
    assert_eq!(units, stream.fitted(0));
    assert_eq!(remuxed.output.last().unwrap().end_90k, stream.batches[0].end_90k);
}

#[test]
fn the_original_fallback_is_the_original_and_drop_writes_no_audio() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    stream.remux(0, Fill::Original).unwrap();
    assert_eq!(stream.fitted(0), stream.units);
    let stream = Stream::new(1, chirps);
    let remuxed = stream.remux(0, Fill::Nothing).unwrap();
    assert!(remuxed.audio_cuts.is_empty() && remuxed.output.is_empty());
    assert!(!stream.path(0, "fitted_audio.fmp4").exists());
}
