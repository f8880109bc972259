//! Streams made by FFmpeg on the fly, and silence decoded by it.

use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use overdub_media::aac::{AacParams, silent_access_unit};
use overdub_media::assemble::Carry;

use crate::corpus::compare;
use crate::ffmpeg;
use crate::support::{Batch, assemble, corpus, read};

/// The corpus' drama, looped `loops` times over and cut into transport stream segments of about 4 s.
fn drama(dir: &tempfile::TempDir, loops: u32, offset_s: u32) -> Option<Vec<PathBuf>> {
    let video = corpus("long-source-angel-one/video_144p_108k_h264.mp4")?;
    let audio = corpus("long-source-angel-one/audio_en_2c_128k_aac.mp4")?;
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let joined = path("loop.mp4");
    let args = ["-v", "error", "-i", video.to_str()?, "-i", audio.to_str()?, "-map", "0:v", "-map", "1:a"];
    ffmpeg::run("ffmpeg", &[&args[..], &["-t", "60", "-c", "copy", &joined]].concat())?;
    let (loops, offset) = ((loops - 1).to_string(), offset_s.to_string());
    let args = ["-v", "error", "-stream_loop", &loops, "-i", &joined, "-map", "0", "-c", "copy"];
    let (list, pattern) = (path("live.m3u8"), path("part-%03d.ts"));
    let hls = ["-output_ts_offset", &offset, "-f", "hls", "-hls_time", "4", "-hls_list_size", "0"];
    let hls = [&hls[..], &["-hls_segment_filename", &pattern, &list]].concat();
    ffmpeg::run("ffmpeg", &[&args[..], &hls].concat())?;
    let mut parts: Vec<PathBuf> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.retain(|part| part.extension().is_some_and(|extension| extension == "ts"));
    parts.sort();
    Some(parts)
}

/// Assembles `parts` in batches of so many segments.
fn in_batches(parts: &[PathBuf], size: usize) -> Vec<Batch> {
    let mut carry = Carry::default();
    parts
        .chunks(size)
        .map(|chunk| {
            let segments: Vec<Bytes> = chunk.iter().map(|part| read(part)).collect();
            let batch = assemble(&segments, carry.clone(), false).unwrap();
            carry = batch.end.carry.clone();
            batch
        })
        .collect()
}

fn joined(parts: &[PathBuf]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".ts").unwrap();
    for part in parts {
        file.write_all(&read(part)).unwrap();
    }
    file
}

#[test]
fn two_minutes_of_looped_drama_come_out_packet_for_packet() {
    let dir = tempfile::tempdir().unwrap();
    let Some(parts) = drama(&dir, 2, 0) else { return };
    let file = joined(&parts);
    let segments: Vec<Bytes> = parts.iter().map(|part| read(part)).collect();
    let whole = assemble(&segments, Carry::default(), false).unwrap();
    assert_eq!((whole.video().count(), whole.audio().count()), (3000, 5626));
    compare(&whole, file.path(), 0);
    // The seam's half frame is all that is out of the ordinary.
    assert_eq!(whole.end.counters, [("audio_steps", 1)]);
    let short: Vec<u32> =
        whole.audio().map(|sample| sample.duration).filter(|length| *length != 1024).collect();
    assert_eq!(short.len(), 1, "{short:?}");
    assert!((500..524).contains(&short[0]), "{short:?}");
}

#[test]
fn batches_of_any_length_give_the_same_samples_on_a_seamless_timeline() {
    let dir = tempfile::tempdir().unwrap();
    // 43.7 s before the clock wraps.
    let Some(parts) = drama(&dir, 2, 95_400) else { return };
    let whole = in_batches(&parts, parts.len()).pop().unwrap();
    for size in [1, 2, 5] {
        let batches = in_batches(&parts, size);
        let video = batches.iter().flat_map(Batch::video).map(|s| (s.dts_90k, s.pts_90k, s.sync, &s.nals));
        assert!(video.eq(whole.video().map(|s| (s.dts_90k, s.pts_90k, s.sync, &s.nals))));
        let audio = || batches.iter().flat_map(Batch::audio);
        assert!(audio().map(|sample| &sample.data).eq(whole.audio().map(|sample| &sample.data)));
        let mut next = None;
        for (sample, reference) in audio().zip(whole.audio()) {
            assert!(next.is_none_or(|next| next == sample.time), "slots follow on one another");
            next = Some(sample.time + i64::from(sample.duration));
            // At most the one access unit beside the seam is moved, by the seam's half frame.
            assert!((sample.time - reference.time).abs() <= 512);
        }
        let moved = audio().zip(whole.audio()).filter(|(sample, reference)| sample.time != reference.time);
        assert!(moved.count() <= 1);
    }
}

#[test]
fn silence_decodes_to_zeros_for_every_channel_configuration() {
    for channel_config in 1..=7u8 {
        let params = AacParams { object_type: 2, rate_index: 3, channel_config };
        let config = params.config().unwrap();
        let unit = silent_access_unit(&config).unwrap();
        let len = unit.len() + 7;
        let mut file = tempfile::NamedTempFile::with_suffix(".aac").unwrap();
        for _ in 0..50 {
            let head = [
                0xff,
                0xf1,
                0x4c | channel_config >> 2,
                channel_config << 6,
                (len >> 3) as u8,
                (len << 5) as u8 | 0x1f,
                0xfc,
            ];
            file.write_all(&head).unwrap();
            file.write_all(&unit).unwrap();
        }
        let args = ["-v", "error", "-xerror", "-i", file.path().to_str().unwrap(), "-f", "s16le", "-"];
        let Some(samples) = ffmpeg::run("ffmpeg", &args) else { return };
        assert_eq!(
            samples.len(),
            50 * 1024 * usize::from(config.channels) * 2,
            "configuration {channel_config}"
        );
        assert!(samples.iter().all(|byte| *byte == 0), "configuration {channel_config}");
    }
}
