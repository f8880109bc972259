//! Which of several programs is taken, and programs that are scrambled.

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Assembler, Carry, Input};
use overdub_media::audio::ForeignCodec;
use overdub_media::foreign::ForeignReader;

use crate::containers::{all_audio, numbers, one};
use crate::ffmpeg;
use crate::mux::{AUDIO_PID, Mux, VIDEO_PID, frame, picture_nals};
use crate::sources::{piece, run};
use crate::support::{assemble, read};

/// The segment with these PIDs' packets scrambled.
fn scrambled(segment: &Bytes, pids: &[u16]) -> Bytes {
    let mut bytes = segment.to_vec();
    for packet in bytes.chunks_mut(188) {
        if pids.contains(&u16::from_be_bytes([packet[1] & 0x1f, packet[2]])) {
            packet[3] |= 0xc0;
        }
    }
    Bytes::from(bytes)
}

#[test]
fn a_scrambled_program_is_a_clear_error_whatever_its_codecs() {
    // H.264 and AAC, H.264 and MP2, MPEG-2 video and AAC.
    for (video, audio) in [(0x1b, 0x0f), (0x1b, 0x03), (0x02, 0x0f)] {
        let mut mux = Mux::default();
        mux.tables(&[(video, VIDEO_PID), (audio, AUDIO_PID)]);
        for n in 0..50 {
            mux.picture(900_000 + n * 3600, 0, n % 25 == 0, n as u32);
            mux.frames(900_000 + n * 3600, n as u32 * 2, 2);
        }
        let segment = scrambled(&mux.segment(), &[VIDEO_PID, AUDIO_PID]);
        let error = assemble(&[segment], Carry::default(), false).map(|_| ()).unwrap_err();
        assert!(matches!(error, AssembleError::Scrambled { .. }), "{video:#x}, {audio:#x}: {error}");
        assert!(error.to_string().contains("scrambled"));
    }
}

#[test]
fn of_several_programs_one_that_can_be_read_is_taken() {
    // Each its own pictures and sound, the first of codecs that are copied.
    let programs: [&[(u8, u16)]; 3] = [
        &[(0x1b, VIDEO_PID), (0x0f, AUDIO_PID)],
        &[(0x1b, VIDEO_PID + 16), (0x0f, AUDIO_PID + 16)],
        &[(0x1b, VIDEO_PID + 32), (0x0f, AUDIO_PID + 32)],
    ];
    let mut mux = Mux::default();
    mux.programs(&programs);
    for n in 0..50 {
        for (index, program) in (0..).zip(&programs[..2]) {
            let nals = picture_nals(n % 25 == 0, 1000 * index + n);
            let picture: Vec<u8> =
                nals.iter().flat_map(|nal| [&[0, 0, 1], nal.as_slice()].concat()).collect();
            let time = 900_000 + i64::from(n) * 3600;
            mux.pes(program[0].1, time, None, &picture);
            mux.pes(
                program[1].1,
                time,
                None,
                &[frame(1000 * index + n * 2), frame(1000 * index + n * 2 + 1)].concat(),
            );
        }
    }
    let segment = mux.segment();
    let first = |segment: Bytes| numbers(&all_audio(&one(segment)))[0];
    assert_eq!(first(segment.clone()), Some(0));
    assert_eq!(first(scrambled(&segment, &[VIDEO_PID, AUDIO_PID])), Some(1000));
}

