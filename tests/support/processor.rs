//! npm's socket.io server as a processor that sends back what it gets.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::process::Process;
use super::{Result, root};

/// A running processor.
pub struct EchoProcessor {
    /// Where it listens.
    pub port: u16,
    process: Process,
}

impl EchoProcessor {
    /// Starts one that answers after `delay`; its log goes to `folder`.
    pub async fn start(folder: &Path, delay: Duration) -> Result<Self> {
        Self::start_at(folder, delay, 0).await
    }

    /// The same on a port of the caller's choice; 0 takes a free one.
    pub async fn start_at(folder: &Path, delay: Duration, port: u16) -> Result<Self> {
        let server = root().join("tests/support/socketio/server.js");
        if !server.with_file_name("node_modules").is_dir() {
            return Err("npm's socket.io is not installed: make setup-peers".into());
        }
        let mut command = Command::new("node");
        command.arg(server).env("PORT", port.to_string()).env("DELAY_MS", delay.as_millis().to_string());
        let mut process = Process::start("the echo processor", command, &folder.join("processor.log"))?;
        let port = process.line_after("listening ", Duration::from_secs(20)).await.trim().parse()?;
        Ok(Self { port, process })
    }

    /// The URL for `audioProcessorUrl`.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Batch numbers of the fragments that have come, in order.
    pub fn batches(&self) -> Vec<u64> {
        let lines = self.process.lines();
        let events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter_map(|event| event["fragment"]["batchNumber"].as_u64()).collect()
    }
}
