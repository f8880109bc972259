//! The kit judged by itself: a faithful relay passes, every kind of unfaithful one fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::kit::compare::{Match, Pair, Tolerance, compare};
use crate::kit::nginx::NginxRtmp;
use crate::kit::packets::{Kind, Track, read};
use crate::kit::process::{ChildWatch, Process, output};
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::site::{Reply, Site};
use crate::kit::{corpus, folder, hls, root, wait};

/// RTMP counts milliseconds: two roundings of half of one.
const RTMP: Tolerance = Tolerance { drift_s: 0.001_01 };

async fn tracks(path: &Path) -> (Track, Track) {
    (read(path, Kind::Video).await.unwrap(), read(path, Kind::Audio).await.unwrap())
}

/// 80 s of the looped film as MPEG-TS: one seam.
async fn film(folder: &Path) -> Option<PathBuf> {
    let film = corpus()?.join("long-source-angel-one");
    let (looped, stream) = (folder.join("loop.mp4"), folder.join("film.ts"));
    let mut mux = Command::new("ffmpeg");
    mux.args(["-v", "error", "-i"]).arg(film.join("video_144p_108k_h264.mp4"));
    mux.arg("-i").arg(film.join("audio_en_2c_128k_aac.mp4"));
    mux.args(["-map", "0:v", "-map", "1:a", "-t", "60", "-c", "copy"]).arg(&looped);
    output(&mut mux).await.unwrap();
    let mut repeat = Command::new("ffmpeg");
    repeat.args(["-v", "error", "-stream_loop", "1", "-i"]).arg(&looped);
    repeat.args(["-t", "80", "-c", "copy"]).arg(&stream);
    output(&mut repeat).await.unwrap();
    Some(stream)
}

