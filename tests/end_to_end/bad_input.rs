//! What is wrong outside is said by name, tried again, and survived.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::rtmp::{Manner, RtmpPeer};
use crate::kit::site::{Reply, Site};
use crate::kit::source::Fixture;
use crate::kit::{folder, free_port, wait};

/// What a step of a test may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A stream's id, what its source answers, and words of which the stream's reason has one.
type Case = (&'static str, fn() -> Reply, &'static [&'static str]);

/// All that a stream says about what is wrong, in lower case.
pub fn reason(stream: &Value) -> String {
    let words = [&stream["reason"], &stream["lastError"]["message"]];
    words.iter().filter_map(|words| words.as_str()).collect::<Vec<_>>().join(" | ").to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_gets_400_with_the_field_and_what_is_allowed() {
    let folder = folder();
    let overdub = Overdub::start(folder.path()).await.unwrap();
    let good = json!({"streamId": "s", "sourceUrl": "http://127.0.0.1:9/live.m3u8", "autostart": false});
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let cases = [
        ("colour", with("colour", json!("red")), "colour"),
        ("sourceUrl", with("sourceUrl", json!("ftp://h/x.m3u8")), "http"),
        ("sourceUrl", with("sourceUrl", json!("live.m3u8")), "http"),
        ("sourceUrl", with("sourceUrl", json!(7)), ""),
        ("sourceUrl", json!({"streamId": "s"}), ""),
        ("streamId", with("streamId", json!("../x")), "a-z"),
        ("streamId", with("streamId", json!("x".repeat(65))), "63"),
        ("bufferDuration", with("bufferDuration", json!(1)), "120"),
        ("bufferDuration", with("bufferDuration", json!(121)), "120"),
        ("bufferDuration", with("bufferDuration", json!("30")), ""),
        ("delay", with("delay", json!(0)), "300"),
        ("maxConcurrentBatches", with("maxConcurrentBatches", json!(65)), "64"),
        ("fallback", with("fallback", json!("applause")), "silence"),
        ("audioProcessorUrl", with("audioProcessorUrl", json!("rtmp://h/a/b")), "ws"),
        ("srsRtmpUrl", with("srsRtmpUrl", json!("http://h/live/x")), "rtmp"),
    ];
    for (field, body, allowed) in cases {
        let answer = overdub.post("/api/streams", &body).await;
        let problem = answer.json();
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
        assert_eq!(problem["field"], field, "{body}: {problem}");
        assert!(answer.text().to_lowercase().contains(allowed), "{body}: {problem} does not name {allowed}");
    }
    for body in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "\"s\"",
        "\u{feff}{}",
        &format!("{{\"streamId\":\"{}\"}}", "x".repeat(1 << 20)),
    ] {
        for path in ["/api/streams", "/api/pipeline/start", "/api/pipeline/stop", "/api/storage/clean"] {
            let answer = overdub.send("POST", path, body.as_bytes()).await;
            let status = answer.status;
            assert!(status == 400 || (status == 413 && body.len() > 1000), "{path} {body:.40}: {status}");
        }
    }
    assert_eq!(overdub.get("/api/streams").await["streams"], json!([]), "nothing was made of any of it");
    assert_eq!(overdub.send("GET", "/healthz", b"").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_answers_nonsense_is_named_and_heals() {
    let folder = folder();
    let live = Fixture::start(folder.path(), 6).await.unwrap();
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    let cases: [Case; 7] = [
        ("missing", Reply::not_found, &["404"]),
        (
            "html",
            || Reply::Whole(200, "text/html", b"<!DOCTYPE html><html>no</html>".to_vec()),
            &["playlist"],
        ),
        ("empty", || Reply::Whole(200, "application/vnd.apple.mpegurl", Vec::new()), &["empty", "playlist"]),
        ("endless", || Reply::Endless("application/vnd.apple.mpegurl"), &["larger", "4194304", "4 mib"]),
        // A body that ends with its connection may be taken or refused, as long as it is bounded and named.
        (
            "unframed",
            || Reply::EndlessUnframed("application/vnd.apple.mpegurl"),
            &["larger", "content-length"],
        ),
        ("silent", || Reply::Silence, &["no answer", "timed out", "timeout", "no data"]),
        ("broken", || Reply::Whole(500, "text/plain", Vec::new()), &["500"]),
    ];
    let mut sites = Vec::new();
    for (id, answer, _) in cases {
        let site = Site::start(move |_| answer()).await;
        let stream = json!({
            "streamId": id, "sourceUrl": site.url("/live.m3u8"), "bufferDuration": 4, "delay": 2,
            "audioProcessorUrl": format!("ws://127.0.0.1:{}", free_port()), "srsRtmpUrl": null,
        });
        overdub.create(&stream).await;
        sites.push(site);
    }
    for (id, _, words) in cases {
        overdub
            .stream_until(id, "the source is named", LIMIT, |stream| {
                let reason = reason(stream);
                reason.contains("source") && words.iter().any(|word| reason.contains(word))
            })
            .await;
        assert_eq!(overdub.stream(id).await["state"], "waiting", "{id}");
    }

    // It is tried again, with more and more time between, and no memory grows with it.
    for (site, (id, _, _)) in sites.iter().zip(cases) {
        wait::until(&format!("{id} is tried again"), LIMIT, async || {
            (site.requests().len() >= 2).then_some(())
        })
        .await;
    }
    for (site, (id, _, _)) in sites.iter().zip(cases) {
        let tries = site.requests().len();
        assert!(tries <= 30, "{id} was tried {tries} times");
    }
    let resident = overdub.resident_bytes();
    assert!(resident < 150 << 20, "{resident} bytes resident");

    for site in &sites {
        let url = live.url();
        site.answer(move |_| Reply::Redirect(url.clone()));
    }
    for (id, _, _) in cases {
        overdub
            .stream_until(id, "the stream goes on air", LIMIT, |stream| {
                stream["source"]["up"] == true && stream["outputs"][0]["published"].as_u64() >= Some(1)
            })
            .await;
    }
    assert!(overdub.process.running());
    assert!(!overdub.process.log().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_is_not_there_costs_its_audio_and_heals() {
    let folder = folder();
    let source = Fixture::start(folder.path(), 6).await.unwrap();
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    let port = free_port();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": source.url(), "bufferDuration": 2, "delay": 2, "srsRtmpUrl": null,
            "audioProcessorUrl": format!("ws://127.0.0.1:{port}"),
        }))
        .await;
    let shown = overdub
        .stream_until("s", "the show goes on without the processor", LIMIT, |stream| {
            stream["state"] == "degraded"
                && stream["renditions"][0]["fallbacks"].as_u64() >= Some(2)
                && stream["outputs"][0]["published"].as_u64() >= Some(1)
        })
        .await;
    assert!(reason(&shown).contains("processor") && reason(&shown).contains("refused"), "{shown:#}");
    let batches = overdub.batches("s").await;
    assert!(batches[0]["renditions"][0]["fallbackReason"].is_string(), "{:#}", batches[0]);

    let _processor = EchoProcessor::start_at(folder.path(), Duration::ZERO, port).await.unwrap();
    overdub
        .stream_until("s", "processed audio goes out again", LIMIT, |stream| {
            stream["state"] == "running" && stream["renditions"][0]["processed"].as_u64() >= Some(2)
        })
        .await;
    assert!(overdub.process.running());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rtmp_server_that_refuses_is_named_and_heals_and_hls_does_not_care() {
    let folder = folder();
    let source = Fixture::start(folder.path(), 6).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
    let peer = RtmpPeer::start(Manner::Refuse).await;
    let mut overdub = Overdub::start(folder.path()).await.unwrap();
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": source.url(), "bufferDuration": 2, "delay": 2,
            "audioProcessorUrl": processor.url(), "srsRtmpUrl": peer.url("s3cret-key"),
        }))
        .await;
    let shown = overdub
        .stream_until("s", "the refusal is named", LIMIT, |stream| {
            let hls =
                stream["outputs"].as_array().into_iter().flatten().find(|output| output["name"] == "hls");
            reason(stream).contains("badname") && hls.is_some_and(|hls| hls["published"].as_u64() >= Some(1))
        })
        .await;
    assert!(reason(&shown).contains("rtmp") && shown["state"] == "degraded", "{shown:#}");
    assert!(!shown.to_string().contains("s3cret"), "the stream key is shown: {shown:#}");

    for (manner, what) in [(Manner::HangUp, "hangs up"), (Manner::Accept, "accepts")] {
        let connections = peer.messages().iter().map(|message| message.connection).max().unwrap_or(0);
        peer.behave(manner);
        wait::until(&format!("the server that {what} is tried"), LIMIT, async || {
            peer.messages().iter().any(|message| message.connection > connections).then_some(())
        })
        .await;
    }
    overdub.stream_until("s", "the stream runs", LIMIT, |stream| stream["state"] == "running").await;
    wait::until("media comes", LIMIT, async || {
        peer.messages().iter().any(|message| message.kind == 9 && message.is_media()).then_some(())
    })
    .await;
    assert!(overdub.process.running());
    let log = overdub.process.log();
    assert!(!log.contains("s3cret"), "the stream key is logged");
    assert!(!log.contains("panicked"), "{log}");
}
