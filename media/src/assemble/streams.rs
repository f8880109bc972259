//! A program's video and audio out of a transport stream, as access units in the order in which they become
//! complete.

use bytes::{Bytes, BytesMut};

use super::Take;
use super::carry::{AdtsRest, SourceCarry};
use super::content::Override;
use super::unit::{EventKind, RawEvent, Unit};
use crate::aac::{AacParams, AdtsFrame, AdtsReader, UnsupportedAac};
use crate::counters::Counters;
use crate::h264::H264;
use crate::h265::H265;
use crate::id3;
use crate::language;
use crate::nal::{AccessUnit, AccessUnits};
use crate::sample::{AudioConfig, VideoCodec, VideoConfig};
use crate::ts::{Codec, ElementaryStream, PesHeader, Program, Sink, Timestamps};

/// Events kept of one segment.
const MAX_EVENTS: usize = 256;

/// Takes a demultiplexer's calls and rebuilds access units.
#[derive(Debug, Default)]
pub struct Streams {
    take: Take,
    video: Option<(u16, Video)>,
    audio: Option<(u16, AdtsReader)>,
    tags: Vec<Tags>,
    units: Vec<Unit>,
    /// What data streams held.
    pub events: Vec<RawEvent>,
    pictures: Vec<AccessUnit>,
    frames: Vec<AdtsFrame>,
    known_video: Option<VideoConfig>,
    known_audio: Option<AudioConfig>,
    rest: AdtsRest,
    /// What streams really carry whose declared type lies: PID, declared codec, real one.
    pub overrides: Vec<Override>,
    /// Label of what comes now: the segment's number, from 1.
    pub origin: u32,
    /// The stream for which the program is refused, if no other program fits.
    pub refused: Option<ElementaryStream>,
    /// Language of the audio asked for.
    pub language: Option<String>,
    /// Frames of audio so far.
    frames_given: u64,
    /// Why the audio cannot be used.
    pub unsupported_aac: Option<UnsupportedAac>,
    /// Leniencies of the elementary streams.
    pub counters: Counters,
}

/// Access units of either codec.
#[derive(Debug)]
enum Video {
    H264(AccessUnits<H264>),
    H265(AccessUnits<H265>),
}

impl Video {
    fn new(codec: Codec, known: Option<VideoConfig>) -> Self {
        let of = |codec: VideoCodec| known.filter(|known| known.codec == codec);
        match codec {
            Codec::Hevc => Self::H265(AccessUnits::with_config(of(VideoCodec::H265))),
            _ => Self::H264(AccessUnits::with_config(of(VideoCodec::H264))),
        }
    }

    fn begin_pes(
        &mut self,
        stamp: Option<Timestamps>,
        origin: u32,
        counters: &mut Counters,
        out: &mut Vec<AccessUnit>,
    ) {
        match self {
            Self::H264(units) => units.begin_pes(stamp, origin, counters, out),
            Self::H265(units) => units.begin_pes(stamp, origin, counters, out),
        }
    }

    fn push(&mut self, data: &[u8], counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        match self {
            Self::H264(units) => units.push(data, counters, out),
            Self::H265(units) => units.push(data, counters, out),
        }
    }

    fn finish(&mut self, counters: &mut Counters, out: &mut Vec<AccessUnit>) {
        match self {
            Self::H264(units) => units.finish(counters, out),
            Self::H265(units) => units.finish(counters, out),
        }
    }
}

/// An ID3 stream: the tag that is being gathered.
#[derive(Debug)]
struct Tags {
    pid: u16,
    raw_90k: Option<i64>,
    bytes: BytesMut,
}

impl Streams {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(
        take: Take,
        carry: &SourceCarry,
        video: Option<VideoConfig>,
        audio: Option<AudioConfig>,
    ) -> Self {
        Self {
            take,
            known_video: video,
            known_audio: audio,
            rest: carry.adts.clone(),
            overrides: carry.overrides.clone(),
            ..Self::default()
        }
    }

