//! What the corpus lacks, made here: odd packets, odd frames, changes in mid-stream, fMP4 of many shapes, and
//! sources of two containers.

use std::sync::LazyLock;

use bytes::Bytes;
use overdub_media::aac::AacParams;
use overdub_media::assemble::{Assembler, Carry, EventKind, Input, ProbedAudio, Take, probe};
use overdub_media::mp4::{self, EventMessage, FragmentBuilder, MessageTime, TrackConfig};
use overdub_media::sample::{AudioConfig, AudioSample, VideoCodec, VideoConfig, VideoSample};

use crate::ffmpeg;
use crate::mux::{AUDIO_PID, Mux, VIDEO_PID, frame, frame_number, picture_nals, second_by_second};
use crate::sources::{Outcome, Piece, beside, files, piece, run};
use crate::support::{Batch, assemble, corpus, read};

pub fn one(segment: Bytes) -> Batch {
    assemble(&[segment], Carry::default(), false).unwrap()
}

pub fn numbers(audio: &[AudioSample]) -> Vec<Option<u32>> {
    audio.iter().map(|sample| frame_number(&sample.data)).collect()
}

pub fn all_audio(batch: &Batch) -> Vec<AudioSample> {
    batch.audio().cloned().collect()
}

#[test]
fn packets_of_192_and_204_bytes_are_the_same_stream() {
    let plain = second_by_second(900_000, 2, 94, 0, 0);
    let expected = one(plain.clone());
    for (before, behind) in [(4, 0), (0, 16)] {
        let spread: Vec<u8> = plain
            .chunks(188)
            .enumerate()
            .flat_map(|(n, packet)| [&vec![n as u8 & 0x3f; before], packet, &vec![n as u8; behind]].concat())
            .collect();
        let found = one(Bytes::from(spread));
        assert_eq!(found.cuts, expected.cuts, "{before} before and {behind} behind each packet");
    }
}

/// Frames of [`frame`], with CRCs, several blocks in each.
fn blocks(first: u32, count: u32) -> Vec<u8> {
    let blocks: Vec<Vec<u8>> =
        (first..first + count).map(|n| [&frame(n)[7..], &[0xcc, 0xcc]].concat()).collect();
    let mut out = frame(first)[..7].to_vec();
    out[1] = 0xf0;
    out[6] |= (count - 1) as u8;
    let mut at = 0;
    for block in &blocks[..blocks.len() - 1] {
        at += block.len();
        out.extend((at as u16).to_be_bytes());
    }
    out.extend([0xaa, 0xaa]);
    out.extend(blocks.concat());
    let len = out.len();
    out[3] = out[3] & 0xfc | (len >> 11) as u8;
    out[4] = (len >> 3) as u8;
    out[5] = 0x1f | (len << 5) as u8;
    out
}

#[test]
fn several_blocks_a_frame_with_crc_are_single_access_units() {
    let mut mux = Mux::av();
    for picture in 0..25 {
        mux.picture(900_000 + picture * 3600, 0, picture == 0, picture as u32);
    }
    for n in 0..12 {
        mux.pes(AUDIO_PID, 900_000 + n * 4 * 1920, None, &blocks(n as u32 * 4, 4));
    }
    let batch = one(mux.segment());
    assert_eq!(numbers(&all_audio(&batch)), (0..48).map(Some).collect::<Vec<_>>());
    assert_eq!(batch.end.counters, []);
}

