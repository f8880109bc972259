//! From a batch's segments to cuts of samples on the output timeline.
//!
//! | module | what |
//! | --- | --- |
//! | [`input`] | a segment, and which of its tracks to take |
//! | [`source`] | one source's segments, of any container, to access units |
//! | [`streams`], [`content`] | a program's video and audio out of a transport stream; stream types that lie |
//! | [`fmp4`], [`packed`] | the same out of fragmented MP4 and packed audio |
//! | [`beside`] | audio from a playlist of its own: what of it is the batch's |
//! | `transcoded` | audio that comes as another codec and goes through a transcoder |
//! | [`unit`] | what sources give |
//! | [`picture_times`], [`picture_order`] | times for pictures that the source gave none |
//! | [`decode_times`] | decode times of sources that send none |
//! | [`clock`] | the source's 33-bit clock to the output timeline: wraps, epochs, jumps |
//! | [`video`] | decode times that increase, durations |
//! | [`audio`] | positions in samples, holes, overlaps |
//! | [`cutter`] | cuts |
//! | [`carry`] | what one batch leaves to the next |
//! | [`mod@probe`] | what a segment is, before a batch is made of it |
//! | [`mod@error`] | why a batch cannot be assembled |
//!
//! The same carry and the same segments give the same output, so a batch can be done again after a crash.

pub mod audio;
pub mod beside;
pub mod carry;
pub mod clock;
pub mod content;
pub mod cutter;
pub mod decode_times;
pub mod error;
pub mod fmp4;
pub mod input;
pub mod packed;
pub mod picture_order;
pub mod picture_times;
pub mod probe;
pub mod source;
pub mod streams;
mod transcoded;
pub mod unit;
pub mod video;

use bytes::Bytes;

use crate::counters::Counters;
use crate::foreign::ForeignCarry;
use crate::nal::AccessUnit;
use crate::sample::{AudioConfig, AudioSample, VideoConfig, VideoSample};

pub use carry::Carry;
pub use error::AssembleError;
pub use input::{Input, Take};
pub use probe::{Probe, ProbedAudio, probe};
pub use unit::{Event, EventKind};

use audio::AudioTrack;
use beside::Beside;
use carry::AdtsRest;
use clock::{Clock, Item, Placed};
use cutter::Cutter;
use picture_times::PictureTimes;
use source::Source;
use unit::{RawEvent, TimedPicture, Unit};
use video::VideoTrack;

/// Audio that ends this much before the video, and has not come for as long, is dead at the batch's end: 3 s.
const DEAD_AUDIO_90K: i64 = 3 * 90_000;

/// The same for audio of which the batch has nothing at all: 1 s.
const ABSENT_AUDIO_90K: i64 = 90_000;

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
    /// Events since the last [`Assembler::take_events`].
    pub events: Vec<Event>,
    /// The configuration of video or audio differs from the batch before, though no discontinuity was announced: a
    /// new epoch begins with this batch, on the same clock.
    pub epoch_changed: bool,
    /// What was tolerated: name and how often.
    pub counters: Vec<(&'static str, u64)>,
}

