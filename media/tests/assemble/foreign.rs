//! Foreign audio through FFmpeg and back, batch by batch: the sound goes on unbroken.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use overdub_media::assemble::{Assembled, Assembler, Carry, Input, MediaCut, ProbedAudio, Take, probe};
use overdub_media::audio::ForeignCodec;
use overdub_media::foreign::{ForeignReader, Stretch, Transcode};
use overdub_media::sample::{AudioConfig, AudioSample};

use crate::ffmpeg;
use crate::support::{corpus, read};

/// A chord that swells, in segments of about 2.5 s.
pub fn segments(folder: &Path, codec: &[&str], video: bool) -> Option<Vec<Bytes>> {
    let sound = "aevalsrc=0.2*sin(880*t)*(1.2+sin(t))+0.1*sin(2000*t):sample_rate=48000:duration=13";
    let list = folder.join("%03d.ts");
    let mut args = vec!["-v", "error", "-f", "lavfi", "-i", sound];
    if video {
        args.extend(["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=13"]);
        args.extend(["-c:v", "libx264", "-g", "25", "-bf", "0", "-preset", "ultrafast"]);
    }
    args.extend(codec);
    args.extend(["-ac", "2", "-f", "segment", "-segment_time", "2.5", "-segment_format", "mpegts"]);
    args.push(list.to_str().unwrap());
    ffmpeg::run("ffmpeg", &args)?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ts"))
        .collect();
    files.sort();
    Some(files.iter().map(|path| read(path)).collect())
}

/// What the caller's child does with a stretch.
pub fn encode(folder: &Path, transcode: &Transcode, stretch: &Stretch) -> Option<Vec<u8>> {
    let input = folder.join("stretch.bin");
    std::fs::write(&input, stretch.stream.concat()).unwrap();
    let trim =
        format!("aresample={},atrim=start_sample={}", transcode.sample_rate, stretch.trim_start_samples);
    let (rate, channels) = (transcode.sample_rate.to_string(), transcode.channels.to_string());
    let format = transcode.codec.ffmpeg_format();
    let args = ["-v", "error", "-f", format, "-i", input.to_str().unwrap(), "-af", &trim];
    let encoder = ["-ar", &rate, "-ac", &channels, "-c:a", "aac", "-b:a", "256k", "-f", "adts", "-"];
    ffmpeg::run("ffmpeg", &[&args[..], &encoder].concat())
}

/// The batch's cuts and its end, once the caller's child has made AAC of what was `found`.
pub fn finish(
    folder: &Path,
    mut assembler: Assembler,
    found: Transcode,
) -> Option<(Vec<MediaCut>, Assembled)> {
    for stretch in &found.stretches {
        assembler.push_transcoded(&encode(folder, &found, stretch)?, stretch).unwrap();
    }
    assembler.set_foreign_carry(found.carry);
    let mut cuts = assembler.take_cuts();
    let mut end = assembler.finish().unwrap();
    cuts.append(&mut end.cuts);
    Some((cuts, end))
}

pub fn pcm(folder: &Path, format: &str, bytes: &[u8]) -> Option<Vec<i16>> {
    let input = folder.join("sound.bin");
    std::fs::write(&input, bytes).unwrap();
    let args = ["-v", "error", "-f", format, "-i", input.to_str().unwrap(), "-ac", "2", "-f", "s16le", "-"];
    let raw = ffmpeg::run("ffmpeg", &args)?;
    Some(raw.chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect())
}

/// Batches of one segment each: the audio, and all of the source's frames as one stream.
fn transcode(
    folder: &Path,
    segments: &[Bytes],
    codec: ForeignCodec,
) -> Option<(Vec<AudioSample>, AudioConfig, Vec<u8>, usize)> {
    let (mut carry, mut audio, mut config, mut pictures) = (Carry::default(), Vec::new(), None, 0);
    let mut whole = ForeignReader::new(Default::default());
    for segment in segments {
        let found = probe(&Input::whole(segment)).unwrap();
        assert!(matches!(found.audio, Some(ProbedAudio::Foreign(of, ..)) if of == codec), "{found:?}");
        whole.push(&Input::whole(segment)).unwrap();
        let mut assembler = Assembler::new(carry.clone(), false);
        let mut reader = ForeignReader::new(assembler.foreign_carry());
        reader.push(&Input::whole(segment)).unwrap();
        let found_audio = reader.finish().unwrap();
        assert_eq!((found_audio.codec, found_audio.stretches.len()), (codec, 1));
        if found.video.is_some() {
            assembler.push(&Input::whole(segment).take(Take::Video)).unwrap();
        }
        let (cuts, end) = finish(folder, assembler, found_audio)?;
        let lacked = end.counters.iter().find(|(name, _)| *name == "audio_transcoder_lacked");
        assert_eq!(lacked, None);
        for cut in &cuts {
            audio.extend(cut.audio.iter().cloned());
            pictures += cut.video.len();
        }
        config = end.audio.or(config);
        carry = serde_json::from_str(&serde_json::to_string(&end.carry).unwrap()).unwrap();
    }
    let whole = whole.finish().unwrap();
    assert_eq!(whole.stretches.len(), 1, "{:?}", whole.counters);
    Some((audio, config.unwrap(), whole.stretches[0].stream.concat(), pictures))
}