#[test]
fn a_rate_that_changes_between_batches_is_a_new_epoch_on_the_same_clock() {
    let first = one(second_by_second(900_000, 2, 94, 0, 0));
    // From 48 kHz to 24 kHz: frames last twice as long.
    let mut mux = Mux::av();
    for picture in 0..50 {
        mux.picture(1_080_000 + picture * 3600, 7200, picture % 25 == 0, 50 + picture as u32);
    }
    for n in 0..46u32 {
        let mut bytes = frame(n);
        bytes[2] = bytes[2] & 0xc3 | 6 << 2;
        mux.pes(AUDIO_PID, 1_080_480 + i64::from(n) * 3840, None, &bytes);
    }
    let segment = mux.segment();
    let second = assemble(std::slice::from_ref(&segment), first.end.carry.clone(), false).unwrap();
    assert!(second.end.epoch_changed);
    assert_eq!(second.end.carry.epoch(), first.end.carry.epoch() + 1);
    assert_eq!(second.end.audio.as_ref().unwrap().sample_rate, 24_000);
    assert_eq!(second.video().next().unwrap().dts_90k, 1_080_000);
    assert_eq!(second.audio().next().unwrap().time, 1_080_480 * 24 / 90);
    let third = assemble(&[segment], second.end.carry.clone(), true).unwrap();
    assert!(!third.end.epoch_changed);
    // The fetcher can tell before.
    let [before, after] = [second_by_second(900_000, 2, 94, 0, 0), Mux::av().segment()];
    let probed = probe(&Input::whole(&before)).unwrap();
    assert!(probed.same_codecs(&probe(&Input::whole(&before)).unwrap()));
    assert_eq!(probed.first_90k, Some(900_000));
    assert!(matches!(probe(&Input::whole(&after)), Ok(empty) if empty.video.is_none()));
}

/// 640x360 High.
const OTHER_SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01,
    0x00, 0x00, 0x03, 0x00, 0x30, 0x0f, 0x16, 0x2d, 0x96,
];
const OTHER_PPS: [u8; 6] = [0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

fn other_size(start: i64) -> Bytes {
    let mut mux = Mux::av();
    for n in 0..25 {
        let mut nals = picture_nals(n == 0, n as u32);
        if n == 0 {
            (nals[1], nals[2]) = (OTHER_SPS.to_vec(), OTHER_PPS.to_vec());
        }
        let bytes: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 1], &nal[..]].concat()).collect();
        mux.pes(VIDEO_PID, start + n * 3600, None, &bytes);
    }
    mux.frames(start, 500, 47);
    mux.segment()
}

#[test]
fn parameter_sets_that_change_begin_an_epoch() {
    let first = second_by_second(900_000, 2, 94, 0, 0);
    let second = other_size(1_080_480);
    let [before, after] = [&first, &second].map(|segment| probe(&Input::whole(segment)).unwrap());
    assert!(!after.same_codecs(&before));
    // Closed where the fetcher was told to.
    let batch = assemble(std::slice::from_ref(&first), Carry::default(), false).unwrap();
    let next = assemble(std::slice::from_ref(&second), batch.end.carry.clone(), false).unwrap();
    assert!(next.end.epoch_changed && next.end.carry.epoch() == 1);
    assert_eq!(next.end.video.as_ref().unwrap().width, 640);
    // Amid a batch: counted, all pictures there, and the next batch is the new epoch.
    let both = assemble(&[first, second], Carry::default(), false).unwrap();
    assert_eq!((both.count("video_config_changes"), both.video().count()), (1, 75));
    let next = assemble(&[other_size(1_170_720)], both.end.carry.clone(), false).unwrap();
    assert!(next.end.epoch_changed);
}

