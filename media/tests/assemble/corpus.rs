//! The corpus' H.264 and AAC cases.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Carry, EventKind};
use overdub_media::sample::VideoCodec;
use overdub_media::time::CLOCK_PERIOD;

use crate::ffmpeg;
use crate::support::{Batch, assemble, corpus, read};

/// Compares a batch with FFmpeg's reading of `file`: counts, times of every packet, and every payload byte.
/// The first `dropped` pictures are missing from the batch on purpose.
pub fn compare(batch: &Batch, file: &Path, dropped: usize) -> Option<()> {
    let modulo = |time: i64| time.rem_euclid(CLOCK_PERIOD);
    let video: Vec<_> = batch.video().collect();
    if !video.is_empty() {
        let expected = ffmpeg::packets(file, "v")?;
        assert_eq!(video.len() + dropped, expected.len(), "pictures");
        for (index, (sample, packet)) in video.iter().zip(&expected[dropped..]).enumerate() {
            let Some(pts) = packet.pts else { continue };
            assert_eq!(modulo(sample.pts_90k), modulo(pts), "pts of picture {index}");
            assert_eq!(modulo(sample.dts_90k), modulo(packet.dts.unwrap_or(pts)), "dts of picture {index}");
        }
        let hevc = batch.end.video.as_ref().is_some_and(|config| config.codec == VideoCodec::H265);
        let expected = ffmpeg::nals(file, if hevc { "hevc" } else { "h264" })?;
        let found: Vec<&[u8]> = video.iter().flat_map(|sample| &sample.nals).map(AsRef::as_ref).collect();
        let missing = expected.len() - found.len();
        assert_eq!(missing > 0, dropped > 0, "{missing} NAL units are missing");
        let same =
            found.iter().zip(&expected[missing..]).take_while(|(found, nal)| **found == nal.as_slice());
        assert_eq!(same.count(), found.len(), "NAL units that are the same");
    }
    let audio: Vec<_> = batch.audio().collect();
    if let Some(config) = &batch.end.audio {
        let expected = ffmpeg::packets(file, "a")?;
        let cut = usize::from(batch.count("ts_truncated_bytes") > 0);
        assert_eq!(audio.len() + cut, expected.len(), "access units");
        for (index, (sample, packet)) in audio.iter().zip(&expected).enumerate() {
            let Some(pts) = packet.pts else { continue };
            let ticks = i128::from(sample.time) * 90_000 / i128::from(config.sample_rate);
            let difference = modulo(ticks as i64 - pts + CLOCK_PERIOD / 2) - CLOCK_PERIOD / 2;
            // Half a millisecond.
            assert!(difference.abs() <= 45, "access unit {index} is off by {difference} ticks");
        }
        let expected = ffmpeg::raw_data_blocks(file)?;
        assert_eq!(audio.len() + cut, expected.len());
        for (index, (sample, block)) in audio.iter().zip(&expected).enumerate() {
            assert_eq!(sample.data.as_ref(), block.as_slice(), "access unit {index}");
        }
    }
    Some(())
}

/// Assembles the case's segments as one batch and compares it with FFmpeg's reading of all of them together.
fn check(files: &[&str], pictures: usize, access_units: usize) -> Option<Batch> {
    let paths = files.iter().map(|file| corpus(file)).collect::<Option<Vec<_>>>()?;
    let segments: Vec<Bytes> = paths.iter().map(|path| read(path)).collect();
    let batch = assemble(&segments, Carry::default(), false).unwrap();
    eprintln!("{:?}", batch.end.counters);
    assert_eq!(batch.video().count(), pictures, "pictures");
    assert_eq!(batch.audio().count(), access_units, "access units");
    let mut joined = tempfile::NamedTempFile::with_suffix(".ts").unwrap();
    for segment in &segments {
        joined.write_all(segment).unwrap();
    }
    let dropped = usize::try_from(batch.count("video_before_first_sync")).unwrap();
    compare(&batch, joined.path(), dropped);
    // The same segments one to a batch: the same samples, the same times.
    let mut carry = Carry::default();
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for segment in segments {
        let Ok(part) = assemble(&[segment], carry.clone(), false) else { continue };
        video
            .extend(part.video().map(|s| (s.dts_90k, s.pts_90k, s.sync, s.nals.clone())).collect::<Vec<_>>());
        audio.extend(part.audio().map(|s| (s.time, s.data.clone())).collect::<Vec<_>>());
        carry = part.end.carry;
    }
    assert_eq!(
        video,
        batch.video().map(|s| (s.dts_90k, s.pts_90k, s.sync, s.nals.clone())).collect::<Vec<_>>()
    );
    assert_eq!(audio, batch.audio().map(|s| (s.time, s.data.clone())).collect::<Vec<_>>());
    Some(batch)
}

