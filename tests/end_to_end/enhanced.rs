//! H.265 by RTMP: to a server that takes it without saying so, and never to one that would not know it.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::kit::compare::{Pair, Tolerance, compare};
use crate::kit::ffmpeg_server::FfmpegServer;
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::packets::read_both;
use crate::kit::processor::EchoProcessor;
use crate::kit::site::{Reply, Site};
use crate::kit::source::join;
use crate::kit::{folder, process};

/// RTMP counts milliseconds: two roundings of half of one.
const RTMP: Tolerance = Tolerance { drift_s: 0.001_01 };
const SEGMENTS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn h265_reaches_a_real_server_unaltered_and_stays_away_from_one_that_does_not_know_it() {
    let folder = folder();
    let made = folder.path().join("source");
    std::fs::create_dir_all(&made).unwrap();
    // B-frames, so that presentation and decode times differ.
    let mut encoder = Command::new("ffmpeg");
    encoder.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]);
    encoder.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "12"]);
    encoder.args([
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "keyint=50:bframes=3:log-level=error",
    ]);
    encoder.args(["-c:a", "aac", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"]);
    encoder.arg("-hls_segment_filename").arg(made.join("%d.ts")).arg(made.join("media.m3u8"));
    process::output(&mut encoder).await.unwrap();
    let served = made.clone();
    let site = Site::start(move |path| Reply::file(&served, path)).await;

    let enhanced = FfmpegServer::start(folder.path()).unwrap();
    let plain = NginxRtmp::start(folder.path()).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let outputs = json!([
        { "type": "rtmp", "url": enhanced.url(), "takesH265": true },
        { "type": "rtmp", "url": plain.url("key") },
    ]);
    overdub
        .create(&json!({
            "streamId": "h265", "sourceUrl": site.url("/media.m3u8"), "bufferDuration": 4, "delay": 4,
            "start": "window",
            "renditions": [{ "name": "main", "audioProcessorUrl": processor.url(), "outputs": outputs }],
        }))
        .await;
    let shown = overdub
        .stream_until("h265", "the other server is not sent it", Duration::from_secs(40), |stream| {
            stream["outputs"][1]["reason"].as_str().is_some_and(|reason| reason.contains("takesH265"))
        })
        .await;
    assert_eq!(shown["settings"]["renditions"][0]["outputs"][0]["takesH265"], true, "{shown:#}");
    overdub
        .stream_until("h265", "the stream ends", Duration::from_secs(60), |stream| stream["state"] == "ended")
        .await;

    let received = enhanced.received().await;
    let whole = join(folder.path(), (0..SEGMENTS).map(|n| made.join(format!("{n}.ts")))).unwrap();
    let (video, audio) = read_both(&whole).await.unwrap();
    assert_eq!(video.packets.len(), 300);
    let (got_video, got_audio) = read_both(&received).await.unwrap();
    let source = Pair { video: &video, audio: &audio };
    let found = compare(source, Pair { video: &got_video, audio: &got_audio }, RTMP).unwrap();
    assert_eq!((found.pictures, found.access_units), (300, audio.packets.len()), "{found:?}");
    // It was connected to before the video's codec was known, and got nothing.
    for recording in plain.recordings("key") {
        assert_eq!(std::fs::metadata(&recording).unwrap().len(), 0, "{}", recording.display());
    }
}