/// Batches of one segment of pictures each, and the segments of sound beside it, as the fetcher pairs them: some come
/// in two batches.
fn transcode_apart(
    folder: &Path,
    (pictures, sound): (&[Bytes], &[Bytes]),
    codec: ForeignCodec,
) -> Option<(Vec<AudioSample>, AudioConfig, Vec<u8>)> {
    let (mut carry, mut audio, mut config) = (Carry::default(), Vec::new(), None);
    let start = |segment: &Bytes| probe(&Input::whole(segment)).unwrap().first_90k.unwrap();
    let starts: Vec<i64> = sound.iter().map(start).collect();
    let ends = starts.iter().skip(1).copied().chain([i64::MAX]);
    let spans: Vec<(i64, i64)> = starts.iter().copied().zip(ends).collect();
    let begins: Vec<i64> = pictures.iter().map(start).collect();
    let mut whole = ForeignReader::new(Default::default());
    for segment in sound {
        whole.push(&Input::whole(segment)).unwrap();
    }
    for (index, segment) in pictures.iter().enumerate() {
        let end = begins.get(index + 1).copied().unwrap_or(i64::MAX / 2);
        let beside = spans
            .iter()
            .zip(sound)
            .filter(|((from, to), _)| *from < end + 18_000 && *to > begins[index] - 18_000);
        let mut assembler = Assembler::new(carry.clone(), false);
        assembler.expect_overlaps();
        let mut reader = ForeignReader::new(Default::default());
        reader.fall_in_with(assembler.audio_end_90k());
        for (_, segment) in beside {
            reader.push(&Input::whole(segment).take(Take::Audio)).unwrap();
        }
        let found = reader.finish().unwrap();
        assembler.push(&Input::whole(segment).take(Take::Video)).unwrap();
        let (cuts, end) = finish(folder, assembler, found)?;
        for cut in &cuts {
            audio.extend(cut.audio.iter().cloned());
        }
        config = end.audio.or(config);
        carry = serde_json::from_str(&serde_json::to_string(&end.carry).unwrap()).unwrap();
    }
    let whole = whole.finish().unwrap();
    assert_eq!((codec, whole.stretches.len()), (whole.codec, 1), "{:?}", whole.counters);
    Some((audio, config.unwrap(), whole.stretches[0].stream.concat()))
}

#[test]
fn sound_in_a_playlist_of_its_own_goes_on_unbroken() {
    let encoders: [(ForeignCodec, &[&str]); 2] = [
        (ForeignCodec::MpegLayer3, &["-c:a", "libmp3lame", "-b:a", "128k"]),
        (ForeignCodec::Ac3, &["-c:a", "ac3", "-b:a", "256k"]),
    ];
    for (codec, encoder) in encoders {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let made = (segments(folders[0].path(), encoder, true), segments(folders[1].path(), encoder, false));
        let (Some(pictures), Some(sound)) = made else { return };
        let parts = transcode_apart(folders[0].path(), (&pictures, &sound), codec);
        let Some((audio, config, source)) = parts else { return };
        compare(folders[0].path(), codec, &audio, &config, &source);
    }
}

/// The sound that comes out of all batches is the source's, everywhere; borders are no exception.
fn check(codec: ForeignCodec, encoder: &[&str], video: bool) {
    let folder = tempfile::tempdir().unwrap();
    let Some(segments) = segments(folder.path(), encoder, video) else { return };
    assert!(segments.len() > 3);
    let Some((audio, config, source, pictures)) = transcode(folder.path(), &segments, codec) else { return };
    assert_eq!(pictures > 0, video);
    compare(folder.path(), codec, &audio, &config, &source);
}

