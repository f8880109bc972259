//! A stream of known sound in batches, a processor of FFmpeg's, and measures of what comes out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use overdub_media::aac::{AacParams, AdtsReader};
use overdub_media::mp4::{self, FragmentBuilder, TrackConfig};
use overdub_media::sample::{AudioConfig, AudioSample};

use super::super::{RemuxBatch, Remuxed, remux};
use crate::files::StreamFiles;
use crate::ledger::Fill;
use crate::messages::{AudioMedia, BatchMedia, Cut};
use crate::settings::StreamId;

/// Access units in a batch.
pub const UNITS: usize = 190;
pub const BLOCK: usize = 1024;
pub const PARAMS: AacParams = AacParams { object_type: 2, rate_index: 3, channel_config: 2 };

pub fn has_ffmpeg() -> bool {
    let there = Command::new("ffmpeg").arg("-version").output().is_ok();
    if !there {
        eprintln!("skipped: no ffmpeg");
    }
    there
}

pub fn ffmpeg(args: &[&str]) {
    let output = Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(args).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {complaints}");
}

pub fn config() -> AudioConfig {
    PARAMS.config().unwrap()
}

/// A stream's batches on disk.
pub struct Stream {
    pub folder: tempfile::TempDir,
    pub files: StreamFiles,
    pub batches: Vec<Arc<BatchMedia>>,
    /// All access units.
    pub units: Vec<Bytes>,
}

fn adts_units(bytes: &[u8]) -> Vec<Bytes> {
    let (mut reader, mut counters, mut frames) = (AdtsReader::default(), Default::default(), Vec::new());
    reader.push(bytes, &mut counters, &mut frames);
    reader.finish(&mut counters, &mut frames);
    frames.into_iter().map(|frame| frame.data).collect()
}

impl Stream {
    /// `value` is the sound of the left channel at a sample; the right one has half of it.
    pub fn new(batches: usize, value: impl Fn(usize) -> f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let count = batches * UNITS * BLOCK;
        let pcm: Vec<u8> = (0..count)
            .flat_map(|n| {
                let value = value(n) * 32_767.0;
                [value as i16, (value / 2.0) as i16]
            })
            .flat_map(i16::to_le_bytes)
            .collect();
        std::fs::write(at("source.raw"), pcm).unwrap();
        ffmpeg(&[
            "-f",
            "s16le",
            "-ar",
            "48000",
            "-ac",
            "2",
            "-i",
            &at("source.raw"),
            "-c:a",
            "aac",
            "-b:a",
            "192k",
            "-f",
            "adts",
            &at("source.aac"),
        ]);
        let mut units = adts_units(&std::fs::read(at("source.aac")).unwrap());
        // A live stream has neither beginning nor end.
        units.remove(0);
        units.truncate(batches * UNITS);
        let files = StreamFiles::new(folder.path(), &StreamId::try_from("s".to_owned()).unwrap());
        let batches = (0..batches).map(|number| write_batch(&files, number, &units)).map(Arc::new).collect();
        Self { folder, files, batches, units }
    }

    pub fn path(&self, batch: usize, name: &str) -> PathBuf {
        self.files.batch(batch as u64).join(name)
    }

    /// Lets FFmpeg be the processor of a batch: `args` stand between what was sent and what comes back.
    pub fn process(&self, batch: usize, args: &[&str]) {
        let (from, to) = (self.path(batch, "audio.fmp4"), self.path(batch, "processed_audio.fmp4"));
        let _ = std::fs::remove_file(&to);
        ffmpeg(&[&["-i", from.to_str().unwrap()], args, &[to.to_str().unwrap()]].concat());
    }

