//! The page in headless Chromium: the script `web/ui/browser/newcomer.mjs` is the newcomer, this is the world around.

use std::time::Duration;

use tokio::process::Command;

use crate::kit::overdub::Overdub;
use crate::kit::process::Process;
use crate::kit::processor::EchoProcessor;
use crate::kit::source::Fixture;
use crate::kit::{folder, root};

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_creates_watches_compares_and_stops_a_stream_in_a_browser() {
    let folder = folder();
    let ui = root().join("web/ui");
    assert!(ui.join("dist/page/index.html").exists(), "the page has not been built: make page");
    let source = Fixture::start(folder.path(), 6).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), Duration::from_millis(300)).await.unwrap();
    let overdub = Overdub::start(folder.path()).await.unwrap();

    let mut command = Command::new("node");
    command.arg(ui.join("browser/newcomer.mjs"));
    command.env("BASE", &overdub.base).env("SOURCE", source.url()).env("PROCESSOR", processor.url());
    command.env("PROCESSOR_PID", processor.id().to_string()).env("SHOTS", root().join("target/page"));
    let mut newcomer = Process::start("the newcomer", command, &folder.path().join("newcomer.log")).unwrap();
    let status = newcomer.ended(Duration::from_secs(200)).await;
    for line in newcomer.lines() {
        eprintln!("{line}");
    }
    assert!(status.success(), "{}", newcomer.log());
}
