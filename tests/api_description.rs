//! The API against its own description: schemathesis makes requests from it, valid and not, and looks at the answers.

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

#[path = "support/kit.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of the kit")]
mod kit;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use kit::live::LiveSource;
use kit::overdub::Overdub;
use kit::processor::EchoProcessor;

/// What the requests may take together.
const BUDGET_S: u64 = 60;
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Runs schemathesis against the program with further arguments; it must find nothing.
async fn finds_nothing(overdub: &Overdub, folder: &Path, arguments: &[&str]) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pypi/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run `make setup-pypi`", program.display());
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{}/api/openapi.json", overdub.base), "--checks", CHECKS])
        .args(["--max-time", &BUDGET_S.to_string(), "--request-timeout", "15", "--no-shrink"])
        .args(["--generation-deterministic", "--no-color", "--warnings", "off"])
        .args(arguments)
        .current_dir(folder)
        .kill_on_drop(true);
    let run = tokio::time::timeout(Duration::from_secs(4 * BUDGET_S), command.output()).await;
    let output = run.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_and_no_answer_differs_from_its_description() {
    let folder = kit::folder();
    let settings = [
        // Whatever addresses it thinks of, nobody is to be bothered.
        ("OVERDUB__FETCH__ALLOW_PRIVATE", "false"),
        ("OVERDUB__STREAM__AUDIO_PROCESSOR_URL", "ws://127.0.0.1:1"),
        ("OVERDUB__STREAM__SRS_RTMP_URL", "rtmp://127.0.0.1:1/live/{streamId}"),
        ("OVERDUB__SERVER__RATE_LIMIT", "0"),
        ("OVERDUB__SUPERVISION__SHUTDOWN_GRACE", "0"),
    ];
    let mut overdub = Overdub::start_with(folder.path(), &settings).await.unwrap();
    // Something to find.
    overdub
        .create(&json!({ "streamId": "news", "sourceUrl": "http://127.0.0.1:1/x.m3u8", "autostart": false }))
        .await;
    let phases = ["--phases", "examples,coverage,fuzzing", "--max-examples", "20"];
    finds_nothing(&overdub, folder.path(), &phases).await;
    assert!(overdub.process.running(), "the service has ended: {}", overdub.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_with_a_history_shows_is_as_described() {
    let folder = kit::folder();
    let settings = [("OVERDUB__SERVER__RATE_LIMIT", "0"), ("OVERDUB__STORAGE__KEEP_BATCHES", "100")];
    let mut overdub = Overdub::start_with(folder.path(), &settings).await.unwrap();
    let source = LiveSource::start(6).await.unwrap();
    let script = json!({"2": [{"do": "error"}], "*": [{"as": "quieter"}]});
    let processor = EchoProcessor::scripted(folder.path(), &script, 0).await.unwrap();
    let hook = json!({"url": format!("http://127.0.0.1:{}/hook", kit::free_port()), "secret": "hunter2"});
    assert_eq!(overdub.post("/api/webhooks", &hook).await.status, 201);
    overdub
        .create(&json!({
            "streamId": "news", "sourceUrl": source.url(), "audioProcessorUrl": processor.url(),
            "srsRtmpUrl": format!("rtmp://127.0.0.1:{}/live/{{streamId}}", kit::free_port()),
            "bufferDuration": 2, "delay": 3,
        }))
        .await;
    kit::wait::until("one batch is published, one fell back", Duration::from_secs(60), async || {
        let batches = overdub.batches("news").await;
        let has = |field: &str| batches.iter().any(|batch| !batch["renditions"][0][field].is_null());
        let published = batches.iter().any(|batch| batch["batch"] == 1 && batch["state"] == "published");
        (published && has("fallbackKind") && has("fit")).then_some(())
    })
    .await;
    let only = ["--include-method", "GET", "--phases", "examples,coverage", "--exclude-path", "/api/events"];
    finds_nothing(&overdub, folder.path(), &only).await;
    for route in ["", "/batches", "/batches/{batch}/audio", "/logs"] {
        let labels = ["method=\"GET\"", &format!("route=\"/api/streams/{{id}}{route}\""), "status=\"200\""];
        let metrics = overdub.send("GET", "/metrics", b"").await.text();
        let counted = metrics.lines().any(|line| {
            line.starts_with("overdub_http_requests_total{")
                && labels.iter().all(|label| line.contains(label))
        });
        assert!(counted, "{labels:?} was not answered with the stream's own: {metrics}");
    }
    assert!(overdub.process.running(), "the service has ended: {}", overdub.process.log());
}
