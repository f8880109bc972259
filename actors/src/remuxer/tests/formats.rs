//! Every form of reply: the slot is filled exactly, and nothing is shifted.

use super::kit::{Stream, UNITS, chirps, has_ffmpeg, shift};
use crate::ledger::Fill;
use crate::messages::{FitReport, FitTiming};

const FRAGMENTED: &str = "+frag_keyframe+delay_moov+default_base_moof";
/// Near the batch's start and end.
const PLACES: [usize; 2] = [4000, UNITS * 1024 - 10_000];

fn check(stream: &Stream, original: &[f32], name: &str) -> FitReport {
    let report = stream.remux(0, Fill::Processed).unwrap_or_else(|error| panic!("{name}: {error}")).fit;
    let heard = stream.decode(&stream.fitted(0));
    let shifts = PLACES.map(|place| shift(&heard, original, place));
    eprintln!("{name:24} {shifts:.3?} {report:?}");
    for (late, alike) in shifts {
        assert_eq!(late, 0, "{name}: {shifts:?} {report:?}");
        assert!(alike > 0.9, "{name}: {shifts:?}");
    }
    report
}

fn check_all(cases: &[(&str, &[&str], FitTiming)]) {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    let original = stream.decode(&stream.units);
    for (name, args, timing) in cases {
        stream.process(0, args);
        let report = check(&stream, &original, name);
        assert_eq!(report.timing, *timing, "{name}: {report:?}");
        // A resampler keeps or loses a few samples.
        assert!(report.difference_samples.abs() <= 1200, "{name}: {report:?}");
    }
}

