//! What we write, as FFmpeg sees it: real media read, rewritten and compared.

use std::process::Command;

use bytes::Bytes;
use mp4_atom::Decode;
use overdub_media::flv::{self, TagKind, put_file_header, put_tag, read_tags};
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
fn flv_bodies_are_the_original_packet_for_packet() {
    if !has_ffmpeg() {
        return;
    }
    let Some(source) = angel_one() else { return };
    let mut out = Vec::new();
    put_file_header(&mut out);
    put_tag(&mut out, TagKind::Video, 0, &[&flv::avc_sequence_header(&source.video.0).unwrap()]);
    put_tag(&mut out, TagKind::Audio, 0, &[&flv::aac_sequence_header(&source.audio.0)]);
    let (mut sounds, mut count) = (source.audio.1.iter().peekable(), 0);
    let put_sound = |out: &mut Vec<u8>, sound: &AudioSample| {
        put_tag(out, TagKind::Audio, (sound.time / 48) as u32, &[&flv::AAC_RAW_HEADER, &sound.data]);
    };
    for picture in &source.video.1 {
        let ms = picture.dts_90k / 90;
        while let Some(sound) = sounds.next_if(|sound| sound.time / 48 < ms) {
            put_sound(&mut out, sound);
        }
        let header = flv::avc_nalu_header(picture.sync, (picture.pts_90k / 90 - ms) as i32);
        let lengths: Vec<_> = picture.nals.iter().map(|nal| (nal.len() as u32).to_be_bytes()).collect();
        let units = lengths.iter().zip(&picture.nals).flat_map(|(len, nal)| [&len[..], nal]);
        let body: Vec<&[u8]> = std::iter::once(&header[..]).chain(units).collect();
        put_tag(&mut out, TagKind::Video, ms as u32, &body);
        count += 1;
    }
    sounds.for_each(|sound| put_sound(&mut out, sound));
    put_tag(&mut out, TagKind::Video, 61_000, &[&flv::AVC_END_OF_SEQUENCE]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.flv");
    std::fs::write(&path, &out).unwrap();

    let original = corpus("long-source-angel-one").unwrap();
    let in_ms = |packets: Vec<Packet>, from: i64| -> Vec<Packet> {
        let ms = |time: i64| (time * 1000).div_euclid(from) + 1000;
        packets.into_iter().map(|p| Packet { pts: ms(p.pts), dts: ms(p.dts), ..p }).collect()
    };
    let expected = packets(&original.join("video_144p_108k_h264.mp4"), "v", &[]);
    assert_same(&packets(&path, "v", &[]), &in_ms(expected, 12_800), "video");
    let expected = packets(&original.join("audio_en_2c_128k_aac.mp4"), "a", &[]);
    assert_same(&packets(&path, "a", &[]), &in_ms(expected, 48_000), "audio");

    let tags = read_tags(&Bytes::from(out)).unwrap();
    assert_eq!(tags.iter().filter(|tag| tag.kind == TagKind::Video).count(), count + 2);
    assert_eq!(tags.last().unwrap().timestamp_ms, 61_000);
}

#[test]
fn pixels_that_are_not_square_are_told_of() {
    assert!(
        !init_segment(&[(1, TrackConfig::Video(&video_config()))]).unwrap().windows(4).any(|w| w == b"pasp")
    );
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.mp4");
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=96x72:rate=5:duration=1", "-vf", "setsar=64/45"];
    run("ffmpeg", &[&picture[..], &["-c:v", "libx264", path.to_str().unwrap()]].concat());
    let file = read_file(&Bytes::from(std::fs::read(&path).unwrap())).unwrap();
    let config = file.movie.video().unwrap().1;
    assert_eq!((config.width, config.height), (96, 72));
    let init = init_segment(&[(1, TrackConfig::Video(config))]).unwrap();
    let moov = mp4_atom::Moov::decode(&mut &init[init.windows(4).position(|w| w == b"moov").unwrap() - 4..])
        .unwrap();
    assert_eq!(moov.trak[0].mdia.mdhd.language, "und");
    let mp4_atom::Codec::Avc1(avc1) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!() };
    let pasp = avc1.pasp.as_ref().unwrap();
    assert_eq!((pasp.h_spacing, pasp.v_spacing), (64, 45));
    assert_eq!((moov.trak[0].tkhd.width.integer(), avc1.visual.width), (136, 96));
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