#[test]
fn plain_baseline_comes_out_as_it_is() {
    let files = ["n_0_0_0.ts", "n_1_0_0.ts", "n_2_0_0.ts"].map(|file| format!("ts-avc-aac-vod/{file}"));
    let Some(batch) = check(&files.each_ref().map(String::as_str), 432, 843) else { return };
    assert_eq!(batch.end.counters, []);
    let config = batch.end.video.unwrap();
    assert_eq!((config.width, config.height), (320, 180));
    assert_eq!(batch.end.audio.unwrap().sample_rate, 48_000);
    assert_eq!(batch.cuts.len(), 3);
    assert_eq!(batch.cuts[0].video[0].pts_90k, 0);
}

#[test]
fn b_frames_before_a_discontinuity_keep_their_order() {
    check(
        &[
            "ts-bframes-discontinuity/video-069.ts",
            "ts-bframes-discontinuity/video-070.ts",
            "ts-bframes-discontinuity/video-071.ts",
        ],
        135,
        258,
    );
    check(&["ts-bframes-discontinuity/video-072.ts", "ts-bframes-discontinuity/video-073.ts"], 70, 136);
}

#[test]
fn access_units_that_cross_pes_borders_are_joined() {
    // The file ends inside the 1311th access unit of audio.
    let Some(batch) = check(&["ts-byterange-id3-cea608-bframes/main.ts"], 1825, 1310) else { return };
    assert_eq!(batch.end.audio.unwrap().sample_rate, 22_050);
}

#[test]
fn pictures_that_spill_into_the_next_pes_packet_stay_one() {
    check(&["ts-overflow-nalus/fileSequence0.ts"], 299, 215);
}

#[test]
fn repeated_pmt_counters_drop_nothing() {
    let Some(batch) = check(&["ts-scte35-80s/80s_with_ad.ts"], 2400, 3750) else { return };
    assert_eq!(batch.end.counters, []);
    assert!(batch.cuts.len() >= 10, "{} cuts", batch.cuts.len());
}

#[test]
fn no_program_clock_is_needed() {
    check(&["ts-no-pcr/0.ts"], 298, 234);
}

#[test]
fn he_aac_keeps_its_pace_and_a_stream_begins_at_its_first_idr() {
    let Some(batch) = check(&["ts-heaac-no-initial-keyframe/no-initial-keyframe.ts"], 15, 57) else { return };
    assert_eq!(batch.count("video_before_first_sync"), 63);
    let config = batch.end.audio.as_ref().unwrap();
    assert_eq!((config.sample_rate, config.sbr, config.output_rate()), (22_050, true, 44_100));
}

#[test]
fn h265_comes_out_as_it_is() {
    let Some(batch) = check(&["ts-hevc-aac-portrait/0.ts", "ts-hevc-aac-portrait/1.ts"], 300, 430) else {
        return;
    };
    let config = batch.end.video.as_ref().unwrap();
    assert_eq!((config.codec, config.width, config.height), (VideoCodec::H265, 720, 1280));
    assert!(!batch.end.audio.as_ref().unwrap().sbr);
}

#[test]
fn captions_and_low_rates_pass() {
    check(&["ts-cea608/caption.ts"], 35, 0);
    check(&["ts-cea608/sintel-captions.ts"], 240, 212);
}

#[test]
fn declared_audio_may_be_absent() {
    check(&["ts-pmt-declares-absent-audio/test-no-audio-segment.ts"], 134, 0);
    check(&["ts-pmt-declares-absent-audio/test-segment.ts"], 134, 369);
}

#[test]
fn one_track_alone_is_enough() {
    let files = (0..8).map(|n| format!("ts-aac-audio-only/segment_{n}.ts")).collect::<Vec<_>>();
    let paths = files.iter().map(|file| corpus(file)).collect::<Option<Vec<_>>>();
    if let Some(paths) = paths {
        let segments: Vec<Bytes> = paths.iter().map(|path| read(path)).collect();
        let batch = assemble(&segments, Carry::default(), false).unwrap();
        assert!(batch.end.video.is_none() && batch.audio().count() > 100);
        assert!(batch.cuts.len() > 1);
    }
    check(&["ts-gap/2.ts", "ts-gap/3.ts", "ts-gap/4.ts"], 720, 0);
    check(&["ts-alt-audio-renditions/red_1.ts"], 120, 0);
    check(&["ts-alt-audio-renditions/original_128k.ts"], 0, 174);
}

