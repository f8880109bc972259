//! One FFmpeg child a fragment: pipes in and out, bounded in time, output and words.
//!
//! What is sent back is fragmented MP4 with AAC. An AAC encoder begins with samples of its own (priming,
//! 1024 with FFmpeg's), and the edit list says how many; its media time is the place in the track where
//! the sound begins (ISO/IEC 14496-12 8.6.6). FFmpeg leaves the edit list out of a fragmented file whose
//! `moov` is written before the first sample (`empty_moov` alone), and the sound would come 21 ms late, so
//! `delay_moov` makes it wait for one. The receiver drops what the edit list says, and lip sync is exact.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use overdub_actors::link::codec::MAX_MESSAGE_BYTES;
use overdub_actors::link::fragments::shorten;
use overdub_actors::messages::AudioFormat;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::work::Sound;

/// Longest time one fragment may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Longest time the first try of a filter may take.
const CHECK_TIME_LIMIT: Duration = Duration::from_secs(20);
/// Of the child's words, the last so many bytes are kept.
const KEPT_WORDS: usize = 2048;
/// Of the child's words, so many bytes are shown.
const SHOWN_WORDS: usize = 400;
/// Bit rate of one channel, in kbit/s: double what speech needs, so that it does not add to what is heard.
const KBITS_A_CHANNEL: u32 = 96;

/// Runs the filter over a moment of silence, so that a wrong one is known at the start.
pub async fn check(filter: &str) -> anyhow::Result<()> {
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-t", "0.1", "-af", filter]);
    command.args(["-f", "null", "-"]);
    let run = async {
        let mut child = spawn(&mut command)?;
        drop(child.stdin.take());
        let words = last_words(child.stderr.take()).await;
        let status = child.wait().await?;
        if status.success() { Ok(()) } else { bail!("ffmpeg does not take the filter {filter:?}: {words}") }
    };
    timeout(CHECK_TIME_LIMIT, run).await.context("ffmpeg did not end its first try of the filter")?
}

/// Runs `filter` over `audio`.
pub async fn filter(filter: &str, audio: Bytes, format: AudioFormat, sound: Sound) -> anyhow::Result<Bytes> {
    let mut command = ffmpeg();
    // The container is named and only the pipe may be read: no input makes FFmpeg open a file or an address.
    command.args(["-protocol_whitelist", "pipe", "-f", demuxer(format), "-i", "pipe:0"]);
    command.args(["-map", "0:a:0", "-map_metadata", "-1", "-af", filter, "-c:a", "aac"]);
    if let Some(rate) = sound.sample_rate.filter(|rate| (8_000..=96_000).contains(rate)) {
        command.args(["-ar", &rate.to_string()]);
    }
    let channels = sound.channels.filter(|channels| (1..=8).contains(channels));
    if let Some(channels) = channels {
        command.args(["-ac", &channels.to_string()]);
    }
    command.args(["-b:a", &format!("{}k", u32::from(channels.unwrap_or(2)) * KBITS_A_CHANNEL)]);
    command.args(["-movflags", "+frag_keyframe+delay_moov+default_base_moof", "-f", "mp4", "pipe:1"]);
    timeout(TIME_LIMIT, pipe(&mut command, audio))
        .await
        .with_context(|| format!("ffmpeg took more than {} s", TIME_LIMIT.as_secs()))?
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    command.spawn().context("cannot start ffmpeg; is it installed?")
}

async fn pipe(command: &mut Command, audio: Bytes) -> anyhow::Result<Bytes> {
    let mut child = spawn(command)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A child that ends before it has read all says why in its own words.
            let _ = stdin.write_all(&audio).await;
        }
    };
    let collect = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX_MESSAGE_BYTES as u64 + 1).read_to_end(&mut output).await?;
        }
        std::io::Result::Ok(output)
    };
    let ((), output, words) = tokio::join!(feed, collect, last_words(stderr));
    let output = output?;
    if output.len() > MAX_MESSAGE_BYTES {
        bail!("the filter made more than {MAX_MESSAGE_BYTES} bytes");
    }
    let status = child.wait().await?;
    if !status.success() {
        bail!("ffmpeg failed: {words}");
    }
    Ok(output.into())
}

/// The end of what a child says, on one line.
async fn last_words(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    // An error here is as good as the end: the words are all there will be.
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(KEPT_WORDS));
    }
    let text = String::from_utf8_lossy(&kept);
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(4));
    shorten(&lines.join("; "), SHOWN_WORDS)
}

fn demuxer(format: AudioFormat) -> &'static str {
    match format {
        AudioFormat::Mp4 => "mov",
        AudioFormat::MpegTs => "mpegts",
        AudioFormat::Adts => "aac",
        AudioFormat::Wav => "wav",
        AudioFormat::Mp3 => "mp3",
        AudioFormat::Ogg => "ogg",
        AudioFormat::Flac => "flac",
    }
}
