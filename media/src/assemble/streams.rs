//! A program's H.264 and AAC, as access units in the order in which they become complete.

use crate::aac::{AacParams, AdtsFrame, AdtsReader, UnsupportedAac};
use crate::counters::Counters;
use crate::h264::{AccessUnit, AccessUnits};
use crate::sample::{AudioConfig, VideoConfig};
use crate::ts::{Codec, ElementaryStream, PesHeader, Program, Sink};

use super::carry::{AdtsRest, Carry};

/// An access unit of either kind.
#[derive(Debug)]
pub enum Unit {
    /// A picture.
    Video(AccessUnit),
    /// A frame of audio.
    Audio(AdtsFrame),
}

impl Unit {
    /// The picture, if it is one.
    #[must_use]
    pub fn picture(&self) -> Option<&AccessUnit> {
        match self {
            Self::Video(unit) => Some(unit),
            Self::Audio(_) => None,
        }
    }
}

/// Takes a demultiplexer's calls and rebuilds access units.
#[derive(Debug, Default)]
pub struct Streams {
    video: Option<(u16, AccessUnits)>,
    audio: Option<(u16, AdtsReader)>,
    units: Vec<Unit>,
    pictures: Vec<AccessUnit>,
    frames: Vec<AdtsFrame>,
    known_video: Option<VideoConfig>,
    known_audio: Option<AudioConfig>,
    rest: AdtsRest,
    /// Label of what comes now: the segment's number, from 1.
    pub origin: u32,
    /// The stream for which the program is refused, if no other program fits.
    pub refused: Option<ElementaryStream>,
    /// Why the audio cannot be used.
    pub unsupported_aac: Option<UnsupportedAac>,
    /// Leniencies of the elementary streams.
    pub counters: Counters,
}

impl Streams {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(carry: &Carry) -> Self {
        Self {
            known_video: carry.video_config.clone(),
            known_audio: carry.audio_config.clone(),
            rest: carry.adts.clone(),
            ..Self::default()
        }
    }

    /// Whether the program has video and audio.
    #[must_use]
    pub fn has(&self) -> [bool; 2] {
        [self.video.is_some(), self.audio.is_some()]
    }

    /// The access units that are complete.
    pub fn take_units(&mut self) -> Vec<Unit> {
        std::mem::take(&mut self.units)
    }

    /// The batch ends: completes what is open; the cut ADTS frame is for the next batch.
    pub fn finish(&mut self) -> AdtsRest {
        self.end_video();
        self.end_audio()
    }

    fn end_video(&mut self) {
        if let Some((_, mut video)) = self.video.take() {
            video.finish(&mut self.counters, &mut self.pictures);
            self.units.extend(self.pictures.drain(..).map(Unit::Video));
        }
    }

    fn end_audio(&mut self) -> AdtsRest {
        let Some((_, mut audio)) = self.audio.take() else { return AdtsRest::default() };
        let (bytes, stamp) = audio.finish(&mut self.counters, &mut self.frames);
        self.take_frames();
        AdtsRest { bytes: bytes::Bytes::copy_from_slice(&bytes), stamp }
    }

    fn take_frames(&mut self) {
        for frame in self.frames.drain(..) {
            match frame.params.config() {
                Ok(_) => self.units.push(Unit::Audio(frame)),
                Err(cause) => self.unsupported_aac = Some(cause),
            }
        }
    }
}

/// The stream to take of one kind: the first that is supported; where there is none, the first that is not.
fn choose(
    program: &Program,
    supported: Codec,
    kind: fn(Codec) -> bool,
) -> Result<Option<u16>, &ElementaryStream> {
    if let Some(stream) = program.streams.iter().find(|stream| stream.codec == supported) {
        return Ok(Some(stream.pid));
    }
    match program.streams.iter().find(|stream| kind(stream.codec)) {
        Some(refused) => Err(refused),
        None => Ok(None),
    }
}

/// PIDs of the program's video and audio; the stream for which it is refused otherwise.
fn choose_both(program: &Program) -> Result<[Option<u16>; 2], &ElementaryStream> {
    let video = choose(program, Codec::H264, Codec::is_video)?;
    Ok([video, choose(program, Codec::AacAdts, Codec::is_audio)?])
}

/// Whether the program has video or audio, all of it of the codecs handled here.
#[must_use]
pub fn fits(program: &Program) -> bool {
    choose_both(program).is_ok_and(|pids| pids != [None, None])
}

impl Sink for Streams {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        let [video, audio] = match choose_both(program) {
            Ok(pids) => pids,
            Err(refused) => {
                self.refused.get_or_insert_with(|| refused.clone());
                return Vec::new();
            }
        };
        if video.or(audio).is_none() {
            return Vec::new();
        }
        self.refused = None;
        if self.video.as_ref().map(|(pid, _)| *pid) != video {
            self.end_video();
            self.video = video.map(|pid| (pid, AccessUnits::with_config(self.known_video.take())));
        }
        if self.audio.as_ref().map(|(pid, _)| *pid) != audio {
            let cut = self.end_audio();
            self.counters.add("adts_skipped_bytes", cut.bytes.len() as u64);
            let params = self.known_audio.take().as_ref().and_then(AacParams::of);
            let rest = std::mem::take(&mut self.rest);
            self.audio = audio.map(|pid| (pid, AdtsReader::resume(params, &rest.bytes, rest.stamp)));
        }
        video.into_iter().chain(audio).collect()
    }

    fn pes(&mut self, pid: u16, header: PesHeader) {
        match (&mut self.video, &mut self.audio) {
            (Some((video_pid, video)), _) if *video_pid == pid => {
                video.begin_pes(header.stamp, self.origin, &mut self.counters, &mut self.pictures);
                self.units.extend(self.pictures.drain(..).map(Unit::Video));
            }
            (_, Some((audio_pid, audio))) if *audio_pid == pid => audio.begin_pes(header.stamp, self.origin),
            _ => {}
        }
    }

    fn payload(&mut self, pid: u16, data: &[u8]) {
        match (&mut self.video, &mut self.audio) {
            (Some((video_pid, video)), _) if *video_pid == pid => {
                video.push(data, &mut self.counters, &mut self.pictures);
                self.units.extend(self.pictures.drain(..).map(Unit::Video));
            }
            (_, Some((audio_pid, audio))) if *audio_pid == pid => {
                audio.push(data, &mut self.counters, &mut self.frames);
                self.take_frames();
            }
            _ => {}
        }
    }
}