fn relay(stream: &Path, url: &str) -> Command {
    let mut relay = Command::new("ffmpeg");
    relay.args(["-v", "error", "-i"]).arg(stream).args(["-c", "copy", "-f", "flv", url]);
    relay
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faithful_relay_is_found_equal_and_a_doctored_one_is_not() {
    let folder = folder();
    let Some(stream) = film(folder.path()).await else { return };
    let nginx = NginxRtmp::start(folder.path()).await.unwrap();
    output(&mut relay(&stream, &nginx.url("relay"))).await.unwrap();
    let recording = wait::until("nginx has recorded", Duration::from_secs(10), async || {
        nginx.log().contains("deleteStream").then(|| nginx.recordings("relay").pop()).flatten()
    })
    .await;

    let (video, audio) = tracks(&stream).await;
    let (got_video, got_audio) = tracks(&recording).await;
    let judge = |got_video: &Track, got_audio: &Track| -> Result<Match, String> {
        let source = Pair { video: &video, audio: &audio };
        compare(source, Pair { video: got_video, audio: got_audio }, RTMP)
    };
    let found = judge(&got_video, &got_audio).unwrap();
    assert_eq!((found.pictures, found.access_units), (video.packets.len(), audio.packets.len()));
    assert!(found.pictures >= 2000 && found.access_units >= 3740, "{found:?}");
    assert!(found.lip_sync_s.0.abs() < 0.001 && found.lip_sync_s.1.abs() < 0.001, "{found:?}");

    let doctored = |what: &str, change: &dyn Fn(&mut Track, &mut Track)| {
        let (mut video, mut audio) = (got_video.clone(), got_audio.clone());
        change(&mut video, &mut audio);
        let verdict = judge(&video, &audio);
        assert!(verdict.is_err(), "{what} passed: {verdict:?}");
        println!("{what}: {}", verdict.unwrap_err());
    };
    doctored("a missing picture", &|video, _| drop(video.packets.remove(700)));
    doctored("a picture twice", &|video, _| video.packets.insert(700, video.packets[700].clone()));
    doctored("two pictures exchanged", &|video, _| {
        let (left, right) = video.packets.split_at_mut(701);
        std::mem::swap(&mut left[700].payload, &mut right[0].payload);
    });
    doctored("a changed byte", &|_, audio| *audio.packets[900].payload[0].last_mut().unwrap() ^= 1);
    doctored("a missing NAL unit", &|video, _| drop(video.packets[0].payload.remove(0)));
    doctored("a missing first access unit", &|_, audio| drop(audio.packets.remove(0)));
    doctored("audio that is 3 ms late from the seam on", &|_, audio| {
        audio
            .packets
            .iter_mut()
            .skip(2900)
            .for_each(|packet| (packet.dts, packet.pts) = (packet.dts + 3, packet.pts + 3));
    });
    doctored("a stretch of time", &|video, audio| {
        for packet in video.packets.iter_mut().chain(&mut audio.packets) {
            (packet.dts, packet.pts) = (packet.dts * 10_001 / 10_000, packet.pts * 10_001 / 10_000);
        }
    });
    doctored("a decode time that stands still", &|video, _| video.packets[5].dts = video.packets[4].dts);
    doctored("an empty track", &|_, audio| audio.packets.clear());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rtmp_peer_notes_a_publish_and_can_refuse_one() {
    let folder = folder();
    let stream = folder.path().join("fixture.ts");
    let segments =
        (0..3).map(|n| std::fs::read(root().join(format!("fixtures/live/segment-{n}.ts"))).unwrap());
    std::fs::write(&stream, segments.flatten().collect::<Vec<u8>>()).unwrap();
    let peer = RtmpPeer::start(Manner::Accept).await;
    output(&mut relay(&stream, &peer.url("a"))).await.unwrap();
    let messages = wait::until("the connection ends", Duration::from_secs(10), async || {
        let messages = peer.messages();
        messages.iter().any(|message| message.kind == 0).then_some(messages)
    })
    .await;
    let times = |kind: u8| {
        let media = messages.iter().filter(|message| message.kind == kind && message.is_media());
        media.map(|message| message.timestamp_ms).collect::<Vec<u32>>()
    };
    assert_eq!(times(9).len(), 150);
    let expected: Vec<u32> = (0..150).map(|n| n * 40).collect();
    assert_eq!(times(9), expected, "decode times, 40 ms apart");
    assert_eq!(times(8).len(), read(&stream, Kind::Audio).await.unwrap().packets.len());
    let commands: Vec<String> = messages.iter().filter_map(|message| message.command()).collect();
    assert!(commands.ends_with(&["FCUnpublish".into(), "deleteStream".into()]), "{commands:?}");

    peer.behave(Manner::Refuse);
    let error = output(&mut relay(&stream, &peer.url("b"))).await.unwrap_err().to_string();
    assert!(error.contains("as told"), "{error}");
    peer.behave(Manner::HangUp);
    assert!(output(&mut relay(&stream, &peer.url("c"))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_process_leaves_evidence_even_when_it_is_gone() {
    let folder = folder();
    let start = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh", command, &folder.path().join("sh.log")).unwrap()
    };
    let mut innocent = start("echo ready; read -r line < /dev/zero");
    innocent.line_after("ready", Duration::from_secs(5)).await;
    let watch = ChildWatch::start(innocent.id());
    assert_eq!(watch.evidence().unwrap(), Vec::<String>::new());

    // The watch starts after the child has gone, so only the accounts can tell.
    let mut guilty = start("(true); echo ready; read -r line < /dev/zero");
    guilty.line_after("ready", Duration::from_secs(5)).await;
    let evidence = ChildWatch::start(guilty.id()).evidence().unwrap();
    assert!(evidence.iter().any(|line| line.contains("cminflt")), "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hls_watch_keeps_what_is_listed_and_reports_what_must_not_be() {
    fn playlist(first: u64, name: &str) -> Vec<u8> {
        let entries: String = (first..first + 3).map(|n| format!("#EXTINF:2,\n{name}{n}.ts\n")).collect();
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{entries}").into_bytes()
    }
    fn answers(first: u64, name: &'static str) -> impl Fn(&str) -> Reply + Send + 'static {
        move |path| match path {
            "/index.m3u8" => {
                Reply::Whole(200, "", b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n".to_vec())
            }
            "/v.m3u8" => Reply::Whole(200, "", playlist(first, name)),
            "/s6.ts" => Reply::not_found(),
            path => Reply::Whole(200, "", path.as_bytes().to_vec()),
        }
    }
    let site = Site::start(answers(0, "s")).await;
    let watch = hls::Watch::start(&site.url("/index.m3u8"));
    let limit = Duration::from_secs(10);
    wait::until("three are seen", limit, async || (watch.recorded("video").entries.len() == 3).then_some(()))
        .await;
    site.answer(answers(2, "s"));
    wait::until("five are seen", limit, async || (watch.recorded("video").entries.len() == 5).then_some(()))
        .await;
    assert_eq!(watch.seen().faults, Vec::<String>::new());
    assert_eq!(watch.recorded("video").entries[4].2, b"/s4.ts");

    for (first, name, fault) in [
        (1, "s", "goes back"),
        (2, "t", "an entry changed"),
        (6, "s", "follows where"),
        (4, "s", "cannot be had"),
    ] {
        site.answer(answers(first, name));
        wait::until(fault, limit, async || {
            watch.seen().faults.iter().any(|seen| seen.contains(fault)).then_some(())
        })
        .await;
    }
}
