//! A batch's files of one track each, being written.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use overdub_media::assemble::MediaCut;
use overdub_media::mp4::{self, FragmentBuilder, TrackConfig};
use overdub_media::sample::{AudioConfig, VideoConfig, VideoSample};

use super::events::Events;
use super::job::{DemuxError, file_error};
use crate::files::AtomicFile;
use crate::messages::{AudioMedia, Cut, VideoMedia};

/// Track number in single-track files.
pub(crate) const SINGLE_TRACK: u32 = 1;

/// Writes an init section, which outlives the batches; all but the first of an epoch find it written.
fn write_init(path: &Path, init: Vec<u8>) -> Result<(), DemuxError> {
    if std::fs::read(path).is_ok_and(|known| known == init) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(file_error(folder))?;
    let mut file = AtomicFile::create(path.to_owned()).map_err(file_error(path))?;
    file.write_chunks(&[Bytes::from(init)]).map_err(file_error(path))?;
    file.finish().map_err(file_error(path))
}

/// One single-track file being written.
#[derive(Debug)]
struct TrackFile {
    path: PathBuf,
    file: Option<AtomicFile>,
    init_len: u64,
    cuts: Vec<Cut>,
}

impl TrackFile {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, init_len: 0, cuts: Vec::new() }
    }

    /// Writes the init section first, then the fragment; cuts without this track's samples keep their place.
    fn append(&mut self, config: TrackConfig<'_>, chunks: &[Bytes], mut cut: Cut) -> Result<(), DemuxError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let init = mp4::init_segment(&[(SINGLE_TRACK, config)])?;
                self.init_len = init.len() as u64;
                let mut file = AtomicFile::create(self.path.clone()).map_err(file_error(&self.path))?;
                file.write_chunks(&[Bytes::from(init)]).map_err(file_error(&self.path))?;
                none.insert(file)
            }
        };
        cut.offset = file.position();
        file.write_chunks(chunks).map_err(file_error(&self.path))?;
        cut.len = file.position() - cut.offset;
        self.cuts.push(cut);
        Ok(())
    }

    fn skip(&mut self, start: i64) {
        self.cuts.push(Cut { offset: 0, len: 0, start, duration: 0, samples: 0 });
    }

    fn sequence(&self) -> u32 {
        u32::try_from(self.cuts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn close(self) -> Result<(), DemuxError> {
        match self.file {
            Some(file) => file.finish().map_err(file_error(&self.path)),
            None => Ok(()),
        }
    }
}

/// `video.fmp4`.
#[derive(Debug)]
pub(super) struct VideoFile {
    track: TrackFile,
    config: Option<VideoConfig>,
    begins_inside_gop: bool,
    pub first_dts: Option<i64>,
    pub end_dts: Option<i64>,
    /// What goes before the pictures that it happens beside.
    pub events: Events,
}

impl VideoFile {
    pub fn new(path: PathBuf) -> Self {
        Self {
            track: TrackFile::new(path),
            config: None,
            begins_inside_gop: false,
            first_dts: None,
            end_dts: None,
            events: Events::default(),
        }
    }

    pub fn write(&mut self, cut: &MediaCut, config: Option<&VideoConfig>) -> Result<(), DemuxError> {
        let (Some(first), Some(last)) = (cut.video.first(), cut.video.last()) else {
            self.track.skip(self.end_dts.unwrap_or(0));
            return Ok(());
        };
        let Some(config) = self.config.as_ref().or(config).cloned() else { return Ok(()) };
        let fragment = FragmentBuilder::new(self.track.sequence()).video(SINGLE_TRACK, &cut.video).build()?;
        let position = presentation_span(&cut.video);
        let entry = Cut {
            offset: 0,
            len: 0,
            start: position.0,
            duration: position.1,
            samples: u32::try_from(cut.video.len()).unwrap_or(u32::MAX),
        };
        let mut chunks = fragment.chunks;
        let end = entry.start.saturating_add(i64::try_from(entry.duration).unwrap_or(i64::MAX));
        if let Some(boxes) = self.events.before(end) {
            chunks.insert(0, boxes);
        }
        self.track.append(TrackConfig::Video(&config), &chunks, entry)?;
        self.config.get_or_insert(config);
        if self.first_dts.is_none() {
            self.first_dts = Some(first.dts_90k);
            self.begins_inside_gop = !first.sync;
        }
        self.end_dts = Some(last.dts_90k + i64::from(last.duration_90k));
        Ok(())
    }

    pub fn finish(self, init_path: &Path) -> Result<Option<VideoMedia>, DemuxError> {
        let Some(config) = self.config else { return Ok(None) };
        let init = mp4::init_segment(&[(SINGLE_TRACK, TrackConfig::Video(&config))])?;
        write_init(init_path, init)?;
        let media = VideoMedia {
            config,
            init_len: self.track.init_len,
            cuts: self.track.cuts.clone(),
            begins_inside_gop: self.begins_inside_gop,
        };
        self.track.close()?;
        Ok(Some(media))
    }
}

/// Earliest presentation time of the samples and the sum of their durations.
fn presentation_span(samples: &[VideoSample]) -> (i64, u64) {
    let start = samples.iter().map(|sample| sample.pts_90k).min().unwrap_or(0);
    (start, samples.iter().map(|sample| u64::from(sample.duration_90k)).sum())
}

/// `audio.fmp4`.
#[derive(Debug)]
pub(super) struct AudioFile {
    track: TrackFile,
    config: Option<AudioConfig>,
    start: Option<i64>,
    end: i64,
    access_units: u32,
}

impl AudioFile {
    pub fn new(path: PathBuf) -> Self {
        Self { track: TrackFile::new(path), config: None, start: None, end: 0, access_units: 0 }
    }

    pub fn write(&mut self, cut: &MediaCut, config: Option<&AudioConfig>) -> Result<(), DemuxError> {
        let (Some(first), Some(last)) = (cut.audio.first(), cut.audio.last()) else {
            self.track.skip(self.end);
            return Ok(());
        };
        let Some(config) = self.config.as_ref().or(config).cloned() else { return Ok(()) };
        // The processor gets audio that counts from zero.
        let start = *self.start.get_or_insert(first.time);
        let fragment =
            FragmentBuilder::new(self.track.sequence()).audio(SINGLE_TRACK, &cut.audio, -start).build()?;
        let samples = u32::try_from(cut.audio.len()).unwrap_or(u32::MAX);
        self.end = last.time + i64::from(last.duration);
        let entry = Cut {
            offset: 0,
            len: 0,
            start: first.time,
            duration: u64::try_from(self.end - first.time).unwrap_or(0),
            samples,
        };
        self.track.append(TrackConfig::Audio(&config), &fragment.chunks, entry)?;
        self.config.get_or_insert(config);
        self.access_units = self.access_units.saturating_add(samples);
        Ok(())
    }

    pub fn first_90k(&self) -> Option<i64> {
        let rate = self.config.as_ref()?.sample_rate;
        Some(overdub_media::time::rescale(self.start?, rate, 90_000))
    }

    pub fn end_90k(&self) -> Option<i64> {
        let rate = self.config.as_ref()?.sample_rate;
        Some(overdub_media::time::rescale(self.end, rate, 90_000))
    }

    pub fn finish(self, init_path: &Path) -> Result<Option<AudioMedia>, DemuxError> {
        let (Some(config), Some(start)) = (self.config, self.start) else { return Ok(None) };
        let init = mp4::init_segment(&[(SINGLE_TRACK, TrackConfig::Audio(&config))])?;
        write_init(init_path, init)?;
        let media = AudioMedia {
            config,
            init_len: self.track.init_len,
            start,
            duration: u64::try_from(self.end - start).unwrap_or(0),
            access_units: self.access_units,
            cuts: self.track.cuts.clone(),
        };
        self.track.close()?;
        Ok(Some(media))
    }
}
