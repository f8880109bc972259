//! Assembling batches and looking at what came out.

use std::path::PathBuf;

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Assembled, Assembler, Carry, MediaCut};
use overdub_media::sample::{AudioSample, VideoSample};

/// A file of the corpus, or `None` (said on stderr) where the corpus is not there.
pub fn corpus(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("OVERDUB_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/media")),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        return Some(file);
    }
    eprintln!("skipped: {} is not there (set OVERDUB_CORPUS)", file.display());
    None
}

/// One batch's output.
pub struct Batch {
    pub cuts: Vec<MediaCut>,
    pub end: Assembled,
}

impl Batch {
    pub fn video(&self) -> impl Iterator<Item = &VideoSample> {
        self.cuts.iter().flat_map(|cut| &cut.video)
    }

    pub fn audio(&self) -> impl Iterator<Item = &AudioSample> {
        self.cuts.iter().flat_map(|cut| &cut.audio)
    }

    pub fn count(&self, name: &str) -> u64 {
        self.end.counters.iter().find(|(counted, _)| *counted == name).map_or(0, |(_, times)| *times)
    }
}

pub fn assemble(segments: &[Bytes], carry: Carry, discontinuity: bool) -> Result<Batch, AssembleError> {
    // Carries travel as JSON.
    let carry = serde_json::from_str(&serde_json::to_string(&carry).unwrap()).unwrap();
    let mut assembler = Assembler::new(carry, discontinuity);
    let mut cuts = Vec::new();
    for segment in segments {
        cuts.extend(assembler.push_segment(segment)?);
        let has_video = cuts.iter().any(|cut| !cut.video.is_empty());
        let has_audio = cuts.iter().any(|cut| !cut.audio.is_empty());
        assert!(!has_video || assembler.video_config().is_some());
        assert!(!has_audio || assembler.audio_config().is_some());
    }
    let end = assembler.finish()?;
    cuts.extend(end.cuts.iter().cloned());
    let batch = Batch { cuts, end };
    check_invariants(&batch);
    Ok(batch)
}

/// What holds for every batch, whatever the source.
pub fn check_invariants(batch: &Batch) {
    let video: Vec<_> = batch.video().collect();
    for pair in video.windows(2) {
        assert_eq!(pair[0].dts_90k + i64::from(pair[0].duration_90k), pair[1].dts_90k);
    }
    let audio: Vec<_> = batch.audio().collect();
    for pair in audio.windows(2) {
        assert_eq!(pair[0].time + i64::from(pair[0].duration), pair[1].time);
    }
    let inside_gop = batch.count("batch_begins_inside_gop") > 0;
    for (index, cut) in batch.cuts.iter().enumerate() {
        assert!(cut.video.first().is_none_or(|first| first.sync || (index == 0 && inside_gop)));
    }
    assert!(video.iter().all(|sample| sample.dts_90k >= 0 && sample.pts_90k >= 0));
    assert!(audio.iter().all(|sample| sample.time >= 0));
    assert_eq!(batch.end.video.is_some(), !video.is_empty());
    assert_eq!(batch.end.audio.is_some(), !audio.is_empty());
}

pub fn read(path: &std::path::Path) -> Bytes {
    Bytes::from(std::fs::read(path).unwrap())
}
