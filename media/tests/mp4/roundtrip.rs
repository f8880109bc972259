//! Samples to fragment and back.

use bytes::Bytes;
use mp4_atom::Decode;
use overdub_media::mp4::{
    FIRST_TFDT_VALUE_OFFSET, FragmentBuilder, Movie, Mp4Error, TrackConfig, TrackKind, decoder_configuration,
    init_segment, read_fragment, read_init, split_nals, tfdt_value_offset,
};
use overdub_media::sample::{AudioSample, VideoSample};
use proptest::prelude::*;

use crate::support::{audio_config, video_config};

const VIDEO: u32 = 1;
const AUDIO: u32 = 2;

fn movie() -> Movie {
    let init = init_segment(&[
        (VIDEO, TrackConfig::Video(&video_config())),
        (AUDIO, TrackConfig::Audio(&audio_config())),
    ]);
    read_init(&Bytes::from(init.unwrap())).unwrap()
}

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), len).prop_map(Bytes::from)
}

prop_compose! {
    /// Consecutive pictures.
    fn video(max: usize)(
        start in 0i64..1 << 40,
        rows in proptest::collection::vec(
            (any::<bool>(), -9000i64..90_000, 1u32..20_000, proptest::collection::vec(bytes(1..50), 1..5)),
            0..max,
        ),
    ) -> Vec<VideoSample> {
        let mut dts_90k = start;
        rows.into_iter().map(|(sync, offset, duration_90k, nals)| {
            let sample = VideoSample { dts_90k, pts_90k: dts_90k + offset, duration_90k, sync, nals };
            dts_90k += i64::from(duration_90k);
            sample
        }).collect()
    }
}

prop_compose! {
    /// Consecutive access units.
    fn audio(max: usize)(
        start in 0i64..1 << 40,
        rows in proptest::collection::vec((1u32..4096, bytes(4..300)), 0..max),
    ) -> Vec<AudioSample> {
        let mut time = start;
        rows.into_iter().map(|(duration, data)| {
            let sample = AudioSample { time, duration, data };
            time += i64::from(duration);
            sample
        }).collect()
    }
}

/// What a fragment holds, as it was given.
fn read_back(fragment: &Bytes) -> (Vec<VideoSample>, Vec<AudioSample>) {
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for run in read_fragment(&movie(), fragment).unwrap() {
        match run.track_id {
            VIDEO => video.extend(run.samples.iter().map(|s| VideoSample {
                dts_90k: s.dts,
                pts_90k: s.dts + i64::from(s.cts_offset),
                duration_90k: s.duration,
                sync: s.sync,
                nals: split_nals(&s.data, 4).unwrap(),
            })),
            _ => audio.extend(run.samples.iter().map(|s| {
                assert!(s.sync && s.cts_offset == 0);
                AudioSample { time: s.dts, duration: s.duration, data: s.data.clone() }
            })),
        }
    }
    (video, audio)
}