#[test]
fn aac_with_the_streams_parameters_is_not_shifted() {
    const AAC: [&str; 4] = ["-c:a", "aac", "-b:a", "192k"];
    let with = |more: &[&'static str]| [&AAC[..], more].concat();
    use FitTiming::{Assumed, Exact};
    check_all(&[
        ("aac fragmented", &with(&["-movflags", FRAGMENTED, "-f", "mp4"]), Exact),
        ("aac progressive", &with(&["-f", "mp4"]), Exact),
        ("aac faststart", &with(&["-movflags", "+faststart", "-f", "ipod"]), Exact),
        ("aac without edit list", &with(&["-movflags", "+frag_keyframe+empty_moov", "-f", "mp4"]), Assumed),
        ("adts", &with(&["-f", "adts"]), Assumed),
        ("aac in mpeg-ts", &with(&["-f", "mpegts"]), Assumed),
        ("echo as adts", &["-c:a", "copy", "-f", "adts"], Exact),
        ("echo as mpeg-ts", &["-c:a", "copy", "-f", "mpegts"], Exact),
        ("echo as mp4", &["-c:a", "copy", "-f", "mp4"], Exact),
        ("late track", &with(&["-output_ts_offset", "1.5", "-f", "mp4"]), Assumed),
    ]);
}

#[test]
fn aac_of_other_parameters_is_not_shifted() {
    const MONO: [&str; 6] = ["-c:a", "aac", "-ac", "1", "-ar", "44100"];
    let with = |more: &[&'static str]| [&MONO[..], more].concat();
    use FitTiming::{Assumed, Exact};
    check_all(&[
        ("mono 44.1 mp4", &with(&["-f", "mp4"]), Exact),
        ("mono 44.1 fragmented", &with(&["-movflags", FRAGMENTED, "-f", "mp4"]), Exact),
        ("mono 44.1 unmarked", &with(&["-movflags", "+frag_keyframe+empty_moov", "-f", "mp4"]), Assumed),
        ("mono 44.1 adts", &with(&["-f", "adts"]), Assumed),
        ("mono 44.1 mpeg-ts", &with(&["-f", "mpegts"]), Assumed),
    ]);
}

#[test]
fn other_codecs_are_not_shifted() {
    use FitTiming::{Assumed, Exact};
    check_all(&[
        ("wav", &["-f", "wav"], Exact),
        ("wav mono 44.1", &["-ac", "1", "-ar", "44100", "-f", "wav"], Exact),
        ("wav float", &["-c:a", "pcm_f32le", "-f", "wav"], Exact),
        ("flac", &["-f", "flac"], Exact),
        ("mp3 with tag", &["-c:a", "libmp3lame", "-f", "mp3"], Exact),
        ("mp3 mono 44.1", &["-c:a", "libmp3lame", "-ac", "1", "-ar", "44100", "-f", "mp3"], Exact),
        ("mp3 without tag", &["-c:a", "libmp3lame", "-write_xing", "0", "-f", "mp3"], Assumed),
        (
            "mp3 without tag 22.05",
            &["-c:a", "libmp3lame", "-ar", "22050", "-write_xing", "0", "-f", "mp3"],
            Assumed,
        ),
        ("ogg opus", &["-c:a", "libopus", "-f", "ogg"], Exact),
        ("ogg vorbis", &["-c:a", "libvorbis", "-f", "ogg"], Exact),
        ("ogg flac", &["-c:a", "flac", "-f", "ogg"], Exact),
        ("opus in mp4", &["-c:a", "libopus", "-f", "mp4"], Exact),
        ("opus fragmented", &["-c:a", "libopus", "-movflags", FRAGMENTED, "-f", "mp4"], Exact),
        ("mp3 fragmented", &["-c:a", "libmp3lame", "-movflags", FRAGMENTED, "-f", "mp4"], Exact),
        ("flac in mp4", &["-c:a", "flac", "-strict", "-2", "-f", "mp4"], Exact),
        ("mp3 in mp4", &["-c:a", "libmp3lame", "-f", "mp4"], Exact),
        ("alac in mp4", &["-c:a", "alac", "-f", "ipod"], Exact),
    ]);
}

/// The first `name` box's place, anywhere in the file.
fn find(file: &[u8], name: &[u8; 4]) -> usize {
    file.windows(4).position(|bytes| bytes == name).unwrap()
}

#[test]
fn priming_that_is_no_whole_number_of_access_units_is_not_shifted() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(1, chirps);
    let original = stream.decode(&stream.units);
    // 1088 samples of silence more, so that the sound begins 2112 samples into the track.
    stream.process(0, &["-af", "adelay=1088S:all=1", "-c:a", "aac", "-b:a", "192k", "-f", "mp4"]);
    let path = stream.path(0, "processed_audio.fmp4");
    let written = std::fs::read(&path).unwrap();
    let mut file = written.clone();
    let media_time = find(&file, b"elst") + 4 + 8 + 4;
    assert_eq!(file[media_time..media_time + 4], 1024_u32.to_be_bytes());
    file[media_time..media_time + 4].copy_from_slice(&2112_u32.to_be_bytes());
    std::fs::write(&path, file).unwrap();
    let report = check(&stream, &original, "edit list of 2112");
    assert_eq!((report.priming_samples, report.converted), (2112, true));
    assert_eq!(report.timing, FitTiming::Exact);

    // The same told by iTunSMPB in place of an edit list. FFmpeg writes `moov` last, so that it can grow.
    let mut file = written;
    let edts = find(&file, b"edts");
    file[edts..edts + 4].copy_from_slice(b"free");
    let boxed = |name: &[u8; 4], parts: &[&[u8]]| {
        let body = parts.concat();
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, &body].concat()
    };
    let mean = boxed(b"mean", &[&[0; 4], b"com.apple.iTunes"]);
    let name = boxed(b"name", &[&[0; 4], b"iTunSMPB"]);
    let text = b" 00000000 00000840 00000000 000000000002F800 00000000 00000000";
    let data = boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], text]);
    let list = boxed(b"ilst", &[&boxed(b"----", &[&mean, &name, &data])]);
    let handler = boxed(b"hdlr", &[&[0; 8], b"mdirappl", &[0; 9]]);
    let user_data = boxed(b"udta", &[&boxed(b"meta", &[&[0; 4], &handler, &list])]);
    let moov = find(&file, b"moov");
    let old_udta = find(&file, b"udta");
    file[old_udta..old_udta + 4].copy_from_slice(b"free");
    let size = u32::from_be_bytes(file[moov - 4..moov].try_into().unwrap()) + user_data.len() as u32;
    file[moov - 4..moov].copy_from_slice(&size.to_be_bytes());
    file.extend(user_data);
    std::fs::write(&path, file).unwrap();
    let report = check(&stream, &original, "iTunSMPB of 2112");
    assert_eq!((report.priming_samples, report.converted), (2112, true));
}
