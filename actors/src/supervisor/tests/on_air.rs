//! What is on air over a connection while others of the stream are replaced.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use overdub_media::mp4::{FragmentBuilder, TrackConfig, init_segment};
use overdub_media::rtmp::message::type_id;
use overdub_media::sample::{VideoConfig, VideoSample};
use tokio::net::TcpListener;

use super::every_child::{EVERY, all_six_run, tell};
use super::peer::Peer;
use super::*;
use crate::messages::{AirClock, OutputFragment, PublishBatch};

const PUBLISHER: &str = "publisher/main/rtmp-0";

/// A batch of five minutes of tiny pictures, a GOP a second, that goes on air at once.
fn batch(folder: &Path) -> PublishBatch {
    let config = VideoConfig {
        sps: vec![Bytes::from_static(&[0x67, 0x42, 0xC0, 0x1E, 0xD9])],
        pps: vec![Bytes::from_static(&[0x68, 0xCE])],
        width: 320,
        height: 180,
        ..VideoConfig::default()
    };
    let mut file = init_segment(&[(1, TrackConfig::Video(&config))]).unwrap();
    let mut fragments = Vec::new();
    for gop in 0..300 {
        let pictures: Vec<VideoSample> = (gop * 25..(gop + 1) * 25)
            .map(|number| VideoSample {
                dts_90k: number * 3600,
                pts_90k: number * 3600,
                duration_90k: 3600,
                sync: number % 25 == 0,
                nals: vec![Bytes::from_static(&[0x65; 100])],
            })
            .collect();
        let fragment = FragmentBuilder::new(1).video(1, &pictures).build().unwrap();
        let (start_90k, end_90k) = (gop * 90_000, (gop + 1) * 90_000);
        fragments.push(OutputFragment { offset: file.len() as u64, len: fragment.len, start_90k, end_90k });
        file.extend(fragment.to_vec());
    }
    let path = folder.join("on_air.fmp4");
    std::fs::write(&path, file).unwrap();
    let clock = AirClock { anchor: crate::clock::now().plus_micros(500_000) };
    PublishBatch { batch: 0, clock, path, fragments, video: Some(config), audio: None }
}

/// Counts the pictures that come over a connection, and then the end of it.
async fn receive(mut peer: Peer, pictures: Arc<AtomicU64>, ends: Arc<AtomicU64>) {
    while let Some(message) = peer.message().await {
        if message.type_id == type_id::VIDEO {
            pictures.fetch_add(1, Ordering::SeqCst);
        }
    }
    ends.fetch_add(1, Ordering::SeqCst);
}

#[actix::test]
async fn a_connection_stays_and_goes_on_while_every_other_child_panics() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtmp://{}/live/x", listener.local_addr().unwrap());
    let mut bench = Bench::new();
    // Enough for each child to be replaced once.
    bench.max_restarts = EVERY.len();
    let stream = bench.stream_with("one", vec![OutputSettings::rtmp(url)]);
    wait_for(&stream, all_six_run).await;
    let batch = batch(bench.folder.path());
    within(&stream, move |stream, _| stream.children.rtmp["main/rtmp-0"].do_send(batch)).await;
    let (pictures, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let peer = Peer::publishing(&listener).await;
    actix::spawn(receive(peer, pictures.clone(), ends.clone()));

    for name in EVERY.into_iter().filter(|name| *name != PUBLISHER) {
        within(&stream, move |stream, _| tell(&stream.children, name, Panic)).await;
        wait_for(&stream, |view| all_six_run(view) && restarts(view, name) == 1).await;
        let before = pictures.load(Ordering::SeqCst);
        until("pictures go on after the replacement", || pictures.load(Ordering::SeqCst) > before + 10).await;
        assert_eq!(ends.load(Ordering::SeqCst), 0, "the connection has ended after {name}");
    }
    // So that this test would have noticed: the publisher's own panic does end it.
    within(&stream, |stream, _| tell(&stream.children, PUBLISHER, Panic)).await;
    until("the connection ends", || ends.load(Ordering::SeqCst) == 1).await;
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
