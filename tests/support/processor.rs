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
    /// Starts one that follows a script: by batch number, or `"*"` for the others, a list of steps. Each step is
    /// an answer: `{"do": "echo" | "error" | "garbage" | "unknown" | "disconnect" | "never", "after_ms": 0,
    /// "as": "quieter" | "mono" | "wav" | "mp3" | "opus" | "flac" | "short" | "long"}`. Without a step a fragment
    /// is echoed.
    pub async fn scripted(folder: &Path, script: &Value, port: u16) -> Result<Self> {
        Self::launch(folder, port, &[("SCRIPT", script.to_string())]).await
    }

    /// Starts one that answers after `delay`; its log goes to `folder`.
    pub async fn start(folder: &Path, delay: Duration) -> Result<Self> {
        Self::start_at(folder, delay, 0).await
    }

    /// The same on a port of the caller's choice; 0 takes a free one.
    pub async fn start_at(folder: &Path, delay: Duration, port: u16) -> Result<Self> {
        Self::launch(folder, port, &[("DELAY_MS", delay.as_millis().to_string())]).await
    }

    async fn launch(folder: &Path, port: u16, environment: &[(&str, String)]) -> Result<Self> {
        let server = root().join("tests/support/socketio/server.js");
        if !server.with_file_name("node_modules").is_dir() {
            return Err("npm's socket.io is not installed: make setup-peers".into());
        }
        let mut command = Command::new("node");
        command.arg(server).env("PORT", port.to_string());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start("the echo processor", command, &folder.join("processor.log"))?;
        let port = process.line_after("listening ", Duration::from_secs(20)).await.trim().parse()?;
        Ok(Self { port, process })
    }

    /// The URL for `audioProcessorUrl`.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it, as a crash would.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }

    /// What it noted: an object an event.
    pub fn events(&self) -> Vec<Value> {
        self.process.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Batch numbers of the fragments that have come, in order.
    pub fn batches(&self) -> Vec<u64> {
        self.events().iter().filter_map(|event| event["fragment"]["batchNumber"].as_u64()).collect()
    }
}
