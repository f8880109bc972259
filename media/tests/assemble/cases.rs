//! The corpus' cases: what each is, and what should come of it.

use overdub_media::assemble::Take;

use crate::sources::{Step, beside, files, names, ranges, ts};

/// What a case should come to.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub steps: fn() -> Option<Vec<Step>>,
    /// Pictures and audio frames that the source has.
    pub frames: [usize; 2],
    /// Those that come out, where it is not all of them, and why.
    pub lost: Option<([usize; 2], &'static str)>,
    /// Holes in the video.
    pub holes: usize,
}

pub const CASES: &[Case] = &[
    Case {
        name: "ts-avc-aac-vod",
        what: "TS: H.264, AAC",
        steps: || ts("ts-avc-aac-vod", &["n_0_0_0.ts", "n_1_0_0.ts", "n_2_0_0.ts"]),
        frames: [432, 843],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-bframes-discontinuity 1",
        what: "TS: H.264 with B-frames, AAC",
        steps: || ts("ts-bframes-discontinuity", &["video-069.ts", "video-070.ts", "video-071.ts"]),
        frames: [135, 258],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-bframes-discontinuity 2",
        what: "the same, behind the discontinuity",
        steps: || ts("ts-bframes-discontinuity", &["video-072.ts", "video-073.ts"]),
        frames: [70, 136],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-byterange-id3-cea608-bframes",
        what: "TS by byte ranges: H.264, AAC 22.05 kHz, ID3, CEA-608",
        steps: || ranges("ts-byterange-id3-cea608-bframes", "video.m3u8", Take::All),
        frames: [1794, 1289],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-overflow-nalus",
        what: "TS: pictures that spill into the next PES packet",
        steps: || ts("ts-overflow-nalus", &["fileSequence0.ts"]),
        frames: [299, 215],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-heaac-no-initial-keyframe",
        what: "TS: starts inside a GOP; HE-AAC",
        steps: || ts("ts-heaac-no-initial-keyframe", &["no-initial-keyframe.ts"]),
        frames: [78, 57],
        lost: Some(([15, 57], "63 pictures before the first keyframe cannot be decoded")),
        holes: 0,
    },
    Case {
        name: "ts-no-pcr",
        what: "TS without PCR",
        steps: || ts("ts-no-pcr", &["0.ts"]),
        frames: [298, 234],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-aac-latm",
        what: "TS: AAC in LATM (transcoded)",
        steps: || ts("ts-aac-latm", &["sample_latm.ts"]),
        frames: [0, 5],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-avc-ac3-dvb",
        what: "TS: H.264, AC-3 by descriptor (transcoded)",
        steps: || ts("ts-avc-ac3-dvb", &["s_00004.ts", "s_00005.ts"]),
        frames: [140, 175],
        lost: Some(([132, 175], "8 pictures before the first keyframe cannot be decoded")),
        holes: 0,
    },
    Case {
        name: "ts-eac3-audio-only",
        what: "TS: E-AC-3 5.1 alone (transcoded)",
        steps: || {
            ts(
                "ts-eac3-audio-only",
                &["ChID_voices_6ch_256kbps_ddp_sub_0000.ts", "ChID_voices_6ch_256kbps_ddp_sub_0001.ts"],
            )
        },
        frames: [0, 375],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-mp3-audio-only",
        what: "TS: MP3 alone (transcoded)",
        steps: || {
            files("ts-mp3-audio-only", None, &names(0..=3, |n| format!("media_w239891843_{n}.ts")), Take::All)
        },
        frames: [0, 1532],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-avc-mp2",
        what: "TS: H.264, MP2 (transcoded)",
        steps: || ts("ts-avc-mp2", &["sample_h264_mpeg_audio.ts"]),
        frames: [3, 4],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-opus",
        what: "TS: H.264 of a screen (pauses of half a second and more), Opus (transcoded)",
        steps: || ts("ts-opus", &["segment.ts"]),
        frames: [83, 166],
        lost: None,
        holes: 8,
    },
    Case {
        name: "ts-hevc-aac-portrait",
        what: "TS: H.265, AAC 44.1 kHz",
        steps: || ts("ts-hevc-aac-portrait", &["0.ts", "1.ts"]),
        frames: [300, 430],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-hevc-aac-portrait, twice",
        what: "the same as its playlist plays it: 0, 1, 0, 1 without a discontinuity",
        steps: || ts("ts-hevc-aac-portrait", &["0.ts", "1.ts", "0.ts", "1.ts"]),
        frames: [600, 860],
        lost: None,
        holes: 0,
    },
    Case {
        name: "sample-aes-ctr-byterange",
        what: "fMP4: encrypted H.264",
        steps: || ranges("sample-aes-ctr-byterange", "index.m3u8", Take::All),
        frames: [1500, 0],
        lost: Some(([0, 0], "encrypted media")),
        holes: 0,
    },
    Case {
        name: "ts-cea608 1",
        what: "TS: H.264 with CEA-608",
        steps: || ts("ts-cea608", &["caption.ts"]),
        frames: [35, 0],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-cea608 2",
        what: "TS: the same with AAC",
        steps: || ts("ts-cea608", &["sintel-captions.ts"]),
        frames: [240, 212],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-scte35-80s",
        what: "TS: H.264, AAC, SCTE 35",
        steps: || ts("ts-scte35-80s", &["80s_with_ad.ts"]),
        frames: [2400, 3750],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-pmt-declares-absent-audio 1",
        what: "TS: audio declared and absent",
        steps: || ts("ts-pmt-declares-absent-audio", &["test-no-audio-segment.ts"]),
        frames: [134, 0],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-pmt-declares-absent-audio 2",
        what: "TS: audio there",
        steps: || ts("ts-pmt-declares-absent-audio", &["test-segment.ts"]),
        frames: [134, 369],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-aac-audio-only",
        what: "TS: AAC alone",
        steps: || files("ts-aac-audio-only", None, &names(0..=7, |n| format!("segment_{n}.ts")), Take::All),
        frames: [0, 1488],
        lost: None,
        holes: 0,
    },
    Case {
        name: "packed-aac-id3",
        what: "packed AAC with ID3 times",
        steps: || files("packed-aac-id3", None, &names(0..=3, |n| format!("fileSequence{n}.aac")), Take::All),
        frames: [0, 861],
        lost: None,
        holes: 0,
    },
    Case {
        name: "packed-aac-with-ts-extension",
        what: "the same, named .ts",
        steps: || {
            files(
                "packed-aac-with-ts-extension",
                None,
                &names(0..=3, |n| format!("fileSequence{n}.ts")),
                Take::All,
            )
        },
        frames: [0, 861],
        lost: None,
        holes: 0,
    },
    Case {
        name: "packed-mp3",
        what: "packed MP3 (transcoded)",
        steps: || {
            files("packed-mp3", None, &names(0..=3, |n| format!("media_w905519204_{n}.mp3")), Take::All)
        },
        frames: [0, 1532],
        lost: None,
        holes: 0,
    },
    Case {
        name: "fmp4-muxed",
        what: "fMP4: H.264, AAC",
        steps: || files("fmp4-muxed", Some("init.mp4"), &["hls11.m4s".to_owned()], Take::All),
        frames: [60, 47],
        lost: None,
        holes: 0,
    },
    Case {
        name: "fmp4-demuxed-train",
        what: "fMP4 renditions: edit lists, B-frames, priming",
        steps: || {
            Some(beside(
                files(
                    "fmp4-demuxed-train",
                    Some("video/init.mp4"),
                    &names(1..=5, |n| format!("video/{n}.m4s")),
                    Take::Video,
                )?,
                files(
                    "fmp4-demuxed-train",
                    Some("audio/init.mp4"),
                    &names(1..=5, |n| format!("audio/{n}.m4s")),
                    Take::Audio,
                )?,
            ))
        },
        frames: [300, 470],
        lost: None,
        holes: 0,
    },
    Case {
        name: "fmp4-short-segments",
        what: "fMP4 renditions of 0.25 s",
        steps: || {
            Some(beside(
                files(
                    "fmp4-short-segments",
                    Some("video_init.mp4"),
                    &names(1..=12, |n| format!("video_{n}.m4s")),
                    Take::Video,
                )?,
                files(
                    "fmp4-short-segments",
                    Some("audio_init.mp4"),
                    &names(1..=12, |n| format!("audio_{n}.m4s")),
                    Take::Audio,
                )?,
            ))
        },
        frames: [90, 131],
        lost: None,
        holes: 0,
    },
    Case {
        name: "fmp4-live-window",
        what: "fMP4 renditions whose windows and lengths differ",
        steps: || {
            Some(beside(
                files(
                    "fmp4-live-window",
                    Some("video_header_video_540x360_part_0.mp4"),
                    &names(6..=8, |n| format!("video_segment_{n}_video_540x360.m4s")),
                    Take::Video,
                )?,
                files(
                    "fmp4-live-window",
                    Some("audio_header_audio_track_part_0.mp4"),
                    &names(11..=16, |n| format!("audio_segment_{n}_audio_track.m4s")),
                    Take::Audio,
                )?,
            ))
        },
        frames: [288, 477],
        lost: None,
        holes: 0,
    },
    Case {
        name: "fmp4-daterange-video-only",
        what: "fMP4: H.264 alone",
        steps: || {
            files(
                "fmp4-daterange-video-only",
                Some("init.mp4"),
                &names(1..=5, |n| format!("s{n}.mp4")),
                Take::All,
            )
        },
        frames: [500, 0],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-gap",
        what: "TS: a segment that does not exist",
        steps: || ts("ts-gap", &["2.ts", "3.ts", "4.ts", "6.ts", "7.ts", "8.ts"]),
        frames: [1440, 0],
        lost: None,
        holes: 1,
    },
    Case {
        name: "ts-alt-audio-renditions",
        what: "TS renditions: H.264 and AAC apart",
        steps: || {
            Some(beside(
                files("ts-alt-audio-renditions", None, &["red_1.ts".to_owned()], Take::Video)?,
                files("ts-alt-audio-renditions", None, &["original_128k.ts".to_owned()], Take::Audio)?,
            ))
        },
        frames: [120, 174],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-tiny-edge-cases",
        what: "TS: the clock wraps amid B-frames",
        steps: || ts("ts-tiny-edge-cases", &["rollover.ts"]),
        frames: [20, 0],
        lost: None,
        holes: 20,
    },
    Case {
        name: "ts-malformed 1",
        what: "TS cut after 30 packets: H.264, MP3",
        steps: || ts("ts-malformed", &["broken.ts"]),
        frames: [6, 4],
        lost: Some(([6, 3], "the file ends inside the fourth audio frame")),
        holes: 0,
    },
    Case {
        name: "ts-malformed 2",
        what: "TS: tables behind the first media",
        steps: || ts("ts-malformed", &["test-middle-pat-pmt.ts"]),
        frames: [15, 28],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-malformed 3",
        what: "one packet without tables",
        steps: || ts("ts-malformed", &["test-stuffed-pes.ts"]),
        frames: [0, 0],
        lost: Some(([0, 0], "no program")),
        holes: 0,
    },
    Case {
        name: "ts-malformed 4",
        what: "tables and one ID3 tag",
        steps: || ts("ts-malformed", &["zeroLength.ts"]),
        frames: [0, 0],
        lost: Some(([0, 0], "no usable picture")),
        holes: 0,
    },
    Case {
        name: "fmp4-malformed-sei-and-608 1",
        what: "fMP4: SEI longer than its NAL unit",
        steps: || {
            files(
                "fmp4-malformed-sei-and-608",
                Some("malformed-sei-init.mp4"),
                &["malformed-sei.m4s".to_owned()],
                Take::All,
            )
        },
        frames: [180, 258],
        lost: None,
        holes: 0,
    },
    Case {
        name: "fmp4-malformed-sei-and-608 2",
        what: "fMP4: CEA-608, two fragments 108 s apart",
        steps: || {
            files(
                "fmp4-malformed-sei-and-608",
                Some("dash-608-captions-init.mp4"),
                &["dash-608-captions-seg.m4s".to_owned()],
                Take::All,
            )
        },
        frames: [500, 0],
        lost: None,
        holes: 0,
    },
    Case {
        name: "ts-video-gap-two-segments",
        what: "TS: a lost segment of 5.7 s",
        steps: || ts("ts-video-gap-two-segments", &["skip_1.ts", "skip_3.ts"]),
        frames: [342, 0],
        lost: None,
        holes: 1,
    },
    Case {
        name: "ts-mpeg2video-scte35-mp2 1",
        what: "TS: MPEG-2 video, MP2",
        steps: || ts("ts-mpeg2video-scte35-mp2", &["sample_scte35.ts"]),
        frames: [3, 4],
        lost: Some(([0, 0], "MPEG-1/2 video")),
        holes: 0,
    },
    Case {
        name: "ts-mpeg2video-scte35-mp2 2",
        what: "TS: H.264, DTS",
        steps: || ts("ts-mpeg2video-scte35-mp2", &["sample_h264_dts_audio.ts"]),
        frames: [3, 9],
        lost: Some(([3, 0], "DTS is not supported: video alone")),
        holes: 0,
    },
    Case {
        name: "ts-mpts-scrambled",
        what: "TS: several programs, scrambled",
        steps: || ts("ts-mpts-scrambled", &["test-101.ts"]),
        frames: [0, 0],
        lost: Some(([0, 0], "the program is scrambled")),
        holes: 0,
    },
    Case {
        name: "long-source-angel-one",
        what: "fMP4 renditions by byte ranges",
        steps: || {
            Some(beside(
                ranges("long-source-angel-one", "video.m3u8", Take::Video)?,
                ranges("long-source-angel-one", "audio.m3u8", Take::Audio)?,
            ))
        },
        frames: [1500, 2814],
        lost: None,
        holes: 0,
    },
];
