//! RTMP servers that die, refuse, stop reading or are cut off on the way. HLS is not to notice.

use serde_json::{Value, json};

use crate::kit::content::{PICTURES, Pushed, pushed};
use crate::kit::live::LiveSource;
use crate::kit::proxy::{Flow, Proxy};
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::wait;
use crate::scene::{LIMIT, STALL_S, Scene, assert_alive, listed, now_us, outage};
use crate::table::{Row, lasting};

/// How far a departure may be off its time on a loaded machine, seconds.
const OFF_S: f64 = 1.0;

/// The stream's RTMP output.
fn rtmp(stream: &Value) -> Value {
    let mut outputs = stream["outputs"].as_array().into_iter().flatten();
    outputs.find(|output| output["name"] != "hls").expect("an RTMP output").clone()
}

/// Waits until a connection after `connection` has brought so many pictures.
async fn media_after(
    scene: &Scene,
    peer: &RtmpPeer,
    connection: Option<usize>,
    pictures: usize,
) -> Vec<Pushed> {
    wait::until("media comes on a new connection", LIMIT, async || {
        let all = pushed(&scene.content, &peer.messages()).unwrap();
        let newest = all.last()?;
        (Some(newest.connection) > connection && newest.pictures >= pictures).then_some(all)
    })
    .await
}

