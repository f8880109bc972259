//! The corpus' fMP4 cases: every packet as ffprobe sees it, counts as the manifest says.

use std::path::Path;

use bytes::Bytes;
use overdub_media::mp4::{TrackKind, read_file, read_fragment, read_init};

use crate::support::{Packet, as_packet, assert_same, corpus, has_ffmpeg, packets};

/// Reads init section and segments one by one, and compares with what ffprobe sees of them all together.
fn compare(folder: &Path, init: &str, segments: &[String], video: usize, audio: usize) {
    let init = Bytes::from(std::fs::read(folder.join(init)).unwrap());
    let movie = read_init(&init).unwrap();
    let mut all = init.to_vec();
    let mut read: Vec<Vec<Packet>> = vec![Vec::new(); movie.tracks.len()];
    let mut edited = read.clone();
    for segment in segments {
        let data = Bytes::from(std::fs::read(folder.join(segment)).unwrap());
        all.extend_from_slice(&data);
        for run in read_fragment(&movie, &data).unwrap() {
            let index = movie.tracks.iter().position(|track| track.id == run.track_id).unwrap();
            let track = &movie.tracks[index];
            read[index].extend(run.samples.iter().map(|sample| as_packet(sample, track, false)));
            edited[index].extend(run.samples.iter().map(|sample| as_packet(sample, track, true)));
        }
    }
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), &all).unwrap();
    for (kind, expected) in [("v", video), ("a", audio)] {
        let index = movie.tracks.iter().position(|track| match &track.kind {
            TrackKind::Video(_) => kind == "v",
            TrackKind::Audio(_) => kind == "a",
            TrackKind::Other { fourcc } => panic!("{fourcc}"),
        });
        let Some(index) = index else {
            assert_eq!(expected, 0);
            continue;
        };
        assert_eq!(read[index].len(), expected, "{kind} of {}", folder.display());
        if has_ffmpeg() {
            assert_same(&read[index], &packets(file.path(), kind, &["-ignore_editlist", "1"]), kind);
            let shown = packets(file.path(), kind, &[]);
            let pts = |packets: &[Packet]| packets.iter().map(|packet| packet.pts).collect::<Vec<_>>();
            assert_eq!(pts(&edited[index]), pts(&shown), "with the edit list");
        }
    }
    // The same bytes as one file give the same samples.
    let whole = read_file(&Bytes::from(all)).unwrap();
    for (index, track) in whole.movie.tracks.iter().enumerate() {
        let packets: Vec<_> = whole.samples(track.id).iter().map(|s| as_packet(s, track, false)).collect();
        assert_same(&packets, &read[index], "as one file");
    }
}

fn numbered(range: std::ops::RangeInclusive<u32>, name: impl Fn(u32) -> String) -> Vec<String> {
    range.map(name).collect()
}

#[test]
fn muxed_audio_and_video_are_read() {
    let Some(folder) = corpus("fmp4-muxed") else { return };
    compare(&folder, "init.mp4", &["hls11.m4s".into()], 60, 47);
}

#[test]
fn separate_tracks_with_edit_lists_are_read() {
    let Some(folder) = corpus("fmp4-demuxed-train") else { return };
    let segments = numbered(1..=5, |n| format!("{n}.m4s"));
    compare(&folder.join("video"), "init.mp4", &segments, 300, 0);
    compare(&folder.join("audio"), "init.mp4", &segments, 0, 470);
}

#[test]
fn short_segments_are_read() {
    let Some(folder) = corpus("fmp4-short-segments") else { return };
    compare(&folder, "video_init.mp4", &numbered(1..=12, |n| format!("video_{n}.m4s")), 90, 0);
    compare(&folder, "audio_init.mp4", &numbered(1..=12, |n| format!("audio_{n}.m4s")), 0, 131);
}

#[test]
fn a_live_window_is_read() {
    let Some(folder) = corpus("fmp4-live-window") else { return };
    let video = numbered(6..=8, |n| format!("video_segment_{n}_video_540x360.m4s"));
    compare(&folder, "video_header_video_540x360_part_0.mp4", &video, 288, 0);
    let audio = numbered(11..=16, |n| format!("audio_segment_{n}_audio_track.m4s"));
    compare(&folder, "audio_header_audio_track_part_0.mp4", &audio, 0, 477);
}

#[test]
fn malformed_sei_and_two_far_fragments_are_read() {
    let Some(folder) = corpus("fmp4-malformed-sei-and-608") else { return };
    compare(&folder, "malformed-sei-init.mp4", &["malformed-sei.m4s".into()], 180, 258);
    compare(&folder, "dash-608-captions-init.mp4", &["dash-608-captions-seg.m4s".into()], 500, 0);
}

#[test]
fn video_without_audio_is_read() {
    let Some(folder) = corpus("fmp4-daterange-video-only") else { return };
    compare(&folder, "init.mp4", &numbered(1..=5, |n| format!("s{n}.mp4")), 500, 0);
}

#[test]
fn encrypted_video_is_not_taken_for_video() {
    let Some(folder) = corpus("sample-aes-ctr-byterange") else { return };
    let file = read_file(&Bytes::from(std::fs::read(folder.join("video.mp4")).unwrap())).unwrap();
    let TrackKind::Other { fourcc } = file.movie.tracks[0].kind else { panic!("{:?}", file.movie) };
    assert_eq!(fourcc.to_string(), "encv");
    assert!(file.tracks.is_empty());
}

#[test]
fn single_files_with_an_index_are_read() {
    let Some(folder) = corpus("long-source-angel-one") else { return };
    for (name, kind, count) in
        [("video_144p_108k_h264.mp4", "v", 1500), ("audio_en_2c_128k_aac.mp4", "a", 2814)]
    {
        let path = folder.join(name);
        let file = read_file(&Bytes::from(std::fs::read(&path).unwrap())).unwrap();
        let track = &file.movie.tracks[0];
        let read: Vec<_> = file.samples(track.id).iter().map(|s| as_packet(s, track, false)).collect();
        assert_eq!(read.len(), count);
        if has_ffmpeg() {
            assert_same(&read, &packets(&path, kind, &["-ignore_editlist", "1"]), name);
        }
    }
}