proptest! {
    #[test]
    fn what_is_written_is_read(video in video(20), audio in audio(40), offset in -1000i64..1000) {
        let fragment =
            FragmentBuilder::new(3).video(VIDEO, &video).audio(AUDIO, &audio, offset).build();
        if video.is_empty() && audio.is_empty() {
            prop_assert_eq!(fragment.unwrap_err(), Mp4Error::Empty);
            return Ok(());
        }
        if audio.first().is_some_and(|first| first.time + offset < 0) {
            prop_assert!(fragment.is_err());
            return Ok(());
        }
        let fragment = fragment.unwrap();
        let data = Bytes::from(fragment.to_vec());
        prop_assert_eq!(fragment.len, data.len() as u64);
        let shifted: Vec<_> =
            audio.iter().map(|s| AudioSample { time: s.time + offset, ..s.clone() }).collect();
        prop_assert_eq!(read_back(&data), (video.clone(), shifted));

        // The same again from what was read.
        let runs = read_fragment(&movie(), &data).unwrap();
        let again = runs.iter().fold(FragmentBuilder::new(3), |b, run| b.read_samples(run.track_id, &run.samples, 0));
        prop_assert_eq!(Bytes::from(again.build().unwrap().to_vec()), data.clone());

        // Two fragments in one buffer are one longer run.
        let twice = Bytes::from([&data[..], &data].concat());
        let (pictures, sounds) = read_back(&twice);
        prop_assert_eq!((pictures.len(), sounds.len()), (2 * video.len(), 2 * audio.len()));
    }

    #[test]
    fn patching_the_decode_time_shifts_the_track(audio in audio(10), shift in 0i64..1 << 40) {
        prop_assume!(!audio.is_empty());
        let zero = -audio[0].time;
        let fragment = FragmentBuilder::new(1).audio(AUDIO, &audio, zero).build().unwrap();
        let mut bytes = fragment.to_vec();
        prop_assert_eq!(tfdt_value_offset(&bytes, 0), Some(FIRST_TFDT_VALUE_OFFSET));
        prop_assert_eq!(tfdt_value_offset(&fragment.chunks[0][..fragment.chunks[0].len() - 8], 0), Some(FIRST_TFDT_VALUE_OFFSET));
        prop_assert_eq!(tfdt_value_offset(&bytes, 1), None);
        let field = &mut bytes[FIRST_TFDT_VALUE_OFFSET..FIRST_TFDT_VALUE_OFFSET + 8];
        prop_assert_eq!(&*field, &[0; 8]);
        field.copy_from_slice(&shift.to_be_bytes());
        let shifted: Vec<_> =
            audio.iter().map(|s| AudioSample { time: s.time + zero + shift, ..s.clone() }).collect();
        prop_assert_eq!(read_back(&Bytes::from(bytes)).1, shifted);
    }
}

fn picture(dts_90k: i64, pts_90k: i64) -> VideoSample {
    let nals = vec![Bytes::from_static(&[9, 0x10]), Bytes::from_static(&[0x65, 1, 2, 3])];
    VideoSample { dts_90k, pts_90k, duration_90k: 3600, sync: true, nals }
}

#[test]
fn payload_is_never_copied() {
    let pictures = [picture(0, 0), picture(3600, 3600)];
    let sound = [AudioSample { time: 0, duration: 1024, data: Bytes::from(vec![5; 100]) }];
    let fragment = FragmentBuilder::new(1).video(VIDEO, &pictures).audio(AUDIO, &sound, 0).build().unwrap();
    let payload = &fragment.chunks[1..];
    assert_eq!(payload.len(), 2 * 2 * 2 + 1);
    for (index, nal) in pictures.iter().flat_map(|p| &p.nals).enumerate() {
        assert_eq!(payload[2 * index][..], (nal.len() as u32).to_be_bytes());
        assert_eq!(payload[2 * index + 1].as_ptr(), nal.as_ptr());
    }
    assert_eq!(payload[8].as_ptr(), sound[0].data.as_ptr());
    // Nor on the way back.
    let data = Bytes::from(fragment.to_vec());
    let runs = read_fragment(&movie(), &data).unwrap();
    let range = data.as_ptr_range();
    assert!(runs.iter().flat_map(|run| &run.samples).all(|sample| range.contains(&sample.data.as_ptr())));
}

#[test]
fn another_parser_reads_the_same() {
    let pictures = [picture(90_000, 97_200), VideoSample { sync: false, ..picture(93_600, 90_000) }];
    let sound = [AudioSample { time: 48_000, duration: 1024, data: Bytes::from(vec![5; 100]) }];
    let fragment = FragmentBuilder::new(9).video(VIDEO, &pictures).audio(AUDIO, &sound, 0).build().unwrap();
    let data = fragment.to_vec();
    let moof = mp4_atom::Moof::decode(&mut &data[..]).unwrap();
    assert_eq!(moof.mfhd.sequence_number, 9);
    let rows: Vec<_> = moof
        .traf
        .iter()
        .map(|traf| {
            assert!(traf.tfhd.default_base_is_moof && traf.tfhd.base_data_offset.is_none());
            let entries = traf.trun[0].samples.iter();
            let rows: Vec<_> = entries.map(|e| (e.duration, e.size, e.flags, e.cts)).collect();
            let time = traf.tfdt.as_ref().unwrap().base_media_decode_time;
            (traf.tfhd.track_id, time, traf.tfhd.default_sample_flags, rows)
        })
        .collect();
    let all_sync = Some(0x0200_0000);
    let video_rows = vec![
        (Some(3600), Some(14), Some(0x0200_0000), Some(7200)),
        (Some(3600), Some(14), Some(0x0101_0000), Some(-3600)),
    ];
    let audio_rows = vec![(Some(1024), Some(100), None, None)];
    assert_eq!(rows, [(VIDEO, 90_000, all_sync, video_rows), (AUDIO, 48_000, all_sync, audio_rows)]);
    let offsets: Vec<_> = moof.traf.iter().map(|traf| traf.trun[0].data_offset.unwrap() as usize).collect();
    assert_eq!(offsets, [data.len() - 128, data.len() - 100]);
}

