//! Audio from a playlist of its own: of segments that overlap a batch, the part that is the batch's.
//!
//! Segments of audio seldom end where those of video do, so one that overlaps a batch's end is pushed in both
//! batches. Each takes from where the one before ended up to its last picture; what lies beyond comes again.

use super::unit::Unit;
use crate::counters::Counters;
use crate::time::{TICKS_PER_SECOND, rescale, unwrap_near};
use crate::ts::Timestamps;

/// How far audio may go beyond the last picture's beginning: about one picture, 90 kHz ticks.
const BEYOND_90K: i64 = 3600;

/// How far audio may go ahead of the first pictures of all, which sound before no batch has: half a second.
const LEAD_90K: i64 = 45_000;

/// Sorts access units of audio into those of this batch and those of others. Times are the source's own.
#[derive(Debug, Default)]
pub struct Beside {
    /// Whether segments may come in two batches.
    pub overlaps: bool,
    /// Whether no batch comes after this one, so that it takes what goes beyond its pictures as well.
    pub is_last: bool,
    /// Whether the source, or a run of its clock, begins with this batch.
    is_first: bool,
    /// Where the audio so far ends.
    end_90k: Option<i64>,
    /// First and last picture of the batch.
    pictures_90k: Option<(i64, i64)>,
    /// A time near which others lie, across wraps of the clock.
    near_90k: Option<i64>,
    /// The last unit with a time, and what came since, for units that bear none.
    since: Option<Since>,
    /// Units beyond the pictures so far, with where they begin and end.
    held: Vec<((i64, i64), Unit)>,
}

impl Beside {
    /// Goes on where the batch before ended, or begins the source, or a run of its clock.
    #[must_use]
    pub fn new(end_90k: Option<i64>, is_first: bool) -> Self {
        Self { end_90k, is_first, near_90k: end_90k, ..Self::default() }
    }

    /// Where the audio ends, for the next batch.
    #[must_use]
    pub fn end_90k(&self) -> Option<i64> {
        self.end_90k
    }

    /// The units that can be placed, of those held and of `audio`; `last` when no more pictures come.
    pub fn admit(
        &mut self,
        pictures: &[Unit],
        audio: Vec<Unit>,
        last: bool,
        counters: &mut Counters,
    ) -> Vec<Unit> {
        if !self.overlaps {
            return audio;
        }
        for stamp in pictures.iter().filter_map(Unit::picture).filter_map(|picture| picture.stamp) {
            let time = self.unwrapped(stamp.pts);
            let (first, newest) = self.pictures_90k.unwrap_or((time, time));
            self.pictures_90k = Some((first.min(time), newest.max(time)));
        }
        let mut units = std::mem::take(&mut self.held);
        for unit in audio {
            units.push((self.place(&unit), unit));
        }
        let mut admitted = Vec::with_capacity(units.len());
        // A unit behind one that was left out must say its time itself.
        let mut alone = true;
        for ((time, end), mut unit) in units {
            let length = end.saturating_sub(time);
            let lead = if self.is_first { LEAD_90K } else { 0 };
            let floor = self.end_90k.or(self.pictures_90k.map(|(first, _)| first.saturating_sub(lead)));
            if floor.is_some_and(|floor| time < floor.saturating_sub(length / 2)) {
                counters.add("audio_of_other_batches", 1);
                alone = true;
                continue;
            }
            if self.pictures_90k.is_some_and(|(_, newest)| time > newest.saturating_add(BEYOND_90K)) {
                if last && !self.is_last {
                    counters.add("audio_of_other_batches", 1);
                    continue;
                }
                if !last {
                    self.held.push(((time, end), unit));
                    continue;
                }
            }
            if let Unit::Audio(audio) = &mut unit
                && std::mem::take(&mut alone)
            {
                audio.stamp = Some(Timestamps { pts: time, dts: time });
            }
            self.end_90k = Some(end);
            admitted.push(unit);
        }
        admitted
    }

