//! Demuxing one batch, off the arbiter's thread.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Assembler, Carry, MediaCut};
use overdub_media::mp4::{self, FragmentBuilder, Mp4Error, TrackConfig};
use overdub_media::sample::{AudioConfig, VideoConfig, VideoSample};

use super::DemuxBatch;
use super::events::Events;
use super::feed::{Feed, Sound};
use crate::files::{AtomicFile, StreamFiles, is_for_want_of_space};
use crate::messages::{AudioMedia, BatchMedia, Cut, VideoMedia, micros_to_ticks};

/// Track number in single-track files.
pub(crate) const SINGLE_TRACK: u32 = 1;

/// A batch on disk.
pub(super) struct Demuxed {
    pub media: BatchMedia,
    pub carry: String,
    pub leniencies: Vec<(&'static str, u64)>,
}

/// Why a batch could not be demuxed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemuxError {
    #[error("segment {number}: {source}")]
    Segment { number: u64, source: AssembleError },
    #[error("the batch's end: {0}")]
    End(AssembleError),
    #[error("audio cannot be transcoded: {0}")]
    Transcode(String),
    #[error("no picture and no sound in segments {first} to {last}")]
    Nothing { first: u64, last: u64 },
    #[error("what the batch before left is unreadable: {0}")]
    Carry(serde_json::Error),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
}

impl DemuxError {
    pub fn is_for_want_of_space(&self) -> bool {
        matches!(self, Self::File { source, .. } if is_for_want_of_space(source))
    }
}

/// Demuxes a batch: its sound is copied where it can be, else transcoded, else left out.
pub(super) fn demux(files: &StreamFiles, command: &DemuxBatch) -> Result<Demuxed, DemuxError> {
    let (mut sound, mut first_error) = (Sound::Copied, None);
    loop {
        let error = match attempt(files, command, sound) {
            Ok(demuxed) => return Ok(demuxed),
            Err(error) => error,
        };
        let Some(next) = sound.after(&error) else { return Err(first_error.unwrap_or(error)) };
        tracing::debug!(batch = command.batch, %error, ?next, "the batch's sound is treated otherwise");
        sound = next;
        first_error.get_or_insert(error);
    }
}

fn attempt(files: &StreamFiles, command: &DemuxBatch, sound: Sound) -> Result<Demuxed, DemuxError> {
    let carry: Carry = match &command.carry {
        Some(text) => serde_json::from_str(text).map_err(DemuxError::Carry)?,
        None => Carry::default(),
    };
    let first_batch = command.carry.is_none();
    let folder = files.batch(command.batch);
    std::fs::create_dir_all(&folder).map_err(file_error(&folder))?;

    let gap_90k = if first_batch { 0 } else { micros_to_ticks(command.gap_us) };
    let mut assembler = Assembler::after_gap(carry, command.discontinuity && !first_batch, gap_90k);
    let mut video = VideoFile::new(folder.join("video.fmp4"));
    let mut audio = AudioFile::new(folder.join("audio.fmp4"));
    let mut feed = Feed::open(&command.segments, sound, &mut assembler)?;
    while feed.push_next(&mut assembler)? {
        let cuts = assembler.take_cuts();
        video.events.add(assembler.take_events());
        let (video_config, audio_config) = (assembler.video_config().cloned(), assembler.audio_config());
        for cut in cuts {
            video.write(&cut, video_config.as_ref())?;
            audio.write(&cut, audio_config.as_ref())?;
        }
    }
    let assembled = assembler.finish().map_err(DemuxError::End)?;
    video.events.add(assembled.events);
    for cut in &assembled.cuts {
        video.write(cut, assembled.video.as_ref())?;
        audio.write(cut, assembled.audio.as_ref())?;
    }
    let epoch = assembled.carry.epoch();
    let (start_90k, end_90k) = (span_start(&video, &audio), span_end(&video, &audio));
    let (Some(start_90k), Some(end_90k)) = (start_90k, end_90k) else {
        let number = |segment: Option<&crate::messages::StoredSegment>| segment.map_or(0, |s| s.number);
        return Err(DemuxError::Nothing {
            first: number(command.segments.first()),
            last: number(command.segments.last()),
        });
    };
    let mut leniencies = assembled.counters;
    leniencies.append(&mut feed.leniencies);
    leniencies.extend(video.events.counters());
    let program_date_time = command.segments.first().and_then(|segment| segment.program_date_time);
    let mut date_ranges = video.events.date_ranges(start_90k, program_date_time);
    date_ranges.extend(command.segments.iter().flat_map(|segment| segment.date_ranges.iter().cloned()));
    let carry = serde_json::to_string(&assembled.carry).map_err(DemuxError::Carry)?;
    let media = BatchMedia {
        epoch,
        // Codecs that change make a new epoch too, though nothing announced it.
        discontinuity: (command.discontinuity || command.gap_us > 0 || assembled.epoch_changed)
            && !first_batch,
        start_90k,
        end_90k,
        video: video.finish(&files.video_init(epoch))?,
        audio: audio.finish(&files.audio_init(epoch))?,
        program_date_time,
        date_ranges,
    };
    Ok(Demuxed { media, carry, leniencies })
}

