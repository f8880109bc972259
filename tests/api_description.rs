//! The API against its own description: schemathesis makes requests from it, valid and not, and looks at the answers.

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

#[path = "support/kit.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of the kit")]
mod kit;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use kit::overdub::Overdub;

/// What the requests may take together.
const BUDGET_S: u64 = 60;
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_and_no_answer_differs_from_its_description() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run `make setup-schemathesis`", program.display());
    let folder = tempfile::tempdir().unwrap();
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
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{}/api/openapi.json", overdub.base), "--checks", CHECKS])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "20", "--no-shrink"])
        .args(["--max-time", &BUDGET_S.to_string(), "--request-timeout", "15"])
        .args(["--generation-deterministic", "--no-color", "--warnings", "off"])
        .current_dir(folder.path())
        .kill_on_drop(true);
    let run = tokio::time::timeout(Duration::from_secs(4 * BUDGET_S), command.output()).await;
    let output = run.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(overdub.process.running(), "the service has ended: {}", overdub.process.log());
}
