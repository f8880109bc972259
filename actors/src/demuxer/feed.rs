//! A batch's segments into the assembler: each with its audio, wherever that comes from.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Assembler, Input, Take};
use overdub_media::foreign::{ForeignCarry, ForeignReader};

use super::job::{DemuxError, file_error};
use super::transcode::{Transcoded, transcode};
use crate::messages::StoredSegment;

/// What is done with a batch's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sound {
    /// Copied: AAC, or none.
    Copied,
    /// Made AAC before the pictures are pushed.
    Transcoded,
    /// Left out: it can be neither copied nor transcoded, or the transcoder failed.
    LeftOut,
}

impl Sound {
    /// What to try after an error; none where the error is the batch's.
    pub(super) fn after(self, error: &DemuxError) -> Option<Self> {
        let transcodable = match error {
            DemuxError::Segment { source: AssembleError::UnsupportedCodec { transcodable, .. }, .. } => {
                *transcodable
            }
            DemuxError::Segment { source: AssembleError::UnsupportedAac { .. }, .. } => true,
            // What came back from the transcoder.
            DemuxError::End(AssembleError::UnsupportedAac { .. }) | DemuxError::Transcode(_) => false,
            _ => return None,
        };
        match self {
            Self::Copied if transcodable => Some(Self::Transcoded),
            Self::Copied | Self::Transcoded => Some(Self::LeftOut),
            Self::LeftOut => None,
        }
    }
}

/// Pushes a batch's segments one by one.
#[derive(Debug)]
pub(super) struct Feed {
    stream: String,
    /// Numbers of the segments that are pushed.
    numbers: Vec<u64>,
    pub sound: Sound,
    /// The sound comes from a playlist of its own.
    apart: bool,
    /// Audio segments that are pushed: one that overlaps two segments of video is listed by both.
    pushed: BTreeSet<u64>,
    /// What is pushed behind the pictures.
    transcoded: Option<Transcoded>,
    /// What was overlooked: name and how often.
    pub leniencies: Vec<(&'static str, u64)>,
}

impl Feed {
    /// Transcodes the batch's sound where that is what is done with it.
    pub(super) fn open(
        stream: &str,
        segments: &[StoredSegment],
        language: Option<&str>,
        sound: Sound,
        assembler: &mut Assembler,
    ) -> Result<Self, DemuxError> {
        let apart = is_apart(segments);
        let mut feed = Self {
            stream: stream.to_owned(),
            numbers: Vec::with_capacity(segments.len()),
            sound,
            apart,
            pushed: BTreeSet::new(),
            transcoded: None,
            leniencies: Vec::new(),
        };
        if apart {
            assembler.expect_overlaps();
        }
        let is_last = segments.last().is_some_and(|segment| segment.is_last);
        if is_last {
            assembler.expect_end();
        }
        match sound {
            Sound::Copied => {}
            Sound::LeftOut => feed.leniencies.push(("audio_left_out", 1)),
            Sound::Transcoded => {
                // Segments of a playlist of its own come again with the next batch, which so needs no frames of
                // this one.
                let carry = if apart { ForeignCarry::default() } else { assembler.foreign_carry() };
                let mut reader = ForeignReader::new(carry);
                reader.prefer_language(language.map(str::to_owned));
                if apart {
                    reader.fall_in_with(assembler.audio_end_90k());
                }
                if is_last {
                    reader.expect_end();
                }
                let take = if apart { Take::Audio } else { Take::All };
                feed.transcoded = transcode(reader, audio_files(segments, apart).map(read), take)?;
            }
        }
        Ok(feed)
    }

    /// Whether these begin with the segments that are pushed, and the others can be pushed after them.
    pub(super) fn leads_to(&self, segments: &[StoredSegment]) -> bool {
        let pushed = self.numbers.iter().copied();
        self.sound == Sound::Copied
            && segments.len() >= self.numbers.len()
            && segments.iter().map(|segment| segment.number).zip(pushed).all(|(now, before)| now == before)
            && is_apart(segments) == self.apart
            // That had to be known before the first was pushed.
            && !segments.last().is_some_and(|segment| segment.is_last)
    }

