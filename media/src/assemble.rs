//! From a batch's segments to cuts of samples on the output timeline.
//!
//! | module | what |
//! | --- | --- |
//! | [`streams`] | a program's H.264 and AAC out of the transport stream |
//! | [`untimed`] | times for pictures that the source gave none |
//! | [`clock`] | the source's 33-bit clock to the output timeline: wraps, epochs, jumps |
//! | [`video`] | decode times that increase, durations |
//! | [`audio`] | positions in samples, holes, overlaps |
//! | [`cutter`] | cuts |
//! | [`carry`] | what one batch leaves to the next |
//!
//! The same carry and the same segments give the same output, so a batch can be done again after a crash.

pub mod audio;
pub mod carry;
pub mod clock;
pub mod cutter;
pub mod streams;
pub mod untimed;
pub mod video;

use bytes::Bytes;

use crate::counters::Counters;
use crate::h264::AccessUnit;
use crate::sample::{AudioConfig, AudioSample, VideoConfig, VideoSample};
use crate::ts::Demuxer;

pub use carry::Carry;

use audio::AudioTrack;
use clock::{Clock, Item, Placed};
use cutter::Cutter;
use streams::{Streams, Unit};
use untimed::{TimedPicture, Untimed};
use video::VideoTrack;

/// Audio that ends this much before the video, and has not come for as long, is dead at the batch's end: 3 s.
const DEAD_AUDIO_90K: i64 = 3 * 90_000;

/// The same for audio of which the batch has nothing at all: 1 s.
const ABSENT_AUDIO_90K: i64 = 90_000;

/// Why a batch cannot be assembled. Segments count from 0 within the batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// No transport stream packet in it.
    #[error("segment {segment} of the batch is no MPEG-TS: {len} bytes that start with {first_bytes}")]
    NotTransportStream {
        /// Which segment.
        segment: u32,
        /// Its length in bytes.
        len: usize,
        /// Its first bytes as hex digits and as text.
        first_bytes: String,
    },
    /// The program's video or audio is of a codec that is not handled.
    #[error(
        "segment {segment} of the batch: {codec} (stream_type {stream_type:#04x}, PID {pid:#x}) is not supported"
    )]
    UnsupportedCodec {
        /// Which segment.
        segment: u32,
        /// The codec's name.
        codec: &'static str,
        /// stream_type of the PMT.
        stream_type: u8,
        /// elementary_PID of the PMT.
        pid: u16,
    },
    /// AAC of a kind that is not handled.
    #[error("segment {segment} of the batch: {cause}")]
    UnsupportedAac {
        /// Which segment.
        segment: u32,
        /// Which kind.
        cause: crate::aac::UnsupportedAac,
    },
    /// Packets, but no program with H.264 or AAC.
    #[error("no program with H.264 or AAC in {segments} segments of {packets} packets ({tolerated})")]
    NoProgram {
        /// Segments of the batch.
        segments: u32,
        /// Packets in them.
        packets: u64,
        /// What was tolerated.
        tolerated: String,
    },
    /// A program, but not one usable access unit.
    #[error("no usable picture and no audio in {segments} segments of {packets} packets ({tolerated})")]
    NoMedia {
        /// Segments of the batch.
        segments: u32,
        /// Packets in them.
        packets: u64,
        /// What was tolerated.
        tolerated: String,
    },
}

/// One stretch of media.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaCut {
    /// Pictures. The first is a sync sample, unless it is the batch's first and the source's segment begins
    /// inside a GOP that the batch before has begun (counted as `batch_begins_inside_gop`). Empty without video.
    pub video: Vec<VideoSample>,
    /// The audio beside them: what is presented before the next cut's first picture.
    pub audio: Vec<AudioSample>,
}

/// The end of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// The last cuts.
    pub cuts: Vec<MediaCut>,
    /// For the next batch's [`Assembler::new`].
    pub carry: Carry,
    /// Configuration of the batch's video, if it has any.
    pub video: Option<VideoConfig>,
    /// Configuration of the batch's audio, if it has any.
    pub audio: Option<AudioConfig>,
    /// What was tolerated: name and how often.
    pub counters: Vec<(&'static str, u64)>,
}

/// Assembles one batch.
#[derive(Debug)]
pub struct Assembler {
    demuxer: Demuxer,
    streams: Streams,
    counters: Counters,
    untimed: Untimed,
    clock: Clock,
    video: VideoTrack,
    audio: AudioTrack,
    cutter: Cutter,
    carry: Carry,
    /// Configuration that the batch's video has.
    video_config: Option<VideoConfig>,
    segments: u32,
    packets: u64,
    /// Whether a picture has been let through in this epoch.
    pictures_flow: bool,
    /// Recovery points count as sync samples, for want of IDR pictures.
    open_gops: bool,
    audio_units: u64,
    /// Decode time of the batch's first picture.
    first_picture_90k: Option<i64>,
}

impl Assembler {
    /// Begins a batch. `carry` is what the batch before gave; `discontinuity`: a new epoch begins here.
    #[must_use]
    pub fn new(carry: Carry, discontinuity: bool) -> Self {
        Self::after_gap(carry, discontinuity, 0)
    }

