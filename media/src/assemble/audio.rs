//! The audio track: positions in samples, steps, holes, overlaps.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::unit::{AudioFormat, AudioUnit};
use crate::aac::{SbrDetector, silent_access_unit};
use crate::counters::Counters;
use crate::sample::{AudioConfig, AudioSample};
use crate::time::{TICKS_PER_SECOND, rescale};

/// The timeline's ticks a second.
const TICKS: u32 = TICKS_PER_SECOND as u32;

/// Seconds of silence put into one hole at most; a hole is longer only where pictures go on through it.
const MAX_SILENCE_S: i64 = 150;

/// Rate that positions count in while there is no audio.
const NO_RATE: u32 = TICKS;

/// What the next batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioCarry {
    /// Where the next frame is expected, in samples of `rate`.
    next: Option<i64>,
    /// Where the source's own times put it.
    source_next: Option<i64>,
    rate: u32,
    /// Where the audio of earlier epochs ended, in 90 kHz ticks.
    earlier_end_90k: Option<i64>,
}

impl AudioCarry {
    /// Where the audio ends, in 90 kHz ticks, rounded up.
    #[must_use]
    pub fn end_90k(&self) -> Option<i64> {
        let rate = i128::from(self.rate.max(1));
        let end = self.next.map(|next| {
            let ticks = (i128::from(next) * i128::from(TICKS) + rate - 1).div_euclid(rate);
            i64::try_from(ticks).unwrap_or(i64::MAX)
        });
        end.or(self.earlier_end_90k)
    }

    /// What outlives the epoch: where it ended.
    #[must_use]
    pub fn end_of_epoch(&self) -> Self {
        Self { earlier_end_90k: self.end_90k(), ..Self::default() }
    }
}

/// Gives each access unit its position and duration.
#[derive(Debug)]
pub struct AudioTrack {
    state: AudioCarry,
    /// Configuration of the last frame that came.
    newest: Option<AudioConfig>,
    /// The batch's configuration, set by its first frame.
    config: Option<(AudioFormat, AudioConfig)>,
    sbr: SbrDetector,
    silence: Option<Bytes>,
    pending: Option<(AudioSample, u32)>,
    /// Whether media was lost before the next frame: the hole stays.
    gap: bool,
}

impl AudioTrack {
    /// Goes on where the batch before ended; `config` is what it knew.
    #[must_use]
    pub fn new(state: AudioCarry, config: Option<AudioConfig>) -> Self {
        let sbr = SbrDetector::new(config.as_ref().is_some_and(|config| config.sbr));
        Self { state, newest: config, config: None, sbr, silence: None, pending: None, gap: false }
    }

    /// Whether media was lost before the first frame. A hole there is not filled.
    #[must_use]
    pub fn after_gap(self, gap: bool) -> Self {
        Self { gap, ..self }
    }

    /// What the next batch must know: positions, and the configuration of the last frame.
    #[must_use]
    pub fn carry(&self) -> (AudioCarry, Option<AudioConfig>) {
        let sbr = self.config.is_some() && self.sbr.found();
        let newest = self.newest.as_ref().map(|newest| {
            let same =
                self.config.as_ref().is_some_and(|(_, config)| config.sample_rate == newest.sample_rate);
            AudioConfig { sbr: if same { sbr } else { newest.sbr }, ..newest.clone() }
        });
        (self.state.clone(), newest)
    }

    /// The batch's configuration, once a frame has come.
    #[must_use]
    pub fn batch_config(&self) -> Option<AudioConfig> {
        let sbr = self.sbr.found();
        self.config.as_ref().map(|(_, config)| AudioConfig { sbr, ..config.clone() })
    }

