//! Cuts: pictures from one entry point to the next, with the audio beside them.

use std::collections::VecDeque;

use super::MediaCut;
use super::clock::Track;
use crate::counters::Counters;
use crate::sample::{AudioSample, VideoSample};
use crate::time::rescale;

/// A cut of a longer segment ends at the first sync sample after this: 6 s.
const LONG_CUT_90K: i64 = 6 * 90_000;

/// A cut of audio alone is at least this long: 1 s.
const SHORT_AUDIO_CUT_S: i64 = 1;

/// How far pictures may go on, once a segment is complete, while a cut waits for its audio: 3 s.
const MAX_AUDIO_LAG_90K: i64 = 3 * 90_000;

/// Gathers samples into cuts.
#[derive(Debug)]
pub struct Cutter {
    open: Option<OpenCut>,
    closed: VecDeque<ClosedCut>,
    audio: VecDeque<AudioSample>,
    /// Label of the newest audio sample's segment.
    audio_origin: u32,
    ready: Vec<MediaCut>,
    expected: [bool; 2],
    rate: u32,
}

#[derive(Debug)]
struct OpenCut {
    video: Vec<VideoSample>,
    origin: u32,
    start_90k: i64,
}

/// A cut whose pictures are complete.
#[derive(Debug)]
struct ClosedCut {
    video: Vec<VideoSample>,
    /// Presentation time of the next cut's first picture.
    end_90k: i64,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            open: None,
            closed: VecDeque::new(),
            audio: VecDeque::new(),
            audio_origin: 0,
            ready: Vec::new(),
            expected: [true; 2],
            rate: 90_000,
        }
    }
}

impl Cutter {
    /// Which tracks the program has, video and audio.
    pub fn expect_tracks(&mut self, expected: [bool; 2]) {
        self.expected = expected;
    }

    /// The cuts that are complete, at a segment's end.
    pub fn ready(&mut self) -> Vec<MediaCut> {
        let now = self.open.as_ref().and_then(|open| open.video.last()).map(|sample| sample.dts_90k);
        self.release(now.unwrap_or(i64::MIN));
        std::mem::take(&mut self.ready)
    }

    /// Takes the next picture in decoding order, labelled with its segment.
    pub fn video(&mut self, sample: VideoSample, origin: u32, counters: &mut Counters) {
        match &mut self.open {
            Some(open) => {
                let long = sample.dts_90k - open.start_90k >= LONG_CUT_90K;
                // A batch that begins inside a GOP: its first entry point begins a cut in any case.
                let headless = open.video.first().is_some_and(|first| !first.sync);
                if sample.sync && (origin > open.origin || long || headless) {
                    let video = std::mem::take(&mut open.video);
                    self.closed.push_back(ClosedCut { video, end_90k: sample.pts_90k });
                    *open = OpenCut { origin, start_90k: sample.dts_90k, video: vec![sample] };
                } else {
                    open.video.push(sample);
                }
            }
            None => {
                if !sample.sync {
                    counters.add("batch_begins_inside_gop", 1);
                }
                self.open = Some(OpenCut { origin, start_90k: sample.dts_90k, video: vec![sample] });
            }
        }
        self.release(i64::MIN);
    }

    /// Takes the next access unit of audio, labelled with its segment; its time counts in units of `rate`.
    pub fn audio(&mut self, sample: AudioSample, origin: u32, rate: u32) {
        self.rate = rate;
        let new_segment = std::mem::replace(&mut self.audio_origin, origin) != origin;
        if new_segment
            && !self.expected[Track::Video as usize]
            && self.open.is_none()
            && let Some(first) = self.audio.front()
            && sample.time - first.time >= SHORT_AUDIO_CUT_S * i64::from(rate)
        {
            self.ready.push(MediaCut { video: Vec::new(), audio: self.audio.drain(..).collect() });
        }
        self.audio.push_back(sample);
        self.release(i64::MIN);
    }

    /// The batch ends: everything that is left, in cuts.
    pub fn finish(&mut self) -> Vec<MediaCut> {
        while let Some(cut) = self.closed.pop_front() {
            self.complete(cut);
        }
        let video = self.open.take().map(|open| open.video).unwrap_or_default();
        let audio: Vec<_> = self.audio.drain(..).collect();
        self.ready.push(MediaCut { video, audio });
        std::mem::take(&mut self.ready)
    }

    /// Completes closed cuts whose audio is there, or has had its time: pictures have come up to `now_90k`.
    fn release(&mut self, now_90k: i64) {
        while let Some(cut) = self.closed.front() {
            let end = rescale(cut.end_90k, 90_000, self.rate);
            let audio_is_past = self.audio.back().is_some_and(|sample| sample.time >= end);
            let late = now_90k >= cut.end_90k.saturating_add(MAX_AUDIO_LAG_90K);
            if !(audio_is_past || late || !self.expected[Track::Audio as usize]) {
                return;
            }
            if let Some(cut) = self.closed.pop_front() {
                self.complete(cut);
            }
        }
    }

    fn complete(&mut self, cut: ClosedCut) {
        let end = rescale(cut.end_90k, 90_000, self.rate);
        let count = self.audio.iter().take_while(|sample| sample.time < end).count();
        self.ready.push(MediaCut { video: cut.video, audio: self.audio.drain(..count).collect() });
    }
}
