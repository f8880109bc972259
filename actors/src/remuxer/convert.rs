//! Processed audio of any other form to the slot's parameters, by one bounded FFmpeg child.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::clock::{self, UnixMicros};
use crate::messages::AudioMedia;

/// A batch's audio is at most a few minutes long; an FFmpeg that takes longer than this hangs.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// What is left of the time before a slot's air time for filling it with the fallback instead.
const FALLBACK_MARGIN_US: i64 = 200_000;
/// What a processor's audio may be: as what was sniffed, so that no playlist in disguise makes FFmpeg open
/// other files or addresses.
const FORMATS: &str = "mov,mpegts,aac,wav,mp3,ogg,flac";
/// What is kept of an FFmpeg's complaints.
const MAX_STDERR: usize = 400;

/// Decodes `from` and encodes it as AAC with the slot's rate and channels into `to`, an MP4 whose edit list
/// tells the encoder's priming. Gives up in time for the fallback where the slot airs `ready_by` then.
pub(super) async fn to_slot_parameters(
    from: &Path,
    to: &Path,
    slot: &AudioMedia,
    ready_by: Option<UnixMicros>,
) -> Result<(), String> {
    let left = ready_by.map_or(TIME_LIMIT, |at| {
        let left_us = at.micros_since(clock::now()).saturating_sub(FALLBACK_MARGIN_US).max(0);
        TIME_LIMIT.min(Duration::from_micros(left_us.unsigned_abs()))
    });
    if left.is_zero() {
        return Err("no time is left to convert the processed audio before it airs".to_owned());
    }
    let bytes: u64 = slot.cuts.iter().map(|cut| cut.len).sum();
    let seconds = slot.duration as f64 / f64::from(slot.config.sample_rate.max(1));
    let bits_per_second = (bytes as f64 * 8.0 / seconds.max(0.1)).clamp(64_000.0, 512_000.0) as u64;
    let child = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"])
        .args(["-format_whitelist", FORMATS, "-i"])
        .arg(from)
        .args(["-map", "0:a:0", "-vn", "-c:a", "aac", "-ac"])
        .arg(slot.config.channels.to_string())
        .arg("-ar")
        .arg(slot.config.sample_rate.to_string())
        .arg("-b:a")
        .arg(bits_per_second.to_string())
        .args(["-f", "mp4"])
        .arg(to)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("ffmpeg, needed to convert the processed audio, does not start: {error}"))?;
    let output = tokio::time::timeout(left, child.wait_with_output())
        .await
        .map_err(|_| format!("ffmpeg did not convert the processed audio within {} ms", left.as_millis()))?
        .map_err(|error| format!("ffmpeg: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let tail: String = complaint.trim().chars().rev().take(MAX_STDERR).collect();
    Err(format!("ffmpeg could not convert the processed audio: {}", tail.chars().rev().collect::<String>()))
}