    /// Samples a second that positions count in.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.config.as_ref().map_or(NO_RATE, |(_, config)| config.sample_rate)
    }

    /// Where the audio ends, in 90 kHz ticks, rounded up.
    #[must_use]
    pub fn end_90k(&self) -> Option<i64> {
        self.state.end_90k()
    }

    /// Looks at a frame before it is placed: `None` if it cannot be part of this batch, else the frames left out
    /// before it.
    pub fn accept(&mut self, frame: &AudioUnit, counters: &mut Counters) -> Option<u32> {
        match &self.config {
            Some((format, _)) if *format == frame.format => {}
            Some(_) => {
                // One batch has one configuration; the next begins with the new one.
                counters.add("audio_config_change_dropped", 1);
                self.newest = frame.format.config().ok();
                return None;
            }
            None => self.begin(frame.format.clone(), frame.format.config().ok()?),
        }
        if let Some((_, config)) = &self.config {
            self.sbr.look(config, &frame.data);
        }
        Some(frame.left_out)
    }

    fn begin(&mut self, format: AudioFormat, config: AudioConfig) {
        if self.state.rate != config.sample_rate {
            let old = self.state.rate;
            let to_new = |position: i64| rescale(position, old, config.sample_rate);
            self.state.next = self.state.next.map(to_new);
            self.state.source_next = self.state.source_next.map(to_new);
            self.state.rate = config.sample_rate;
        }
        self.silence = silent_access_unit(&config);
        if self.newest.as_ref().is_none_or(|known| known.sample_rate != config.sample_rate) {
            self.sbr = SbrDetector::default();
        }
        self.newest = Some(config.clone());
        self.config = Some((format, config));
    }

    /// Takes the next access unit, with its time on the output timeline unless it follows the one before; gives
    /// those whose durations are known, with their labels.
    pub fn push(
        &mut self,
        pts_90k: Option<i64>,
        left_out: u32,
        data: Bytes,
        origin: u32,
        counters: &mut Counters,
    ) -> Vec<(AudioSample, u32)> {
        let Some((_, config)) = &self.config else { return Vec::new() };
        let (rate, frame) = (config.sample_rate, i64::from(config.frame_samples));
        let base = match pts_90k {
            Some(pts) => Some(rescale(pts, TICKS, rate)),
            None => self.state.source_next,
        };
        let Some(base) = base else { return Vec::new() };
        let position = base + i64::from(left_out) * frame;
        let mut out = Vec::with_capacity(1);
        let mut time = position;
        self.state.source_next = Some(position + frame);
        if let Some(next) = self.state.next {
            let step = position - next;
            // Muxers round to 90 kHz ticks or to milliseconds.
            if step.abs() <= i64::from(rate) / 1000 + 1 {
                time = next;
                self.state.source_next = Some(next + frame);
            } else if step <= -frame {
                counters.add("audio_overlapping_dropped", 1);
                return out;
            } else if step >= frame && self.gap {
                counters.add("audio_gaps", 1);
            } else if step >= frame {
                self.fill_hole(next, step, origin, &mut out, counters);
            } else if let Some((pending, _)) = &mut self.pending {
                counters.add("audio_steps", 1);
                pending.duration = u32::try_from(position - pending.time).unwrap_or(1);
            } else {
                // The batch before has ended, so its last duration can no longer tell; this one's start does.
                counters.add("audio_steps", 1);
            }
        }
        self.gap = false;
        out.extend(self.pending.take());
        let duration = u32::try_from(frame).unwrap_or(u32::MAX);
        self.pending = Some((AudioSample { time, duration, data }, origin));
        self.state.next = Some(time + frame);
        out
    }

    /// Moves the track's end over the hole that lost media left, where no frame has done so: by whole frames, to
    /// `start_90k` at most.
    pub fn cross_gap(&mut self, start_90k: i64) {
        let (Some(next), Some(config)) = (self.state.next, &self.newest) else { return };
        if !std::mem::take(&mut self.gap) {
            return;
        }
        let frame = i64::from(config.frame_samples.max(1));
        let hole = rescale(start_90k, TICKS, self.state.rate.max(1)) - next;
        self.state.next = Some(next + hole.max(0) / frame * frame);
        self.state.source_next = self.state.next;
    }

    /// Silence up to `end_90k` where the track has begun and ended before it.
    pub fn fill_to(&mut self, end_90k: i64, origin: u32, counters: &mut Counters) -> Vec<(AudioSample, u32)> {
        let mut out = Vec::new();
        let Some(next) = self.state.next else { return out };
        if self.config.is_none() {
            let Some(config) = self.newest.clone() else { return out };
            self.begin(AudioFormat::of(&config), config);
        }
        let (Some((_, config)), Some(_)) = (&self.config, &self.silence) else { return out };
        let frame = i64::from(config.frame_samples);
        let hole = rescale(end_90k, TICKS, config.sample_rate) - next;
        // Whole frames alone: the rest is for the real audio to fill, if it comes back.
        let hole = hole / frame * frame;
        if hole > 0 {
            self.fill_hole(next, hole, origin, &mut out, counters);
            self.state.next = Some(next + hole);
            self.state.source_next = self.state.next;
        }
        out
    }

    /// The batch ends: gives the last access unit.
    pub fn finish(&mut self) -> Option<(AudioSample, u32)> {
        self.pending.take()
    }

    /// Puts silence from `next` on, or makes the last access unit longer where there is none to put.
    fn fill_hole(
        &mut self,
        next: i64,
        hole: i64,
        origin: u32,
        out: &mut Vec<(AudioSample, u32)>,
        counters: &mut Counters,
    ) {
        let Some((_, config)) = &self.config else { return };
        let frame = i64::from(config.frame_samples);
        let (rate, samples) = (i64::from(config.sample_rate), config.frame_samples);
        match &self.silence {
            Some(silence) if hole <= MAX_SILENCE_S * rate => {
                out.extend(self.pending.take());
                let frames = hole / frame;
                counters.add("audio_silence_inserted", frames.unsigned_abs());
                for index in 0..frames {
                    let rest = if index == frames - 1 { hole % frame } else { 0 };
                    let duration = samples + u32::try_from(rest).unwrap_or(0);
                    let sample = AudioSample { time: next + index * frame, duration, data: silence.clone() };
                    out.push((sample, origin));
                }
            }
            _ => {
                counters.add("audio_holes_left", 1);
                if let Some((pending, _)) = &mut self.pending {
                    pending.duration = u32::try_from(next + hole - pending.time).unwrap_or(u32::MAX);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: crate::aac::AacParams =
        crate::aac::AacParams { object_type: 2, rate_index: 3, channel_config: 2 };

    struct Run {
        track: AudioTrack,
        counters: Counters,
        out: Vec<AudioSample>,
    }

    impl Run {
        fn new(carry: AudioCarry) -> Self {
            Self { track: AudioTrack::new(carry, None), counters: Counters::default(), out: Vec::new() }
        }

        fn push(&mut self, pts_90k: Option<i64>, left_out: u32) {
            let frame = AudioUnit {
                data: Bytes::from_static(b"x"),
                format: AudioFormat::Adts(PARAMS),
                stamp: None,
                origin: 0,
                left_out,
            };
            let Some(left_out) = self.track.accept(&frame, &mut self.counters) else { return };
            let done = self.track.push(pts_90k, left_out, frame.data, 0, &mut self.counters);
            self.out.extend(done.into_iter().map(|(sample, _)| sample));
        }

        fn finish(mut self) -> (Vec<(i64, u32)>, AudioCarry, Counters) {
            self.out.extend(self.track.finish().map(|(sample, _)| sample));
            let times = self.out.iter().map(|sample| (sample.time, sample.duration)).collect();
            (times, self.track.carry().0, self.counters)
        }
    }

    #[test]
    fn rounded_times_do_not_move_access_units() {
        let mut run = Run::new(AudioCarry::default());
        // 1024 samples are 1920 ticks; rounded to milliseconds they wander.
        for pts in [0, 1890, 3870, 5760, 7650] {
            run.push(Some(pts), 0);
        }
        let (times, _, counters) = run.finish();
        assert_eq!(times, [(0, 1024), (1024, 1024), (2048, 1024), (3072, 1024), (4096, 1024)]);
        assert_eq!(counters, Counters::default());
    }

    #[test]
    fn half_a_frame_of_overlap_shortens_the_access_unit_before() {
        let mut run = Run::new(AudioCarry::default());
        for pts in [Some(0), None, Some(1920 + 960), None] {
            run.push(pts, 0);
        }
        let (times, _, counters) = run.finish();
        assert_eq!(times, [(0, 1024), (1024, 512), (1536, 1024), (2560, 1024)]);
        assert_eq!(counters.get("audio_steps"), 1);
    }

    #[test]
    fn a_step_at_a_batch_border_moves_no_access_unit() {
        let mut run = Run::new(AudioCarry::default());
        run.push(Some(0), 0);
        let (_, carry, _) = run.finish();
        let mut run = Run::new(carry);
        for pts in [Some(960), None, None] {
            run.push(pts, 0);
        }
        let (times, ..) = run.finish();
        assert_eq!(times, [(512, 1024), (1536, 1024), (2560, 1024)]);
    }

    #[test]
    fn holes_are_filled_with_silence_and_the_rest_makes_the_last_one_longer() {
        let mut run = Run::new(AudioCarry::default());
        run.push(Some(0), 0);
        run.push(Some(1920 * 3 + 960), 0);
        run.push(None, 2);
        let (times, _, counters) = run.finish();
        let expected =
            [(0, 1024), (1024, 1024), (2048, 1536), (3584, 1024), (4608, 1024), (5632, 1024), (6656, 1024)];
        assert_eq!(times, expected);
        assert_eq!(counters.get("audio_silence_inserted"), 4);
    }

    #[test]
    fn whole_frames_that_overlap_are_dropped() {
        let mut run = Run::new(AudioCarry::default());
        for pts in [Some(0), None, None, Some(1920), None, None] {
            run.push(pts, 0);
        }
        let (times, _, counters) = run.finish();
        assert_eq!(times, [(0, 1024), (1024, 1024), (2048, 1024), (3072, 1024)]);
        assert_eq!(counters.get("audio_overlapping_dropped"), 2);
    }
}
