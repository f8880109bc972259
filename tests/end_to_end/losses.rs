//! What goes away in the middle of a stream is named, waited for and taken up again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::{LIMIT, reason};
use crate::kit::hls::Watch;
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::packets::{Track, read_both};
use crate::kit::processor::EchoProcessor;
use crate::kit::source::Fixture;
use crate::kit::{folder, free_port, wait};

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_is_named_and_its_next_life_follows_as_a_discontinuity() {
    let folder = folder();
    let port = free_port();
    let source = Fixture::start_at(folder.path(), 6, port).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    let watch = Watch::start(&overdub.hls_url("s"));
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": source.url(), "bufferDuration": 2, "delay": 2,
            "audioProcessorUrl": processor.url(), "srsRtmpUrl": null,
        }))
        .await;
    let listed = async |count: usize| {
        wait::until("segments are listed", LIMIT, async || {
            (watch.recorded("video").entries.len() >= count).then_some(())
        })
        .await;
    };
    listed(4).await;
    source.kill().await;
    let shown =
        overdub.stream_until("s", "the loss is named", LIMIT, |stream| stream["state"] == "waiting").await;
    assert!(reason(&shown).contains("source") && reason(&shown).contains("refused"), "{shown:#}");

    // Its numbers and its clock begin again, as an encoder's do that was restarted.
    let _source = Fixture::start_at(folder.path(), 6, port).await.unwrap();
    let before = watch.recorded("video").entries.len();
    overdub.stream_until("s", "the stream runs again", LIMIT, |stream| stream["state"] == "running").await;
    listed(before + 6).await;
    let seen = watch.seen();
    assert_eq!(seen.faults, Vec::<String>::new());
    for (name, recorded) in &seen.playlists {
        let marks = recorded.entries.iter().filter(|(entry, _, _)| entry.discontinuity).count();
        assert_eq!(marks, 1, "{name}: one discontinuity, where the second life begins");
    }
    assert!(overdub.process.running());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rtmp_server_that_crashes_gets_a_new_connection_that_begins_with_a_keyframe() {
    let folder = folder();
    let source = Fixture::start(folder.path(), 6).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let port = free_port();
    let nginx = NginxRtmp::start_at(folder.path(), port).await.unwrap();
    let overdub = Overdub::start(folder.path()).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": source.url(), "bufferDuration": 2, "delay": 2,
            "audioProcessorUrl": processor.url(), "srsRtmpUrl": nginx.url("s"),
        }))
        .await;
    let published = |stream: &Value, least: u64| {
        let outputs = stream["outputs"].as_array().into_iter().flatten();
        let mut rtmp =
            outputs.filter(|output| output["name"].as_str().is_some_and(|name| name.contains("rtmp")));
        rtmp.all(|output| output["up"] == true && output["published"].as_u64() >= Some(least))
    };
    overdub.stream_until("s", "batches are on air", LIMIT, |stream| published(stream, 2)).await;
    nginx.kill().await;
    let shown =
        overdub.stream_until("s", "the loss is named", LIMIT, |stream| stream["state"] == "degraded").await;
    assert!(reason(&shown).contains("rtmp"), "{shown:#}");

    let second = folder.path().join("second");
    let nginx = NginxRtmp::start_at(&second, port).await.unwrap();
    overdub.stream_until("s", "the output is up again", LIMIT, |stream| published(stream, 6)).await;
    overdub.stop("s").await;
    let recording = wait::until("a recording", LIMIT, async || {
        nginx.log().contains("deleteStream").then(|| nginx.recordings("s").pop()).flatten()
    })
    .await;
    let (video, audio) = read_both(&recording).await.unwrap();
    // H.264 7.4.1: NAL unit type 5 is a slice of an IDR picture.
    assert!(video.packets[0].payload.iter().any(|nal| nal[0] & 0x1F == 5), "the first picture is a keyframe");
    for track in [&video, &audio] {
        assert!(track.packets.windows(2).all(|pair| pair[1].dts > pair[0].dts), "decode times increase");
    }
    let start = |track: &Track| track.packets[0].dts as f64 / track.per_second as f64;
    assert!((start(&video) - start(&audio)).abs() < 0.12, "both tracks begin together");
}
