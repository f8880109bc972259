//! FFmpeg as an RTMP server: it takes Enhanced RTMP, says nothing of it, and writes what one publisher sends.
//!
//! Debian's FFmpeg reads FLV's own codecs alone; `make setup-pypi` brings one that knows the others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::process::Process;
use super::{Result, free_port, root};

/// A server that serves one publisher and ends.
pub struct FfmpegServer {
    url: String,
    file: PathBuf,
    process: Process,
}

impl FfmpegServer {
    /// Starts one that writes to `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let program = root().join("target/pypi/bin/ffmpeg");
        assert!(program.exists(), "{} is missing: run `make setup-pypi`", program.display());
        let url = format!("rtmp://127.0.0.1:{}/live/key", free_port());
        let file = folder.join("received.mp4");
        let mut command = Command::new(program);
        command.args(["-v", "error", "-copyts", "-listen", "1", "-f", "flv", "-i", &url]);
        command.args(["-c", "copy", "-video_track_timescale", "90000"]).arg(&file);
        let process = Process::start("ffmpeg", command, &folder.join("server.log"))?;
        Ok(Self { url, file, process })
    }

    /// Where to publish.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the publisher has gone: what it sent.
    pub async fn received(mut self) -> PathBuf {
        self.process.ended(Duration::from_secs(20)).await;
        self.file
    }
}
