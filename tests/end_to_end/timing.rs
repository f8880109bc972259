//! When frames leave, by the watch of the server that they come to.

use std::time::Duration;

use serde_json::json;

use crate::kit::air::AirLog;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::source::LoopedFilm;
use crate::kit::time::unix_micros;
use crate::kit::{folder, wait};

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_of_uneven_batches_leaves_for_rtmp_within_100_ms_of_its_air_time() {
    let folder = folder();
    let Some(source) = LoopedFilm::start(folder.path(), 600).await.unwrap() else { return };
    let processor = EchoProcessor::start(folder.path(), Duration::from_millis(300)).await.unwrap();
    let peer = RtmpPeer::start(Manner::Accept).await;
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let air = AirLog::start(&overdub.base, "film");
    overdub
        .create(&json!({
            "streamId": "film", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "srsRtmpUrl": peer.url("film"), "bufferDuration": 6, "delay": 3, "start": "window",
        }))
        .await;
    wait::until("40 s of pictures have come", Duration::from_secs(90), async || {
        let pictures =
            peer.messages().iter().filter(|message| message.kind == 9 && message.is_media()).count();
        (pictures >= 40 * 25).then_some(())
    })
    .await;

    let batches = overdub.batches("film").await;
    let lengths: Vec<i64> =
        batches.iter().filter_map(|batch| Some(batch["duration"].as_f64()? as i64)).collect();
    assert!(lengths.iter().any(|length| *length != lengths[0]), "the batches are uneven: {lengths:?}");
    // The first message on the connection is the first sample of batch 0, with timestamp 0.
    let first_air = unix_micros(batches[0]["airTime"].as_str().unwrap());
    let messages = peer.messages();
    assert!(messages.iter().all(|message| message.connection == 0 && message.kind != 0), "one connection");
    let mut late_ms: Vec<f64> = messages
        .iter()
        .filter(|message| message.is_media())
        .map(|message| {
            let air_us = first_air + air.slew_us(message.arrived_us) + i64::from(message.timestamp_ms) * 1000;
            (message.arrived_us - air_us) as f64 / 1000.0
        })
        .collect();
    late_ms.sort_by(f64::total_cmp);
    let (earliest, median, latest) = (late_ms[0], late_ms[late_ms.len() / 2], late_ms[late_ms.len() - 1]);
    println!("departure after air time: {earliest:.1} / {median:.1} / {latest:.1} ms (least, median, most)");
    assert!(latest <= 100.0, "a frame came {latest} ms after its air time");
    assert!(earliest >= -100.0, "a frame came {} ms before its air time", -earliest);
}