#[test]
fn a_lost_segment_leaves_a_hole_of_its_length() {
    let Some(batch) =
        check(&["ts-video-gap-two-segments/skip_1.ts", "ts-video-gap-two-segments/skip_3.ts"], 342, 0)
    else {
        return;
    };
    let longest = batch.video().map(|sample| sample.duration_90k).max().unwrap();
    assert!((5 * 90_000..7 * 90_000).contains(&longest), "{longest}");
}

#[test]
fn the_wrap_is_crossed_with_b_frames() {
    let Some(batch) = check(&["ts-tiny-edge-cases/rollover.ts"], 20, 0) else { return };
    let first = batch.video().next().unwrap();
    assert_eq!(first.dts_90k, CLOCK_PERIOD - 1_080_000);
    assert!(batch.video().last().unwrap().dts_90k > CLOCK_PERIOD);
}

#[test]
fn odd_little_files_are_read() {
    for (file, pictures) in
        [("videoLargeOffset", 2), ("videoMaxOffset", 2), ("videoMinOffset", 2), ("id3", 4)]
    {
        let Some(path) = corpus(&format!("ts-tiny-edge-cases/{file}.ts")) else { return };
        let batch = assemble(&[read(&path)], Carry::default(), false).unwrap();
        assert!(batch.video().count() >= pictures, "{file}");
        if file == "id3" {
            assert!(batch.end.events.iter().any(|event| matches!(event.kind, EventKind::Id3(_))));
        }
        compare(&batch, &path, 0);
    }
    check(&["ts-malformed/test-middle-pat-pmt.ts"], 15, 28);
}

#[test]
fn other_codecs_are_refused_by_name() {
    let cases = [
        ("ts-avc-ac3-dvb/s_00004.ts", "AC-3", "0x06", true),
        ("ts-eac3-audio-only/ChID_voices_6ch_256kbps_ddp_sub_0000.ts", "E-AC-3", "0x87", true),
        ("ts-mp3-audio-only/media_w239891843_0.ts", "MPEG audio (MP1/MP2/MP3)", "0x04", true),
        ("ts-aac-latm/sample_latm.ts", "AAC in LATM", "0x11", true),
        ("ts-opus/segment.ts", "Opus", "0x06", true),
        ("ts-avc-mp2/sample_h264_mpeg_audio.ts", "MPEG audio (MP1/MP2/MP3)", "0x03", true),
        ("ts-mpeg2video-scte35-mp2/sample_scte35.ts", "MPEG-1/2 video", "0x02", false),
        ("ts-mpeg2video-scte35-mp2/sample_h264_dts_audio.ts", "DTS", "0x82", false),
        ("packed-mp3/media_w905519204_0.mp3", "MPEG audio (MP1/MP2/MP3)", "packed", true),
        ("sample-aes-ctr-byterange/video.mp4", "encrypted media", "encv", false),
    ];
    for (file, name, kind, can) in cases {
        let Some(path) = corpus(file) else { return };
        match assemble(&[read(&path)], Carry::default(), false).map(|_| ()) {
            Err(AssembleError::UnsupportedCodec { codec, place, transcodable, .. }) => {
                assert_eq!((codec.as_str(), transcodable), (name, can), "{file}");
                assert!(place.contains(kind), "{file}: {place}");
            }
            other => panic!("{file}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_media_is_named() {
    let html = Bytes::from_static(b"<!DOCTYPE html><html>not found</html>");
    let error = assemble(&[html], Carry::default(), false).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("<!DOCTYPE html>"), "{error}");
    let Some(path) = corpus("fmp4-muxed/hls11.m4s") else { return };
    let error = assemble(&[read(&path)], Carry::default(), false).map(|_| ()).unwrap_err();
    assert!(matches!(error, AssembleError::NoInit { .. }), "{error}");
}

#[test]
fn malformed_files_are_errors_and_nothing_else() {
    for file in
        ["ts-malformed/test-stuffed-pes.ts", "ts-malformed/zeroLength.ts", "ts-mpts-scrambled/test-101.ts"]
    {
        let Some(path) = corpus(file) else { return };
        let error = assemble(&[read(&path)], Carry::default(), false).map(|_| ()).unwrap_err();
        eprintln!("{file}: {error}");
    }
}
