//! Demuxing one batch, off the arbiter's thread.

use std::io;
use std::path::{Path, PathBuf};

use overdub_media::assemble::{AssembleError, Assembler, Carry};
use overdub_media::mp4::Mp4Error;

use super::DemuxBatch;
use super::feed::{Feed, Sound};
use super::tracks::{AudioFile, VideoFile};
use crate::files::{StreamFiles, is_for_want_of_space};
use crate::messages::{BatchMedia, StoredSegment, micros_to_ticks};

/// A batch on disk.
pub(super) struct Demuxed {
    pub media: BatchMedia,
    pub carry: String,
    pub leniencies: Vec<(&'static str, u64)>,
    /// Whether its sound, if there is any, was copied.
    pub copied: bool,
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

/// Demuxes a batch: its sound is copied where it can be, else transcoded, else left out. What of it is demuxed already
/// is gone on with.
pub(super) fn demux(
    files: &StreamFiles,
    command: &DemuxBatch,
    language: Option<&str>,
    open: Option<Attempt>,
) -> Result<Demuxed, DemuxError> {
    let begun = open.filter(|open| open.leads_to(command));
    if let Some(Ok(demuxed)) = begun.map(|open| open.complete(files, command)) {
        return Ok(demuxed);
    }
    let (mut sound, mut first_error) = (Sound::Copied, None);
    loop {
        let attempt = Attempt::begin(files, command, language, sound);
        let error = match attempt.and_then(|attempt| attempt.complete(files, command)) {
            Ok(demuxed) => return Ok(demuxed),
            Err(error) => error,
        };
        let Some(next) = sound.after(&error) else { return Err(first_error.unwrap_or(error)) };
        tracing::debug!(stream = files.stream(), batch = command.batch, %error, ?next, "the batch's sound is treated otherwise");
        sound = next;
        first_error.get_or_insert(error);
    }
}

/// Demuxes what there is of a batch that is not complete.
pub(super) fn demux_ahead(
    files: &StreamFiles,
    command: &DemuxBatch,
    language: Option<&str>,
    open: Option<Attempt>,
) -> Result<Attempt, DemuxError> {
    let mut attempt = match open {
        Some(open) if open.leads_to(command) => open,
        _ => Attempt::begin(files, command, language, Sound::Copied)?,
    };
    attempt.push(&command.segments)?;
    Ok(attempt)
}

/// A batch that is being demuxed, segment by segment.
#[derive(Debug)]
pub(super) struct Attempt {
    batch: u64,
    discontinuity: bool,
    gap_us: i64,
    carry: Option<String>,
    assembler: Assembler,
    feed: Feed,
    video: VideoFile,
    audio: AudioFile,
}

impl Attempt {
    fn begin(
        files: &StreamFiles,
        command: &DemuxBatch,
        language: Option<&str>,
        sound: Sound,
    ) -> Result<Self, DemuxError> {
        let carry: Carry = match &command.carry {
            Some(text) => serde_json::from_str(text).map_err(DemuxError::Carry)?,
            None => Carry::default(),
        };
        let first_batch = command.carry.is_none();
        let folder = files.batch(command.batch);
        std::fs::create_dir_all(&folder).map_err(file_error(&folder))?;
        let gap_90k = if first_batch { 0 } else { micros_to_ticks(command.gap_us) };
        let mut assembler = Assembler::after_gap(carry, command.discontinuity && !first_batch, gap_90k);
        assembler.prefer_language(language);
        Ok(Self {
            batch: command.batch,
            discontinuity: command.discontinuity,
            gap_us: command.gap_us,
            carry: command.carry.clone(),
            feed: Feed::open(files.stream(), &command.segments, language, sound, &mut assembler)?,
            assembler,
            video: VideoFile::new(folder.join("video.fmp4")),
            audio: AudioFile::new(folder.join("audio.fmp4")),
        })
    }

    /// Whether going on with it gives what the command asks for.
    fn leads_to(&self, command: &DemuxBatch) -> bool {
        self.batch == command.batch
            && self.discontinuity == command.discontinuity
            && self.gap_us == command.gap_us
            && self.carry == command.carry
            && self.feed.leads_to(&command.segments)
    }

    /// Pushes the segments that have not been.
    fn push(&mut self, segments: &[StoredSegment]) -> Result<(), DemuxError> {
        while self.feed.push_next(segments, &mut self.assembler)? {
            let cuts = self.assembler.take_cuts();
            self.video.events.add(self.assembler.take_events());
            let video_config = self.assembler.video_config().cloned();
            let audio_config = self.assembler.audio_config();
            for cut in cuts {
                self.video.write(&cut, video_config.as_ref())?;
                self.audio.write(&cut, audio_config.as_ref())?;
            }
        }
        Ok(())
    }

    fn complete(mut self, files: &StreamFiles, command: &DemuxBatch) -> Result<Demuxed, DemuxError> {
        self.push(&command.segments)?;
        let Self { assembler, feed, mut video, mut audio, .. } = self;
        let first_batch = command.carry.is_none();
        let assembled = assembler.finish().map_err(DemuxError::End)?;
        video.events.add(assembled.events);
        for cut in &assembled.cuts {
            video.write(cut, assembled.video.as_ref())?;
            audio.write(cut, assembled.audio.as_ref())?;
        }
        let epoch = assembled.carry.epoch();
        let (start_90k, end_90k) = (span_start(&video, &audio), span_end(&video, &audio));
        let (Some(start_90k), Some(end_90k)) = (start_90k, end_90k) else {
            let number = |segment: Option<&StoredSegment>| segment.map_or(0, |s| s.number);
            return Err(DemuxError::Nothing {
                first: number(command.segments.first()),
                last: number(command.segments.last()),
            });
        };
        let mut leniencies = assembled.counters;
        let copied = feed.sound == Sound::Copied;
        leniencies.extend(feed.leniencies);
        let cue_tags: u64 = command.segments.iter().map(|segment| u64::from(segment.cue_tags)).sum();
        leniencies.push(("cue_tags_dropped", cue_tags));
        leniencies.extend(video.events.counters());
        let program_date_time = command.segments.first().and_then(|segment| segment.program_date_time);
        let mut date_ranges = video.events.date_ranges(start_90k, program_date_time);
        let of_source = command.segments.iter().flat_map(|segment| segment.date_ranges.iter().cloned());
        let before = date_ranges.len();
        date_ranges.extend(of_source);
        let undated: u64 = command.segments.iter().map(|s| u64::from(s.date_ranges_dropped)).sum();
        leniencies.push(("date_ranges_dropped", undated));
        // They stand in the pictures' playlist.
        let kind = if assembled.video.is_some() { "date_ranges_passed_on" } else { "date_ranges_dropped" };
        leniencies.push((kind, (date_ranges.len() - before) as u64));
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
        Ok(Demuxed { media, carry, leniencies, copied })
    }
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
