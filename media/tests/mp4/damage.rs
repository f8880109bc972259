//! Damaged and hostile files: an error or less media, never a panic, a hang or a flood.

use bytes::Bytes;
use overdub_media::mp4::{
    FragmentBuilder, TrackConfig, init_segment, read_file, read_fragment, read_init, split_nals,
    tfdt_value_offset,
};
use overdub_media::sample::{AudioSample, VideoSample};
use proptest::prelude::*;

use crate::support::{audio_config, video_config};

fn init() -> Vec<u8> {
    init_segment(&[(1, TrackConfig::Video(&video_config())), (2, TrackConfig::Audio(&audio_config()))])
        .unwrap()
}

fn fragment() -> Vec<u8> {
    let pictures: Vec<_> = (0..4)
        .map(|n| VideoSample {
            dts_90k: n * 3600,
            pts_90k: n * 3600 + 7200,
            duration_90k: 3600,
            sync: n == 0,
            nals: vec![Bytes::from_static(&[9, 0x10]), Bytes::from_static(&[0x65, 1, 2, 3])],
        })
        .collect();
    let sounds: Vec<_> = (0..4)
        .map(|n| AudioSample { time: n * 1024, duration: 1024, data: Bytes::from(vec![n as u8; 9]) })
        .collect();
    FragmentBuilder::new(1).video(1, &pictures).audio(2, &sounds, 0).build().unwrap().to_vec()
}

/// A box from its name and parts.
fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&((body.len() + 8) as u32).to_be_bytes()[..], name, &body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A progressive file: an AAC track with these tables, then `mdat` with 64 bytes.
fn progressive(tables: &[Vec<u8>]) -> Bytes {
    let template = init_segment(&[(1, TrackConfig::Audio(&audio_config()))]).unwrap();
    let find = |name: &[u8; 4]| template.windows(4).position(|w| w == name).unwrap() - 4;
    let cut = |name| {
        let at = find(name);
        let len = u32::from_be_bytes(template[at..at + 4].try_into().unwrap()) as usize;
        template[at..at + len].to_vec()
    };
    let tables: Vec<&[u8]> = tables.iter().map(Vec::as_slice).collect();
    let stbl = boxed(b"stbl", &[&cut(b"stsd"), &tables.concat()]);
    let minf = boxed(b"minf", &[&stbl]);
    let mdia = boxed(b"mdia", &[&cut(b"mdhd"), &cut(b"hdlr"), &minf]);
    let trak = boxed(b"trak", &[&cut(b"tkhd"), &mdia]);
    let moov = boxed(b"moov", &[&cut(b"mvhd"), &trak]);
    let mdat = boxed(b"mdat", &[&[7; 64]]);
    Bytes::from([mdat, moov].concat())
}

fn stts(runs: &[u32]) -> Vec<u8> {
    boxed(b"stts", &[&words(&[0, runs.len() as u32 / 2]), &words(runs)])
}

fn stsc(rows: &[u32]) -> Vec<u8> {
    boxed(b"stsc", &[&words(&[0, rows.len() as u32 / 3]), &words(rows)])
}

fn stsz(size: u32, count: u32, sizes: &[u32]) -> Vec<u8> {
    boxed(b"stsz", &[&words(&[0, size, count]), &words(sizes)])
}

fn stco(offsets: &[u32]) -> Vec<u8> {
    boxed(b"stco", &[&words(&[0, offsets.len() as u32]), &words(offsets)])
}

#[test]
fn sample_tables_are_followed() {
    let tables =
        [stts(&[0, 5, 2, 1024, 1, 960]), stsc(&[1, 2, 1, 2, 1, 1]), stsz(0, 3, &[4, 5, 6]), stco(&[8, 40])];
    let file = read_file(&progressive(&tables)).unwrap();
    let samples = file.samples(1);
    let seen: Vec<_> = samples.iter().map(|s| (s.dts, s.duration, s.data.len())).collect();
    assert_eq!(seen, [(0, 1024, 4), (1024, 1024, 5), (2048, 960, 6)]);
    let start = samples[0].data.as_ptr() as usize;
    let places: Vec<_> = samples.iter().map(|s| s.data.as_ptr() as usize - start).collect();
    assert_eq!(places, [0, 4, 32]);

    let narrow = boxed(b"stz2", &[&words(&[0, 4, 3]), &[0x45, 0x60]]);
    let tables = [stts(&[3, 1024]), stsc(&[1, 3, 1]), narrow, stco(&[8])];
    let file = read_file(&progressive(&tables)).unwrap();
    assert_eq!(file.samples(1).iter().map(|s| s.data.len()).collect::<Vec<_>>(), [4, 5, 6]);
}

