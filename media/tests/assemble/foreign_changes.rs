//! Foreign audio that changes from batch to batch, is lost between them, or comes in long ones: no sound moves.

use std::path::Path;

use bytes::Bytes;
use overdub_media::assemble::{Assembler, Carry, Input, ProbedAudio, Take, probe};
use overdub_media::foreign::ForeignReader;
use overdub_media::sample::AudioSample;

use crate::ffmpeg;
use crate::foreign::{encode, finish, pcm, segments};
use crate::mux::{AUDIO_PID, Mux};
use crate::support::read;

#[test]
fn sound_behind_lost_media_begins_with_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    for codec in [["-c:a", "ac3"], ["-c:a", "mp2"]] {
        let Some(segments) = segments(folder.path(), &codec, true) else { return };
        let mut carry = Carry::default();
        // The third segment is lost: 2.5 s.
        for (segment, gap_90k) in [(&segments[0], 0), (&segments[1], 0), (&segments[3], 225_000)] {
            let mut assembler = Assembler::after_gap(carry, false, gap_90k);
            let mut reader = ForeignReader::new(assembler.foreign_carry());
            reader.push(&Input::whole(segment)).unwrap();
            let found = reader.finish().unwrap();
            assembler.push(&Input::whole(segment).take(Take::Video)).unwrap();
            let (cuts, end) = finish(folder.path(), assembler, found).unwrap();
            if gap_90k > 0 {
                let picture = cuts.iter().find_map(|cut| cut.video.first()).unwrap().dts_90k;
                let sound = cuts.iter().find_map(|cut| cut.audio.first()).unwrap().time * 90 / 48;
                assert!((sound - picture).abs() < 9_000, "{codec:?}: sound {sound}, picture {picture}");
                let lost = end.counters.iter().find(|(name, _)| *name == "audio_units_lost_at_gap");
                assert!(lost.is_some_and(|(_, units)| (2..=4).contains(units)), "{:?}", end.counters);
            }
            carry = end.carry;
        }
    }
}

#[test]
fn batches_longer_than_any_hole_are_no_jumps() {
    let folder = tempfile::tempdir().unwrap();
    for video in [false, true] {
        let list = folder.path().join(format!("{video}%d.ts"));
        let mut args =
            vec!["-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=48"];
        if video {
            args.extend(["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=48"]);
            args.extend(["-c:v", "libx264", "-g", "10", "-bf", "0", "-preset", "ultrafast"]);
        }
        args.extend(["-c:a", "libmp3lame", "-f", "segment"]);
        args.extend(["-segment_time", "16", "-segment_format", "mpegts"]);
        args.push(list.to_str().unwrap());
        if ffmpeg::run("ffmpeg", &args).is_none() {
            return;
        }
        let mut carry = Carry::default();
        for n in 0..3 {
            let segment = read(&folder.path().join(format!("{video}{n}.ts")));
            let mut assembler = Assembler::new(carry, false);
            let mut reader = ForeignReader::new(assembler.foreign_carry());
            reader.push(&Input::whole(&segment)).unwrap();
            let found = reader.finish().unwrap();
            if video {
                assembler.push(&Input::whole(&segment).take(Take::Video)).unwrap();
            }
            let (_, end) = finish(folder.path(), assembler, found).unwrap();
            assert_eq!(end.counters, [], "video {video}, batch {n}");
            carry = end.carry;
        }
    }
}

/// A beep every second as so many channels of a codec, in transport stream segments of 2 s; `rate` is what it is
/// encoded at.
fn beeps(
    folder: &Path,
    name: &str,
    codec: &[&str],
    (layout, rate): (&str, u32),
    offset_s: u32,
) -> Option<Vec<Bytes>> {
    let beep = "0.6*sin(2*PI*1000*t)*between(mod(t\\,1)\\,0.4\\,0.5)";
    let source = format!("aevalsrc={beep}:s={rate}:d=6,aformat=channel_layouts={layout}");
    let pattern = folder.join(format!("{name}%d.ts"));
    let offset = offset_s.to_string();
    let cuts = format!("{},{}", offset_s + 2, offset_s + 4);
    let args = ["-v", "error", "-f", "lavfi", "-i", &source];
    let output =
        ["-output_ts_offset", &offset, "-f", "segment", "-segment_times", &cuts, "-segment_format", "mpegts"];
    ffmpeg::run("ffmpeg", &[&args[..], codec, &output, &[pattern.to_str().unwrap()]].concat())?;
    Some((0..3).map(|index| read(&folder.join(format!("{name}{index}.ts")))).collect())
}

