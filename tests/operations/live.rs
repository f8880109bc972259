//! A real Prometheus reads a running service: one stream is well, of the other everything is wrong, then heals.

use std::time::Duration;

use serde_json::json;

use crate::files::yaml;
use crate::kit::live::{LiveSource, SegmentFault};
use crate::kit::nginx::NginxRtmp;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::source::Fixture;
use crate::kit::{folder, free_port, wait};
use crate::prometheus::{Prometheus, shortened};
use crate::{dashboards, promql, rules};

const LIMIT: Duration = Duration::from_secs(45);
/// Batches of the bad stream that its processor refuses; later ones it sends back. The first few come at once, out
/// of the source's window, perhaps before Prometheus looks.
const REFUSED: u64 = 9;

/// A panel's expression as Grafana would send it, for one of the two streams.
fn filled(expression: &str, stream: &str) -> String {
    let filled = expression
        .replace("$instance", ".*")
        .replace("$rendition", ".*")
        .replace("$stream", stream)
        .replace("[$__rate_interval]", "[12s]");
    shortened(&filled)
}

async fn firing(prometheus: &Prometheus, alerts: &[&str]) {
    let what = format!("firing for the bad stream: {alerts:?}");
    wait::until(&what, LIMIT, async || {
        let firing = prometheus.firing("bad").await;
        alerts.iter().all(|alert| firing.iter().any(|name| name == alert)).then_some(())
    })
    .await;
}

/// One stream's trouble is not another's. (Being late for a moment may be this machine's.)
async fn nothing_is_wrong_with_the_good_stream(prometheus: &Prometheus) {
    let firing = prometheus.firing("good").await;
    let wrong = ["SourceDown", "OutputDown", "ProcessorDown", "Fallback", "Failed", "RestartStorm"];
    let blamed: Vec<&String> =
        firing.iter().filter(|alert| wrong.iter().any(|word| alert.contains(word))).collect();
    assert!(blamed.is_empty(), "{firing:?}");
}

async fn each_panel_gives_data(prometheus: &Prometheus) {
    let mut empty = Vec::new();
    for (name, dashboard) in dashboards::all() {
        for (panel, expression) in dashboards::expressions(&dashboard) {
            let mut given = false;
            for stream in ["good", "bad"] {
                given = given || prometheus.gives_data(&filled(&expression, stream)).await;
            }
            if !given {
                empty.push(format!("{name}: {panel}: {expression}"));
            }
        }
    }
    assert!(empty.is_empty(), "these give no data:\n{}", empty.join("\n"));
}

async fn each_rule_gives_data(prometheus: &Prometheus) {
    let rules = rules::read(&yaml("grafana/alerts.yml"));
    let mut empty = Vec::new();
    for (name, _) in &rules.recorded {
        if !prometheus.gives_data(name).await {
            empty.push(name.clone());
        }
    }
    for (alert, expression) in &rules.alerts {
        if !prometheus.gives_data(promql::figure(expression)).await {
            empty.push(format!("{alert}: {expression}"));
        }
    }
    assert!(empty.is_empty(), "these give no data:\n{}", empty.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_sees_everything_and_alerts_fire_and_clear() {
    let folder = folder();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    for folder in [&good, &bad] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let source = Fixture::start(&good, 6).await.unwrap();
    let bad_source = LiveSource::start(6).await.unwrap();
    // It ends within a packet: an irregularity that is tolerated.
    bad_source.spoil(bad_source.produced() + 3, SegmentFault::Short(90));
    let rtmp = NginxRtmp::start(&good).await.unwrap();
    let processor = EchoProcessor::start(&good, Duration::ZERO).await.unwrap();
    let script: serde_json::Map<_, _> =
        (0..REFUSED).map(|batch| (batch.to_string(), json!([{ "do": "error" }]))).collect();
    let bad_processor = EchoProcessor::scripted(&bad, &script.into(), 0).await.unwrap();
    let bad_rtmp = free_port();

    let overdub = Overdub::start(folder.path()).await.unwrap();
    let prometheus = Prometheus::start(folder.path(), &overdub.base).await;
    overdub
        .create(&json!({
            "streamId": "good", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "srsRtmpUrl": rtmp.url("good"), "bufferDuration": 2, "delay": 1,
        }))
        .await;
    overdub
        .create(&json!({
            "streamId": "bad", "sourceUrl": bad_source.url(), "audioProcessorUrl": bad_processor.url(),
            "srsRtmpUrl": format!("rtmp://127.0.0.1:{bad_rtmp}/live/bad"), "bufferDuration": 2, "delay": 1,
        }))
        .await;

    firing(&prometheus, &["OverdubFallbackRate", "OverdubMostlyFallback", "OverdubOutputDown"]).await;
    wait::until("the reason of the fallbacks is counted", LIMIT, async || {
        let reasons = "sum by (reason) (increase(overdub_fallbacks_total{stream=\"bad\"}[12s])) > 0";
        let reasons = prometheus.query(reasons).await;
        reasons.iter().any(|(labels, _)| labels["reason"] == "processor_error").then_some(())
    })
    .await;
    nothing_is_wrong_with_the_good_stream(&prometheus).await;

    // Both have been on air for a while: all that can be shown is there.
    wait::until("the bad stream's later batches are processed", LIMIT, async || {
        let processed = "overdub_batches_total{stream=\"bad\", result=\"processed\"} > 1";
        (!prometheus.query(processed).await.is_empty()).then_some(())
    })
    .await;
    each_panel_gives_data(&prometheus).await;
    each_rule_gives_data(&prometheus).await;

    bad_source.answer_all(Some(503));
    firing(&prometheus, &["OverdubSourceDown"]).await;

    // Everything heals.
    bad_source.answer_all(None);
    let _healed = NginxRtmp::start_at(&bad, bad_rtmp).await.unwrap();
    wait::until("no alert fires any more", LIMIT, async || {
        prometheus.firing("bad").await.is_empty().then_some(())
    })
    .await;
    nothing_is_wrong_with_the_good_stream(&prometheus).await;
}