    pub fn remux(&self, batch: usize, fill: Fill) -> Result<Remuxed, String> {
        let media = self.batches[batch].clone();
        let command = RemuxBatch { batch: batch as u64, fill, media, output_wanted: true, ready_by: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let remuxed = runtime.block_on(remux(self.files.clone(), "main".into(), command));
        remuxed.map_err(|failure| failure.reason)
    }

    /// The access units that go on air in a batch.
    pub fn fitted(&self, batch: usize) -> Vec<Bytes> {
        let path = self.path(batch, "fitted_audio.fmp4");
        let file = mp4::read_file(&Bytes::from(std::fs::read(path).unwrap())).unwrap();
        let start = self.batches[batch].audio.as_ref().unwrap().start;
        let samples = file.samples(1);
        for (n, sample) in samples.iter().enumerate() {
            assert_eq!((sample.dts, sample.duration), (start + (n * BLOCK) as i64, BLOCK as u32));
        }
        assert_eq!(samples.len(), UNITS, "the slot is filled to the access unit");
        samples.iter().map(|sample| sample.data.clone()).collect()
    }

    /// The left channel as a listener hears it.
    pub fn decode(&self, units: &[Bytes]) -> Vec<f32> {
        let path = self.folder.path().join("heard.aac");
        let mut adts = Vec::new();
        for unit in units {
            adts.extend(PARAMS.adts_header(unit.len()).unwrap());
            adts.extend_from_slice(unit);
        }
        std::fs::write(&path, adts).unwrap();
        decode_file(&path)
    }
}

fn decode_file(path: &Path) -> Vec<f32> {
    let raw = path.with_extension("pcm");
    let args = ["-i", path.to_str().unwrap(), "-f", "f32le", raw.to_str().unwrap()];
    ffmpeg(&args);
    let bytes = std::fs::read(raw).unwrap();
    bytes.as_chunks::<4>().0.iter().step_by(2).map(|sample| f32::from_le_bytes(*sample)).collect()
}

fn write_batch(files: &StreamFiles, number: usize, units: &[Bytes]) -> BatchMedia {
    let folder = files.batch(number as u64);
    std::fs::create_dir_all(&folder).unwrap();
    let own: Vec<AudioSample> = units[number * UNITS..(number + 1) * UNITS]
        .iter()
        .enumerate()
        .map(|(n, data)| AudioSample { time: (n * BLOCK) as i64, duration: BLOCK as u32, data: data.clone() })
        .collect();
    let config = config();
    let init = mp4::init_segment(&[(1, TrackConfig::Audio(&config))]).unwrap();
    let fragment = FragmentBuilder::new(1).audio(1, &own, 0).build().unwrap();
    std::fs::write(folder.join("audio.fmp4"), [&init[..], &fragment.to_vec()].concat()).unwrap();
    let (start, duration) = ((number * UNITS * BLOCK) as i64, (UNITS * BLOCK) as u64);
    let cut = Cut { offset: init.len() as u64, len: fragment.len, start, duration, samples: UNITS as u32 };
    let audio = AudioMedia {
        config,
        init_len: init.len() as u64,
        start,
        duration,
        access_units: UNITS as u32,
        cuts: vec![cut],
    };
    BatchMedia {
        epoch: 0,
        discontinuity: false,
        start_90k: start * 90_000 / 48_000,
        end_90k: (start + duration as i64) * 90_000 / 48_000,
        video: None,
        audio: Some(audio),
        program_date_time: None,
        date_ranges: Vec::new(),
    }
}

/// A chirp with a click in every tenth of a second: no two moments of it are alike.
pub fn chirps(n: usize) -> f64 {
    let t = n as f64 / 48_000.0;
    let phase = std::f64::consts::TAU * (200.0 * t + 90.0 * t * t);
    let click = if n % 4801 < 6 { 0.35 } else { 0.0 };
    0.3 * phase.sin() + 0.15 * (2.7 * phase).cos() + click
}

/// By how many samples `heard` is late against `original` around `at`, and how alike they then are (1: equal).
pub fn shift(heard: &[f32], original: &[f32], at: usize) -> (i64, f64) {
    const WINDOW: usize = 4096;
    const MOST: i64 = 2500;
    let alike = |late: i64, step: usize| {
        let from = at.checked_add_signed(late as isize).unwrap();
        let (mut cross, mut own, mut other) = (0.0, 0.0, 1e-9);
        for (a, b) in original[at..at + WINDOW].iter().zip(&heard[from..from + WINDOW]).step_by(step) {
            cross += a * b;
            own += a * a;
            other += b * b;
        }
        (late, f64::from(cross / (own * other).sqrt()))
    };
    let best = |mut found: Vec<(i64, f64)>| {
        found.sort_by(|one, other| other.1.total_cmp(&one.1));
        found
    };
    // Coarsely everywhere, then exactly where it may be.
    let coarse = best((-MOST..=MOST).map(|late| alike(late, 16)).collect());
    best(coarse.iter().take(40).map(|(late, _)| alike(*late, 1)).collect())[0]
}
