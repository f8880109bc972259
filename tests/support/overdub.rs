//! The program under test, and its API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::process::Process;
use super::{Result, http, wait};

/// A running `overdub serve`.
pub struct Overdub {
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// Its storage.
    pub storage: PathBuf,
    /// The process.
    pub process: Process,
}

impl Overdub {
    /// Starts it on a free port with its storage in `folder`; a second start there goes on with it.
    pub async fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[]).await
    }

    /// The same with settings in its environment, e.g. `OVERDUB__SUPERVISION__FAILED_RETRY`.
    pub async fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let storage = folder.join("storage");
        let mut command = Command::new(env!("CARGO_BIN_EXE_overdub"));
        command.args(["serve", "--host", "127.0.0.1", "--port", "0", "--storage"]).arg(&storage);
        // A folder of its own, so that no config.toml of the source tree is read.
        command.current_dir(folder).envs(settings.iter().copied());
        let mut process = Process::start("overdub", command, &folder.join("overdub.log"))?;
        let base = process.line_after("listening on ", Duration::from_secs(20)).await.trim().to_owned();
        Ok(Self { base, storage, process })
    }

    /// Any request to the API; the body's text is sent as it is.
    pub async fn send(&self, method: &str, path: &str, body: &[u8]) -> http::Response {
        let body = (method != "GET" && method != "DELETE").then_some(body);
        http::request(method, &format!("{}{path}", self.base), &[], body).await.expect("an answer")
    }

    /// `GET` of JSON, which must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let response = self.send("GET", path, b"").await;
        assert_eq!(response.status, 200, "GET {path}: {}", response.text());
        response.json()
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> http::Response {
        self.send("POST", path, body.to_string().as_bytes()).await
    }

    /// Creates and starts a stream, which must succeed.
    pub async fn create(&self, stream: &Value) {
        let response = self.post("/api/streams", stream).await;
        assert_eq!(response.status, 201, "{stream}: {}", response.text());
    }

    /// Stops a stream, which must succeed.
    pub async fn stop(&self, id: &str) {
        let response = self.post(&format!("/api/streams/{id}/stop"), &json!({})).await;
        assert_eq!(response.status, 200, "{}", response.text());
    }

    /// A stream as the API shows it.
    pub async fn stream(&self, id: &str) -> Value {
        self.get(&format!("/api/streams/{id}")).await
    }

    /// All batches that the API shows, oldest first.
    pub async fn batches(&self, id: &str) -> Vec<Value> {
        let mut answer = self.get(&format!("/api/streams/{id}/batches?limit=1000")).await;
        let Value::Array(mut batches) = answer["batches"].take() else { panic!("no batches: {answer}") };
        batches.reverse();
        batches
    }

    /// Waits until the stream, as shown, is as `accept` wants it; a failure shows it as it was last.
    pub async fn stream_until(
        &self,
        id: &str,
        what: &str,
        limit: Duration,
        accept: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = tokio::time::timeout(
            limit,
            wait::until(what, limit * 2, async || {
                last = self.stream(id).await;
                accept(&last).then(|| last.clone())
            }),
        )
        .await;
        found.unwrap_or_else(|_| panic!("waited {limit:?} in vain: {what}; the stream is {last:#}"))
    }

    /// URL of a stream's HLS output.
    pub fn hls_url(&self, id: &str) -> String {
        format!("{}/live/{id}/index.m3u8", self.base)
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib =
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("VmRSS of a running process") * 1024
    }

    /// Files below the storage that are half written: temporary ones, segments that are no whole packets,
    /// MP4 files that end within a box.
    pub fn half_written(&self) -> Vec<PathBuf> {
        let whole = |path: &PathBuf| {
            let data = std::fs::read(path).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "ts") {
                !data.is_empty() && data.len().is_multiple_of(188)
            } else {
                ends_with_a_box(&data)
            }
        };
        let mut found = self.files_ending_in(&[".tmp", ".part"]);
        found.extend(self.files_ending_in(&[".ts", ".fmp4"]).into_iter().filter(|path| !whole(path)));
        found
    }

    /// Files below the storage whose names end in one of `endings`.
    pub fn files_ending_in(&self, endings: &[&str]) -> Vec<PathBuf> {
        let mut folders = vec![self.storage.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                    found.push(path);
                }
            }
        }
        found
    }
}

/// Whether top-level boxes (ISO/IEC 14496-12 4.2) fill the file to its end.
fn ends_with_a_box(mut data: &[u8]) -> bool {
    while let Some(size) = data.first_chunk::<4>().map(|size| u32::from_be_bytes(*size) as usize) {
        match data.get(size..) {
            Some(rest) if size >= 8 => data = rest,
            _ => return false,
        }
    }
    data.is_empty()
}
