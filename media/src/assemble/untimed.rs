//! Times for pictures that the source gave none: several in one PES packet, or second fields.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::counters::Counters;
use crate::time::unwrap_near;
use crate::ts::Timestamps;

/// Pictures in a row that may lack times.
const MAX_WAITING: usize = 512;

/// Longest time over which pictures are spread, 10 s; beyond it the clock has jumped.
const MAX_SPREAD_90K: i64 = 10 * 90_000;

/// Distance of pictures while the source has not shown any: 25 a second.
const DEFAULT_STEP_90K: i64 = 3600;

/// A picture with its raw times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedPicture {
    /// Its NAL units.
    pub nals: Vec<Bytes>,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Its times as sent.
    pub stamp: Timestamps,
    /// Label of the PES packet it began in.
    pub origin: u32,
}

/// What the next batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntimedCarry {
    last: Option<Timestamps>,
    step_90k: Option<i64>,
}

/// Spreads pictures without times evenly between their timed neighbours.
#[derive(Debug)]
pub struct Untimed {
    state: UntimedCarry,
    waiting: Vec<(Vec<Bytes>, bool, u32)>,
}

impl Untimed {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(state: UntimedCarry) -> Self {
        Self { state, waiting: Vec::new() }
    }

    /// What the next batch must know.
    #[must_use]
    pub fn carry(&self) -> UntimedCarry {
        self.state.clone()
    }

    /// Takes the next picture in decoding order; gives those whose times are known.
    pub fn push(
        &mut self,
        nals: Vec<Bytes>,
        sync: bool,
        stamp: Option<Timestamps>,
        origin: u32,
        counters: &mut Counters,
    ) -> Vec<TimedPicture> {
        let Some(stamp) = stamp else {
            if self.state.last.is_none() || self.waiting.len() >= MAX_WAITING {
                counters.add("video_untimed_dropped", 1);
            } else {
                counters.add("video_times_interpolated", 1);
                self.waiting.push((nals, sync, origin));
            }
            return Vec::new();
        };
        let mut out = Vec::with_capacity(1 + self.waiting.len());
        if let Some(last) = self.state.last {
            let pictures = self.waiting.len() as i64 + 1;
            let distance = unwrap_near(stamp.dts, last.dts) - last.dts;
            if (pictures..=MAX_SPREAD_90K).contains(&distance) {
                self.state.step_90k = Some(distance / pictures);
                self.spread(last, distance, pictures, &mut out);
            } else {
                self.spread_by_step(last, &mut out);
            }
        }
        self.state.last = Some(stamp);
        out.push(TimedPicture { nals, sync, stamp, origin });
        out
    }

    /// Gives what still waits.
    pub fn finish(&mut self) -> Vec<TimedPicture> {
        let mut out = Vec::new();
        if let Some(last) = self.state.last {
            self.spread_by_step(last, &mut out);
        }
        if let Some(last) = out.last() {
            self.state.last = Some(last.stamp);
        }
        out
    }

    fn spread_by_step(&mut self, last: Timestamps, out: &mut Vec<TimedPicture>) {
        let pictures = self.waiting.len() as i64 + 1;
        self.spread(last, self.state.step_90k.unwrap_or(DEFAULT_STEP_90K) * pictures, pictures, out);
    }

    fn spread(&mut self, last: Timestamps, distance: i64, pictures: i64, out: &mut Vec<TimedPicture>) {
        for (index, (nals, sync, origin)) in (1..).zip(self.waiting.drain(..)) {
            let after = distance * index / pictures;
            let moved = |time: i64| (time + after).rem_euclid(crate::time::CLOCK_PERIOD);
            let stamp = Timestamps { pts: moved(last.pts), dts: moved(last.dts) };
            out.push(TimedPicture { nals, sync, stamp, origin });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(untimed: &mut Untimed, time: Option<i64>) -> Vec<i64> {
        let stamp = time.map(|dts| Timestamps { pts: dts + 10, dts });
        let out = untimed.push(Vec::new(), false, stamp, 0, &mut Counters::default());
        out.iter().map(|picture| picture.stamp.dts).collect()
    }

    #[test]
    fn second_fields_stand_halfway() {
        let mut untimed = Untimed::new(UntimedCarry::default());
        assert_eq!(push(&mut untimed, None), [0i64; 0]);
        assert_eq!(push(&mut untimed, Some(7200)), [7200]);
        assert_eq!(push(&mut untimed, None), [0i64; 0]);
        assert_eq!(push(&mut untimed, Some(10_800)), [9000, 10_800]);
        assert_eq!(push(&mut untimed, None), [0i64; 0]);
        let last = untimed.finish();
        assert_eq!(last[0].stamp, Timestamps { pts: 12_610, dts: 12_600 });
    }

    #[test]
    fn times_are_spread_across_the_wrap() {
        let mut untimed = Untimed::new(UntimedCarry::default());
        push(&mut untimed, Some((1 << 33) - 1800));
        push(&mut untimed, None);
        assert_eq!(push(&mut untimed, Some(1800)), [0, 1800]);
    }
}
