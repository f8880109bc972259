//! The service itself: killed at random moments; starts, stops and deletes against each other.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::content::{GOP, PICTURES, pushed};
use crate::kit::live::LiveSource;
use crate::kit::overdub::Overdub;
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::wait;
use crate::scene::{LIMIT, Scene, assert_alive, listed, now_us};
use crate::table::{Row, long};

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_at_random_moments_nothing_is_missing_or_twice_in_hls_and_rtmp_repeats_a_gop_at_most() {
    let kills = if long() { 50 } else { 6 };
    let seed = std::env::var("OVERDUB_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| now_us() as u64);
    println!("OVERDUB_CHAOS_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut row = Row::new(
        70,
        format!("kill -9 of the service at a random moment, {kills} times in one run"),
        "HLS: no segment missing that the source window still held, none twice, sequence numbers go on; RTMP \
         repeats at most one GOP",
    );
    let mut scene = Scene::start().await;
    // 32 s of window: no restart takes so long.
    let source = LiveSource::start(16).await.unwrap();
    let peer = RtmpPeer::start(Manner::Accept).await;
    let watch = scene.stream("s", &source, json!({"srsRtmpUrl": peer.url("s")})).await;
    listed(&watch, 2).await;
    let (mut slowest_ms, mut files) = (0, 0);
    for _ in 0..kills {
        // Any moment of two segments' time: of a batch's whole way.
        tokio::time::sleep(Duration::from_millis(random.u64(50..4000))).await;
        scene.overdub.process.kill().await;
        let began_us = now_us();
        scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
        slowest_ms = slowest_ms.max((now_us() - began_us) / 1000);
        watch.follow(&scene.overdub.hls_url("s"));
        files = files.max(scene.overdub.files_ending_in(&["output.fmp4"]).len());
    }
    let before = watch.recorded("video").entries.len();
    listed(&watch, before + 4).await;
    scene.overdub.stream_until("s", "it runs", LIMIT, |stream| stream["state"] == "running").await;
    let found = scene.continuity(&source, &watch);
    let all = pushed(&scene.content, &peer.messages()).unwrap();
    let mut repeated = 0;
    let mut skipped = 0;
    for pair in all.windows(2) {
        let on = (pair[1].first.0 + PICTURES - pair[0].last.0) % PICTURES;
        if on == 0 || on > PICTURES / 2 {
            repeated = repeated.max(PICTURES + 1 - if on == 0 { PICTURES } else { on });
        } else {
            skipped += on - 1;
        }
    }
    row.measured(format!("HLS: {} segments, {} gaps", found.segments, found.gaps.len()));
    row.measured(format!(
        "RTMP: {} connections, at most {repeated} pictures repeated, {skipped} skipped",
        all.len()
    ));
    row.measured(format!("slowest start {slowest_ms} ms"));
    assert_eq!(found.gaps, [], "{found:?}");
    assert!(repeated <= GOP, "{repeated} pictures repeated: {all:?}");
    assert!(files < 40, "{files} batches on disk at once: they are not cleaned");
    scene.overdub.stop("s").await;
    assert_eq!(scene.overdub.half_written(), Vec::<std::path::PathBuf>::new());
    assert_alive(&mut scene.overdub);
    row.held();
}

/// Open files of a process.
fn open_files(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).map(Iterator::count).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_stops_and_deletes_against_each_other_have_one_outcome_and_leave_nothing_behind() {
    let rounds = if long() { 20 } else { 4 };
    let mut row = Row::new(
        90,
        format!("two starts at once, stop during start, delete during drain, {rounds} rounds"),
        "one outcome, no orphan, no leak",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(6).await.unwrap();
    let peer = RtmpPeer::start(Manner::Accept).await;
    let start = json!({
        "sourceUrl": source.url(), "streamId": "s", "audioProcessorUrl": scene.processor.url(),
        "srsRtmpUrl": peer.url("s"), "bufferDuration": 2,
    });
    let (id, nothing) = (json!({"streamId": "s"}), json!({}));
    let state = async || scene.overdub.stream("s").await["state"].as_str().unwrap_or_default().to_owned();
    let mut files = Vec::new();
    for _ in 0..rounds {
        // Two starts at once.
        let (one, two) = tokio::join!(
            scene.overdub.post("/api/pipeline/start", &start),
            scene.overdub.post("/api/pipeline/start", &start)
        );
        let mut answers = [one.status, two.status];
        answers.sort_unstable();
        assert_eq!(answers, [200, 409], "{} / {}", one.text(), two.text());
        // A stop while it starts: whatever comes first, a stop that answers leaves it stopped.
        let stopped = scene.overdub.post("/api/pipeline/stop", &id).await;
        assert_eq!((stopped.status, state().await.as_str()), (200, "stopped"), "{}", stopped.text());
        let (started, stopped) = tokio::join!(
            scene.overdub.post("/api/streams/s/start", &nothing),
            scene.overdub.post("/api/streams/s/stop", &nothing)
        );
        assert!([200, 409].contains(&started.status), "{}", started.text());
        assert_eq!(stopped.status, 200, "{}", stopped.text());
        scene.overdub.stop("s").await;
        assert_eq!(state().await, "stopped");
        // A delete while it drains.
        let again = scene.overdub.post("/api/streams/s/start", &nothing).await;
        assert_eq!(again.status, 200, "{}", again.text());
        scene
            .overdub
            .stream_until("s", "a batch is on its way", LIMIT, |stream| {
                stream["source"]["segments"].as_u64() >= Some(1)
                    && stream["renditions"][0]["connected"] == true
            })
            .await;
        let (stopped, deleted) = tokio::join!(
            scene.overdub.post("/api/streams/s/stop", &nothing),
            scene.overdub.send("DELETE", "/api/streams/s?purge=true", b"")
        );
        assert!([200, 404, 409].contains(&stopped.status), "{}", stopped.text());
        assert!((200..300).contains(&deleted.status), "{} {}", deleted.status, deleted.text());
        assert_eq!(scene.overdub.send("GET", "/api/streams/s", b"").await.status, 404);
        assert_eq!(scene.overdub.get("/api/streams").await["streams"], json!([]));
        files.push(open_files(scene.overdub.process.id()));
    }
    // No orphan: nobody asks the source, talks to the processor or pushes to the server any more.
    let (asked, until) = (source.requests().len(), source.produced() + 3);
    wait::until("segments have come that nobody fetches", LIMIT, async || {
        (source.produced() >= until).then_some(())
    })
    .await;
    assert_eq!(source.requests().len(), asked, "somebody still asks the source");
    let count = |name: &str| scene.processor.events().iter().filter(|event| event["event"] == name).count();
    wait::until("the processor is left", LIMIT, async || {
        (count("connection") == count("disconnect")).then_some(())
    })
    .await;
    let open = peer.messages().iter().map(|message| message.connection).max().map_or(0, |last| last + 1);
    let ended = peer.messages().iter().filter(|message| message.kind == 0).count();
    assert_eq!(ended, open, "RTMP connections are left open");
    let left = scene.overdub.files_ending_in(&[".ts", ".fmp4", ".mp4"]);
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "a purged stream leaves files");
    let (first, last) = (files[0], open_files(scene.overdub.process.id()));
    row.measured(format!("{} starts won once each, {first} open files at first, {last} at last", rounds));
    row.measured(format!("{} connections to the processor, all closed", count("connection")));
    assert!(last <= first + 4, "open files grow: {files:?}, {last}");
    let value: Value = scene.overdub.get("/api/streams").await;
    assert_eq!(value["streams"], json!([]));
    assert_alive(&mut scene.overdub);
    row.held();
}
