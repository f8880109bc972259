//! Decode times of sources that send none, though their pictures are not shown in decoding order.

use serde::{Deserialize, Serialize};

use super::unit::Unit;
use crate::counters::Counters;
use crate::time::{CLOCK_PERIOD, TICKS_PER_SECOND, unwrap_near};

/// Pictures that may be shown before one that is decoded ahead of them (H.264 A.3.1, H.265 A.4.2: max_dec_frame_buffering
/// is 16; fields are two a frame).
const MAX_REORDERED: usize = 32;

/// Times further back than this, 1 s, are a jump and no reordering.
const MAX_BACK_90K: i64 = TICKS_PER_SECOND;

/// Times further ahead than this, 10 s, are a jump.
const MAX_AHEAD_90K: i64 = 10 * TICKS_PER_SECOND;

/// Distance of pictures while the source has not shown any: 25 a second.
const DEFAULT_STEP_90K: i64 = 3600;

/// Makes decode times out of presentation times: the same ones, sorted, and as much earlier as no picture is shown
/// before it is decoded. As such, what the next batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecodeTimes {
    /// Presentation times, unwrapped, that are no picture's decode time yet; as many as pictures are reordered.
    /// Empty while decode times are sent, or no picture is reordered.
    window: Vec<i64>,
    /// The source has sent one that is not the presentation time.
    sent: bool,
}

impl DecodeTimes {
    /// Takes pictures with their times as sent, in decoding order, about a segment of them. `sent`: some of them have a
    /// decode time that is not their presentation time.
    pub fn complete(&mut self, units: &mut [Unit], sent: bool, counters: &mut Counters) {
        self.sent |= sent;
        if self.sent {
            return self.window.clear();
        }
        let mut newest = self.window.iter().max().copied();
        let times: Vec<i64> = units
            .iter()
            .filter_map(|unit| unit.picture()?.stamp)
            .map(|stamp| *newest.insert(unwrap_near(stamp.pts, newest.unwrap_or(stamp.pts))))
            .collect();
        let Some(first) = times.first() else { return };
        let depth = reordered(&times).max(self.window.len());
        if depth == 0 {
            return;
        }
        let step = step(&times);
        let begin = self.window.iter().min().unwrap_or(first) - step;
        self.window.extend((0..).map(|index| begin - index * step).take(depth - self.window.len()));
        let mut made = times.into_iter().map(|pts| self.next(pts, depth, step));
        for unit in units {
            if let Unit::Video(unit) = unit
                && let Some(stamp) = &mut unit.stamp
                && let Some(dts) = made.next()
            {
                stamp.dts = dts.rem_euclid(CLOCK_PERIOD);
                counters.add("video_decode_times_made", 1);
            }
        }
    }

    fn next(&mut self, pts: i64, depth: usize, step: i64) -> i64 {
        let newest = self.window.iter().max().copied().unwrap_or(pts);
        if !(-MAX_BACK_90K..=MAX_AHEAD_90K).contains(&(pts - newest)) {
            self.window = (1..).map(|index| pts - index * step).take(depth).collect();
        }
        self.window.push(pts);
        let earliest = (0..self.window.len()).min_by_key(|index| self.window[*index]).unwrap_or(0);
        self.window.swap_remove(earliest)
    }
}

/// How many pictures at most are decoded before one that is shown before them.
fn reordered(times: &[i64]) -> usize {
    let ahead_of = |(index, time): (usize, &i64)| {
        let before = &times[index.saturating_sub(MAX_REORDERED)..index];
        before.iter().filter(|earlier| (1..=MAX_BACK_90K).contains(&(**earlier - time))).count()
    };
    times.iter().enumerate().map(ahead_of).max().unwrap_or(0)
}

/// The shortest time that a picture is shown.
fn step(times: &[i64]) -> i64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let steps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0);
    steps.min().filter(|step| *step <= MAX_BACK_90K).unwrap_or(DEFAULT_STEP_90K)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::AccessUnit;
    use crate::ts::Timestamps;

    fn complete(state: &mut DecodeTimes, shown: &[i64]) -> Vec<i64> {
        let unit = |pts: &i64| {
            let pts = pts.rem_euclid(CLOCK_PERIOD);
            Unit::Video(AccessUnit { stamp: Some(Timestamps { pts, dts: pts }), ..AccessUnit::default() })
        };
        let mut units: Vec<Unit> = shown.iter().map(unit).collect();
        state.complete(&mut units, false, &mut Counters::default());
        units.iter().filter_map(|unit| unit.picture()?.stamp).map(|stamp| stamp.dts).collect()
    }

    #[test]
    fn decode_times_are_the_presentation_times_in_order() {
        let mut state = DecodeTimes::default();
        assert_eq!(complete(&mut state, &[9, 12, 10, 11, 15]), [8, 9, 10, 11, 12]);
        assert_eq!(complete(&mut state, &[13, 14, 18, 16, 17]), [13, 14, 15, 16, 17]);
        // Two are reordered now: one time comes twice, and the track moves it.
        assert_eq!(complete(&mut state, &[23, 21, 19, 20, 22]), [17, 18, 19, 20, 21]);
    }

    #[test]
    fn what_is_shown_as_it_is_decoded_is_left_alone() {
        let mut state = DecodeTimes::default();
        assert_eq!(complete(&mut state, &[3, 6, 9]), [3, 6, 9]);
        assert_eq!(state, DecodeTimes::default());
        let stamp = Some(Timestamps { pts: 9, dts: 3 });
        let mut units = vec![Unit::Video(AccessUnit { stamp, ..AccessUnit::default() })];
        state.complete(&mut units, true, &mut Counters::default());
        assert_eq!(units[0].picture().unwrap().stamp, stamp);
        // Some of the pictures have none, then, because it is the presentation time.
        assert_eq!(complete(&mut state, &[15, 12]), [15, 12]);
    }

    #[test]
    fn the_clock_may_wrap_or_jump() {
        let mut state = DecodeTimes::default();
        let wrap = CLOCK_PERIOD;
        assert_eq!(complete(&mut state, &[wrap - 6, wrap + 3, wrap - 3]), [wrap - 9, wrap - 6, wrap - 3]);
        assert_eq!(complete(&mut state, &[wrap + 12, wrap + 6]), [3, 6]);
        let far = 100 * MAX_AHEAD_90K;
        assert_eq!(complete(&mut state, &[far, far + 6, far + 3]), [far - 3, far, far + 3]);
    }
}