#[test]
fn times_rule_over_durations_and_must_be_sound() {
    let mut pictures = [picture(100, 100), picture(5000, 4000), picture(5001, 9000)];
    let build = |pictures: &[VideoSample]| FragmentBuilder::new(1).video(VIDEO, pictures).build();
    let (read, _) = read_back(&Bytes::from(build(&pictures).unwrap().to_vec()));
    let times: Vec<_> = read.iter().map(|p| (p.dts_90k, p.pts_90k, p.duration_90k)).collect();
    assert_eq!(times, [(100, 100, 4900), (5000, 4000, 1), (5001, 9000, 3600)]);

    pictures[2].dts_90k = 4999;
    let error = build(&pictures).unwrap_err();
    assert_eq!(error.to_string(), "track 1, sample 2: decode time steps backwards or too far (-1)");
    let error = build(&[picture(-1, 0)]).unwrap_err();
    assert_eq!(error.to_string(), "track 1, sample 0: decode time is negative or too large (-1)");
    for extreme in [i64::MIN, i64::MAX] {
        assert!(build(&[picture(0, extreme)]).is_err());
        assert!(build(&[picture(0, 0), picture(extreme, extreme)]).is_err());
        let sound = [AudioSample { time: extreme, duration: 1, data: Bytes::new() }];
        assert!(FragmentBuilder::new(1).audio(AUDIO, &sound, extreme).build().is_err());
    }
}

#[test]
fn configurations_are_read_as_written() {
    let movie = movie();
    assert_eq!(movie.video().unwrap().1, &video_config());
    assert_eq!(movie.audio().unwrap().1, &audio_config());
    let timescales: Vec<_> = movie.tracks.iter().map(|track| (track.id, track.timescale)).collect();
    assert_eq!(timescales, [(VIDEO, 90_000), (AUDIO, 48_000)]);
    assert!(
        movie.tracks.iter().all(|t| t.edit_media_time == 0 && t.edit_delay == 0 && t.nal_length_size == 4)
    );

    // ISO/IEC 14496-15 5.3.3.1.2: High profile has chroma format and bit depths at the end.
    let record = decoder_configuration(&video_config()).unwrap();
    assert!(record.starts_with(&[1, 0x64, 0, 0x1e, 0xff, 0xe1, 0, 26, 0x67]));
    assert!(record.ends_with(&[1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0]));

    let mut fast = audio_config();
    fast.sample_rate = 96_000;
    fast.audio_specific_config = Bytes::from_static(&[0x10, 0x10]);
    let init = init_segment(&[(1, TrackConfig::Audio(&fast))]).unwrap();
    assert_eq!(read_init(&Bytes::from(init)).unwrap().tracks[0].kind, TrackKind::Audio(fast));
}

#[test]
fn a_movie_that_cannot_be_is_refused() {
    let (video, audio) = (video_config(), audio_config());
    assert!(init_segment(&[]).is_err());
    assert!(init_segment(&[(0, TrackConfig::Video(&video))]).is_err());
    assert!(init_segment(&[(u32::MAX, TrackConfig::Video(&video))]).is_err());
    assert!(init_segment(&[(1, TrackConfig::Video(&video)), (1, TrackConfig::Audio(&audio))]).is_err());
    for broken in [vec![], vec![Bytes::from_static(&[0x67, 1])], vec![Bytes::from(vec![0x67; 70_000])]] {
        let video = overdub_media::sample::VideoConfig { sps: broken, ..video_config() };
        assert!(init_segment(&[(1, TrackConfig::Video(&video))]).is_err());
    }
}