fn compare(folder: &Path, codec: ForeignCodec, audio: &[AudioSample], config: &AudioConfig, source: &[u8]) {
    for pair in audio.windows(2) {
        assert_eq!(pair[0].time + i64::from(pair[0].duration), pair[1].time, "no hole, no overlap");
        assert_eq!(pair[0].duration, 1024);
    }
    assert_eq!((config.sample_rate, config.channels), (48_000, 2));
    let params = overdub_media::aac::AacParams::of(config).unwrap();
    let adts: Vec<u8> = audio
        .iter()
        .flat_map(|unit| [&params.adts_header(unit.data.len()).unwrap()[..], &unit.data].concat())
        .collect();
    let Some(heard) = pcm(folder, "aac", &adts) else { return };
    let Some(expected) = pcm(folder, codec.ffmpeg_format(), source) else { return };
    // All but what is left to a batch that does not come.
    assert!(heard.len() <= expected.len() && expected.len() - heard.len() < 4 * 2048, "{codec:?}");
    for (index, (heard, expected)) in heard.chunks(1024).zip(expected.chunks(1024)).enumerate().skip(4) {
        let energy =
            |samples: &mut dyn Iterator<Item = i32>| samples.map(|s| f64::from(s).powi(2)).sum::<f64>();
        let sound = energy(&mut expected.iter().map(|s| i32::from(*s)));
        let error = energy(&mut heard.iter().zip(expected).map(|(a, b)| i32::from(*a) - i32::from(*b)));
        assert!(error * 100.0 < sound, "{codec:?} differs at {index}: {error} of {sound}");
    }
}

#[test]
fn mp3_goes_on_unbroken() {
    check(ForeignCodec::MpegLayer3, &["-c:a", "libmp3lame", "-b:a", "128k"], true);
}

#[test]
fn mp2_and_ac3_go_on_unbroken() {
    check(ForeignCodec::MpegLayer2, &["-c:a", "mp2", "-b:a", "256k"], false);
    check(ForeignCodec::Ac3, &["-c:a", "ac3", "-b:a", "256k"], true);
}

#[test]
fn eac3_and_opus_go_on_unbroken() {
    check(ForeignCodec::EAc3, &["-c:a", "eac3", "-b:a", "256k"], false);
    check(ForeignCodec::Opus, &["-c:a", "libopus", "-b:a", "128k"], true);
}

#[test]
fn six_channels_of_opus_stay_where_they_are() {
    const TONES: [f64; 6] = [300.0, 500.0, 700.0, 60.0, 1100.0, 1300.0];
    let folder = tempfile::tempdir().unwrap();
    let tones = TONES.map(|tone| format!("0.3*sin(2*PI*{tone}*t)")).join("|");
    let sound = format!("aevalsrc={tones}:c=5.1:s=48000:d=3");
    for (name, container) in [
        ("opus.ts", &["-f", "mpegts"][..]),
        ("opus.mp4", &["-f", "mp4", "-movflags", "+frag_keyframe+empty_moov"]),
    ] {
        let file = folder.path().join(name);
        let opus = ["-c:a", "libopus", "-mapping_family", "1", "-b:a", "384k"];
        let args = [&["-v", "error", "-f", "lavfi", "-i", &sound], &opus[..], container].concat();
        if ffmpeg::run("ffmpeg", &[&args[..], &[file.to_str().unwrap()]].concat()).is_none() {
            return;
        }
        let segment = read(&file);
        let found = probe(&Input::whole(&segment)).unwrap();
        assert_eq!(found.audio, Some(ProbedAudio::Foreign(ForeignCodec::Opus, 48_000, 6)), "{name}");
        let mut reader = ForeignReader::new(Default::default());
        reader.expect_end();
        reader.push(&Input::whole(&segment)).unwrap();
        let found = reader.finish().unwrap();
        let adts = encode(folder.path(), &found, &found.stretches[0]).unwrap();
        let input = folder.path().join("sound.aac");
        std::fs::write(&input, adts).unwrap();
        let args = ["-v", "error", "-i", input.to_str().unwrap(), "-f", "f32le", "-"];
        let raw = ffmpeg::run("ffmpeg", &args).unwrap();
        let samples: Vec<f64> =
            raw.as_chunks::<4>().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect();
        for (channel, own) in TONES.iter().enumerate() {
            let sound: Vec<f64> =
                samples[6 * 48_000..12 * 48_000].iter().skip(channel).step_by(6).copied().collect();
            let heard = TONES.map(|tone| strength(&sound, tone));
            let loudest = heard.iter().zip(TONES).max_by(|a, b| a.0.total_cmp(b.0)).unwrap();
            assert_eq!(loudest.1, *own, "{name}, channel {channel}: {heard:?}");
            assert!(*loudest.0 > 0.1, "{name}, channel {channel}: {heard:?}");
        }
    }
}

/// How loud a tone is in a second of sound at 48 kHz.
fn strength(sound: &[f64], tone: f64) -> f64 {
    let turned = |phase: f64| -> f64 {
        let wave = |at: usize| (std::f64::consts::TAU * tone * at as f64 / 48_000.0 + phase).sin();
        sound.iter().enumerate().map(|(at, sample)| sample * wave(at)).sum()
    };
    turned(0.0).hypot(turned(std::f64::consts::FRAC_PI_2)) * 2.0 / sound.len() as f64
}