#[test]
fn audio_is_taken_by_its_language() {
    let folder = tempfile::tempdir().unwrap();
    for (name, container) in [
        ("all.ts", &["-f", "mpegts"][..]),
        ("all.mp4", &["-f", "mp4", "-movflags", "+frag_keyframe+delay_moov"]),
    ] {
        let path = folder.path().join(name);
        let sources = ["-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2"];
        let tracks =
            ["-map", "0:a", "-map", "0:a", "-map", "0:a", "-c:a", "aac", "-ac:a:0", "2", "-ac:a:1", "1"];
        let third = ["-c:a:2", "ac3", "-ac:a:2", "2"];
        let languages = [(0, "eng"), (1, "deu"), (2, "fra")]
            .map(|(track, code)| [format!("-metadata:s:a:{track}"), format!("language={code}")]);
        let languages: Vec<&str> = languages.iter().flatten().map(String::as_str).collect();
        let args = [&sources[..], &tracks, &third, &languages, container, &[path.to_str().unwrap()]].concat();
        if ffmpeg::run("ffmpeg", &args).is_none() {
            return;
        }
        let segment = read(&path);
        let taken = |language: Option<&str>| {
            let mut assembler = Assembler::new(Carry::default(), false);
            assembler.prefer_language(language);
            assembler.push(&Input::whole(&segment))?;
            Ok::<_, AssembleError>(assembler.finish()?.audio.unwrap().channels)
        };
        assert_eq!((taken(None).unwrap(), taken(Some("en")).unwrap()), (2, 2), "{name}");
        assert_eq!((taken(Some("de-AT")).unwrap(), taken(Some("sv")).unwrap()), (1, 2), "{name}");
        // What is asked for has to be transcoded, and is.
        let refused = taken(Some("fr")).unwrap_err();
        assert!(matches!(refused, AssembleError::UnsupportedCodec { transcodable: true, .. }), "{refused}");
        let mut reader = ForeignReader::new(Default::default());
        reader.prefer_language(Some("fr".to_owned()));
        reader.push(&Input::whole(&segment)).unwrap();
        assert_eq!(reader.finish().unwrap().codec, ForeignCodec::Ac3);
    }
}

#[test]
fn television_is_taken_before_radio() {
    let radio: &[(u8, u16)] = &[(0x0f, AUDIO_PID + 16)];
    let mut mux = Mux::default();
    mux.programs(&[radio, &[(0x1b, VIDEO_PID), (0x0f, AUDIO_PID)]]);
    for n in 0..50 {
        mux.pes(AUDIO_PID + 16, 900_000 + n * 3600, None, &[frame(900), frame(900)].concat());
        mux.picture(900_000 + n * 3600, 0, n % 25 == 0, n as u32);
        mux.frames(900_000 + n * 3600, 2 * n as u32, 2);
    }
    let batch = assemble(&[mux.segment()], Carry::default(), false).unwrap();
    assert_eq!(batch.video().count(), 50);
    assert_eq!(numbers(&all_audio(&batch))[0], Some(0));
}

#[test]
fn a_pid_on_which_nothing_comes_hides_none_on_which_something_does() {
    let silent = AUDIO_PID + 16;
    let mut mux = Mux::default();
    mux.tables(&[(0x1b, VIDEO_PID), (0x0f, silent), (0x0f, AUDIO_PID)]);
    for n in 0..50 {
        mux.picture(900_000 + n * 3600, 0, n % 25 == 0, n as u32);
        mux.frames(900_000 + n * 3600, 2 * n as u32, 2);
    }
    let batch = assemble(&[mux.segment()], Carry::default(), false).unwrap();
    assert_eq!((batch.audio().count(), batch.video().count()), (100, 50));
}

#[test]
fn sound_that_is_transcoded_is_that_of_the_pictures() {
    // Radio first, which is MP3 as well.
    let programs: [&[(u8, u16)]; 2] = [&[(0x03, AUDIO_PID)], &[(0x1b, VIDEO_PID), (0x03, AUDIO_PID + 16)]];
    let mut mux = Mux::default();
    mux.programs(&programs);
    for n in 0..50 {
        let mut mp3 = vec![0xff, 0xfb, 0x14, 0xc4];
        mp3.resize(96, 0x11);
        mux.pes(AUDIO_PID, 900_000 + n * 2160, None, &mp3);
        mp3[4..].fill(0x22);
        mux.pes(AUDIO_PID + 16, 900_000 + n * 2160, None, &mp3);
        mux.picture(900_000 + n * 2160, 0, n % 25 == 0, n as u32);
    }
    let out = run(&[vec![piece(mux.segment())]], 1);
    assert_eq!((out.video.len(), out.foreign_frames()), (50, 50), "{:?}", out.errors);
    assert_eq!(out.foreign[0].stretches[0].stream[0][95], 0x22);
}
