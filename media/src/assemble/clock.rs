//! From the source's 33-bit clock to the output timeline.
//!
//! A run is a stretch of the source on one clock. Its offset, which is added to the unwrapped source times of
//! both tracks alike, is chosen once its first picture and first frame are known, so that neither track overlaps
//! what came before and at least one of them follows on without a gap. Epoch 0's first run keeps the source's own
//! times. A new epoch begins a run, and so does a jump that no tag announced; after a jump the tracks
//! change to the new run one by one, each where its own times jump.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::unit::TimedPicture;
use crate::counters::Counters;
use crate::time::{TICKS_PER_SECOND, unwrap_near};

/// A step forward beyond this is a jump: 10 s.
const MAX_STEP_90K: i64 = 10 * TICKS_PER_SECOND;

/// A step back beyond this is a jump: 1 s. Smaller ones are left to the tracks.
const MAX_STEP_BACK_90K: i64 = TICKS_PER_SECOND;

/// How much of one track is held, once a segment is complete, while the other track's first in the run has not
/// come: 5 s. (Inside a segment one track may stand whole before the other.)
const MAX_HELD_90K: i64 = 5 * TICKS_PER_SECOND;

/// Access units held at most.
const MAX_HELD_ITEMS: usize = 16_384;

/// Index of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// Pictures.
    Video = 0,
    /// Audio frames.
    Audio = 1,
}

impl Track {
    fn other(self) -> usize {
        1 - self as usize
    }
}

/// An access unit with its raw times.
#[derive(Debug)]
pub enum Item {
    /// A picture.
    Video(TimedPicture),
    /// A frame of audio.
    Audio {
        /// Its presentation time as sent; `None` where it follows the frame before.
        raw: Option<i64>,
        /// The access unit.
        data: Bytes,
        /// Frames left out right before it.
        left_out: u32,
        /// Label of the PES packet it began in.
        origin: u32,
    },
}

/// An access unit on the output timeline.
#[derive(Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are those of Item, with times of the output timeline")]
pub enum Placed {
    Video { dts_90k: i64, pts_90k: i64, sync: bool, nals: Vec<Bytes>, origin: u32 },
    Audio { pts_90k: Option<i64>, data: Bytes, left_out: u32, origin: u32 },
}

/// What the next batch must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClockCarry {
    /// Whether a run has to be opened before anything can be placed.
    opening: bool,
    newest_offset_90k: i64,
    tracks: [TrackClock; 2],
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TrackClock {
    /// Added to source times.
    offset_90k: i64,
    /// Last source time, unwrapped; none before the track's first in this epoch.
    last_90k: Option<i64>,
}

impl Default for ClockCarry {
    fn default() -> Self {
        Self::new_epoch()
    }
}

impl ClockCarry {
    /// A clock that opens a new run.
    #[must_use]
    pub fn new_epoch() -> Self {
        Self { opening: true, newest_offset_90k: 0, tracks: Default::default() }
    }
}

/// A run whose offset is not fixed yet.
#[derive(Debug, Default)]
struct Opening {
    /// Each track's first source time in it.
    first_90k: [Option<i64>; 2],
    /// Where each track ended before it.
    ends_90k: [Option<i64>; 2],
    /// Access units that wait, with their source times.
    held: Vec<(Option<i64>, Item)>,
}

/// Places access units.
#[derive(Debug)]
pub struct Clock {
    tracks: [TrackClock; 2],
    newest_offset_90k: i64,
    opening: Option<Opening>,
    /// Tracks that the program has.
    expected: [bool; 2],
    /// Media lost before each track's next access unit, in 90 kHz ticks.
    gaps_90k: [i64; 2],
}

impl Clock {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(carry: ClockCarry) -> Self {
        Self {
            tracks: carry.tracks,
            newest_offset_90k: carry.newest_offset_90k,
            opening: carry.opening.then(Opening::default),
            expected: [true; 2],
            gaps_90k: [0; 2],
        }
    }

    /// About `gap_90k` ticks of the source were lost before what comes. Where its times go on as they should after
    /// that, its clock has; where they do not, a run begins as long after what came before.
    #[must_use]
    pub fn after_gap(self, gap_90k: i64) -> Self {
        Self { gaps_90k: [gap_90k; 2], ..self }
    }

    /// Where a time as sent stands on the output timeline, as far as the newest run tells; `None` before the first.
    #[must_use]
    pub fn map(&self, raw: i64) -> Option<i64> {
        let newest = self.tracks.iter().filter(|track| track.offset_90k == self.newest_offset_90k);
        let last = newest.filter_map(|track| track.last_90k).max()?;
        Some(unwrap_near(raw, last).saturating_add(self.newest_offset_90k))
    }

