//! `kill -9`, then a start: the stream goes on where it was.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::compare::{Pair, Tolerance, compare};
use crate::kit::hls::Watch;
use crate::kit::live::LiveSource;
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::packets::{Kind, read, read_both};
use crate::kit::processor::EchoProcessor;
use crate::kit::source::Fixture;
use crate::kit::{folder, wait};

/// Pictures of the fixture's GOP: RTMP may repeat so many.
const GOP: usize = 50;
const RTMP: Tolerance = Tolerance { drift_s: 0.001_01 };
const HLS: Tolerance = Tolerance { drift_s: 1.0 / 48_000.0 + 1e-7 };

async fn listed(watch: &Watch, count: usize) {
    let what = format!("HLS has listed {count} segments");
    wait::until(&what, Duration::from_secs(90), async || {
        (watch.recorded("video").entries.len() >= count).then_some(())
    })
    .await;
}

/// What the source served from segment `first` on, as one file.
fn source_from(source: &Watch, first: u64, folder: &Path) -> std::path::PathBuf {
    source.recorded("source").write_some(&folder.join("source.ts"), first..=u64::MAX).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_stream_runs_again_and_hls_neither_repeats_nor_misses_anything() {
    let folder = folder();
    // 24 s of window: enough for a restart on a loaded machine.
    let source = Fixture::start(folder.path(), 12).await.unwrap();
    let source_watch = Watch::start(&source.url());
    let nginx = NginxRtmp::start(folder.path()).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    let watch = Watch::start(&overdub.hls_url("fixture"));
    overdub
        .create(&json!({
            "streamId": "fixture", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "srsRtmpUrl": nginx.url("fixture"), "bufferDuration": 4, "delay": 2,
        }))
        .await;

    // Three kills, each at another point of a batch's way.
    let mut first_segment = None;
    for (kill, listed_before) in [4, 9, 13].into_iter().enumerate() {
        listed(&watch, listed_before).await;
        first_segment = first_segment.or(Some(first(&overdub.batches("fixture").await)));
        overdub.process.kill().await;
        tokio::time::sleep(Duration::from_millis(700 * kill as u64)).await;
        overdub = Overdub::start(folder.path()).await.unwrap();
        watch.follow(&overdub.hls_url("fixture"));
    }
    listed(&watch, 20).await;
    let limit = Duration::from_secs(30);
    overdub.stream_until("fixture", "the stream runs", limit, |stream| stream["state"] == "running").await;

    // Media sequence numbers went on: the watch notes every gap, step back and change.
    assert_eq!(watch.seen().faults, Vec::<String>::new());
    let (playlists, folder) = (watch.seen().playlists, folder.path());
    let discontinuities =
        playlists["video"].entries.iter().filter(|(entry, _, _)| entry.discontinuity).count();
    assert_eq!(discontinuities, 0, "the source was on one clock");
    let source_file = source_from(&source_watch, first_segment.unwrap(), folder);
    let (video, audio) = read_both(&source_file).await.unwrap();
    let expected = Pair { video: &video, audio: &audio };
    let hls_video =
        read(&playlists["video"].write(&folder.join("v.mp4")).unwrap(), Kind::Video).await.unwrap();
    for name in playlists.keys().filter(|name| *name != "video") {
        let audio_file = playlists[name].write(&folder.join("a.mp4")).unwrap();
        let hls_audio = read(&audio_file, Kind::Audio).await.unwrap();
        // The kills may have cost processed audio, never its slot; where the processor echoes, both are the same.
        let found = compare(expected, Pair { video: &hls_video, audio: &hls_audio }, HLS).unwrap();
        println!("{name}: {found:?}");
        assert!(found.pictures >= 20 * GOP, "{found:?}");
    }

    // A recording is whole once its connection has ended.
    overdub.stop("fixture").await;
    // RTMP: each connection carries on from where it joined, and repeats one GOP at most.
    let mut reached = 0;
    let recordings = nginx.recordings("fixture");
    assert!(recordings.len() >= 2, "a connection before and after a kill: {recordings:?}");
    for recording in recordings {
        let (got_video, got_audio) = read_both(&recording).await.unwrap();
        let Some(first_picture) = got_video.packets.first() else { continue };
        let from = reached - reached.min(GOP);
        let joined = video.after(from).packets.iter().position(|p| p.payload == first_picture.payload);
        let joined =
            from + joined.unwrap_or_else(|| panic!("{recording:?} begins with no picture of the source"));
        assert_eq!(joined % GOP, 0, "{recording:?} begins at a keyframe");
        // Audio of the same time begins within one access unit of the picture.
        let first_unit = &got_audio.packets[0].payload;
        let near = joined * 48_000 / 25 / 1024;
        let unit = (near.saturating_sub(60)..near + 60)
            .find(|index| audio.packets.get(*index).is_some_and(|packet| packet.payload == *first_unit))
            .unwrap_or_else(|| panic!("{recording:?} begins with no access unit of its time"));
        let (video, audio) = (video.after(joined), audio.after(unit));
        let got = Pair { video: &got_video, audio: &got_audio };
        let found = compare(Pair { video: &video, audio: &audio }, got, RTMP).unwrap();
        println!("{}: from picture {joined} on {found:?}", recording.display());
        reached = joined + found.pictures;
    }
}

fn first(batches: &[Value]) -> u64 {
    assert_eq!(batches[0]["batch"], 0, "batch 0 is still known");
    batches[0]["firstSegment"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_absence_longer_than_the_sources_window_the_delay_is_what_it_was() {
    let limit = Duration::from_secs(60);
    let folder = folder();
    let source = LiveSource::start(4).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "bufferDuration": 4, "delay": 4, "srsRtmpUrl": null,
        }))
        .await;
    // With half a batch open, and its delay known.
    let before = overdub
        .stream_until("s", "a batch is open", limit, |stream| {
            stream["source"]["currentBatch"].as_u64() >= Some(3)
                && stream["source"]["accumulatedDuration"].as_f64() > Some(0.0)
        })
        .await;
    // Longer than the state takes to be on disk without being told, and shorter than a segment.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    overdub.process.kill().await;
    let back = source.produced() + 10;
    wait::until("the window has moved on", limit, async || (source.produced() >= back).then_some(())).await;
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let current = before["source"]["currentBatch"].as_u64().unwrap();
    let after = overdub
        .stream_until("s", "whole batches have come again", limit, |stream| {
            stream["source"]["currentBatch"].as_u64() >= Some(current + 5)
        })
        .await;
    assert_eq!((&after["source"]["clockJumps"], &after["source"]["gaps"]), (&json!(0), &json!(1)), "{after}");
    let (was, is) = (before["delay"].as_f64().unwrap(), after["delay"].as_f64().unwrap());
    // Batches of 4 s out of segments of 2 s.
    assert!((is - was).abs() < 3.0, "{was} s before, {is} s after: {after}");
}
