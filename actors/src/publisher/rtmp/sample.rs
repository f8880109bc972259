//! What the schedule holds of a file: samples in decode order, one GOP at a time.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::clock::UnixMicros;
use crate::messages::AirClock;

/// Which track a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Track {
    /// H.264.
    Video,
    /// AAC.
    Audio,
}

/// One access unit as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its track.
    pub track: Track,
    /// Decode time on the output timeline, in `timescale` units.
    pub time: i64,
    /// Units a second; never 0.
    pub timescale: u32,
    /// Presentation minus decode time, in `timescale` units.
    pub cts_offset: i32,
    /// Whether decoding can start here.
    pub sync: bool,
    /// The access unit: NAL units behind 4-byte lengths, or raw AAC.
    pub data: Bytes,
}

impl Sample {
    /// When it goes on air.
    pub fn air_time(&self, clock: AirClock) -> UnixMicros {
        let micros = (i128::from(self.time) * 1_000_000).div_euclid(i128::from(self.timescale));
        clock.anchor.plus_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Its decode time in ticks of 90 kHz, rounded down.
    pub fn time_90k(&self) -> i64 {
        let ticks = (i128::from(self.time) * 90_000).div_euclid(i128::from(self.timescale));
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    /// Whether it comes strictly later than `earlier`, exactly, whatever the timescales.
    pub fn is_after(&self, (time, timescale): (i64, u32)) -> bool {
        i128::from(self.time) * i128::from(timescale) > i128::from(time) * i128::from(self.timescale)
    }
}

/// One fragment of an output file in memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gop {
    /// Pictures in decode order.
    pub video: VecDeque<Sample>,
    /// Audio access units in order.
    pub audio: VecDeque<Sample>,
}

impl Gop {
    /// Samples left.
    pub fn len(&self) -> usize {
        self.video.len() + self.audio.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.video.is_empty() && self.audio.is_empty()
    }

    /// One track's samples.
    pub fn track(&self, track: Track) -> &VecDeque<Sample> {
        match track {
            Track::Video => &self.video,
            Track::Audio => &self.audio,
        }
    }

    /// Takes a track's next sample.
    pub fn pop(&mut self, track: Track) -> Option<Sample> {
        match track {
            Track::Video => self.video.pop_front(),
            Track::Audio => self.audio.pop_front(),
        }
    }
}
