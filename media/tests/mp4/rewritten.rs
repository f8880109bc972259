//! What we write, as FFmpeg sees it: real media read, rewritten and compared.

use std::process::Command;

use bytes::Bytes;
use overdub_media::mp4::{
    FragmentBuilder, ReadSample, TrackConfig, VIDEO_TIMESCALE, codecs, init_segment, read_file, split_nals,
};
use overdub_media::sample::{AudioConfig, AudioSample, VideoConfig, VideoSample};
use overdub_media::time::rescale;

use crate::support::{Packet, assert_same, audio_config, corpus, has_ffmpeg, packets, run, video_config};

struct Source {
    video: (VideoConfig, Vec<VideoSample>),
    audio: (AudioConfig, Vec<AudioSample>),
}

/// Moves a sample of a foreign file to our timescale, presentation beginning where the edit list says.
fn to_video(sample: &ReadSample, timescale: u32, shift: i64) -> VideoSample {
    let ticks = |time: i64| rescale(time, timescale, VIDEO_TIMESCALE);
    VideoSample {
        dts_90k: ticks(sample.dts + shift),
        pts_90k: ticks(sample.dts + shift + i64::from(sample.cts_offset)),
        duration_90k: ticks(i64::from(sample.duration)) as u32,
        sync: sample.sync,
        nals: split_nals(&sample.data, 4).unwrap(),
    }
}

fn angel_one() -> Option<Source> {
    let folder = corpus("long-source-angel-one")?;
    let open = |name| read_file(&Bytes::from(std::fs::read(folder.join(name)).unwrap())).unwrap();
    let file = open("video_144p_108k_h264.mp4");
    let (track, config) = file.movie.video().unwrap();
    // A second later, so that no decode time is negative.
    let shift = i64::from(track.timescale) - track.edit_media_time;
    let samples = file.samples(track.id).iter().map(|s| to_video(s, track.timescale, shift)).collect();
    let video = (config.clone(), samples);
    let file = open("audio_en_2c_128k_aac.mp4");
    let (track, config) = file.movie.audio().unwrap();
    let samples = file
        .samples(track.id)
        .iter()
        .map(|s| AudioSample {
            time: s.dts - track.edit_media_time + 48_000,
            duration: s.duration,
            data: s.data.clone(),
        })
        .collect();
    Some(Source { video, audio: (config.clone(), samples) })
}

/// Rewrites the source with a fragment a GOP, audio beside it.
fn rewrite(source: &Source) -> Vec<u8> {
    let (video, audio) = (&source.video.1, &source.audio.1);
    let mut out =
        init_segment(&[(1, TrackConfig::Video(&source.video.0)), (2, TrackConfig::Audio(&source.audio.0))])
            .unwrap();
    let (mut picture, mut sound, mut number) = (0, 0, 1);
    while picture < video.len() {
        let gop = video[picture + 1..].iter().position(|s| s.sync).map_or(video.len(), |at| picture + 1 + at);
        let until = video.get(gop).map_or(i64::MAX, |next| rescale(next.pts_90k, 90_000, 48_000));
        let heard = sound + audio[sound..].iter().take_while(|s| s.time < until).count();
        let fragment = FragmentBuilder::new(number)
            .video(1, &video[picture..gop])
            .audio(2, &audio[sound..heard], 0)
            .build()
            .unwrap();
        let bytes = fragment.to_vec();
        assert_eq!(bytes.len() as u64, fragment.len);
        out.extend_from_slice(&bytes);
        (picture, sound, number) = (gop, heard, number + 1);
    }
    assert_eq!(sound, audio.len());
    out
}

#[test]
fn rewritten_media_is_the_original_packet_for_packet() {
    if !has_ffmpeg() {
        return;
    }
    let Some(source) = angel_one() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    std::fs::write(&path, rewrite(&source)).unwrap();
    let original = corpus("long-source-angel-one").unwrap();

    let moved = |packets: Vec<Packet>, from: u32, to: u32| -> Vec<Packet> {
        let ticks = |time| rescale(time, from, to) + i64::from(to);
        packets.into_iter().map(|p| Packet { pts: ticks(p.pts), dts: ticks(p.dts), ..p }).collect()
    };
    let expected = packets(&original.join("video_144p_108k_h264.mp4"), "v", &[]);
    assert_eq!(expected.len(), 1500);
    let written = packets(&path, "v", &[]);
    assert_same(&written, &moved(expected, 12_800, 90_000), "video");
    let expected = packets(&original.join("audio_en_2c_128k_aac.mp4"), "a", &[]);
    assert_eq!(expected.len(), 2814);
    assert_same(&packets(&path, "a", &[]), &moved(expected, 48_000, 48_000), "audio");

    let decode = ["-xerror", "-i", path.to_str().unwrap(), "-f", "null", "-"];
    run("ffmpeg", &decode);
    // And as a stream without seeking, as a player of HLS gets it.
    let piped = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-i", "-", "-f", "null", "-"])
        .stdin(std::fs::File::open(&path).unwrap())
        .output()
        .unwrap();
    assert!(piped.status.success() && piped.stderr.is_empty(), "{}", String::from_utf8_lossy(&piped.stderr));
}

#[test]
fn the_movie_says_what_the_codecs_are() {
    let (video, audio) = (video_config(), audio_config());
    assert_eq!(codecs(TrackConfig::Video(&video)), "avc1.64001e");
    assert_eq!(codecs(TrackConfig::Audio(&audio)), "mp4a.40.2");
    if !has_ffmpeg() {
        return;
    }
    let init = init_segment(&[(7, TrackConfig::Video(&video)), (9, TrackConfig::Audio(&audio))]).unwrap();
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), init).unwrap();
    let shown = run(
        "ffprobe",
        &[
            "-show_entries",
            "stream=codec_name,codec_tag_string,id,time_base,width,height,sample_rate,channels",
            "-of",
            "csv",
            file.path().to_str().unwrap(),
        ],
    );
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        ["stream,h264,avc1,640,360,0x7,1/90000", "stream,aac,mp4a,48000,2,0x9,1/48000"]
    );
}