#[test]
fn stream_types_that_lie_are_found_out() {
    let media = |types: [u8; 2], start: i64| {
        let mut mux = Mux::default();
        mux.tables(&[(types[0], VIDEO_PID), (types[1], AUDIO_PID)]);
        for picture in 0..25 {
            mux.picture(start + picture * 3600, 0, picture % 5 == 0, picture as u32);
        }
        for n in 0..23 {
            mux.frames(start + n * 3840, n as u32 * 2, 2);
        }
        mux.segment()
    };
    let expected = one(media([0x1b, 0x0f], 900_000));
    for (types, lies) in [([0x24, 0x0f], 1), ([0x1b, 0x03], 1), ([0x02, 0x81], 2), ([0x1b, 0x06], 1)] {
        let batch = one(media(types, 900_000));
        assert_eq!(batch.cuts, expected.cuts, "{types:x?}");
        assert_eq!(batch.count("ts_wrong_stream_types"), lies, "{types:x?}");
        // The next batch knows.
        let next = assemble(&[media(types, 990_000)], batch.end.carry.clone(), false).unwrap();
        assert_eq!(next.audio().count(), 46);
    }
    // MP3 that calls itself AAC.
    let mut mux = Mux::av();
    for n in 0..20 {
        let mut mp3 = vec![0xff, 0xfb, 0x14, 0xc4];
        mp3.resize(96, n as u8);
        mux.pes(AUDIO_PID, 900_000 + n * 2160, None, &mp3);
    }
    let segment = mux.segment();
    let probed = probe(&Input::whole(&segment)).unwrap();
    assert!(matches!(probed.audio, Some(ProbedAudio::Foreign(..))), "{probed:?}");
}

/// A second of pictures and sound from another source, and what describes them.
struct Samples {
    video: Vec<VideoSample>,
    audio: Vec<AudioSample>,
    video_config: VideoConfig,
    audio_config: AudioConfig,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    let batch = one(second_by_second(0, 4, 188, 0, 0));
    Samples {
        video: batch.video().cloned().collect(),
        audio: all_audio(&batch),
        video_config: batch.end.video.clone().unwrap(),
        audio_config: batch.end.audio.clone().unwrap(),
    }
});

impl Samples {
    fn init(&self, tracks: Take) -> Bytes {
        let (video, audio) = (TrackConfig::Video(&self.video_config), TrackConfig::Audio(&self.audio_config));
        let tracks = match tracks {
            Take::All => vec![(1, video), (2, audio)],
            Take::Video => vec![(1, video)],
            Take::Audio => vec![(2, audio)],
        };
        Bytes::from(mp4::init_segment(&tracks).unwrap())
    }

    /// A second, `chunks` fragments to it, `offset_s` later than it was.
    fn segment(&self, second: usize, chunks: usize, offset_s: i64, tracks: Take) -> Bytes {
        let (mut out, per_chunk) = (Vec::new(), 25 / chunks);
        let shifted: Vec<VideoSample> = self.video[second * 25..][..25]
            .iter()
            .map(|sample| VideoSample {
                dts_90k: sample.dts_90k + offset_s * 90_000,
                pts_90k: sample.pts_90k + offset_s * 90_000,
                ..sample.clone()
            })
            .collect();
        for (index, video) in shifted.chunks(per_chunk).enumerate() {
            let all = &self.audio[second * 47..][..47];
            let audio = &all[index * 47 / chunks..(index + 1) * 47 / chunks];
            let mut builder = FragmentBuilder::new(index as u32 + 1);
            if tracks != Take::Audio {
                builder = builder.video(1, video);
            }
            if tracks != Take::Video {
                builder = builder.audio(2, audio, offset_s * 48_000);
            }
            out.extend(builder.build().unwrap().to_vec());
        }
        Bytes::from(out)
    }
}

fn seconds(chunks: usize, offset_s: i64, tracks: Take) -> Vec<Vec<Piece>> {
    let init = Some(SAMPLES.init(tracks));
    (0..4)
        .map(|second| {
            let data = SAMPLES.segment(second, chunks, offset_s, tracks);
            vec![Piece { data, init: init.clone(), take: tracks }]
        })
        .collect()
}

fn same_media(out: &Outcome) {
    assert_eq!(out.errors, Vec::<String>::new());
    let nals = |video: &[VideoSample]| video.iter().map(|sample| sample.nals.clone()).collect::<Vec<_>>();
    assert!(nals(&out.video) == nals(&SAMPLES.video), "{} pictures", out.video.len());
    assert_eq!(numbers(&out.audio), numbers(&SAMPLES.audio));
    let offset = |video: &[VideoSample], audio: &[AudioSample]| audio[0].time * 90 / 48 - video[0].dts_90k;
    // Half a sample's rounding apart.
    let moved = offset(&out.video, &out.audio) - offset(&SAMPLES.video, &SAMPLES.audio);
    assert!(moved.abs() <= 2, "{moved}");
}

