//! What Overdub is measured against: FFmpeg, one process a stream, copying from HLS to RTMP.

use std::net::SocketAddr;
use std::process::Command;

use super::process::Process;

/// Starts the relay of one stream.
pub fn start(source: SocketAddr, sink: SocketAddr, stream: u32) -> anyhow::Result<Process> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-i"]);
    command.arg(format!("http://{source}/{stream}/index.m3u8"));
    command.args(["-c", "copy", "-f", "flv"]).arg(format!("rtmp://{sink}/live/r{stream}"));
    Process::start(command, None)
}