    /// Which tracks are wanted.
    #[must_use]
    pub fn take(&self) -> Take {
        self.take
    }

    /// Changes which tracks are wanted, before a program is known.
    pub fn set_take(&mut self, take: Take) {
        self.take = take;
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
        // A batch without a segment of this source changes nothing.
        if self.audio.is_none() { std::mem::take(&mut self.rest) } else { self.end_audio() }
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
        AdtsRest { bytes: Bytes::copy_from_slice(&bytes), stamp }
    }

    /// A segment is complete: frames of several blocks that cannot be told apart are a transcoder's.
    pub fn end_segment(&mut self) {
        if self.counters.get("adts_multiple_blocks") > self.frames_given {
            self.unsupported_aac.get_or_insert(UnsupportedAac::SeveralBlocks);
        }
    }

    fn take_frames(&mut self) {
        for frame in self.frames.drain(..) {
            match frame.params.config() {
                Ok(_) => {
                    self.frames_given += 1;
                    self.units.push(Unit::Audio(frame.into()));
                }
                Err(cause) => self.unsupported_aac = Some(cause),
            }
        }
    }

    fn event(&mut self, raw_90k: Option<i64>, kind: EventKind) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(RawEvent { raw_90k, kind });
        } else {
            self.counters.add("events_dropped", 1);
        }
    }

    /// Gives the tags that are complete.
    fn tags(&mut self, index: usize) {
        loop {
            let tags = &mut self.tags[index];
            match id3::tag_len(&tags.bytes) {
                Some(len) if len > id3::MAX_TAG_LEN => tags.bytes.clear(),
                Some(len) if len <= tags.bytes.len() => {
                    let (raw_90k, tag) = (tags.raw_90k, tags.bytes.split_to(len).freeze());
                    self.event(raw_90k, EventKind::Id3(tag));
                }
                None if tags.bytes.len() >= 10 => {
                    self.counters.add("id3_invalid_tags", 1);
                    tags.bytes.clear();
                }
                _ => return,
            }
        }
    }
}

/// The stream to take of one kind: the first that is supported; where there is none, the first that is not.
fn choose(
    program: &Program,
    supported: fn(Codec) -> bool,
    kind: fn(Codec) -> bool,
) -> Result<Option<&ElementaryStream>, &ElementaryStream> {
    if let Some(stream) = program.streams.iter().find(|stream| supported(stream.codec)) {
        return Ok(Some(stream));
    }
    match program.streams.iter().find(|stream| kind(stream.codec)) {
        Some(refused) => Err(refused),
        None => Ok(None),
    }
}

/// The program's video and audio; the stream for which it is refused otherwise.
fn choose_both(program: &Program, take: Take) -> Result<[Option<&ElementaryStream>; 2], &ElementaryStream> {
    let video = match take {
        Take::Audio => None,
        _ => choose(program, |codec| matches!(codec, Codec::H264 | Codec::Hevc), Codec::is_video)?,
    };
    let audio = match take {
        Take::Video => None,
        _ => choose(program, |codec| codec == Codec::AacAdts, Codec::is_audio)?,
    };
    Ok([video, audio])
}

/// Whether the program has video or audio of the wanted kind, all of it of the codecs handled here.
#[must_use]
pub fn fits(program: &Program, take: Take) -> bool {
    choose_both(program, take).is_ok_and(|streams| streams != [None, None])
}

/// Leaves the audio of other languages out where there is some of the one asked for.
pub fn keep_language(program: &mut Program, wanted: Option<&str>) {
    let speaks = |stream: &ElementaryStream| {
        stream.language.as_deref().zip(wanted).is_some_and(|(told, wanted)| language::speaks(told, wanted))
    };
    let audio = |stream: &ElementaryStream| stream.codec.is_audio();
    if program.streams.iter().any(|stream| audio(stream) && speaks(stream)) {
        for stream in program.streams.iter_mut().filter(|stream| audio(stream) && !speaks(stream)) {
            stream.codec = Codec::Data;
        }
    }
}