    /// Begins a batch before which about `gap_90k` ticks of the source were lost (0: none). The timeline has a hole
    /// there, as long as the source's own times tell or, where its clock began anew, `gap_90k`. Nothing fills it.
    #[must_use]
    pub fn after_gap(carry: Carry, discontinuity: bool, gap_90k: i64) -> Self {
        let mut carry = carry;
        let mut counters = Counters::default();
        if discontinuity || !carry.started {
            carry.begin_epoch(&mut counters);
        } else if gap_90k > 0 {
            carry.cross_gap(&mut counters);
        }
        let mut streams = Streams::new(&carry);
        let demuxer = match carry.program.clone() {
            Some(program) => Demuxer::with_program(program, &mut streams),
            None => Demuxer::default(),
        };
        Self {
            demuxer,
            untimed: Untimed::new(carry.untimed.clone()),
            clock: Clock::new(carry.clock.clone()).after_gap(gap_90k),
            video: VideoTrack::new(carry.video.clone()),
            audio: AudioTrack::new(carry.audio.clone(), carry.audio_config.clone()).after_gap(gap_90k > 0),
            cutter: Cutter::default(),
            video_config: None,
            segments: 0,
            packets: 0,
            pictures_flow: carry.pictures_flow,
            open_gops: carry.open_gops,
            audio_units: 0,
            first_picture_90k: None,
            streams,
            counters,
            carry,
        }
    }

    /// Takes one whole media segment. Returns the cuts that are complete.
    pub fn push_segment(&mut self, segment: &Bytes) -> Result<Vec<MediaCut>, AssembleError> {
        let number = self.segments;
        self.segments = self.segments.saturating_add(1);
        self.streams.origin = self.segments;
        if self.demuxer.program().is_none()
            && let Some(program) = Demuxer::find_program(segment, streams::fits)
        {
            self.demuxer = Demuxer::with_program(program, &mut self.streams);
        }
        self.demuxer.push(segment, &mut self.streams, &mut self.counters);
        let packets = self.demuxer.end_segment(&mut self.streams, &mut self.counters);
        self.packets = self.packets.saturating_add(packets);
        if packets == 0 {
            return Err(AssembleError::NotTransportStream {
                segment: number,
                len: segment.len(),
                first_bytes: describe_first_bytes(segment),
            });
        }
        if let Some(refused) = &self.streams.refused {
            return Err(AssembleError::UnsupportedCodec {
                segment: number,
                codec: refused.codec.name(),
                stream_type: refused.stream_type,
                pid: refused.pid,
            });
        }
        if let Some(cause) = self.streams.unsupported_aac {
            return Err(AssembleError::UnsupportedAac { segment: number, cause });
        }
        let has = self.streams.has();
        self.clock.expect_tracks(has);
        self.cutter.expect_tracks(has);
        self.take_units();
        let placed = self.clock.end_segment();
        self.place(placed);
        Ok(self.cutter.ready())
    }

    /// Ends the batch: the remaining cuts, what the next batch must know, what was tolerated.
    pub fn finish(mut self) -> Result<Assembled, AssembleError> {
        let leftover = self.streams.finish();
        self.take_units();
        for picture in self.untimed.finish() {
            self.picture(picture);
        }
        let placed = self.clock.finish();
        self.place(placed);
        if let Some(sample) = self.video.finish() {
            self.cutter.video(sample.0, sample.1, &mut self.counters);
        }
        self.fill_dead_audio();
        let rate = self.audio.rate();
        if let Some((sample, origin)) = self.audio.finish() {
            self.cutter.audio(sample, origin, rate);
        }
        self.counters.merge(&self.streams.counters);
        let mut cuts = self.cutter.finish();
        cuts.retain(|cut| !cut.video.is_empty() || !cut.audio.is_empty());
        let audio = self.audio.batch_config();
        if self.video_config.is_none() && audio.is_none() {
            let (segments, packets, tolerated) =
                (self.segments, self.packets, describe_counters(&self.counters));
            return Err(match self.demuxer.program() {
                None => AssembleError::NoProgram { segments, packets, tolerated },
                Some(_) => AssembleError::NoMedia { segments, packets, tolerated },
            });
        }
        let mut carry = self.carry;
        carry.started = true;
        carry.program = self.demuxer.program().cloned();
        carry.pictures_flow = self.pictures_flow;
        carry.open_gops = self.open_gops;
        carry.untimed = self.untimed.carry();
        carry.clock = self.clock.carry();
        carry.video = self.video.carry();
        (carry.audio, carry.audio_config) = self.audio.carry();
        carry.adts = leftover;
        Ok(Assembled { cuts, carry, video: self.video_config, audio, counters: self.counters.to_vec() })
    }

    /// Configuration of the batch's video; there from the first cut with video on.
    #[must_use]
    pub fn video_config(&self) -> Option<&VideoConfig> {
        self.video_config.as_ref()
    }

    /// Configuration of the batch's audio; there from the first cut with audio on.
    #[must_use]
    pub fn audio_config(&self) -> Option<AudioConfig> {
        self.audio.batch_config()
    }

