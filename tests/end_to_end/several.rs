//! Several streams at once, each by its own id.

use std::time::Duration;

use serde_json::json;

use crate::kit::compare::{Pair, Tolerance, compare};
use crate::kit::hls::Watch;
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::packets::read_both;
use crate::kit::processor::EchoProcessor;
use crate::kit::source::Fixture;
use crate::kit::{folder, wait};

const RTMP: Tolerance = Tolerance { drift_s: 0.001_01 };

#[tokio::test(flavor = "multi_thread")]
async fn several_streams_run_side_by_side_and_a_running_id_is_refused() {
    let folder = folder();
    let source = Fixture::start(folder.path(), 6).await.unwrap();
    let source_watch = Watch::start(&source.url());
    let nginx = NginxRtmp::start(folder.path()).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let ids = ["one", "Two", "3rd_of-three"];
    let plain = |id: &str| {
        json!({
            "streamId": id, "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "srsRtmpUrl": nginx.url(id), "bufferDuration": 4,
        })
    };
    let with_delay = |id: &str| {
        let mut stream = plain(id);
        stream["delay"] = json!(2);
        stream
    };
    for id in ids {
        overdub.create(&with_delay(id)).await;
    }

    // A running id: refused by both ways in, and nothing changes.
    let before = overdub.stream("one").await;
    for path in ["/api/streams", "/api/pipeline/start"] {
        let mut other = plain("one");
        other["sourceUrl"] = json!("http://127.0.0.1:9/other.m3u8");
        let answer = overdub.post(path, &other).await;
        assert_eq!(answer.status, 409, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(
            answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("one")),
            "{}",
            answer.text()
        );
    }
    let after = overdub.stream("one").await;
    assert_eq!(before["settings"], after["settings"]);
    assert_eq!(overdub.get("/api/streams").await["streams"].as_array().unwrap().len(), 3);

    // Two starts at the same moment make one stream, by either way in.
    for (id, path, made) in [("race", "/api/pipeline/start", 200), ("race2", "/api/streams", 201)] {
        let stream = plain(id);
        let (left, right) = tokio::join!(overdub.post(path, &stream), overdub.post(path, &stream));
        let mut statuses = [left.status, right.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [made, 409], "{} {}", left.text(), right.text());
        let streams = overdub.get("/api/streams").await;
        let streams = streams["streams"].as_array().unwrap();
        assert_eq!(streams.iter().filter(|stream| stream["streamId"] == id).count(), 1);
        let deleted = overdub.send("DELETE", &format!("/api/streams/{id}?purge=true"), b"").await;
        assert_eq!(deleted.status, 200, "{}", deleted.text());
        assert_eq!(overdub.send("GET", &format!("/api/streams/{id}"), b"").await.status, 404);
    }

    // All three run, and stopping one leaves the others alone.
    for id in ids {
        let what = format!("{id} has aired three batches");
        overdub
            .stream_until(id, &what, Duration::from_secs(60), |stream| {
                stream["outputs"].as_array().is_some_and(|outputs| {
                    outputs.len() == 2 && outputs.iter().all(|output| output["published"].as_u64() >= Some(3))
                })
            })
            .await;
    }
    overdub.stop("Two").await;
    assert_eq!(overdub.stream("Two").await["state"], "stopped");
    let aired = overdub.stream("one").await["outputs"][0]["published"].as_u64();
    overdub
        .stream_until("one", "one goes on", Duration::from_secs(30), |stream| {
            stream["state"] == "running" && stream["outputs"][0]["published"].as_u64() > aired
        })
        .await;
    for id in ids {
        overdub.stop(id).await;
    }

    // What each sent is what the source had from its own first segment on.
    for id in ids {
        let first = overdub.batches(id).await[0]["firstSegment"].as_u64().unwrap();
        let recording =
            wait::until("a recording", Duration::from_secs(10), async || nginx.recordings(id).pop()).await;
        let source_file = folder.path().join(format!("{id}.ts"));
        source_watch.recorded("source").write_some(&source_file, first..=u64::MAX).unwrap();
        let (video, audio) = read_both(&source_file).await.unwrap();
        let (got_video, got_audio) = read_both(&recording).await.unwrap();
        let got = Pair { video: &got_video, audio: &got_audio };
        let found = compare(Pair { video: &video, audio: &audio }, got, RTMP).unwrap();
        println!("{id}: {found:?}");
        assert!(found.pictures >= 3 * 100, "three batches: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_a_port_that_is_taken_says_so_and_begins_nothing() {
    let (folder, other) = (folder(), crate::kit::folder());
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let port = overdub.base.rsplit(':').next().unwrap().to_owned();
    let second = tokio::process::Command::new(env!("CARGO_BIN_EXE_overdub"))
        .args(["serve", "--host", "127.0.0.1", "--port", &port, "--storage"])
        .arg(other.path().join("storage"))
        .current_dir(other.path())
        .kill_on_drop(true)
        .output();
    let second = tokio::time::timeout(Duration::from_secs(30), second).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&[second.stdout, second.stderr].concat()).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("server.port {port}: Address already in use")), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
