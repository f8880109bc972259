//! The video track: decode times that increase, durations.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::counters::Counters;
use crate::sample::VideoSample;

/// A picture's duration while the source has not shown any: 25 pictures a second.
const DEFAULT_DURATION_90K: u32 = 3600;

/// Durations above this (1 s) are holes, and no measure for the next picture's.
const LONGEST_USUAL_90K: u32 = 90_000;

/// What the next batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoCarry {
    last_dts_90k: Option<i64>,
    usual_duration_90k: Option<u32>,
}

impl VideoCarry {
    /// Where the last picture ends, in 90 kHz ticks.
    #[must_use]
    pub fn end_90k(&self) -> Option<i64> {
        let duration = self.usual_duration_90k.unwrap_or(DEFAULT_DURATION_90K);
        self.last_dts_90k.map(|dts| dts + i64::from(duration))
    }
}

/// Gives each picture its duration once the next is known.
#[derive(Debug)]
pub struct VideoTrack {
    state: VideoCarry,
    pending: Option<(VideoSample, u32)>,
}

impl VideoTrack {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(state: VideoCarry) -> Self {
        Self { state, pending: None }
    }

    /// What the next batch must know.
    #[must_use]
    pub fn carry(&self) -> VideoCarry {
        self.state.clone()
    }

    /// Where the last picture ends, in 90 kHz ticks.
    #[must_use]
    pub fn end_90k(&self) -> Option<i64> {
        self.state.end_90k()
    }

    /// Takes the next picture; gives the one before, and its label.
    pub fn push(
        &mut self,
        dts_90k: i64,
        pts_90k: i64,
        sync: bool,
        nals: Vec<Bytes>,
        origin: u32,
        counters: &mut Counters,
    ) -> Option<(VideoSample, u32)> {
        let mut dts = dts_90k;
        if let Some(last) = self.state.last_dts_90k {
            if dts <= last {
                counters.add("video_dts_nudged", 1);
                dts = last + 1;
            }
            if let Some((pending, _)) = &mut self.pending {
                let duration = u32::try_from(dts - last).unwrap_or(u32::MAX);
                pending.duration_90k = duration;
                if duration <= LONGEST_USUAL_90K {
                    self.state.usual_duration_90k = Some(duration);
                }
            }
        }
        self.state.last_dts_90k = Some(dts);
        let duration_90k = self.state.usual_duration_90k.unwrap_or(DEFAULT_DURATION_90K);
        self.pending.replace((VideoSample { dts_90k: dts, pts_90k, duration_90k, sync, nals }, origin))
    }

    /// The batch ends: the last picture lasts as long as the one before it.
    pub fn finish(&mut self) -> Option<(VideoSample, u32)> {
        let mut last = self.pending.take();
        if let (Some((sample, _)), Some(usual)) = (&mut last, self.state.usual_duration_90k) {
            sample.duration_90k = usual;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(track: &mut VideoTrack, dts: i64, counters: &mut Counters) -> Option<(i64, u32)> {
        let done = track.push(dts, dts, false, Vec::new(), 0, counters);
        done.map(|(sample, _)| (sample.dts_90k, sample.duration_90k))
    }

    #[test]
    fn a_picture_lasts_until_the_next_and_the_last_as_long_as_the_one_before() {
        let (mut track, mut counters) = (VideoTrack::new(VideoCarry::default()), Counters::default());
        assert_eq!(push(&mut track, 0, &mut counters), None);
        assert_eq!(push(&mut track, 3003, &mut counters), Some((0, 3003)));
        assert_eq!(push(&mut track, 6000, &mut counters), Some((3003, 2997)));
        let last = track.finish().unwrap().0;
        assert_eq!((last.dts_90k, last.duration_90k), (6000, 2997));
        // The next batch keeps the source's own time.
        let mut next = VideoTrack::new(track.carry());
        assert_eq!(next.end_90k(), Some(8997));
        push(&mut next, 9003, &mut counters);
        assert_eq!(next.finish().unwrap().0.dts_90k, 9003);
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn decode_times_that_do_not_increase_are_moved_by_one_tick() {
        let (mut track, mut counters) = (VideoTrack::new(VideoCarry::default()), Counters::default());
        push(&mut track, 3000, &mut counters);
        assert_eq!(push(&mut track, 2000, &mut counters), Some((3000, 1)));
        assert_eq!(push(&mut track, 6000, &mut counters), Some((3001, 2999)));
        assert_eq!(counters.get("video_dts_nudged"), 1);
    }

    #[test]
    fn a_hole_is_no_measure_for_the_last_picture() {
        let (mut track, mut counters) = (VideoTrack::new(VideoCarry::default()), Counters::default());
        push(&mut track, 0, &mut counters);
        push(&mut track, 3000, &mut counters);
        assert_eq!(push(&mut track, 600_000, &mut counters), Some((3000, 597_000)));
        assert_eq!(track.finish().unwrap().0.duration_90k, 3000);
    }
}
