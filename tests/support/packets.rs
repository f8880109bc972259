//! Packet lists of media files, as ffprobe and ffmpeg see them.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use super::{Result, process};

/// Which track of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first video track.
    Video,
    /// The first audio track.
    Audio,
}

/// One access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Presentation time in the track's units.
    pub pts: i64,
    /// Decode time in the track's units.
    pub dts: i64,
    /// Video: the NAL units, without start codes or lengths. Audio: the access unit, without ADTS header.
    pub payload: Vec<Vec<u8>>,
}

/// A track's packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Units of time in one second.
    pub per_second: i64,
    /// The packets, in decode order.
    pub packets: Vec<Packet>,
}

impl Track {
    /// The same without its first `count` packets.
    pub fn after(&self, count: usize) -> Self {
        Self { per_second: self.per_second, packets: self.packets[count.min(self.packets.len())..].to_vec() }
    }
}

/// Both tracks of a file.
pub async fn read_both(path: &Path) -> Result<(Track, Track)> {
    Ok((read(path, Kind::Video).await?, read(path, Kind::Audio).await?))
}

/// Reads a track of an MPEG-TS, FLV or MP4 file.
pub async fn read(path: &Path, kind: Kind) -> Result<Track> {
    let selected = match kind {
        Kind::Video => "v:0",
        Kind::Audio => "a:0",
    };
    let list = process::output(
        Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", selected, "-of", "json"])
            .args(["-show_entries", "packet=pts,dts,size:stream=time_base:format=format_name"])
            .arg(path),
    )
    .await?;
    let list: Value = serde_json::from_slice(&list)?;
    // The `data` format writes packets as they are, one after the other; ffprobe's sizes part them again.
    let data =
        process::output(Command::new("ffmpeg").args(["-v", "error", "-copyts", "-i"]).arg(path).args([
            "-map",
            &format!("0:{selected}"),
            "-c",
            "copy",
            "-copyinkf",
            "-f",
            "data",
            "-",
        ]))
        .await?;
    let transport_stream = list["format"]["format_name"].as_str() == Some("mpegts");
    let time_base = list["streams"][0]["time_base"].as_str().ok_or("no such track")?;
    let per_second = time_base.strip_prefix("1/").ok_or("an odd time base")?.parse()?;
    let mut rest = data.as_slice();
    let mut packets = Vec::new();
    for packet in list["packets"].as_array().ok_or("no packets")? {
        let number =
            |key: &str| packet[key].as_i64().ok_or_else(|| format!("a packet without {key}: {packet}"));
        let size: usize = packet["size"].as_str().ok_or("a packet without size")?.parse()?;
        let (data, after) = rest.split_at_checked(size).ok_or("ffmpeg left packets out")?;
        rest = after;
        let payload = match (kind, transport_stream) {
            (Kind::Video, true) => annex_b(data),
            (Kind::Video, false) => length_prefixed(data)?,
            (Kind::Audio, true) => vec![without_adts_header(data)?.to_vec()],
            (Kind::Audio, false) => vec![data.to_vec()],
        };
        packets.push(Packet { pts: number("pts")?, dts: number("dts")?, payload });
    }
    if !rest.is_empty() {
        return Err(format!("ffmpeg gave {} bytes more than ffprobe listed", rest.len()).into());
    }
    Ok(Track { per_second, packets })
}

/// NAL units of an Annex B byte stream (H.264 annex B.1.1).
fn annex_b(data: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> =
        (0..data.len().saturating_sub(2)).filter(|i| data[*i..*i + 3] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let nal = &data[start + 3..end];
            // Zeros before the next start code are no part of the NAL unit, whose last byte is never zero.
            let length = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            nal[..length].to_vec()
        })
        .collect()
}

/// NAL units behind lengths of four bytes (ISO/IEC 14496-15 5.3.3.1.2).
fn length_prefixed(mut data: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut nals = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (nal, rest) = rest.split_at_checked(length).ok_or("a NAL unit longer than its sample")?;
        nals.push(nal.to_vec());
        data = rest;
    }
    if data.is_empty() { Ok(nals) } else { Err("bytes after the last NAL unit".into()) }
}

/// The raw access unit of an ADTS frame (ISO/IEC 14496-3 1.A.2.2).
fn without_adts_header(data: &[u8]) -> Result<&[u8]> {
    let [0xFF, second, ..] = data else { return Err("no ADTS header".into()) };
    let header = if second & 1 == 1 { 7 } else { 9 };
    Ok(data.get(header..).ok_or("a short ADTS frame")?)
}