/// The program with what its streams really carry.
#[must_use]
pub fn corrected(program: &Program, overrides: &[Override]) -> Program {
    let mut program = program.clone();
    for stream in &mut program.streams {
        let lie = overrides.iter().find(|(pid, declared, _)| (*pid, *declared) == (stream.pid, stream.codec));
        if let Some((_, _, real)) = lie {
            stream.codec = *real;
        }
    }
    program
}

impl Sink for Streams {
    fn program(&mut self, program: &Program) -> Vec<u16> {
        let mut program = corrected(program, &self.overrides);
        keep_language(&mut program, self.language.as_deref());
        let [video, audio] = match choose_both(&program, self.take) {
            Ok(streams) => streams,
            Err(refused) => {
                self.refused.get_or_insert_with(|| refused.clone());
                return Vec::new();
            }
        };
        if video.or(audio).is_none() {
            return Vec::new();
        }
        self.refused = None;
        let (video, audio) = (video.cloned(), audio.cloned());
        let pid = |stream: &Option<ElementaryStream>| stream.as_ref().map(|stream| stream.pid);
        let same_codec = match (&self.video, &video) {
            (Some((_, Video::H265(_))), Some(new)) => new.codec == Codec::Hevc,
            (Some((_, Video::H264(_))), Some(new)) => new.codec == Codec::H264,
            _ => true,
        };
        if self.video.as_ref().map(|(pid, _)| *pid) != pid(&video) || !same_codec {
            self.end_video();
            let known = self.known_video.take();
            self.video = video.as_ref().map(|stream| (stream.pid, Video::new(stream.codec, known)));
        }
        if self.audio.as_ref().map(|(pid, _)| *pid) != pid(&audio) {
            let cut = self.end_audio();
            self.counters.add("adts_skipped_bytes", cut.bytes.len() as u64);
            let params = self.known_audio.take().as_ref().and_then(AacParams::of);
            let rest = std::mem::take(&mut self.rest);
            self.audio = pid(&audio).map(|pid| (pid, AdtsReader::resume(params, &rest.bytes, rest.stamp)));
        }
        let of = |codec: Codec| {
            program.streams.iter().filter(move |stream| stream.codec == codec).map(|stream| stream.pid)
        };
        self.tags.retain(|tags| of(Codec::Id3).any(|pid| pid == tags.pid));
        for pid in of(Codec::Id3) {
            if !self.tags.iter().any(|tags| tags.pid == pid) {
                self.tags.push(Tags { pid, raw_90k: None, bytes: BytesMut::new() });
            }
        }
        let data = of(Codec::Id3).chain(of(Codec::Scte35));
        pid(&video).into_iter().chain(pid(&audio)).chain(data).collect()
    }

    fn pes(&mut self, pid: u16, header: PesHeader) {
        match (&mut self.video, &mut self.audio) {
            (Some((video_pid, video)), _) if *video_pid == pid => {
                video.begin_pes(header.stamp, self.origin, &mut self.counters, &mut self.pictures);
                self.units.extend(self.pictures.drain(..).map(Unit::Video));
            }
            (_, Some((audio_pid, audio))) if *audio_pid == pid => audio.begin_pes(header.stamp, self.origin),
            _ => {
                if let Some(tags) = self.tags.iter_mut().find(|tags| tags.pid == pid) {
                    tags.raw_90k = header.stamp.map(|stamp| stamp.pts);
                    tags.bytes.clear();
                }
            }
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
            _ => {
                if let Some(index) = self.tags.iter().position(|tags| tags.pid == pid) {
                    self.tags[index].bytes.extend_from_slice(data);
                    self.tags(index);
                }
            }
        }
    }

    fn section(&mut self, _: u16, section: &[u8]) {
        // SCTE 35 9.6: table_id 0xfc; a splice_null (command 0) is a heartbeat.
        let Some((0xfc, command)) = section.first().copied().zip(section.get(13)) else { return };
        if *command != 0 {
            self.event(None, EventKind::Scte35(Bytes::copy_from_slice(section)));
        }
    }
}