    /// Number of the epoch that the batch belongs to.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.carry.epoch
    }

    fn take_units(&mut self) {
        let units = self.streams.take_units();
        self.note_gop_kind(&units);
        for unit in units {
            match unit {
                Unit::Video(unit) => self.access_unit(unit),
                Unit::Audio(frame) => {
                    let Some(left_out) = self.audio.accept(&frame, &mut self.counters) else { continue };
                    let raw = frame.stamp.map(|stamp| stamp.pts);
                    let item = Item::Audio { raw, data: frame.data, left_out, origin: frame.origin };
                    self.push_to_clock(item);
                }
            }
        }
    }

    /// A source without IDR pictures (open GOPs, usual in broadcasting) is entered at its recovery points.
    fn note_gop_kind(&mut self, units: &[Unit]) {
        let pictures = || units.iter().filter_map(Unit::picture);
        if pictures().any(|unit| unit.idr) {
            self.open_gops = false;
        } else if pictures().any(|unit| unit.recovery_point) {
            self.open_gops = true;
        }
    }

    fn access_unit(&mut self, unit: AccessUnit) {
        let AccessUnit { nals, idr, recovery_point, stamp, origin, config_change } = unit;
        if let Some(config) = config_change {
            // Readers of the batch's files get one configuration; the new one is in the stream itself as well.
            if self.video_config.is_some() {
                self.counters.add("video_config_changes", 1);
            }
            self.carry.video_config = Some(*config);
        }
        let sync = (idr || (self.open_gops && recovery_point)) && self.carry.video_config.is_some();
        for picture in self.untimed.push(nals, sync, stamp, origin, &mut self.counters) {
            self.picture(picture);
        }
    }

    fn picture(&mut self, picture: TimedPicture) {
        if !self.pictures_flow {
            if !picture.sync {
                return self.counters.add("video_before_first_sync", 1);
            }
            self.pictures_flow = true;
        }
        if self.video_config.is_none() {
            self.video_config.clone_from(&self.carry.video_config);
        }
        self.push_to_clock(Item::Video(picture));
    }

    fn push_to_clock(&mut self, item: Item) {
        let ends = self.ends();
        let placed = self.clock.push(item, ends, &mut self.counters);
        self.place(placed);
    }

    /// Where each track's media ends so far, in 90 kHz ticks.
    fn ends(&self) -> [Option<i64>; 2] {
        [self.video.end_90k(), self.audio.end_90k()]
    }

    fn place(&mut self, placed: Vec<Placed>) {
        for placed in placed {
            match placed {
                Placed::Video { dts_90k, pts_90k, sync, nals, origin } => {
                    self.first_picture_90k.get_or_insert(dts_90k);
                    let done = self.video.push(dts_90k, pts_90k, sync, nals, origin, &mut self.counters);
                    if let Some((sample, origin)) = done {
                        self.cutter.video(sample, origin, &mut self.counters);
                    }
                }
                Placed::Audio { pts_90k, data, left_out, origin } => {
                    self.audio_units += 1;
                    self.carry.video_at_last_audio_90k = self.video.end_90k();
                    let rate = self.audio.rate();
                    for (sample, origin) in
                        self.audio.push(pts_90k, left_out, data, origin, &mut self.counters)
                    {
                        self.cutter.audio(sample, origin, rate);
                    }
                }
            }
        }
    }

    /// An audio track that has gone silent goes on as silence, so that its slot is as long as the picture's.
    fn fill_dead_audio(&mut self) {
        let Some(video_end) = self.video.end_90k().filter(|_| self.video_config.is_some()) else { return };
        if let Some(first) = self.first_picture_90k {
            self.audio.cross_gap(first);
        }
        let Some(audio_end) = self.audio.end_90k() else { return };
        // Audio that is merely multiplexed late, or ahead of its segment's video, is alive: silence in its place
        // would cost it.
        let alive_at = self.carry.video_at_last_audio_90k.unwrap_or(i64::MIN);
        let (missing, unheard) = (video_end - audio_end, video_end.saturating_sub(alive_at));
        let dead = if self.audio_units == 0 {
            missing > ABSENT_AUDIO_90K
        } else {
            missing > DEAD_AUDIO_90K && unheard > DEAD_AUDIO_90K
        };
        if !dead {
            return;
        }
        for (sample, origin) in self.audio.fill_to(video_end, self.segments, &mut self.counters) {
            self.cutter.audio(sample, origin, self.audio.rate());
        }
    }
}

fn describe_first_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let head = &bytes[..bytes.len().min(16)];
    let mut text = String::new();
    for byte in head {
        let _ = write!(text, "{byte:02x}");
    }
    let printable =
        head.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' });
    let _ = write!(text, " \"{}\"", printable.collect::<String>());
    text
}

fn describe_counters(counters: &Counters) -> String {
    let counted: Vec<String> =
        counters.to_vec().iter().map(|(name, times)| format!("{name} {times}")).collect();
    if counted.is_empty() { "nothing out of order".to_owned() } else { counted.join(", ") }
}