    /// The last time as sent of the tracks, the newest.
    #[must_use]
    pub fn last_source_90k(&self) -> Option<i64> {
        self.tracks.iter().filter_map(|track| track.last_90k).max()
    }

    /// What the next batch must know; after [`Self::finish`].
    #[must_use]
    pub fn carry(&self) -> ClockCarry {
        ClockCarry {
            opening: self.opening.is_some(),
            newest_offset_90k: self.newest_offset_90k,
            tracks: self.tracks.clone(),
        }
    }

    /// Which tracks the program has, video and audio: no run waits for another.
    pub fn expect_tracks(&mut self, expected: [bool; 2]) {
        self.expected = expected;
    }

    /// Takes the next access unit; gives those that have a place, in order. `ends` is where each track ends on
    /// the output timeline, all that was given before counted in.
    pub fn push(&mut self, item: Item, ends: [Option<i64>; 2], counters: &mut Counters) -> Vec<Placed> {
        let mut out = Vec::new();
        let (track, raw) = match &item {
            Item::Video(picture) => (Track::Video, picture.stamp.dts),
            Item::Audio { raw: Some(raw), .. } => (Track::Audio, *raw),
            Item::Audio { raw: None, .. } => {
                self.push_untimed(item, counters, &mut out);
                return out;
            }
        };
        let source = self.locate(track, raw, ends, counters, &mut out);
        self.tracks[track as usize].last_90k = Some(source);
        match &mut self.opening {
            Some(opening) if opening.first_90k[track as usize].is_some() => {
                opening.held.push((Some(source), item));
                if self.opening_is_complete() {
                    self.resolve(&mut out);
                }
            }
            _ => out.push(self.placed(Some(source), item)),
        }
        out
    }

    /// A segment is complete: a track that has not come in it is not waited for much longer.
    pub fn end_segment(&mut self) -> Vec<Placed> {
        let mut out = Vec::new();
        let span = |opening: &Opening| {
            let firsts = opening.first_90k.iter().zip(&self.tracks);
            firsts.filter_map(|(first, track)| Some(track.last_90k? - (*first)?)).max()
        };
        if self.opening.as_ref().and_then(span).is_some_and(|span| span > MAX_HELD_90K) {
            self.resolve(&mut out);
        }
        out
    }

    /// The batch ends: fixes the offset of a run that is still open.
    pub fn finish(&mut self) -> Vec<Placed> {
        let mut out = Vec::new();
        if self.opening.as_ref().is_some_and(|opening| opening.first_90k != [None, None]) {
            self.resolve(&mut out);
        }
        out
    }

    fn push_untimed(&mut self, item: Item, counters: &mut Counters, out: &mut Vec<Placed>) {
        if self.tracks[Track::Audio as usize].last_90k.is_none() {
            counters.add("audio_untimed_dropped", 1);
            return;
        }
        match &mut self.opening {
            Some(opening) if opening.first_90k[Track::Audio as usize].is_some() => {
                opening.held.push((None, item));
            }
            _ => out.push(self.placed(None, item)),
        }
    }

    /// The unwrapped source time of `raw`; moves the track to the run that it belongs to, or opens one.
    fn locate(
        &mut self,
        track: Track,
        raw: i64,
        ends: [Option<i64>; 2],
        counters: &mut Counters,
        out: &mut Vec<Placed>,
    ) -> i64 {
        let gap = std::mem::take(&mut self.gaps_90k[track as usize]);
        let ends = ends.map(|end| end.map(|end| end.saturating_add(gap)));
        let other_last = self.tracks[track.other()].last_90k;
        let Some(last) = self.tracks[track as usize].last_90k else {
            // The track's first: on the other's clock, if that has begun.
            let source = other_last.map_or(raw, |other| unwrap_near(raw, other));
            self.join_newest(track, source, ends);
            return source;
        };
        // The lost media's length is known by and large.
        let most = MAX_STEP_90K.saturating_add(gap.saturating_mul(2));
        let source = unwrap_near(raw, last.saturating_add(gap));
        let step = source - last;
        let in_opening = self.opening.as_ref().is_some_and(|o| o.first_90k[track as usize].is_some());
        let fits = |step: i64| (-MAX_STEP_BACK_90K..=most).contains(&step);
        if !in_opening && let Some(other) = other_last {
            // The other track may have gone over to a newer run; this one follows when its times do.
            let newest = self.provisional_offset();
            let own = self.tracks[track as usize].offset_90k;
            let on_other = unwrap_near(raw, other);
            let step_there = (on_other + newest) - (last + own);
            let closer = step_there.abs() < step.abs() || !fits(step);
            if newest != own && closer && fits(step_there) {
                self.join_newest(track, on_other, ends);
                return on_other;
            }
            // Its own times have a hole, and the other track's clock bears out that nothing jumped.
            if step > MAX_STEP_90K && newest == own && (on_other - other).abs() <= MAX_STEP_90K {
                return on_other;
            }
        }
        if fits(step) {
            return source;
        }
        counters.add("timestamp_jumps", 1);
        let mut ends = ends;
        if self.opening.is_some() {
            // The run that is open ends here; its media count.
            let before = out.len();
            self.resolve(out);
            ends = ends_after(&out[before..], ends);
        }
        self.opening = Some(Opening::default());
        self.join_newest(track, source, ends);
        source
    }