/// Assembles one batch.
#[derive(Debug)]
pub struct Assembler {
    /// Everything, or the video; and the audio that comes apart from it.
    sources: [Source; 2],
    beside: Beside,
    counters: Counters,
    picture_times: PictureTimes,
    clock: Clock,
    video: VideoTrack,
    audio: AudioTrack,
    cutter: Cutter,
    carry: Carry,
    /// Configuration that the batch's video has.
    video_config: Option<VideoConfig>,
    segments: u32,
    /// Whether a picture has been let through in this epoch.
    pictures_flow: bool,
    /// Recovery points count as sync samples, for want of IDR pictures.
    open_gops: bool,
    audio_units: u64,
    /// Decode time of the batch's first picture.
    first_picture_90k: Option<i64>,
    events: Vec<Event>,
    /// Events that came before anything that has a time.
    early_events: Vec<RawEvent>,
    /// A discontinuity was announced.
    announced: bool,
    /// The batch's sound is transcoded, and what it leaves to the next is known.
    transcoded: bool,
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
        let announced = discontinuity || !carry.started;
        if announced {
            carry.begin_epoch(&mut counters);
        } else if gap_90k > 0 {
            carry.cross_gap(&mut counters);
        }
        let video = carry.video_config.clone();
        let audio = carry.audio_config.clone();
        let main = std::mem::take(&mut carry.main);
        let beside = std::mem::take(&mut carry.audio_source);
        Self {
            sources: [
                Source::new(Take::All, main, video, audio.clone()),
                Source::new(Take::Audio, beside, None, audio.clone()),
            ],
            // Behind a hole audio begins with the pictures.
            beside: Beside::new(carry.beside_end_90k.filter(|_| gap_90k == 0), announced && gap_90k == 0),
            picture_times: PictureTimes::new(carry.picture_times.clone()),
            clock: Clock::new(carry.clock.clone()).after_gap(gap_90k),
            video: VideoTrack::new(carry.video.clone()),
            audio: AudioTrack::new(carry.audio.clone(), audio).after_gap(gap_90k > 0),
            cutter: Cutter::default(),
            video_config: None,
            segments: 0,
            pictures_flow: carry.pictures_flow,
            open_gops: carry.open_gops,
            audio_units: 0,
            first_picture_90k: None,
            events: Vec::new(),
            early_events: Vec::new(),
            announced,
            transcoded: false,
            counters,
            carry,
        }
    }

    /// Takes one whole media segment with all its tracks. Returns the cuts that are complete.
    pub fn push_segment(&mut self, segment: &Bytes) -> Result<Vec<MediaCut>, AssembleError> {
        self.push(&Input::whole(segment))?;
        Ok(self.take_cuts())
    }

    /// Takes one whole media segment. Of a source whose audio comes apart, the video's segment and the audio's
    /// segments beside it are pushed, in any order, before [`Self::take_cuts`] joins them by their times.
    pub fn push(&mut self, input: &Input<'_>) -> Result<(), AssembleError> {
        let number = self.segments;
        self.segments = self.segments.saturating_add(1);
        let hint = self.hint();
        let source = &mut self.sources[usize::from(input.take == Take::Audio)];
        source.segment(input, number, hint, &mut self.counters)
    }

    /// Takes the audio of this language (a BCP 47 tag) where a segment has several and says what they are.
    pub fn prefer_language(&mut self, language: Option<&str>) {
        for source in &mut self.sources {
            source.prefer_language(language.map(str::to_owned));
        }
    }

    /// From now on segments of audio alone may overlap the batch: one that goes beyond its end is pushed in the next
    /// batch as well. Each batch takes its own part.
    pub fn expect_overlaps(&mut self) {
        self.beside.overlaps = true;
    }

    /// No batch comes after this one.
    pub fn expect_end(&mut self) {
        self.beside.is_last = true;
    }

    /// Where audio that comes in two batches ended in the one before, in 90 kHz ticks of the source.
    #[must_use]
    pub fn audio_end_90k(&self) -> Option<i64> {
        self.beside.end_90k()
    }

    /// Time for audio that says none: beside the pictures that came last.
    fn hint(&self) -> i64 {
        let pictures = || self.sources[0].units.iter().filter_map(Unit::picture);
        let waiting = pictures().find_map(|unit| unit.stamp).map(|stamp| stamp.pts);
        waiting.or(self.clock.last_source_90k()).unwrap_or(0)
    }

    /// Places what was pushed. Returns the cuts that are complete.
    pub fn take_cuts(&mut self) -> Vec<MediaCut> {
        let [main, beside] = self.sources.each_ref().map(Source::has);
        let has = [main[0] || beside[0], main[1] || beside[1]];
        self.clock.expect_tracks(has);
        self.cutter.expect_tracks(has);
        self.take_units(false);
        let placed = self.clock.end_segment();
        self.place(placed);
        self.take_raw_events();
        self.cutter.ready()
    }

    /// The events that have come, in no particular order; after [`Self::take_cuts`].
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Ends the batch: the remaining cuts, what the next batch must know, what was tolerated.
    pub fn finish(mut self) -> Result<Assembled, AssembleError> {
        self.take_units(false);
        let [main, beside] = &mut self.sources;
        let (main, mut beside) = (main.finish(&mut self.counters), beside.finish(&mut self.counters));
        self.take_units(true);
        if self.beside.overlaps {
            // The segment that the batch's end cuts comes again, with the frame that is cut.
            beside.adts = AdtsRest::default();
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
        self.take_raw_events();
        self.counters.add("events_dropped", self.early_events.len() as u64);
        let mut cuts = self.cutter.finish();
        cuts.retain(|cut| !cut.video.is_empty() || !cut.audio.is_empty());
        let audio = self.audio.batch_config();
        if self.video_config.is_none() && audio.is_none() {
            return Err(self.no_media());
        }
        let epoch_changed = self.note_configs(audio.as_ref());
        let mut carry = self.carry;
        carry.started = true;
        (carry.main, carry.audio_source) = (main, beside);
        carry.beside_end_90k = self.beside.end_90k();
        if !self.transcoded {
            // What an earlier batch left would come after this one's sound.
            carry.foreign = ForeignCarry::default();
        }
        carry.pictures_flow = self.pictures_flow;
        carry.open_gops = self.open_gops;
        carry.picture_times = self.picture_times.carry();
        carry.clock = self.clock.carry();
        carry.video = self.video.carry();
        (carry.audio, carry.audio_config) = self.audio.carry();
        Ok(Assembled {
            cuts,
            carry,
            video: self.video_config,
            audio,
            events: self.events,
            epoch_changed,
            counters: self.counters.to_vec(),
        })
    }

    fn no_media(&self) -> AssembleError {
        let (segments, tolerated) = (self.segments, error::describe_counters(&self.counters));
        let packets = self.sources.iter().map(|source| source.packets).sum();
        let scrambled = self.counters.get("ts_scrambled_packets");
        if scrambled > 0 {
            return AssembleError::Scrambled { segments, scrambled, packets };
        }
        if packets > 0 && !self.sources.iter().any(Source::found_program) {
            return AssembleError::NoProgram { segments, packets, tolerated };
        }
        AssembleError::NoMedia { segments, packets, tolerated }
    }

    /// Whether a new epoch begins because a configuration changed between batches.
    fn note_configs(&mut self, audio: Option<&AudioConfig>) -> bool {
        let (old_video, old_audio) = &mut self.carry.batch_configs;
        let video_changed =
            self.video_config.is_some() && old_video.is_some() && *old_video != self.video_config;
        let core = |config: &AudioConfig| AudioConfig { sbr: false, ..config.clone() };
        let audio_changed = audio.zip(old_audio.as_ref()).is_some_and(|(new, old)| core(new) != core(old));
        if self.video_config.is_some() {
            old_video.clone_from(&self.video_config);
        }
        if audio.is_some() {
            *old_audio = audio.cloned();
        }
        let changed = (video_changed || audio_changed) && !self.announced;
        if changed {
            self.counters.add("unannounced_epochs", 1);
            self.carry.epoch = self.carry.epoch.saturating_add(1);
        }
        changed
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

    /// Places the units that have come; `last` when no more will.
    fn take_units(&mut self, last: bool) {
        let [mut units, audio] = self.sources.each_mut().map(|source| std::mem::take(&mut source.units));
        let audio = self.beside.admit(&units, audio, last, &mut self.counters);
        units.extend(audio);
        self.note_gop_kind(&units);
        for unit in self.picture_times.complete(units, last, &mut self.counters) {
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

    /// A source whose GOPs begin without IDR pictures (open ones, usual in broadcasting) is entered at its recovery
    /// points.
    fn note_gop_kind(&mut self, units: &[Unit]) {
        let pictures = || units.iter().filter_map(Unit::picture);
        if let Some(first) = pictures().find(|unit| unit.idr || unit.recovery_point) {
            self.open_gops = !first.idr;
        } else if !self.pictures_flow && pictures().any(|unit| unit.gradual_refresh) {
            // Nothing better to enter at: intra refresh instead of key pictures.
            self.open_gops = true;
        }
    }

    fn access_unit(&mut self, unit: AccessUnit) {
        let AccessUnit { mut nals, idr, stamp, origin, config_change, .. } = unit;
        if let Some(config) = config_change {
            // Readers of the batch's files get one configuration; the new one is in the stream itself as well.
            if self.video_config.is_some() {
                self.counters.add("video_config_changes", 1);
                fmp4::put_parameter_sets(&mut nals, &config);
            }
            self.carry.video_config = Some(*config);
        }
        let codec = |config: &Option<VideoConfig>| config.as_ref().map(|config| config.codec);
        if self.video_config.is_some() && codec(&self.video_config) != codec(&self.carry.video_config) {
            // One batch has one codec; the next begins with the new one.
            return self.counters.add("video_codec_change_dropped", 1);
        }
        let entry = unit.recovery_point || unit.gradual_refresh;
        let sync = (idr || (self.open_gops && entry)) && self.carry.video_config.is_some();
        if let Some(stamp) = stamp {
            self.picture(TimedPicture { nals, sync, stamp, origin });
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

    fn take_raw_events(&mut self) {
        let mut raw = std::mem::take(&mut self.early_events);
        for source in &mut self.sources {
            raw.append(&mut source.events);
        }
        for event in raw {
            let time = match event.raw_90k {
                Some(time) => self.clock.map(time),
                None => self.ends().into_iter().flatten().max(),
            };
            match time {
                Some(time_90k) => self.events.push(Event { time_90k, kind: event.kind }),
                None => self.early_events.push(event),
            }
        }
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