#[test]
fn fmp4_of_one_or_many_fragments_a_segment_is_the_same_media() {
    for chunks in [1, 5, 25] {
        for per_batch in [1, 2, 4] {
            let out = run(&seconds(chunks, 0, Take::All), per_batch);
            same_media(&out);
            assert_eq!(out.counters.to_vec(), [], "{chunks} {per_batch}");
        }
    }
}

#[test]
fn fragments_that_do_not_say_when_they_are_follow_on_each_other() {
    let untold = |piece: &Piece| {
        let mut data = piece.data.to_vec();
        let marks: Vec<usize> = (4..data.len() - 4).filter(|at| &data[*at..at + 4] == b"tfdt").collect();
        assert!(!marks.is_empty());
        for at in marks {
            data[at..at + 4].copy_from_slice(b"free");
        }
        Piece { data: Bytes::from(data), init: piece.init.clone(), take: piece.take }
    };
    let steps: Vec<Vec<Piece>> = seconds(5, 0, Take::All);
    let untold: Vec<Vec<Piece>> = steps.iter().map(|step| step.iter().map(untold).collect()).collect();
    for per_batch in [1, 3] {
        let (told, out) = (run(&steps, per_batch), run(&untold, per_batch));
        let length = |out: &Outcome| out.video.last().unwrap().dts_90k - out.video[0].dts_90k;
        assert_eq!((length(&out), out.video.len()), (length(&told), told.video.len()), "{:?}", out.counters);
        assert!(out.audio.iter().map(|sample| &sample.data).eq(told.audio.iter().map(|sample| &sample.data)));
    }
}

#[test]
fn wall_clock_times_are_as_good_as_any() {
    let out = run(&seconds(1, 1_764_000_000, Take::All), 2);
    same_media(&out);
    assert!(out.video[0].dts_90k < 1 << 33);
}

#[test]
fn renditions_of_different_containers_are_joined_by_time() {
    // Video in fMP4, audio as packed AAC whose tags tell the time, in segments of another length.
    let params = AacParams::of(&SAMPLES.audio_config).unwrap();
    let packed = SAMPLES.audio.chunks(31).map(|frames| {
        let mut data = tag(frames[0].time * 90 / 48);
        for frame in frames {
            data.extend(params.adts_header(frame.data.len()).unwrap());
            data.extend(&frame.data);
        }
        vec![Piece { take: Take::Audio, ..piece(Bytes::from(data)) }]
    });
    let audio: Vec<_> = packed.collect();
    for per_batch in [2, 9] {
        same_media(&run(&beside(seconds(1, 0, Take::Video), audio.clone()), per_batch));
    }
    // Both in fMP4, apart; and the sound of one file with both, taken alone.
    same_media(&run(&beside(seconds(1, 0, Take::Video), seconds(5, 0, Take::Audio)), 2));
    let out = run(
        &beside(seconds(1, 0, Take::Video), {
            let mut both = seconds(1, 0, Take::All);
            both.iter_mut().flatten().for_each(|piece| piece.take = Take::Audio);
            both
        }),
        4,
    );
    same_media(&out);
}

fn tag(time: i64) -> Vec<u8> {
    let mut frame = b"PRIV\0\0\0\x35\0\0com.apple.streaming.transportStreamTimestamp\0".to_vec();
    frame.extend(time.to_be_bytes());
    [&b"ID3\x04\0\0\0\0\0"[..], &[frame.len() as u8], &frame].concat()
}