/// When beeps begin in the sound of batches of one segment each, in seconds of the output.
fn heard(folder: &Path, segments: &[Bytes]) -> Option<Vec<f64>> {
    let (mut carry, mut onsets) = (Carry::default(), Vec::<f64>::new());
    for segment in segments {
        let mut assembler = Assembler::new(carry, false);
        let mut reader = ForeignReader::new(assembler.foreign_carry());
        // What is copied where it can be.
        let copied = matches!(probe(&Input::whole(segment)).unwrap().audio, Some(ProbedAudio::Aac(_)));
        if copied {
            assembler.push(&Input::whole(segment)).unwrap();
        } else {
            reader.push(&Input::whole(segment)).unwrap();
            let found = reader.finish().unwrap();
            for stretch in &found.stretches {
                assembler.push_transcoded(&encode(folder, &found, stretch)?, stretch).unwrap();
            }
            assembler.set_foreign_carry(found.carry);
        }
        let mut cuts = assembler.take_cuts();
        let end = assembler.finish().unwrap();
        cuts.extend(end.cuts);
        let audio: Vec<_> = cuts.iter().flat_map(|cut| &cut.audio).collect();
        let config = end.audio.unwrap();
        let params = overdub_media::aac::AacParams::of(&config).unwrap();
        let unit =
            |unit: &&AudioSample| [&params.adts_header(unit.data.len()).unwrap()[..], &unit.data].concat();
        let sound = pcm(folder, "aac", &audio.iter().flat_map(unit).collect::<Vec<u8>>())?;
        let rate = config.sample_rate as usize;
        let mut quiet = 0;
        for (index, window) in sound.chunks(2 * rate / 200).enumerate() {
            let loud = window.iter().any(|sample| sample.unsigned_abs() > 2000);
            let time = audio[0].time as f64 / rate as f64 + index as f64 / 200.0;
            if loud && (quiet > 20 || index == 0) && onsets.last().is_none_or(|last| time - last > 0.2) {
                onsets.push(time);
            }
            quiet = if loud { 0 } else { quiet + 1 };
        }
        carry = serde_json::from_str(&serde_json::to_string(&end.carry).unwrap()).unwrap();
    }
    Some(onsets)
}

/// One beep a second, wherever the batches and changes lie.
fn check_beeps(what: &str, folder: &Path, segments: &[Bytes]) -> Option<()> {
    let onsets = heard(folder, segments)?;
    // The last one may be left to a batch that does not come.
    assert!(2 * segments.len() - onsets.len() <= 1, "{what}: {onsets:?}");
    for (index, onset) in onsets.iter().enumerate() {
        // Encoders have delays of their own, up to a frame.
        assert!((onset - onsets[0] - index as f64).abs() < 0.03, "{what}: {onsets:?}");
    }
    Some(())
}

/// FFmpeg's arguments for a codec, layout and rate.
type Part<'a> = (&'a [&'a str], (&'a str, u32));

#[test]
fn a_change_of_codec_rate_or_channels_moves_no_sound() {
    let folder = tempfile::tempdir().unwrap();
    let [ac3, mp2, mp3, aac] = [["-c:a", "ac3"], ["-c:a", "mp2"], ["-c:a", "libmp3lame"], ["-c:a", "aac"]];
    let stereo = ("stereo", 48_000);
    let changes: [(&str, [Part; 3]); 4] = [
        ("codec", [(&ac3, stereo), (&mp2, stereo), (&mp3, stereo)]),
        ("rate", [(&mp2, stereo), (&mp2, ("stereo", 44_100)), (&mp2, stereo)]),
        ("channels", [(&ac3, stereo), (&ac3, ("5.1(side)", 48_000)), (&ac3, ("mono", 48_000))]),
        ("copied", [(&ac3, stereo), (&aac, stereo), (&ac3, stereo)]),
    ];
    for (what, parts) in changes {
        let mut segments = Vec::new();
        for (part, (codec, form)) in parts.into_iter().enumerate() {
            let name = format!("{what}{part}-");
            let Some(made) = beeps(folder.path(), &name, codec, form, 6 * part as u32) else { return };
            segments.extend(made);
        }
        if check_beeps(what, folder.path(), &segments).is_none() {
            return;
        }
    }
}