/// Seconds of media between the end of one connection and the beginning of the next, by when they came, and by how
/// much the second departs from the delay of the first.
fn between(one: &Pushed, two: &Pushed) -> (f64, f64) {
    // By its last picture: the first may have waited in a server that did not read.
    let passed_s = (two.arrived_us.1 - one.arrived_us.0) as f64 / 1e6;
    let content_s = ((two.last.0 + PICTURES - one.first.0) % PICTURES) as f64 / 25.0;
    // The fixture loops every 16 s.
    let content_s = content_s + ((passed_s - content_s) / 16.0).round() * 16.0;
    let missed_s = content_s - (one.pictures + two.pictures - 1) as f64 / 25.0;
    (missed_s, passed_s - content_s)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rtmp_server_that_is_killed_gets_the_next_keyframe_on_the_fixed_delay_and_hls_is_not_touched() {
    let time = lasting(8, 20);
    let mut row = Row::new(
        40,
        format!("RTMP server killed for {} s", time.as_secs()),
        "reconnects; goes on from the next keyframe on the fixed delay; what was missed is counted; HLS is not \
         touched",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(6).await.unwrap();
    let mut peer = RtmpPeer::start(Manner::Accept).await;
    let watch = scene.stream("s", &source, json!({"srsRtmpUrl": peer.url("s")})).await;
    media_after(&scene, &peer, None, 75).await;
    peer.kill().await;
    let down = async |up: bool| {
        scene.overdub.stream_until("s", "the output's state is shown", LIMIT, |s| rtmp(s)["up"] == up).await
    };
    let shown = down(false).await;
    assert_eq!(shown["state"], "degraded", "{shown:#}");
    outage(&source, time).await;
    peer.revive().await;
    let all = media_after(&scene, &peer, Some(0), 100).await;
    let [first, second] = all.as_slice() else { panic!("two connections with media: {all:?}") };
    let (lost_s, off_s) = between(first, second);
    let expected = lost_s * (25.0 + 48_000.0 / 1024.0);
    // What was missed is counted when its batch has passed.
    let shown = scene
        .overdub
        .stream_until("s", "what was missed is counted", LIMIT, |stream| {
            rtmp(stream)["missedSamples"].as_f64().unwrap_or(0.0) >= expected - 150.0
        })
        .await;
    let missed = rtmp(&shown)["missedSamples"].as_f64().unwrap();
    let found = scene.continuity(&source, &watch);
    row.measured(format!("on again {off_s:+.2} s off its time, at a keyframe"));
    row.measured(format!("{lost_s:.1} s of media missed, {missed} samples counted of {expected:.0}"));
    row.measured(format!(
        "HLS: {} segments, {} gaps, stall {:.2} s",
        found.segments,
        found.gaps.len(),
        found.stall_s
    ));
    assert!(off_s.abs() < OFF_S, "{first:?} {second:?}");
    // What the dead server's socket had swallowed counts as sent: at most about a GOP of both tracks.
    assert!((missed - expected).abs() < 150.0, "{missed} counted, {expected} missed");
    assert!(lost_s < time.as_secs_f64() + 15.0, "the server was not found again: {lost_s} s");
    assert_eq!(found.gaps, []);
    assert!(found.stall_s < STALL_S, "{found:?}");
    assert_alive(&mut scene.overdub);
    row.held();
}

#[tokio::test(flavor = "multi_thread")]
async fn rtmp_servers_that_refuse_stall_or_are_cut_off_are_found_again_each_while_hls_goes_on() {
    let time = lasting(4, 30);
    let mut row = Row::new(
        41,
        format!("RTMP server refuses, reads nothing, is reset on the way, {} s each", time.as_secs()),
        "as above, for each",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(6).await.unwrap();
    let mut stages = Vec::new();
    for id in ["refuses", "stalls", "reset"] {
        let peer = RtmpPeer::start(Manner::Accept).await;
        let proxy = Proxy::start(peer.port).await;
        // Behind the proxy, its buffers would take what the server does not.
        let port = if id == "stalls" { peer.port } else { proxy.port };
        let url = format!("rtmp://127.0.0.1:{port}/live/{id}");
        let watch = scene.stream(id, &source, json!({"srsRtmpUrl": url})).await;
        stages.push((id, peer, proxy, watch));
    }
    for (_, peer, _, _) in &stages {
        media_after(&scene, peer, None, 50).await;
    }
    let [(_, refusing, proxy, _), (_, stalling, _, _), (_, _, cutting, _)] = stages.as_slice() else {
        unreachable!()
    };
    refusing.behave(Manner::Refuse);
    proxy.behave(Flow::Reset);
    wait::until("the connection is cut", LIMIT, async || {
        refusing.messages().iter().any(|message| message.kind == 0).then_some(())
    })
    .await;
    proxy.behave(Flow::Pass);
    stalling.behave(Manner::Stall);
    cutting.behave(Flow::Reset);
    let began_us = now_us();
    for (id, ..) in &stages {
        scene
            .overdub
            .stream_until(id, "the output is shown as down, with the reason", LIMIT, |stream| {
                rtmp(stream)["up"] == false && rtmp(stream)["reason"].is_string()
            })
            .await;
        let named_s = (now_us() - began_us) as f64 / 1e6;
        row.measured(format!("{id}: named after {named_s:.1} s"));
        assert!(named_s < 25.0, "{id}: {named_s} s");
    }
    outage(&source, time).await;
    refusing.behave(Manner::Accept);
    stalling.behave(Manner::Accept);
    cutting.behave(Flow::Pass);
    for (id, peer, _, watch) in &stages {
        let all = media_after(&scene, peer, Some(0), 75).await;
        let [first, .., last] = all.as_slice() else { panic!("{id}: {all:?}") };
        let (lost_s, off_s) = between(first, last);
        let found = scene.continuity(&source, watch);
        row.measured(format!(
            "{id}: {lost_s:.1} s missed, {off_s:+.2} s off its time, HLS stall {:.2} s",
            found.stall_s
        ));
        assert!(off_s.abs() < OFF_S, "{id}: {all:?}");
        assert_eq!(found.gaps, [], "{id}");
        assert!(found.stall_s < STALL_S, "{id}: {found:?}");
        let shown =
            scene.overdub.stream_until(id, "it runs", LIMIT, |stream| stream["state"] == "running").await;
        assert!(rtmp(&shown)["missedSamples"].as_u64() > Some(0), "{id}: {shown:#}");
    }
    listed(&stages[0].3, 5).await;
    assert_alive(&mut scene.overdub);
    row.held();
}