    /// Where a unit begins and ends.
    fn place(&mut self, unit: &Unit) -> (i64, i64) {
        let (stamp, config) = match unit {
            Unit::Audio(audio) => (audio.stamp, audio.format.config().ok()),
            Unit::Video(_) => (None, None),
        };
        let (samples, rate) = config.map_or((0, 1), |config| (config.frame_samples, config.sample_rate));
        let from_90k = match (stamp, &self.since) {
            (Some(stamp), _) => Some(self.unwrapped(stamp.pts)),
            (None, Some(since)) if since.rate == rate => None,
            (None, since) => Some(since.as_ref().map(Since::end_90k).or(self.near_90k).unwrap_or(0)),
        };
        if let Some(from_90k) = from_90k {
            self.since = Some(Since { from_90k, samples: 0, rate });
        }
        let Some(since) = &mut self.since else { return (0, 0) };
        let time = since.end_90k();
        since.samples = since.samples.saturating_add(i64::from(samples));
        (time, since.end_90k())
    }

    fn unwrapped(&mut self, raw: i64) -> i64 {
        let time = self.near_90k.map_or(raw, |near| unwrap_near(raw, near));
        self.near_90k = Some(time);
        time
    }
}

/// Units that follow on each other behind one with a time: counted in samples, so that no rounding adds up.
#[derive(Debug)]
struct Since {
    from_90k: i64,
    samples: i64,
    rate: u32,
}

impl Since {
    fn end_90k(&self) -> i64 {
        self.from_90k.saturating_add(rescale(self.samples, self.rate, TICKS_PER_SECOND as u32))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::super::unit::{AudioFormat, AudioUnit};
    use super::*;
    use crate::nal::AccessUnit;
    use crate::sample::AudioConfig;

    /// Access units of 1024 samples at 48 kHz last so long.
    const UNIT_90K: i64 = 1920;

    fn picture(pts: i64) -> Unit {
        let stamp = Some(Timestamps { pts, dts: pts });
        Unit::Video(AccessUnit { stamp, origin: 1, ..AccessUnit::default() })
    }

    /// Units from `first` on; the first alone bears a time, as in a PES packet.
    fn audio(first: i64, count: u8) -> Vec<Unit> {
        let config = AudioConfig { sample_rate: 48_000, frame_samples: 1024, ..AudioConfig::default() };
        let format = AudioFormat::Config(Arc::new(config));
        let unit = |n: u8| {
            Unit::Audio(AudioUnit {
                data: Bytes::copy_from_slice(&[n]),
                format: format.clone(),
                stamp: (n == 0).then_some(Timestamps { pts: first, dts: first }),
                origin: 1,
                left_out: 0,
            })
        };
        (0..count).map(unit).collect()
    }

    fn labels(units: &[Unit]) -> Vec<(u8, Option<i64>)> {
        let label = |unit: &Unit| match unit {
            Unit::Audio(audio) => (audio.data[0], audio.stamp.map(|stamp| stamp.pts)),
            Unit::Video(_) => panic!("audio alone was pushed"),
        };
        units.iter().map(label).collect()
    }

    #[test]
    fn a_segment_of_two_batches_gives_each_its_part_and_nothing_twice() {
        let mut counters = Counters::default();
        for wrap in [0, (1 << 33) - 5 * UNIT_90K] {
            let at = |units: i64| (wrap + units * UNIT_90K) % (1 << 33);
            // Twelve units from 0; pictures from 3 to 7, then from 8 to 10.
            let mut first = Beside { overlaps: true, ..Beside::new(None, false) };
            let pictures: Vec<Unit> = (3..8).map(|n| picture(at(n))).collect();
            let taken = first.admit(&pictures, audio(at(0), 12), true, &mut counters);
            let numbers: Vec<u8> = labels(&taken).iter().map(|(n, _)| *n).collect();
            assert_eq!(numbers, [3, 4, 5, 6, 7, 8]);
            assert!(labels(&taken)[0].1.is_some(), "the first one says its time");

            let mut second = Beside { overlaps: true, ..Beside::new(first.end_90k(), false) };
            let pictures: Vec<Unit> = (8..11).map(|n| picture(at(n))).collect();
            let taken = second.admit(&pictures, audio(at(0), 12), true, &mut counters);
            let numbers: Vec<u8> = labels(&taken).iter().map(|(n, _)| *n).collect();
            assert_eq!(numbers, [9, 10, 11]);
        }
    }

    #[test]
    fn roundings_of_a_length_do_not_add_up() {
        let config = AudioConfig { sample_rate: 44_100, frame_samples: 1024, ..AudioConfig::default() };
        let format = AudioFormat::Config(Arc::new(config));
        let stamp = Some(Timestamps { pts: 0, dts: 0 });
        let unit = |n: i64| {
            let stamp = stamp.filter(|_| n == 0);
            Unit::Audio(AudioUnit {
                data: Bytes::new(),
                format: format.clone(),
                stamp,
                origin: 1,
                left_out: 0,
            })
        };
        let mut beside = Beside { overlaps: true, is_last: true, ..Beside::default() };
        beside.admit(&[picture(0)], (0..1000).map(unit).collect(), true, &mut Counters::default());
        assert_eq!(beside.end_90k(), Some(rescale(1000 * 1024, 44_100, 90_000)));
    }

    #[test]
    fn audio_ahead_of_its_pictures_waits_for_them() {
        let mut counters = Counters::default();
        let mut beside = Beside { overlaps: true, ..Beside::default() };
        let taken = beside.admit(&[picture(0), picture(UNIT_90K)], audio(0, 8), false, &mut counters);
        assert_eq!(taken.len(), 3);
        let later: Vec<Unit> = (2..8).map(|n| picture(n * UNIT_90K)).collect();
        let taken = beside.admit(&later, Vec::new(), false, &mut counters);
        let numbers: Vec<u8> = labels(&taken).iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [3, 4, 5, 6, 7]);
        assert_eq!(counters.get("audio_of_other_batches"), 0);
    }