/// A fragment with one 4-byte sample of the given flags, without `tfdt`.
fn bare_fragment(track: u32, flags: u32) -> Vec<u8> {
    let tfhd = boxed(b"tfhd", &[&words(&[0x2_0038, track, 1000, 4, flags])]);
    let trun = boxed(b"trun", &[&words(&[0x1, 1, 72])]);
    let moof = boxed(b"moof", &[&boxed(b"traf", &[&tfhd, &trun])]);
    assert_eq!(moof.len(), 64);
    [moof, boxed(b"mdat", &[&[1, 2, 3, 4]])].concat()
}

#[test]
fn without_a_decode_time_a_fragment_goes_on_where_the_last_sample_ended() {
    let tables = [stts(&[3, 1024]), stsc(&[1, 3, 1]), stsz(4, 3, &[]), stco(&[8])];
    let bare = bare_fragment(1, 0);
    let file = read_file(&Bytes::from([&progressive(&tables)[..], &bare, &bare].concat())).unwrap();
    let times: Vec<_> = file.samples(1).iter().map(|s| (s.dts, s.data[0])).collect();
    assert_eq!(times, [(0, 7), (1024, 7), (2048, 7), (3072, 1), (4072, 1)]);
}

#[test]
fn either_flag_marks_a_picture_that_needs_others() {
    let movie = read_init(&Bytes::from(init())).unwrap();
    let sync = |track, flags| {
        let runs = read_fragment(&movie, &Bytes::from(bare_fragment(track, flags))).unwrap();
        runs[0].samples[0].sync
    };
    assert!(sync(1, 0) && sync(1, 0x0200_0000));
    assert!(!sync(1, 0x0001_0000) && !sync(1, 0x0100_0000) && !sync(1, 0x0101_0000));
    assert!(sync(2, 0x0101_0000), "every AAC access unit can be decoded by itself");
}

