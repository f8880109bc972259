//! FFmpeg as oracle, the media corpus, and configurations to write files with.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use overdub_media::mp4::{ReadSample, Track};
use overdub_media::sample::{AudioConfig, VideoConfig};

/// The corpus' folder of a case, or `None` with a message.
pub fn corpus(case: &str) -> Option<PathBuf> {
    let root = std::env::var_os("OVERDUB_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media"), PathBuf::from);
    let folder = root.join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no media corpus at {}; set OVERDUB_CORPUS", root.display());
    None
}

/// Whether FFmpeg is there; says so if not.
pub fn has_ffmpeg() -> bool {
    let there = ["ffmpeg", "ffprobe"]
        .iter()
        .all(|tool| Command::new(tool).arg("-version").output().is_ok_and(|output| output.status.success()));
    if !there {
        eprintln!("skipped: no ffmpeg");
    }
    there
}

/// Runs a tool and returns what it printed; its complaints, even harmless ones, are failures.
pub fn run(tool: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(tool).args(["-v", "error"]).args(args).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{tool} {args:?}: {complaints}");
    output.stdout
}

/// A packet as ffprobe shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub pts: i64,
    pub dts: i64,
    pub size: usize,
    pub key: bool,
    pub hash: String,
}

/// Packets of the first stream of a kind (`v` or `a`), in its own timescale.
pub fn packets(path: &Path, kind: &str, options: &[&str]) -> Vec<Packet> {
    let path = path.to_str().unwrap();
    let selected = format!("{kind}:0");
    let args = [
        options,
        &["-select_streams", &selected, "-show_packets", "-show_data_hash", "CRC32", "-of", "json", path],
    ]
    .concat();
    let json: serde_json::Value = serde_json::from_slice(&run("ffprobe", &args)).unwrap();
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    json["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| Packet {
            pts: number(&packet["pts"]),
            dts: number(&packet["dts"]),
            size: packet["size"].as_str().unwrap().parse().unwrap(),
            key: packet["flags"].as_str().unwrap().starts_with('K'),
            hash: packet["data_hash"].as_str().unwrap().to_owned(),
        })
        .collect()
}

/// Names the first packet that differs.
pub fn assert_same(ours: &[Packet], theirs: &[Packet], what: &str) {
    if let Some(at) = ours.iter().zip(theirs).position(|(a, b)| a != b) {
        panic!("{what}, packet {at}:\nours   {:?}\ntheirs {:?}", ours[at], theirs[at]);
    }
    assert_eq!(ours.len(), theirs.len(), "{what}");
}

/// What ffprobe should show for a sample, with or without the edit list.
pub fn as_packet(sample: &ReadSample, track: &Track, edited: bool) -> Packet {
    let shift = if edited { track.edit_delay - track.edit_media_time } else { 0 };
    Packet {
        pts: sample.dts + i64::from(sample.cts_offset) + shift,
        dts: sample.dts + shift,
        size: sample.data.len(),
        key: sample.sync,
        hash: format!("CRC32:{:08x}", crc32(&sample.data)),
    }
}

/// ISO 3309 CRC, as FFmpeg shows it.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// 640x360 High profile.
pub fn video_config() -> VideoConfig {
    VideoConfig {
        sps: vec![Bytes::from_static(&[
            0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00,
            0x01, 0x00, 0x00, 0x03, 0x00, 0x30, 0x0f, 0x16, 0x2d, 0x96,
        ])],
        pps: vec![Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0])],
        width: 640,
        height: 360,
        ..VideoConfig::default()
    }
}

/// AAC LC, 48 kHz stereo.
pub fn audio_config() -> AudioConfig {
    AudioConfig {
        audio_specific_config: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
        ..AudioConfig::default()
    }
}