#[test]
fn a_change_of_channels_inside_a_batch_is_a_stretch_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let ac3 = ["-c:a", "ac3"];
    let Some(stereo) = beeps(folder.path(), "a", &ac3, ("stereo", 48_000), 0) else { return };
    let Some(surround) = beeps(folder.path(), "b", &ac3, ("5.1(side)", 48_000), 6) else { return };
    let mut reader = ForeignReader::new(Default::default());
    for segment in stereo.iter().chain(&surround) {
        reader.push(&Input::whole(segment)).unwrap();
    }
    let found = reader.finish().unwrap();
    let starts: Vec<i64> = found.stretches.iter().map(|stretch| stretch.pts_90k).collect();
    assert_eq!((starts.len(), found.channels), (2, 2), "{starts:?}");
    assert!((starts[1] - starts[0] - 6 * 90_000).abs() < 3000, "{starts:?}");
}

#[test]
fn all_blocks_of_a_sample_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.mp4");
    let sound = ["-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=6"];
    // So many bits that a frame has one block, and a sample six frames.
    let codec =
        ["-ac", "2", "-c:a", "eac3", "-b:a", "2000k", "-f", "mp4", "-movflags", "+frag_keyframe+delay_moov"];
    if ffmpeg::run("ffmpeg", &[&sound[..], &codec, &[file.to_str().unwrap()]].concat()).is_none() {
        return;
    }
    let mut reader = ForeignReader::new(Default::default());
    reader.expect_end();
    reader.push(&Input::whole(&read(&file))).unwrap();
    let found = reader.finish().unwrap();
    assert_eq!(found.stretches.len(), 1);
    let seconds = found.stretches[0].take_access_units as f64 * 1024.0 / 48_000.0;
    assert!((seconds - 6.0).abs() < 0.1, "{seconds}");
}

#[test]
fn a_layout_told_once_is_known_in_every_batch() {
    let folder = tempfile::tempdir().unwrap();
    let aac = ["-c:a", "aac"];
    let Some(mut segments) = beeps(folder.path(), "quad", &aac, ("quad", 48_000), 0) else { return };
    // Frames of later segments without the layout, as muxers write them that tell it once a stream.
    for segment in &mut segments[1..] {
        *segment = without_layouts(folder.path(), segment);
    }
    assert_eq!(check_beeps("quad", folder.path(), &segments).map(|()| segments.len()), Some(3));
}

/// The same segment, multiplexed anew with nothing but the blocks behind the layouts.
fn without_layouts(folder: &Path, segment: &Bytes) -> Bytes {
    let path = folder.join("layouts.ts");
    std::fs::write(&path, segment).unwrap();
    let args = ["-v", "error", "-i", path.to_str().unwrap(), "-c", "copy", "-f", "adts", "-"];
    let adts = ffmpeg::run("ffmpeg", &args).unwrap();
    let times = ffmpeg::packets(&path, "a").unwrap();
    let (mut mux, mut at, mut stripped) = (Mux::default(), 0, 0);
    mux.tables(&[(0x0f, AUDIO_PID)]);
    let start = times[0].pts.unwrap();
    for index in 0.. {
        let Some(len) = adts.get(at..).and_then(overdub_media::aac::adts::frame_len) else { break };
        let mut frame = adts[at..at + len].to_vec();
        if let Some(layout) = overdub_media::aac::layout::program_config(&frame[7..]) {
            frame.drain(7..7 + layout.len);
            stripped += 1;
        }
        let len = frame.len();
        frame[3] = frame[3] & 0xfc | (len >> 11) as u8;
        frame[4] = (len >> 3) as u8;
        frame[5] = frame[5] & 0x1f | (len << 5) as u8;
        mux.pes(AUDIO_PID, start + index * 1920, None, &frame);
        at += adts.get(at..).and_then(overdub_media::aac::adts::frame_len).unwrap();
    }
    assert!(stripped > 0);
    mux.segment()
}