#[test]
fn lying_tables_are_refused() {
    let refused = |tables: &[Vec<u8>], text: &str| {
        let error = read_file(&progressive(tables)).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    let (times, map, place) = (|| stts(&[9, 1]), || stsc(&[1, 9, 1]), || stco(&[8]));
    // One size for four thousand million samples that cost the file nothing.
    refused(&[times(), map(), stsz(1, u32::MAX, &[]), place()], "4294967295 samples are more than");
    refused(&[times(), map(), stsz(0, 9, &[1]), place()], "box stsz ends early");
    refused(&[times(), map(), stsz(500, 2, &[]), place()], "outside the");
    refused(&[times(), map(), stsz(1, 2, &[]), stco(&[u32::MAX])], "a sample of 1 bytes at byte 4294967295");
    refused(&[stts(&[1, 1]), map(), stsz(1, 2, &[]), place()], "it times too few samples");
    refused(&[times(), stsc(&[1, 1, 1]), stsz(1, 2, &[]), place()], "it locates too few samples");
    refused(&[times(), stsc(&[1, 0, 1]), stsz(1, 2, &[]), stco(&[8; 99])], "it locates too few samples");
    refused(
        &[times(), stsc(&[2, 1, 1, 1, 1, 1]), stsz(1, 2, &[]), stco(&[8, 9, 9])],
        "chunk numbers do not increase",
    );
    refused(&[times(), map(), place()], "holds no stsz");
}

#[test]
fn a_run_that_costs_nothing_is_refused() {
    let movie = read_init(&Bytes::from(init())).unwrap();
    let run = |count: u32| {
        // Default size 0: no table, no data.
        let tfhd = boxed(b"tfhd", &[&words(&[0x2_0010, 2, 0])]);
        let trun = boxed(b"trun", &[&words(&[0, count])]);
        let traf = boxed(b"traf", &[&tfhd, &trun, &trun]);
        Bytes::from(boxed(b"moof", &[&traf]))
    };
    assert_eq!(read_fragment(&movie, &run(5)).unwrap()[0].samples.len(), 10);
    let error = read_fragment(&movie, &run(u32::MAX)).unwrap_err();
    assert!(error.to_string().ends_with("4294967295 samples are more than the input can hold"), "{error}");
    // Together they are too many as well.
    assert!(read_fragment(&movie, &run(12)).is_err());
}

#[test]
fn a_fragment_of_an_unknown_track_is_refused() {
    let init = init_segment(&[(1, TrackConfig::Video(&video_config()))]).unwrap();
    let error = read_fragment(&read_init(&Bytes::from(init)).unwrap(), &Bytes::from(fragment())).unwrap_err();
    assert!(error.to_string().ends_with("the movie has no track 2"), "{error}");
}

#[test]
fn a_cut_fragment_is_refused_wherever_it_is_cut() {
    let movie = read_init(&Bytes::from(init())).unwrap();
    let data = Bytes::from(fragment());
    assert_eq!(read_fragment(&movie, &data).unwrap().len(), 2);
    for len in 8..data.len() {
        assert!(read_fragment(&movie, &data.slice(..len)).is_err(), "{len}");
    }
}

fn read_everything(data: &Bytes) {
    if let Ok(movie) = read_init(data) {
        let _ = read_fragment(&movie, data);
    }
    let _ = tfdt_value_offset(data, 1);
    if let Ok(file) = read_file(data) {
        let samples: usize = file.tracks.iter().map(|track| track.samples.len()).sum();
        assert!(samples <= data.len() / 4);
        for sample in file.tracks.iter().flat_map(|track| &track.samples).take(50) {
            let _ = split_nals(&sample.data, 4);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_bytes_never_panic(
        progressive_file in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut data = if progressive_file {
            let tables = [stts(&[3, 1024]), stsc(&[1, 2, 1]), stsz(0, 3, &[4, 5, 6]), stco(&[8, 40])];
            progressive(&tables).to_vec()
        } else {
            [init(), fragment()].concat()
        };
        for (at, value) in changes {
            let at = at.index(data.len());
            data[at] = value;
        }
        if !whole {
            data.truncate(cut.index(data.len()));
        }
        read_everything(&Bytes::from(data));
    }

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), width in 0u8..6) {
        let noise = Bytes::from(noise);
        read_everything(&noise);
        let nals = split_nals(&noise, width);
        if let Ok(nals) = nals {
            prop_assert!(nals.iter().map(Bytes::len).sum::<usize>() <= noise.len());
        }
        let movie = read_init(&Bytes::from(init())).unwrap();
        let _ = read_fragment(&movie, &Bytes::from(boxed(b"moof", &[&boxed(b"traf", &[&noise])])));
        let tfhd = boxed(b"tfhd", &[&words(&[0, 1])]);
        let traf = boxed(b"traf", &[&tfhd, &boxed(b"tfdt", &[&noise]), &boxed(b"trun", &[&noise])]);
        let _ = read_fragment(&movie, &Bytes::from(boxed(b"moof", &[&traf])));
    }

    #[test]
    fn a_damaged_sequence_parameter_set_never_panics(
        changes in proptest::collection::vec((1usize..26, any::<u8>()), 1..8),
    ) {
        let mut config = video_config();
        let mut sps = config.sps[0].to_vec();
        for (at, value) in changes {
            sps[at] = value;
        }
        config.sps[0] = Bytes::from(sps);
        let init = init_segment(&[(1, TrackConfig::Video(&config))]).unwrap();
        let movie = read_init(&Bytes::from(init)).unwrap();
        prop_assert_eq!(&movie.video().unwrap().1.sps, &config.sps);
    }
}

#[test]
fn bases_may_count_from_the_beginning_of_a_file_of_which_this_is_a_part() {
    let movie = read_init(&Bytes::from(init())).unwrap();
    let based = |base: u64, offset: u32| {
        let base = [(base >> 32) as u32, base as u32];
        let tfhd = boxed(b"tfhd", &[&words(&[0x39, 1, base[0], base[1], 1000, 4, 0])]);
        let trun = boxed(b"trun", &[&words(&[0x1, 1, offset])]);
        let moof = boxed(b"moof", &[&boxed(b"traf", &[&tfhd, &trun])]);
        assert_eq!(moof.len(), 72);
        let data = Bytes::from([moof, boxed(b"mdat", &[&[1, 2, 3, 4, 5, 6, 7, 8]])].concat());
        read_fragment(&movie, &data).map(|tracks| tracks[0].samples[0].data.to_vec())
    };
    assert_eq!(based(0, 80).unwrap(), [1, 2, 3, 4]);
    for moof_at in [3, 5_000_000_000] {
        assert_eq!(based(moof_at, 80).unwrap(), [1, 2, 3, 4], "{moof_at}");
    }
    // The base is the data itself, which all of the file precedes.
    assert_eq!(based(80, 4).unwrap(), [5, 6, 7, 8]);
    assert!(based(5_000_000_000, 0).is_err());
}