#[test]
fn aac_of_rare_forms_is_transcoded_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quad.ts");
    let sound = "aevalsrc=0.2*sin(880*t)|0.2*sin(990*t)|0.2*sin(700*t)|0.2*sin(600*t):c=quad:s=48000:d=3";
    let args = ["-v", "error", "-f", "lavfi", "-i", sound, "-c:a", "aac", file.to_str().unwrap()];
    if ffmpeg::run("ffmpeg", &args).is_none() {
        return;
    }
    // FFmpeg describes the layout in the access units: channel_configuration is 0.
    let segment = read(&file);
    let found = probe(&Input::whole(&segment)).unwrap();
    assert_eq!(found.audio, Some(ProbedAudio::Foreign(ForeignCodec::Adts, 48_000, 4)));
    let mut reader = ForeignReader::new(Default::default());
    reader.push(&Input::whole(&segment)).unwrap();
    let found = reader.finish().unwrap();
    let stretch = &found.stretches[0];
    let adts = encode(folder.path(), &found, stretch).unwrap();
    let mut assembler = Assembler::new(Carry::default(), false);
    assembler.push_transcoded(&adts, stretch).unwrap();
    let end = assembler.finish().unwrap();
    assert_eq!(end.audio.unwrap().channels, 4);
    assert_eq!(end.cuts.iter().map(|cut| cut.audio.len()).sum::<usize>(), stretch.take_access_units);
}

#[test]
fn he_aac_in_latm_keeps_its_length_and_its_rate() {
    let Some(adts) = corpus("ts-heaac-no-initial-keyframe/no-initial-keyframe.ts") else { return };
    let folder = tempfile::tempdir().unwrap();
    // By way of a container that tells what decoder is wanted: LATM must say it, too.
    let [mp4, latm] = ["he.m4a", "he.ts"].map(|name| folder.path().join(name));
    let [adts, mp4, latm] = [&adts, &mp4, &latm].map(|path| path.to_str().unwrap());
    for (from, to, form) in [(adts, mp4, ["-f", "mp4"]), (mp4, latm, ["-mpegts_flags", "latm"])] {
        let copied = ["-v", "quiet", "-i", from, "-map", "0:a", "-c", "copy", form[0], form[1], to];
        if ffmpeg::run("ffmpeg", &copied).is_none() {
            return;
        }
    }
    let segment = read(Path::new(latm));
    let found = probe(&Input::whole(&segment)).unwrap();
    assert_eq!(found.audio, Some(ProbedAudio::Foreign(ForeignCodec::Latm, 44_100, 2)));
    let mut reader = ForeignReader::new(Default::default());
    reader.expect_end();
    reader.push(&Input::whole(&segment)).unwrap();
    let found = reader.finish().unwrap();
    let [stretch] = found.stretches.as_slice() else { panic!("{:?}", found.counters) };
    // 57 access units of 2048 samples of the rate that is heard.
    assert_eq!((found.frames, found.sample_rate), (57, 44_100));
    assert_eq!(stretch.take_access_units, 57 * 2048 / 1024);
    let encoded = encode(folder.path(), &found, stretch).unwrap();
    let heard = pcm(folder.path(), "aac", &encoded).unwrap().len() / 2;
    assert!(heard >= 57 * 2048, "{heard}");
}

#[test]
fn every_foreign_case_of_the_corpus_decodes() {
    let cases = [
        ("ts-aac-latm/sample_latm.ts", ForeignCodec::Latm),
        ("ts-avc-ac3-dvb/s_00004.ts", ForeignCodec::Ac3),
        ("ts-eac3-audio-only/ChID_voices_6ch_256kbps_ddp_sub_0000.ts", ForeignCodec::EAc3),
        ("ts-mp3-audio-only/media_w239891843_0.ts", ForeignCodec::MpegLayer3),
        ("ts-avc-mp2/sample_h264_mpeg_audio.ts", ForeignCodec::MpegLayer2),
        ("ts-opus/segment.ts", ForeignCodec::Opus),
        ("packed-mp3/media_w905519204_0.mp3", ForeignCodec::MpegLayer3),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (file, codec) in cases {
        let Some(path) = corpus(file) else { return };
        let mut reader = ForeignReader::new(Default::default());
        reader.push(&Input::whole(&read(&path))).unwrap();
        let found = reader.finish().unwrap();
        assert_eq!(found.codec, codec, "{file}");
        for stretch in &found.stretches {
            let Some(adts) = encode(folder.path(), &found, stretch) else { return };
            let mut assembler = Assembler::new(Carry::default(), false);
            assembler.push_transcoded(&adts, stretch).unwrap();
            let end = assembler.finish().unwrap();
            let units = end.cuts.iter().map(|cut| cut.audio.len()).sum::<usize>();
            assert_eq!(units, stretch.take_access_units, "{file}");
            let config = end.audio.unwrap();
            assert_eq!((config.sample_rate, config.channels), (found.sample_rate, found.channels), "{file}");
        }
    }
}