    /// The track goes on in the newest run, with `source` its first time there.
    fn join_newest(&mut self, track: Track, source: i64, ends: [Option<i64>; 2]) {
        match &mut self.opening {
            Some(opening) => {
                opening.first_90k[track as usize] = Some(source);
                for (index, end) in ends.into_iter().enumerate() {
                    // A track that is already in the run ended before it began.
                    if index == track as usize || opening.first_90k[index].is_none() {
                        opening.ends_90k[index] = end;
                    }
                }
            }
            None => self.tracks[track as usize].offset_90k = self.newest_offset_90k,
        }
    }

    /// Offset of the newest run, as far as it is known.
    fn provisional_offset(&self) -> i64 {
        self.opening.as_ref().map_or(self.newest_offset_90k, Opening::offset)
    }

    /// Whether the run need not wait any longer.
    fn opening_is_complete(&self) -> bool {
        let Some(opening) = &self.opening else { return false };
        let all_there = (0..2).all(|index| opening.first_90k[index].is_some() || !self.expected[index]);
        all_there || opening.held.len() >= MAX_HELD_ITEMS
    }

    fn resolve(&mut self, out: &mut Vec<Placed>) {
        let Some(opening) = self.opening.take() else { return };
        self.newest_offset_90k = opening.offset();
        for (track, first) in self.tracks.iter_mut().zip(opening.first_90k) {
            if first.is_some() {
                track.offset_90k = self.newest_offset_90k;
            }
        }
        for (source, item) in opening.held {
            out.push(self.placed(source, item));
        }
    }

    fn placed(&self, source: Option<i64>, item: Item) -> Placed {
        match item {
            Item::Video(picture) => {
                let source = source.unwrap_or_default();
                let offset = self.tracks[Track::Video as usize].offset_90k;
                Placed::Video {
                    dts_90k: source + offset,
                    pts_90k: unwrap_near(picture.stamp.pts, source) + offset,
                    sync: picture.sync,
                    nals: picture.nals,
                    origin: picture.origin,
                }
            }
            Item::Audio { data, left_out, origin, .. } => {
                let offset = self.tracks[Track::Audio as usize].offset_90k;
                Placed::Audio { pts_90k: source.map(|source| source + offset), data, left_out, origin }
            }
        }
    }
}

impl Opening {
    /// The least offset that lets no track overlap what it had before.
    fn offset(&self) -> i64 {
        let pairs = || self.first_90k.iter().zip(&self.ends_90k);
        let own = pairs().filter_map(|(first, end)| Some((*end)? - (*first)?)).max();
        let first = self.first_90k.iter().flatten().min().copied().unwrap_or(0);
        let any_end = self.ends_90k.iter().flatten().max();
        match (own, any_end) {
            (Some(offset), _) => offset,
            // Other tracks than before.
            (None, Some(end)) => end - first,
            // Nothing before: the source's own times, moved by whole seconds (the same in every track's
            // units) only where one would be negative.
            (None, None) => {
                let earliest = self.held.iter().filter_map(|(source, item)| match item {
                    Item::Video(picture) => (*source).map(|dts| dts.min(unwrap_near(picture.stamp.pts, dts))),
                    Item::Audio { .. } => *source,
                });
                let earliest = earliest.min().unwrap_or(first).min(0);
                -earliest.div_euclid(TICKS_PER_SECOND) * TICKS_PER_SECOND
            }
        }
    }
}

/// Where the tracks end once `placed` is counted in; a frame's own length is not known here and small.
fn ends_after(placed: &[Placed], mut ends: [Option<i64>; 2]) -> [Option<i64>; 2] {
    for placed in placed {
        let (track, time) = match placed {
            Placed::Video { dts_90k, .. } => (Track::Video, Some(*dts_90k)),
            Placed::Audio { pts_90k, .. } => (Track::Audio, *pts_90k),
        };
        // One picture of 25 a second, or two frames of audio.
        let end = time.map(|time| time + 3600);
        ends[track as usize] = ends[track as usize].max(end);
    }
    ends
}
