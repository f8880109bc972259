//! What goes away in the middle of a stream is named, waited for and taken up again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bad_input::{LIMIT, reason};
use crate::kit::hls::Watch;
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::packets::{Track, read_both};
use crate::kit::processor::EchoProcessor;
use crate::kit::site::{Reply, Site};
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

#[tokio::test(flavor = "multi_thread")]
async fn sound_of_its_own_playlist_is_there_again_when_the_encoder_begins_anew() {
    let folder = folder();
    let segments = crate::kit::root().join("fixtures/live");
    let site = Site::start(|_| Reply::not_found()).await;
    // The same segments serve both playlists; numbers and times go back, and no tag says so.
    let serve = |first_number: u64, files: [u64; 4], ended: bool| {
        let segments = segments.clone();
        let mut list = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first_number}\n");
        for file in files {
            list += &format!("#EXTINF:2,\nsegment-{file}.ts\n");
        }
        if ended {
            list += "#EXT-X-ENDLIST\n";
        }
        site.answer(move |path| match path {
            "/master.m3u8" => {
                let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"audio.m3u8\"\n\
                            #EXT-X-STREAM-INF:BANDWIDTH=1000000,AUDIO=\"a\"\nvideo.m3u8\n";
                Reply::Whole(200, "application/vnd.apple.mpegurl", text.into())
            }
            "/video.m3u8" | "/audio.m3u8" => {
                Reply::Whole(200, "application/vnd.apple.mpegurl", list.clone().into())
            }
            path => Reply::file(&segments, path),
        });
    };
    serve(100, [4, 5, 6, 7], false);
    let settings = [("OVERDUB__STORAGE__AUTO_CLEANUP", "false")];
    let overdub = Overdub::start_with(folder.path(), &settings).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": site.url("/master.m3u8"), "bufferDuration": 4, "delay": 1,
            "start": "window", "srsRtmpUrl": null, "audioProcessorUrl": "ws://127.0.0.1:9",
        }))
        .await;
    let collected = async |count: u64| {
        overdub
            .stream_until("s", "batches are collected", Duration::from_secs(60), |stream| {
                stream["source"]["currentBatch"].as_u64() >= Some(count)
            })
            .await
    };
    collected(2).await;
    serve(0, [0, 1, 2, 3], true);
    collected(4).await;
    overdub
        .stream_until("s", "all of it has aired", Duration::from_secs(60), |stream| {
            stream["state"] == "ended"
        })
        .await;
    let sound = |batch: u64| {
        let file = overdub.storage.join(format!("processed_fragments/s/batch-{batch}/audio.fmp4"));
        std::fs::metadata(file).map_or(0, |file| file.len())
    };
    let sizes: Vec<u64> = (0..4).map(sound).collect();
    assert!(sizes.iter().all(|size| *size > 20_000), "4 s of sound each: {sizes:?}");
}
