//! Two minutes of a looped film through everything that is real: nothing is lost, altered, moved or late.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::air::AirLog;
use crate::kit::compare::{Match, Pair, Tolerance, compare};
use crate::kit::hls::{POLL, Recorded, Watch};
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::packets::{Kind, Track, read, read_both};
use crate::kit::process::ChildWatch;
use crate::kit::processor::EchoProcessor;
use crate::kit::source::LoopedFilm;
use crate::kit::time::unix_micros;
use crate::kit::{folder, wait};

const SOURCE_SECONDS: u32 = 126;
/// RTMP counts milliseconds: two roundings of half of one.
const RTMP: Tolerance = Tolerance { drift_s: 0.001_01 };
/// One sample of audio, since the source's clock of 90 kHz cannot say more; and the rounding of a float.
const HLS: Tolerance = Tolerance { drift_s: 1.0 / 48_000.0 + 1e-7 };

#[tokio::test(flavor = "multi_thread")]
async fn two_minutes_of_a_film_come_out_unaltered_in_order_and_on_time() {
    let folder = folder();
    let Some(mut source) = LoopedFilm::start(folder.path(), SOURCE_SECONDS).await.unwrap() else { return };
    let nginx = NginxRtmp::start(folder.path()).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let children = ChildWatch::start(overdub.process.id());
    let watch = Watch::start(&overdub.hls_url("film"));
    let air = AirLog::start(&overdub.base, "film");
    // Segments of about 4 s and a buffer of 6 make batches of uneven length.
    let stream = json!({
        "streamId": "film", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
        "srsRtmpUrl": nginx.url("film"), "bufferDuration": 6, "delay": 4, "start": "window",
    });
    overdub.create(&stream).await;
    let first_date = source.program_date_time_us().unwrap();
    let first_air = wait::until("batch 0 has an air time", Duration::from_secs(30), async || {
        overdub.batches("film").await.first()?["airTime"].as_str().map(unix_micros)
    })
    .await;

    let whole_run = Duration::from_secs(u64::from(SOURCE_SECONDS) + 60);
    let shown =
        overdub.stream_until("film", "the stream ends", whole_run, |stream| stream["state"] == "ended").await;
    assert!(source.has_ended());
    wait::until("nginx sees the end", Duration::from_secs(10), async || {
        nginx.log().contains("deleteStream").then_some(())
    })
    .await;
    wait::until("HLS has ended", Duration::from_secs(10), async || {
        let playlists = watch.seen().playlists;
        (!playlists.is_empty() && playlists.values().all(|recorded| recorded.newest.ended)).then_some(())
    })
    .await;
    let evidence = children.evidence().unwrap();
    assert!(evidence.is_empty(), "child processes existed: {evidence:?}");

    // Every batch was processed, and together they are the whole source.
    let batches = overdub.batches("film").await;
    assert_eq!(shown["renditions"][0]["fallbacks"], 0, "{shown:#}");
    assert_eq!(shown["renditions"][0]["processed"], batches.len(), "{shown:#}");
    assert_eq!(
        processor.batches(),
        (0..batches.len() as u64).collect::<Vec<u64>>(),
        "each batch is sent once"
    );
    assert_eq!(segments(&batches), (0..source.segments()).collect::<Vec<u64>>());
    let batch_lengths: Vec<f64> = batches.iter().filter_map(|batch| batch["duration"].as_f64()).collect();
    assert!(batch_lengths.iter().all(|length| *length >= 6.0 || length == batch_lengths.last().unwrap()));

    let whole = source.joined(0, source.segments() - 1).unwrap();
    let (video, audio) = read_both(&whole).await.unwrap();
    assert!(video.packets.len() >= 25 * 120, "two minutes of pictures");
    let source_tracks = Pair { video: &video, audio: &audio };

    // RTMP, as recorded.
    let recordings = nginx.recordings("film");
    let [recording] = recordings.as_slice() else { panic!("one connection, one recording: {recordings:?}") };
    let (got_video, got_audio) = read_both(recording).await.unwrap();
    let got = Pair { video: &got_video, audio: &got_audio };
    complete("RTMP", source_tracks, compare(source_tracks, got, RTMP).unwrap());

    // HLS, as listed while it was live.
    assert_eq!(watch.seen().faults, Vec::<String>::new());
    let playlists = watch.seen().playlists;
    let hls_video = track(folder.path(), &playlists["video"], Kind::Video).await;
    let renditions: Vec<&String> = playlists.keys().filter(|name| *name != "video").collect();
    assert_eq!(renditions.len(), 2, "the processed and the original audio: {renditions:?}");
    for name in renditions {
        let hls_audio = track(folder.path(), &playlists[name], Kind::Audio).await;
        let got = Pair { video: &hls_video, audio: &hls_audio };
        complete(name, source_tracks, compare(source_tracks, got, HLS).unwrap());
    }

    // On time.
    let lateness = air.lateness_ms("rtmp");
    assert!(!lateness.is_empty(), "the RTMP output shows no lateness");
    // A machine with nothing else to do is never late; that each batch was looked at the count tells.
    let metrics = overdub.send("GET", "/metrics", b"").await.text();
    let counted = metrics
        .lines()
        .filter(|line| line.starts_with("overdub_publish_lateness_seconds_count") && line.contains("rtmp"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
    assert_eq!(counted.sum::<usize>(), batches.len());
    println!("RTMP lateness by batch, as shown: {:?}", lateness.iter().map(|(_, ms)| ms).collect::<Vec<_>>());
    let latest = lateness.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
    assert!(latest <= 100.0, "a frame left {latest} ms after its air time: {lateness:?}");
    for recorded in playlists.values() {
        listed_on_time(recorded, first_air, &air);
        dated_as_the_source(recorded, first_date);
    }
}

/// Numbers of the segments in the batches, in order.
fn segments(batches: &[Value]) -> Vec<u64> {
    let number = |batch: &Value, key: &str| batch[key].as_u64().unwrap();
    batches.iter().flat_map(|batch| number(batch, "firstSegment")..=number(batch, "lastSegment")).collect()
}

/// The comparison has found no fault up to the output's end; here its end must be the source's.
fn complete(name: &str, source: Pair, found: Match) {
    println!("{name}: {found:?}");
    assert_eq!(found.pictures, source.video.packets.len(), "{name}: pictures");
    assert_eq!(found.access_units, source.audio.packets.len(), "{name}: access units");
}

async fn track(folder: &std::path::Path, recorded: &Recorded, kind: Kind) -> Track {
    let path = recorded.write(&folder.join("listed.mp4")).unwrap();
    read(&path, kind).await.unwrap()
}

/// A segment is listed when its last frame's air time has come: within 250 ms after, and not before.
fn listed_on_time(recorded: &Recorded, first_air_us: i64, air: &AirLog) {
    let mut due_us = first_air_us;
    for (entry, listed_us, _) in &recorded.entries {
        due_us += (entry.duration_s * 1e6) as i64;
        let late_ms = (listed_us - due_us - air.slew_us(*listed_us)) / 1000;
        // The last frame airs one frame before the segment's end, and the watch looks every `POLL`.
        let allowed = -250..=250 + POLL.as_millis() as i64;
        assert!(allowed.contains(&late_ms), "segment {} was listed {late_ms} ms late", entry.sequence);
    }
}

/// PROGRAM-DATE-TIME is the source's for the same picture, to the 100 ms between a segment's decode and
/// presentation times.
fn dated_as_the_source(recorded: &Recorded, first_date_us: i64) {
    let mut expected_us = first_date_us;
    for (entry, _, _) in &recorded.entries {
        let date = entry.date_time_us.expect("PROGRAM-DATE-TIME at each segment");
        assert!(
            (date - expected_us).abs() <= 100_000,
            "segment {}: {date} for {expected_us}",
            entry.sequence
        );
        expected_us += (entry.duration_s * 1e6) as i64;
    }
}
