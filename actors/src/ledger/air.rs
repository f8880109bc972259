//! The air clock's anchor: where it is set, how it follows the source, when it jumps.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMicros;
use crate::messages::{AirClock, ticks_to_micros};

/// Batches whose arrival is remembered.
const WINDOW: usize = 16;
/// Fewest arrivals from which the source's pace is judged.
const FEWEST: usize = 8;
/// A difference below this is jitter.
const DEADBAND_US: i64 = 20_000;
/// The clock follows the source by at most this many microseconds a second.
const SLEW_PPM: i64 = 500;

/// How early or late batches complete against their media time, and what of it the clock has followed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourcePace {
    /// Completion time − media end time of the last batches, microseconds.
    arrivals: VecDeque<i64>,
    /// The least of a full window when the pace was first known, moved along with the clock.
    reference: Option<i64>,
    /// When the clock was last slewed.
    slewed_at: Option<UnixMicros>,
    /// When the pace was first known, and the least then.
    known_since: Option<(UnixMicros, i64)>,
}

impl SourcePace {
    /// Notes that media up to `end_90k` was complete at `completed`; returns the microseconds by which the
    /// clock is to move so that it keeps the source's pace, 500 ppm of the elapsed time at most.
    ///
    /// Networks only ever delay, so the least delayed of the last batches tells the source's own clock.
    pub fn observe(&mut self, end_90k: i64, completed: UnixMicros) -> i64 {
        self.arrivals.push_back(completed.0 - ticks_to_micros(end_90k));
        if self.arrivals.len() > WINDOW {
            self.arrivals.pop_front();
        }
        if self.arrivals.len() < FEWEST {
            return 0;
        }
        let least = self.arrivals.iter().copied().min().unwrap_or_default();
        let since = self.slewed_at.replace(completed);
        let (Some(reference), Some(since)) = (self.reference, since) else {
            // The first batches come at once out of the source's window; the pace is known when they have left.
            if self.arrivals.len() == WINDOW {
                self.reference = Some(least);
                self.known_since = Some((completed, least));
            }
            return 0;
        };
        let error = least - reference;
        if error.abs() < DEADBAND_US {
            return 0;
        }
        let most = (completed.micros_since(since).max(0) / 1_000_000).saturating_mul(SLEW_PPM);
        let step = error.clamp(-most, most);
        self.reference = Some(reference + step);
        step
    }

    /// How much slower the source's clock runs than ours, parts per million, since the pace was known. It gets
    /// surer with time: what jitter is left in the least delayed arrivals weighs less and less.
    #[must_use]
    pub fn drift_ppm(&self) -> Option<f64> {
        let (since, first) = self.known_since?;
        let elapsed_us = self.slewed_at?.micros_since(since);
        let least = self.arrivals.iter().min()?;
        (elapsed_us > 0).then(|| (least - first) as f64 * 1e6 / elapsed_us as f64)
    }
}

/// What the anchor depends on, microseconds.
#[derive(Debug, Clone, Copy)]
pub struct DelayPlan {
    /// Least time between a batch's completion and its air time.
    pub delay_us: i64,
    /// `bufferDuration`.
    pub buffer_us: i64,
    /// The source's target duration.
    pub target_us: i64,
}

impl DelayPlan {
    /// Clock of a run whose first batch begins at `start_90k`, is `length_us` long and was complete at `completed`:
    /// it airs at completed + delay + (buffer + target − length), so that every later batch, which may be
    /// buffer + target long, has `delay` as well.
    #[must_use]
    pub fn first_clock(self, start_90k: i64, length_us: i64, completed: UnixMicros) -> AirClock {
        let slack = (self.buffer_us + self.target_us - length_us).max(0);
        let airs = completed.plus_micros(self.delay_us + slack);
        AirClock { anchor: airs.plus_micros(-ticks_to_micros(start_90k)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKS: i64 = 90_000;

    #[test]
    fn the_first_batch_leaves_room_for_the_longest_later_one() {
        let plan = DelayPlan { delay_us: 10_000_000, buffer_us: 6_000_000, target_us: 4_000_000 };
        let clock = plan.first_clock(5 * TICKS, 8_000_000, UnixMicros(100_000_000));
        assert_eq!(clock.air_time(5 * TICKS), UnixMicros(100_000_000 + 10_000_000 + 2_000_000));
    }

    #[test]
    fn the_clock_follows_a_slow_source_at_500_ppm_at_most() {
        let mut pace = SourcePace::default();
        let mut moved = 0;
        // The source loses 1 ms in a 10 s batch: 100 ppm.
        for n in 1..=400_i64 {
            let step = pace.observe(n * 10 * TICKS, UnixMicros(n * 10_001_000));
            assert!(step.abs() <= 5_500, "{step}");
            moved += step;
        }
        // All but the first window and the lag of the minimum filter is followed.
        assert!((340_000..=400_000).contains(&moved), "{moved}");
        let drift_ppm = pace.drift_ppm().unwrap();
        assert!((95.0..=105.0).contains(&drift_ppm), "{drift_ppm}");
    }

    #[test]
    fn no_drift_is_told_before_the_pace_is_known() {
        let mut pace = SourcePace::default();
        for n in 1..=16_i64 {
            pace.observe(n * 10 * TICKS, UnixMicros(n * 10_000_000));
            assert_eq!(pace.drift_ppm(), None);
        }
        pace.observe(170 * TICKS, UnixMicros(170_000_000));
        assert_eq!(pace.drift_ppm(), Some(0.0));
    }

    #[test]
    fn one_late_batch_does_not_move_the_clock() {
        let mut pace = SourcePace::default();
        for n in 1..=100_i64 {
            let late = if n == 50 { 3_000_000 } else { 0 };
            assert_eq!(pace.observe(n * 10 * TICKS, UnixMicros(n * 10_000_000 + late)), 0);
        }
    }
}