fn span_start(video: &VideoFile, audio: &AudioFile) -> Option<i64> {
    [video.first_dts, audio.first_90k()].into_iter().flatten().min()
}

fn span_end(video: &VideoFile, audio: &AudioFile) -> Option<i64> {
    [video.end_dts, audio.end_90k()].into_iter().flatten().max()
}

pub(super) fn file_error(path: &Path) -> impl FnOnce(io::Error) -> DemuxError + use<> {
    let path = path.to_owned();
    move |source| DemuxError::File { path, source }
}

/// Writes an init section that outlives the batches; writing it again gives the same bytes.
fn write_init(path: &Path, init: Vec<u8>) -> Result<(), DemuxError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(file_error(folder))?;
    let mut file = AtomicFile::create(path.to_owned()).map_err(file_error(path))?;
    file.write_chunks(&[Bytes::from(init)]).map_err(file_error(path))?;
    file.finish().map_err(file_error(path))
}

/// One single-track file being written.
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

struct VideoFile {
    track: TrackFile,
    config: Option<VideoConfig>,
    first_dts: Option<i64>,
    end_dts: Option<i64>,
    /// What goes before the pictures that it happens beside.
    events: Events,
}

impl VideoFile {
    fn new(path: PathBuf) -> Self {
        Self {
            track: TrackFile::new(path),
            config: None,
            first_dts: None,
            end_dts: None,
            events: Events::default(),
        }
    }

    fn write(&mut self, cut: &MediaCut, config: Option<&VideoConfig>) -> Result<(), DemuxError> {
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
        self.first_dts.get_or_insert(first.dts_90k);
        self.end_dts = Some(last.dts_90k + i64::from(last.duration_90k));
        Ok(())
    }

    fn finish(self, init_path: &Path) -> Result<Option<VideoMedia>, DemuxError> {
        let Some(config) = self.config else { return Ok(None) };
        let init = mp4::init_segment(&[(SINGLE_TRACK, TrackConfig::Video(&config))])?;
        write_init(init_path, init)?;
        let media = VideoMedia { config, init_len: self.track.init_len, cuts: self.track.cuts.clone() };
        self.track.close()?;
        Ok(Some(media))
    }
}

/// Earliest presentation time of the samples and the sum of their durations.
fn presentation_span(samples: &[VideoSample]) -> (i64, u64) {
    let start = samples.iter().map(|sample| sample.pts_90k).min().unwrap_or(0);
    (start, samples.iter().map(|sample| u64::from(sample.duration_90k)).sum())
}

struct AudioFile {
    track: TrackFile,
    config: Option<AudioConfig>,
    start: Option<i64>,
    end: i64,
    access_units: u32,
}

impl AudioFile {
    fn new(path: PathBuf) -> Self {
        Self { track: TrackFile::new(path), config: None, start: None, end: 0, access_units: 0 }
    }

    fn write(&mut self, cut: &MediaCut, config: Option<&AudioConfig>) -> Result<(), DemuxError> {
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

    fn first_90k(&self) -> Option<i64> {
        let rate = self.config.as_ref()?.sample_rate;
        Some(overdub_media::time::rescale(self.start?, rate, 90_000))
    }

    fn end_90k(&self) -> Option<i64> {
        let rate = self.config.as_ref()?.sample_rate;
        Some(overdub_media::time::rescale(self.end, rate, 90_000))
    }

    fn finish(self, init_path: &Path) -> Result<Option<AudioMedia>, DemuxError> {
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