    /// Pushes the next segment, or all at once where their sound is transcoded; false where there is none left.
    pub(super) fn push_next(
        &mut self,
        segments: &[StoredSegment],
        assembler: &mut Assembler,
    ) -> Result<bool, DemuxError> {
        if !self.push_segment(segments, assembler)? {
            return Ok(false);
        }
        if let Some(transcoded) = self.transcoded.take() {
            // One encoder's run, and so all of the batch's sound is at hand at once.
            while self.push_segment(segments, assembler)? {}
            self.push_transcoded(transcoded, assembler)?;
        }
        Ok(true)
    }

    fn push_segment(
        &mut self,
        segments: &[StoredSegment],
        assembler: &mut Assembler,
    ) -> Result<bool, DemuxError> {
        let Some(segment) = segments.get(self.numbers.len()) else { return Ok(false) };
        self.numbers.push(segment.number);
        let bytes = read(&segment.path)?;
        let of_segment = |source| DemuxError::Segment { number: segment.number, source };
        if self.sound == Sound::Copied && !self.apart {
            assembler.push(&Input::whole(&bytes)).map_err(of_segment)?;
            return Ok(true);
        }
        match assembler.push(&Input::whole(&bytes).take(Take::Video)) {
            // Sound alone, which comes transcoded.
            Err(
                AssembleError::NoTrack { .. } | AssembleError::UnsupportedCodec { transcodable: true, .. },
            ) if self.sound == Sound::Transcoded => {}
            pushed => pushed.map_err(of_segment)?,
        }
        if self.sound == Sound::Copied {
            self.push_audio(segment, assembler)?;
        }
        Ok(true)
    }

    fn push_transcoded(
        &mut self,
        transcoded: Transcoded,
        assembler: &mut Assembler,
    ) -> Result<(), DemuxError> {
        self.leniencies.extend(transcoded.counters);
        self.leniencies.push(("audio_frames_transcoded", transcoded.frames));
        for (adts, stretch) in &transcoded.stretches {
            assembler.push_transcoded(adts, stretch).map_err(DemuxError::End)?;
        }
        assembler.set_foreign_carry(transcoded.carry);
        Ok(())
    }

    fn push_audio(&mut self, segment: &StoredSegment, assembler: &mut Assembler) -> Result<(), DemuxError> {
        for audio in segment.audio.iter().flatten() {
            if !self.pushed.insert(audio.media_sequence) {
                continue;
            }
            let bytes = read(&audio.path)?;
            match assembler.push(&Input::whole(&bytes).take(Take::Audio)) {
                Ok(()) => {}
                Err(
                    source @ (AssembleError::UnsupportedCodec { .. } | AssembleError::UnsupportedAac { .. }),
                ) => {
                    return Err(DemuxError::Segment { number: segment.number, source });
                }
                Err(error) => {
                    // The pictures go on without it.
                    tracing::warn!(stream = self.stream, segment = segment.number, %error, "an audio segment cannot be read");
                    self.leniencies.push(("audio_segments_unreadable", 1));
                }
            }
        }
        Ok(())
    }
}

/// Whether the sound comes from a playlist of its own.
fn is_apart(segments: &[StoredSegment]) -> bool {
    segments.iter().any(|segment| segment.audio.is_some())
}

/// The files that hold the batch's audio, in order and once each.
fn audio_files(segments: &[StoredSegment], apart: bool) -> impl Iterator<Item = &Path> {
    let mut seen = BTreeSet::new();
    let own = segments.iter().filter(move |_| apart).flat_map(|segment| segment.audio.iter().flatten());
    let own = own.filter(move |audio| seen.insert(audio.media_sequence)).map(|audio| audio.path.as_path());
    own.chain(segments.iter().filter(move |_| !apart).map(|segment| segment.path.as_path()))
}

fn read(path: &Path) -> Result<Bytes, DemuxError> {
    std::fs::read(path).map(Bytes::from).map_err(file_error(path))
}
