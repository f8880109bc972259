//! Files that FFmpeg writes: progressive, fragmented in its own ways, with priming.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use overdub_media::mp4::{File, Track, TrackKind, read_file};
use tempfile::TempDir;

use crate::support::{Packet, as_packet, assert_same, has_ffmpeg, packets, run};

const PICTURE: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=3"];
const SOUND: [&str; 4] = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3"];
const H264: [&str; 6] = ["-c:v", "libx264", "-g", "20", "-bf", "3"];
const AAC: [&str; 4] = ["-c:a", "aac", "-ac", "2"];

fn make(folder: &TempDir, name: &str, args: &[&[&str]]) -> PathBuf {
    let path = folder.path().join(name);
    let args = [&args.concat()[..], &["-y", path.to_str().unwrap()]].concat();
    run("ffmpeg", &args);
    path
}

fn read(path: &Path) -> File {
    read_file(&Bytes::from(std::fs::read(path).unwrap())).unwrap()
}

/// Every packet of the file as ffprobe sees it without the edit list.
fn check_packets(path: &Path) -> File {
    let file = read(path);
    for track in &file.movie.tracks {
        let kind = if matches!(track.kind, TrackKind::Video(_)) { "v" } else { "a" };
        let samples = file.samples(track.id);
        assert!(!samples.is_empty());
        let mut read: Vec<_> = samples.iter().map(|s| as_packet(s, track, false)).collect();
        let mut shown = packets(path, kind, &["-ignore_editlist", "1"]);
        // Where composition offsets are negative, FFmpeg moves all times of a kind by one amount.
        if samples.iter().any(|sample| sample.cts_offset < 0) {
            for packets in [&mut read, &mut shown] {
                let first = packets[0].clone();
                packets.iter_mut().for_each(|p: &mut Packet| {
                    p.pts -= first.pts;
                    p.dts -= first.dts;
                });
            }
        }
        assert_same(&read, &shown, &format!("{kind} of {}", path.display()));
    }
    file
}

fn audio(file: &File) -> &Track {
    file.movie.audio().unwrap().0
}

#[test]
fn progressive_files_are_read_packet_by_packet() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let both = [&PICTURE[..], &SOUND, &H264, &AAC];
    // moov last, then first: chunk offsets, runs of durations, composition offsets, sync samples.
    check_packets(&make(&folder, "last.mp4", &both));
    let first = [&both[..], &[&["-movflags", "+faststart"]]].concat();
    let file = check_packets(&make(&folder, "first.mp4", &first));
    let (track, config) = file.movie.video().unwrap();
    assert_eq!((config.width, config.height, track.nal_length_size), (160, 90, 4));
    assert_eq!(track.edit_media_time, 2 * i64::from(track.timescale) / 25, "the first picture's offset");
    assert_eq!(audio(&file).edit_media_time, 1024);
    // One sample a chunk, negative composition offsets, QuickTime's sample entries.
    let negative = [&both[..], &[&["-movflags", "+negative_cts_offsets", "-chunk_duration", "1"]]].concat();
    let file = check_packets(&make(&folder, "negative.mp4", &negative));
    assert!(file.tracks[0].samples.iter().any(|sample| sample.cts_offset < 0));
    check_packets(&make(&folder, "quicktime.mov", &both));
}

#[test]
fn fragmented_files_are_read_packet_by_packet() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let both = [&PICTURE[..], &SOUND, &H264, &AAC];
    for (name, flags) in [
        ("cmaf.mp4", "+cmaf+frag_keyframe"),
        ("keyframe.mp4", "+frag_keyframe+empty_moov+default_base_moof"),
        // Bases that are absolute, and bases that follow from the run before.
        ("absolute.mp4", "+frag_keyframe+empty_moov"),
        ("omitted.mp4", "+frag_keyframe+empty_moov+omit_tfhd_offset"),
        // The first samples in the movie's own tables, the others in fragments.
        ("hybrid.mp4", "+frag_keyframe"),
        ("every.mp4", "+frag_every_frame+empty_moov+default_base_moof+negative_cts_offsets"),
        ("indexed.mp4", "+dash+global_sidx+frag_keyframe"),
    ] {
        let flags = ["-movflags", flags];
        let args = [&both[..], &[&flags]].concat();
        check_packets(&make(&folder, name, &args));
    }
}

#[test]
fn encoder_priming_is_told_by_the_edit_list_and_by_itunes() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = check_packets(&make(&folder, "sound.m4a", &[&SOUND, &AAC]));
    let track = audio(&file);
    assert_eq!((track.edit_media_time, track.edit_delay, track.priming_samples), (1024, 0, None));
    assert_eq!(track.timescale, 48_000);
    let fragmented = [&SOUND[..], &AAC, &["-movflags", "+frag_keyframe+delay_moov+default_base_moof"]];
    let file = read(&make(&folder, "sound.mp4", &fragmented));
    assert_eq!(audio(&file).edit_media_time, 1024);
}

#[test]
fn a_late_track_is_delayed_by_an_empty_edit() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let late = [&PICTURE[..], &["-itsoffset", "0.5"], &SOUND, &H264, &AAC];
    let path = make(&folder, "late.mp4", &late);
    let file = check_packets(&path);
    let track = audio(&file);
    // The movie counts in milliseconds, and priming comes before the sound.
    assert!((24_000 - 1024 - track.edit_delay).abs() < 48, "{track:?}");
    assert_eq!(track.edit_media_time, 0);
}

#[test]
fn other_codecs_are_named_and_their_samples_left_out() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, codec, fourcc) in
        [("a.mp4", "libmp3lame", "mp4a"), ("b.mp4", "ac3", "ac-3"), ("c.mov", "pcm_s16le", "sowt")]
    {
        let file = read(&make(&folder, name, &[&PICTURE, &SOUND, &H264, &["-c:a", codec]]));
        let TrackKind::Other { fourcc: found } = file.movie.tracks[1].kind else { panic!("{name}") };
        assert_eq!(found.to_string(), fourcc);
        assert_eq!(file.tracks.len(), 1);
        assert_eq!(file.tracks[0].samples.len(), 75);
    }
}
