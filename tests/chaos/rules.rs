//! What streams are set to do: fallbacks by rendition, where to begin, what to do when they fall behind, how to stop.

use std::time::Duration;

use serde_json::json;

use crate::kit::content::pushed;
use crate::kit::live::LiveSource;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::proxy::{Flow, Proxy};
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::{free_port, wait};
use crate::scene::{LIMIT, STALL_S, Scene, assert_alive, listed, now_us, outage};
use crate::table::{Row, lasting};

#[tokio::test(flavor = "multi_thread")]
async fn without_processors_one_rendition_is_silent_the_other_has_no_sound_and_both_keep_the_picture() {
    let mut row = Row::new(
        110,
        "no processor, with the fallbacks silence and drop in two renditions",
        "each rendition's slot as its own fallback says, counted; the picture goes on in both",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(6).await.unwrap();
    let peers = [RtmpPeer::start(Manner::Accept).await, RtmpPeer::start(Manner::Accept).await];
    let nobody = format!("ws://127.0.0.1:{}", free_port());
    let rendition = |name: &str, fallback: &str, peer: &RtmpPeer| {
        json!({
            "name": name, "audioProcessorUrl": nobody, "fallback": fallback,
            "outputs": [{"type": "rtmp", "url": peer.url(name)}],
        })
    };
    let stream = json!({
        "streamId": "s", "sourceUrl": source.url(), "bufferDuration": 2, "delay": 2,
        "renditions": [rendition("quiet", "silence", &peers[0]), rendition("bare", "drop", &peers[1])],
    });
    scene.overdub.create(&stream).await;
    let shown = scene
        .overdub
        .stream_until("s", "both outputs have aired three batches", LIMIT, |stream| {
            let outputs = stream["outputs"].as_array().unwrap();
            outputs.iter().all(|output| output["published"].as_u64() >= Some(3))
        })
        .await;
    for (peer, audible) in peers.iter().zip([true, false]) {
        let messages = peer.messages();
        let sound: Vec<_> =
            messages.iter().filter(|message| message.kind == 8 && message.is_media()).collect();
        assert_eq!(!sound.is_empty(), audible, "{} access units", sound.len());
        assert!(sound.iter().all(|message| scene.content.unit(message).is_none()), "the source's sound");
        // The picture without a hole.
        let pictures = pushed(&scene.content, &messages).unwrap();
        row.measured(format!("{} pictures, {} access units", pictures[0].pictures, sound.len()));
        assert!(pictures.len() == 1 && pictures[0].pictures >= 100, "{pictures:?}");
    }
    let playlist = async |name: &str| {
        let answer = scene.overdub.send("GET", &format!("/live/s/audio-{name}.m3u8"), b"").await;
        assert_eq!(answer.status, 200, "{name}");
        let text = answer.text();
        (text.matches("#EXTINF").count(), text.matches("#EXT-X-GAP").count())
    };
    let ((quiet, quiet_gaps), (bare, bare_gaps)) = (playlist("quiet").await, playlist("bare").await);
    row.measured(format!("HLS: {quiet_gaps} of {quiet} and {bare_gaps} of {bare} segments are gaps"));
    assert!(quiet >= 3 && quiet_gaps == 0 && bare >= 3 && bare_gaps == bare);
    for rendition in shown["renditions"].as_array().unwrap() {
        assert!(rendition["fallbacks"].as_u64() >= Some(3), "{rendition:#}");
    }
    assert_alive(&mut scene.overdub);
    row.held();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_at_the_live_edge_or_with_the_oldest_listed_as_it_is_told() {
    let mut row =
        Row::new(111, "start = live, start = window", "three target durations from the end; the oldest");
    let mut scene = Scene::start().await;
    let mut stages = Vec::new();
    for start in ["live", "window"] {
        stages.push((start, LiveSource::start(8).await.unwrap()));
    }
    wait::until("the windows are full", LIMIT, async || {
        stages.iter().all(|(_, source)| source.produced() >= 9).then_some(())
    })
    .await;
    for (start, source) in &stages {
        let produced = source.produced();
        let watch = scene.stream(start, source, json!({"start": start})).await;
        listed(&watch, 2).await;
        let first = scene.shown(source, &watch, "video")[0].content.unwrap();
        let behind = produced as i64 - first;
        row.measured(format!("{start}: begins {behind} segments from the end of a window of 8"));
        // Of the window, a segment may be gone by the time of the first look.
        let due = if *start == "live" { 2..=4 } else { 7..=9 };
        assert!(due.contains(&behind), "{start}: content {first} of {produced}");
    }
    assert_alive(&mut scene.overdub);
    row.held();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_behind_the_source_skips_to_its_edge_and_is_on_the_delay_again() {
    let time = lasting(32, 60);
    let mut row = Row::new(
        112,
        format!("the way to the source is too slow for {} s", time.as_secs()),
        "caught up by skipping to the edge with a counted gap, never late for ever",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(4).await.unwrap();
    let origin = source.url();
    let port = origin.split(':').nth(2).and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap();
    let proxy = Proxy::start(port).await;
    let url = origin.replace(&format!(":{port}"), &format!(":{}", proxy.port));
    let watch = scene.stream("s", &source, json!({"sourceUrl": url})).await;
    listed(&watch, 3).await;
    // A segment of 2 s takes three and a half.
    proxy.behave(Flow::Throttle(25_000));
    outage(&source, time).await;
    proxy.behave(Flow::Pass);
    let back = source.produced();
    wait::until("what came after is listed", LIMIT, async || {
        let shown = scene.shown(&source, &watch, "video");
        shown.iter().any(|segment| segment.content >= Some(back as i64 + 6)).then_some(())
    })
    .await;
    let shown = scene.overdub.stream("s").await;
    let found = scene.continuity(&source, &watch);
    let segments = scene.shown(&source, &watch, "video");
    let delay_s = |at: usize| {
        let segment = &segments[at];
        let since = source.date_of(segment.content.unwrap());
        (segment.listed_us - since) as f64 / 1e6
    };
    let (first, last) = (delay_s(0), delay_s(segments.len() - 1));
    let missing: i64 = found.gaps.iter().map(|gap| gap.missing).sum();
    row.measured(format!(
        "{} segments skipped in {} gaps; {:.1} s behind the source before, {last:.1} s after; the clock moved {} times",
        missing,
        shown["source"]["gaps"],
        first,
        shown["source"]["clockJumps"]
    ));
    assert!(missing > 0 && shown["source"]["lostSegments"].as_i64() == Some(missing), "{shown:#}");
    assert!(found.gaps.iter().filter(|gap| gap.missing > 0).all(|gap| gap.marked), "{found:?}");
    // What the source's own window held is the most that the delay may have grown, and it did not stay so.
    assert!(last < first + 3.0 * 2.0 + STALL_S, "{last} s behind, {first} s before");
    assert_eq!(shown["state"], "running", "{shown:#}");
    assert_alive(&mut scene.overdub);
    row.held();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_in_flight_no_longer_than_its_grace() {
    let mut row =
        Row::new(113, "SIGTERM while a processor never answers, grace 3 s", "ends within the grace, cleanly");
    let folder = crate::kit::folder();
    let content = crate::kit::content::Content::read(folder.path()).await.unwrap();
    let never = json!({"*": [{"do": "never"}]});
    let processor = EchoProcessor::scripted(folder.path(), &never, 0).await.unwrap();
    let settings = [("OVERDUB__SUPERVISION__SHUTDOWN_GRACE", "3")];
    let overdub = Overdub::start_with(folder.path(), &settings).await.unwrap();
    let mut scene = Scene { folder, overdub, content, processor };
    let source = LiveSource::start(6).await.unwrap();
    let watch = scene.stream("s", &source, json!({"delay": 60})).await;
    let sent = "two batches are with the processor";
    wait::until(sent, LIMIT, async || (scene.processor.batches().len() >= 2).then_some(())).await;
    let began_us = now_us();
    scene.overdub.process.signal("TERM").await;
    let status = scene.overdub.process.ended(Duration::from_secs(30)).await;
    let took_s = (now_us() - began_us) as f64 / 1e6;
    row.measured(format!("ended after {took_s:.1} s, {status}"));
    assert!(status.success(), "{status}");
    assert!((2.9..10.0).contains(&took_s), "{took_s} s with a grace of 3 s");
    assert_eq!(scene.overdub.half_written(), Vec::<std::path::PathBuf>::new());
    assert!(!scene.overdub.process.log().contains("panicked"));
    drop(watch);
    row.held();
}