#[test]
fn event_messages_come_out_with_their_times() {
    let mut steps = seconds(1, 0, Take::All);
    let message = EventMessage {
        scheme: "https://aomedia.org/emsg/ID3".into(),
        value: "".into(),
        timescale: 1000,
        time: MessageTime::Absolute(2500),
        duration: 0,
        id: 1,
        data: Bytes::from_static(b"ID3"),
    };
    let mut boxes = b"\0\0\0\x08styp".to_vec();
    mp4::put_event_message(&mut boxes, &message);
    // Version 0: half a second behind the segment's first picture.
    let mut old = b"emsg\0\0\0\0urn:scte:scte35:2013:bin\0\0".to_vec();
    for word in [10u32, 5, 0, 2] {
        old.extend(word.to_be_bytes());
    }
    boxes.extend((old.len() as u32 + 4).to_be_bytes());
    boxes.extend(old);
    boxes.extend(b"\0\0\0\x0csidx\0\0\0\0");
    steps[2][0].data = Bytes::from([&boxes, &steps[2][0].data[..]].concat());
    let out = run(&steps, 2);
    same_media(&out);
    let first = out.video[50].pts_90k.min(out.audio[94].time * 90 / 48);
    let times: Vec<_> = out.events.iter().map(|event| event.time_90k).collect();
    assert_eq!(times, [225_000, first + 45_000]);
    assert!(matches!(&out.events[1].kind, EventKind::Message(m) if m.id == 2));
}

#[test]
fn a_cut_segment_costs_what_is_cut_off_alone() {
    let whole = SAMPLES.segment(0, 5, 0, Take::All);
    let init = SAMPLES.init(Take::All);
    let mut last = (0, 0);
    for len in (0..whole.len()).step_by(701).chain([whole.len()]) {
        let data = whole.slice(..len);
        let mut assembler = Assembler::new(Carry::default(), false);
        let pushed = assembler.push(&Input::whole(&data).with_init(&init));
        let mut cuts = assembler.take_cuts();
        if let Ok(end) = assembler.finish() {
            cuts.extend(end.cuts);
        }
        let count = |of: fn(&overdub_media::assemble::MediaCut) -> usize| cuts.iter().map(of).sum::<usize>();
        let now = (count(|cut| cut.video.len()), count(|cut| cut.audio.len()));
        assert!(now >= last && (pushed.is_ok() || now == (0, 0)), "{len}: {now:?} after {last:?}");
        last = now;
    }
    assert_eq!(last, (25, 47));
}

#[test]
fn the_picture_goes_on_with_new_parameter_sets_of_an_init_section() {
    let mut steps = seconds(1, 0, Take::All);
    let changed = VideoConfig {
        sps: vec![Bytes::from_static(&OTHER_SPS)],
        pps: vec![Bytes::from_static(&OTHER_PPS)],
        ..VideoConfig::default()
    };
    // Without sets in band, as fMP4 should be.
    let bare = |sample: &VideoSample| VideoSample {
        nals: sample.nals.iter().filter(|nal| !matches!(nal[0] & 31, 7 | 8)).cloned().collect(),
        ..sample.clone()
    };
    for (second, step) in steps.iter_mut().enumerate() {
        let video: Vec<_> = SAMPLES.video[second * 25..][..25].iter().map(bare).collect();
        step[0].data = Bytes::from(FragmentBuilder::new(1).video(1, &video).build().unwrap().to_vec());
        if second >= 2 {
            let tracks = [(1, TrackConfig::Video(&changed))];
            step[0].init = Some(Bytes::from(mp4::init_segment(&tracks).unwrap()));
        }
    }
    let out = run(&steps, 4);
    assert_eq!((out.video.len(), out.counters.get("video_config_changes")), (100, 1));
    let kinds: Vec<u8> = out.video[50].nals.iter().map(|nal| nal[0] & 31).collect();
    assert_eq!(kinds, [9, 7, 8, 5], "readers of one configuration are told in band");
    assert!(out.video.iter().enumerate().all(|(n, s)| n == 50 || s.nals.iter().all(|nal| nal[0] & 31 != 7)));
    // In batches that end there, the second is a new epoch, with nothing added.
    let out = run(&steps, 2);
    assert_eq!((out.epochs, out.video[50].nals.len()), (1, 2));
}

