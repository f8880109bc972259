//! Stopping drains, ends outputs cleanly and leaves no file half written.

use std::time::Duration;

use serde_json::json;

use crate::kit::folder;
use crate::kit::hls::Watch;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::source::Fixture;
use crate::kit::wait;

struct Scene {
    folder: tempfile::TempDir,
    _source: Fixture,
    _processor: EchoProcessor,
    peer: RtmpPeer,
    overdub: Overdub,
}

/// A stream `s` that has aired a batch.
async fn scene() -> Scene {
    let folder = folder();
    let source = Fixture::start(folder.path(), 6).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let peer = RtmpPeer::start(Manner::Accept).await;
    let overdub = Overdub::start(folder.path()).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "srsRtmpUrl": peer.url("s"), "bufferDuration": 4, "delay": 2,
        }))
        .await;
    aired(&overdub, 1).await;
    Scene { folder, _source: source, _processor: processor, peer, overdub }
}

async fn aired(overdub: &Overdub, batches: u64) {
    overdub
        .stream_until("s", "batches have aired", Duration::from_secs(60), |stream| {
            stream["outputs"].as_array().is_some_and(|outputs| {
                outputs.len() == 2
                    && outputs.iter().all(|output| output["published"].as_u64() >= Some(batches))
            })
        })
        .await;
}

/// The server saw the publisher take its leave before the connection ended.
async fn ended_cleanly(peer: &RtmpPeer, connection: usize) {
    let of_connection = || {
        let messages = peer.messages();
        messages.into_iter().filter(|message| message.connection == connection).collect::<Vec<_>>()
    };
    let messages = wait::until("the RTMP connection ends", Duration::from_secs(10), async || {
        let messages = of_connection();
        messages.last().is_some_and(|message| message.kind == 0).then_some(messages)
    })
    .await;
    let commands: Vec<String> = messages.iter().filter_map(|message| message.command()).collect();
    assert!(commands.ends_with(&["FCUnpublish".into(), "deleteStream".into()]), "{commands:?}");
    let media_after =
        messages.iter().rev().take_while(|message| message.command().is_none()).any(|m| m.is_media());
    assert!(!media_after, "nothing follows the leave");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_by_the_api_drains_and_a_start_goes_on_with_the_next_numbers() {
    let Scene { folder: _folder, _source, _processor, peer, overdub } = scene().await;
    let watch = Watch::start(&overdub.hls_url("s"));
    wait::until("HLS is seen", Duration::from_secs(20), async || {
        (!watch.recorded("video").entries.is_empty()).then_some(())
    })
    .await;
    overdub.stop("s").await;
    assert_eq!(overdub.stream("s").await["state"], "stopped");
    ended_cleanly(&peer, 0).await;
    assert_eq!(overdub.half_written(), Vec::<std::path::PathBuf>::new());
    let last = overdub.batches("s").await.last().unwrap()["batch"].as_u64().unwrap();
    let status = overdub.get("/api/pipeline/status?streamId=s").await;
    assert_eq!(status["isRunning"], false);

    // Stopping again is no error.
    overdub.stop("s").await;
    let answer = overdub.post("/api/streams/s/start", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    wait::until("a batch beyond the last is published", Duration::from_secs(60), async || {
        let batches = overdub.batches("s").await;
        batches
            .iter()
            .any(|batch| batch["batch"].as_u64() > Some(last) && batch["state"] == "published")
            .then_some(())
    })
    .await;
    assert_eq!(watch.seen().faults, Vec::<String>::new(), "media sequence numbers went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_the_next_start_goes_on() {
    let Scene { folder, _source, _processor, peer, mut overdub } = scene().await;
    overdub.process.signal("TERM").await;
    let status = overdub.process.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
    ended_cleanly(&peer, 0).await;
    assert_eq!(overdub.half_written(), Vec::<std::path::PathBuf>::new());
    let log = overdub.process.log();
    assert!(!log.contains("panicked"), "{log}");

    // Stopping the program does not stop the stream: it is wanted, and runs again.
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let before = overdub.stream("s").await["outputs"][0]["published"].as_u64().unwrap_or(0);
    aired(&overdub, before + 1).await;
}