    #[test]
    fn audio_may_begin_a_little_before_the_first_pictures_of_all() {
        let taken = |is_first: bool| {
            let mut counters = Counters::default();
            let mut beside = Beside { overlaps: true, is_first, ..Beside::default() };
            let pictures: Vec<Unit> = (30..33).map(|n| picture(n * UNIT_90K)).collect();
            let taken = beside.admit(&pictures, audio(0, 33), true, &mut counters);
            labels(&taken).iter().map(|(n, _)| *n).collect::<Vec<_>>()
        };
        // Half a second is 23.4 access units.
        assert_eq!(taken(true), (7..33).collect::<Vec<_>>());
        assert_eq!(taken(false), (30..33).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_batch_takes_what_goes_beyond_its_pictures() {
        let mut counters = Counters::default();
        let mut beside = Beside { overlaps: true, is_last: true, ..Beside::default() };
        let taken = beside.admit(&[picture(0), picture(UNIT_90K)], audio(0, 8), false, &mut counters);
        assert_eq!(taken.len(), 3);
        let rest = beside.admit(&[], Vec::new(), true, &mut counters);
        assert_eq!(labels(&rest).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert_eq!(counters.get("audio_of_other_batches"), 0);
    }

    #[test]
    fn without_overlaps_or_pictures_all_is_taken() {
        let mut counters = Counters::default();
        assert_eq!(Beside::default().admit(&[picture(0)], audio(0, 9), true, &mut counters).len(), 9);
        let mut alone = Beside { overlaps: true, ..Beside::default() };
        assert_eq!(alone.admit(&[], audio(0, 9), true, &mut counters).len(), 9);
    }
}