#[test]
fn explicit_sbr_is_taken_back_to_its_core() {
    // Object type 5, 24 kHz core, stereo, 48 kHz out, then LC.
    let config = AudioConfig {
        audio_specific_config: Bytes::from_static(&[0x2b, 0x11, 0x88, 0x00]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 5,
        frame_samples: 2048,
        ..AudioConfig::default()
    };
    let init = Bytes::from(mp4::init_segment(&[(2, TrackConfig::Audio(&config))]).unwrap());
    let audio: Vec<_> = (0..40)
        .map(|n| AudioSample { time: n * 2048, duration: 2048, data: Bytes::from(vec![0x21; 100]) })
        .collect();
    let data = Bytes::from(FragmentBuilder::new(1).audio(2, &audio, 0).build().unwrap().to_vec());
    let out = run(&[vec![Piece { data, init: Some(init), take: Take::All }]], 1);
    let config = out.audio_config.unwrap();
    assert_eq!((config.sample_rate, config.frame_samples, config.object_type), (24_000, 1024, 2));
    assert!(out.audio.windows(2).all(|pair| pair[0].time + 1024 == pair[1].time));
}

#[test]
fn h265_goes_through_fmp4_and_decodes() {
    let Some(steps) = files("ts-hevc-aac-portrait", None, &["0.ts".into(), "1.ts".into()], Take::All) else {
        return;
    };
    let out = run(&steps, 1);
    let (video, audio) = (out.video_config.as_ref().unwrap(), out.audio_config.as_ref().unwrap());
    assert_eq!(video.codec, VideoCodec::H265);
    let tracks = [(1, TrackConfig::Video(video)), (2, TrackConfig::Audio(audio))];
    let init = Bytes::from(mp4::init_segment(&tracks).unwrap());
    let fragment = FragmentBuilder::new(1).video(1, &out.video).audio(2, &out.audio, 0).build().unwrap();
    let data = Bytes::from(fragment.to_vec());
    let again = run(&[vec![Piece { data: data.clone(), init: Some(init.clone()), take: Take::All }]], 1);
    assert!(again.video.iter().map(|s| &s.nals).eq(out.video.iter().map(|s| &s.nals)));
    assert_eq!(again.video_config, out.video_config);
    assert!(mp4::codecs(TrackConfig::Video(video)).starts_with("hvc1.1.6.L"));
    let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    std::fs::write(file.path(), [init, data].concat()).unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["-v", "error", "-xerror", "-i", path, "-map", "0:v", "-f", "framecrc", "-"];
    let Some(frames) = ffmpeg::run("ffmpeg", &args) else { return };
    let decoded = String::from_utf8(frames).unwrap().lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(decoded, 300);
}

#[test]
fn a_real_multiplex_of_two_containers_is_joined() {
    // Video in TS, audio of another container with the same times.
    let Some(video) = files("ts-avc-aac-vod", None, &["n_0_0_0.ts".into()], Take::Video) else { return };
    let Some(path) = corpus("ts-avc-aac-vod/n_0_0_0.ts") else { return };
    let whole = one(read(&path));
    let audio_config = whole.end.audio.clone().unwrap();
    let init = Bytes::from(mp4::init_segment(&[(2, TrackConfig::Audio(&audio_config))]).unwrap());
    let audio = all_audio(&whole);
    let data = Bytes::from(FragmentBuilder::new(1).audio(2, &audio, 0).build().unwrap().to_vec());
    let audio = vec![vec![Piece { data, init: Some(init), take: Take::Audio }]];
    let out = run(&beside(video, audio), 1);
    assert_eq!(out.audio, all_audio(&whole));
    assert!(out.video.iter().eq(whole.video()));
}
