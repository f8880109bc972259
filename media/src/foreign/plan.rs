//! Frames to stretches.

use bytes::Bytes;

use super::{AAC_FRAME, ForeignCarry, Stretch, TailFrame};
use crate::audio::{ForeignCodec, opus};
use crate::time::{TICKS_PER_SECOND, rescale, unwrap_near};

/// Access units of the encoder before the first that is used: it begins with short windows, and finds its pace.
const WARM_UP: u64 = 4;

/// Access units that are left to the next batch: the window reaches one ahead, and the encoder looks one further to
/// choose it.
const LOOK_AHEAD: u64 = 2;

/// Runs of one batch that changes of channels may begin; each is a run of the encoder.
const MAX_RUNS: usize = 16;

/// A frame with its time as sent, where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedFrame {
    /// Its bytes.
    pub data: Bytes,
    /// Samples that it decodes to.
    pub samples: u32,
    /// Its channels; 0 where it does not say.
    pub channels: u8,
    /// The decoder can begin here.
    pub entry: bool,
    /// Its time in 90 kHz ticks.
    pub time_90k: Option<i64>,
}

/// Frames that follow on each other.
#[derive(Debug)]
struct Run {
    frames: Vec<TailFrame>,
    /// Time of the first frame: samples behind a time as sent.
    anchor_90k: i64,
    since_anchor: u64,
    /// Samples from the first frame to the first access unit to be used.
    lead: u64,
    samples: u64,
}

impl Run {
    fn time_of(&self, sample: u64, rate: u32) -> i64 {
        let samples = i64::try_from(self.since_anchor.saturating_add(sample)).unwrap_or(i64::MAX);
        self.anchor_90k.saturating_add(rescale(samples, rate, TICKS_PER_SECOND as u32))
    }

    fn push(&mut self, frame: TimedFrame) {
        self.samples += u64::from(frame.samples);
        let TimedFrame { data, samples, channels, entry, .. } = frame;
        self.frames.push(TailFrame { data, samples, channels, entry });
    }

    /// Whether the frame's sound has other channels, at which an encoder would begin anew.
    fn ends_before(&self, frame: &TimedFrame) -> bool {
        let told = self.frames.iter().rev().map(|frame| frame.channels).find(|channels| *channels > 0);
        frame.entry && frame.channels > 0 && told.is_some_and(|channels| channels != frame.channels)
    }
}

/// What of a batch and of its place among the others decides its stretches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// No batch comes after it.
    pub is_last: bool,
    /// An access unit begins here, in 90 kHz ticks: where the batch before ended, if its end comes again in this one.
    pub grid_90k: Option<i64>,
    /// Channels of Opus.
    pub opus: opus::Layout,
}

/// Puts frames of a codec and a sample rate into stretches behind what the batch before left; gives the stretches and
/// what the next batch must know of them, unless this one is the last, and counts jumps.
#[must_use]
pub fn plan(
    (codec, rate): (ForeignCodec, u32),
    carry: ForeignCarry,
    frames: Vec<TimedFrame>,
    Place { is_last, grid_90k, opus }: Place,
) -> (Vec<Stretch>, ForeignCarry, u64) {
    let mut runs: Vec<Run> = Vec::new();
    if !carry.tail.is_empty() {
        let samples = carry.tail.iter().map(|frame| u64::from(frame.samples)).sum();
        let ForeignCarry { tail, lead, anchor_90k, since_anchor, .. } = carry;
        runs.push(Run { frames: tail, anchor_90k, since_anchor, lead, samples });
    }
    let mut jumps = 0;
    for frame in frames {
        if let Some(run) = runs.last().filter(|run| run.ends_before(&frame))
            && runs.len() < MAX_RUNS
        {
            let expected = run.time_of(run.samples, rate);
            let told = frame.time_90k.map(|time| unwrap_near(time, expected));
            runs.push(begin(frame, told.unwrap_or(expected)));
            continue;
        }
        let tolerated =
            rescale(i64::from(frame.samples.max(AAC_FRAME as u32)), rate, TICKS_PER_SECOND as u32) / 2;
        let open = runs.last_mut();
        match (open, frame.time_90k) {
            (Some(run), Some(time)) if frame.samples > 0 => {
                let expected = run.time_of(run.samples, rate);
                let step = unwrap_near(time, expected).saturating_sub(expected);
                if step.abs() <= tolerated {
                    run.push(frame);
                } else {
                    jumps += 1;
                    runs.push(begin(frame, time));
                }
            }
            (Some(run), _) => run.push(frame),
            (None, Some(time)) if frame.entry => runs.push(begin(frame, time)),
            // Nothing tells when it is, or it adds to a frame that is not there.
            (None, _) => {}
        }
    }
    for run in runs.iter_mut().filter(|run| run.lead == 0) {
        let start = run.time_of(0, rate);
        let before = grid_90k.map(|grid| unwrap_near(grid, start).saturating_sub(start));
        let before = before.map_or(0, |ticks| rescale(ticks, TICKS_PER_SECOND as u32, rate));
        // A run that begins behind the batch before has no unit to fall in with.
        if let Ok(samples @ 1..) = u64::try_from(before)
            && samples < run.samples
        {
            run.lead = samples % AAC_FRAME;
        }
    }
    let last = runs.len().saturating_sub(1);
    let mut next = ForeignCarry { codec: Some(codec), sample_rate: rate, ..ForeignCarry::default() };
    let mut stretches = Vec::new();
    for (index, run) in runs.into_iter().enumerate() {
        let beyond = run.samples.saturating_sub(run.lead);
        let goes_on = index == last && !is_last;
        let take = if goes_on {
            (beyond / AAC_FRAME).saturating_sub(LOOK_AHEAD)
        } else {
            beyond.div_ceil(AAC_FRAME)
        };
        if goes_on {
            next = leave(codec, &run, run.lead + take * AAC_FRAME, next);
        }
        if take > 0 {
            stretches.push(stretch((codec, opus), rate, &run, take));
        }
    }
    (stretches, next, jumps)
}

fn begin(frame: TimedFrame, time: i64) -> Run {
    let mut run = Run { frames: Vec::new(), anchor_90k: time, since_anchor: 0, lead: 0, samples: 0 };
    run.push(frame);
    run
}

fn stretch((codec, opus): (ForeignCodec, opus::Layout), rate: u32, run: &Run, take: u64) -> Stretch {
    let warm_up = (run.lead / AAC_FRAME).min(WARM_UP);
    let frames = run.frames.iter().map(|frame| frame.data.clone());
    let stream = if codec == ForeignCodec::Opus {
        let mut ogg = opus::OggWriter::default();
        let head = Bytes::from(ogg.head(opus));
        std::iter::once(head).chain(frames.map(|packet| ogg.packet(&packet).into())).collect()
    } else {
        frames.collect()
    };
    Stretch {
        stream,
        trim_start_samples: run.lead - warm_up * AAC_FRAME,
        // One of priming.
        skip_access_units: warm_up as usize + 1,
        take_access_units: usize::try_from(take).unwrap_or(usize::MAX),
        pts_90k: run.time_of(run.lead, rate),
    }
}

/// What is fed again so that the next batch goes on at sample `next` of the run.
fn leave(codec: ForeignCodec, run: &Run, next: u64, carry: ForeignCarry) -> ForeignCarry {
    let wanted = next.saturating_sub(WARM_UP * AAC_FRAME);
    let (mut start, mut first) = (0, 0);
    for (index, frame) in run.frames.iter().enumerate() {
        if start + u64::from(frame.samples) > wanted {
            first = index;
            break;
        }
        start += u64::from(frame.samples);
    }
    let mut preroll = codec.preroll_frames();
    while first > 0 && (preroll > 0 || !run.frames[first].entry) {
        first -= 1;
        preroll = preroll.saturating_sub(1);
        start -= u64::from(run.frames[first].samples);
    }
    ForeignCarry {
        tail: run.frames[first..].to_vec(),
        lead: next - start,
        anchor_90k: run.anchor_90k,
        since_anchor: run.since_anchor + start,
        ..carry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MP3 at 48 kHz: 1152 samples, 24 ms, 2160 ticks; a time every third frame.
    fn frames(from: i64, count: i64) -> Vec<TimedFrame> {
        (from..from + count)
            .map(|n| TimedFrame {
                data: Bytes::from(vec![n as u8; 4]),
                samples: 1152,
                channels: 2,
                entry: true,
                time_90k: (n % 3 == 0).then_some(900_000 + n * 2160),
            })
            .collect()
    }

    fn run(carry: ForeignCarry, frames: Vec<TimedFrame>) -> (Vec<Stretch>, ForeignCarry, u64) {
        plan((ForeignCodec::MpegLayer3, 48_000), carry, frames, Place::default())
    }

    fn last() -> Place {
        Place { is_last: true, ..Place::default() }
    }

    #[test]
    fn what_comes_again_falls_in_with_the_grid_of_the_batch_before() {
        let codec = (ForeignCodec::MpegLayer3, 48_000);
        // The batch before ended 41 access units behind frame 0; frames come again from the thirtieth on.
        let end = 900_000 + 41 * 1920;
        for (wrapped, first) in [(0, 30), (1 << 33, 30), (0, 36), (0, 48)] {
            let place = Place { grid_90k: Some(end + wrapped), ..Place::default() };
            let (stretches, ..) = plan(codec, ForeignCarry::default(), frames(first, 60), place);
            let begins = stretches[0].pts_90k;
            let expected = if first < 36 { 0 } else { (900_000 + first * 2160 - end).max(0) % 1920 };
            assert_eq!((begins - end).rem_euclid(1920), expected, "from {first}: {begins}");
        }
    }

    #[test]
    fn access_units_of_consecutive_batches_lie_on_one_grid() {
        let mut carry = ForeignCarry::default();
        let (mut next, mut taken) = (900_000, 0);
        for batch in 0..7 {
            let (stretches, after, jumps) = run(carry, frames(batch * 99, 99));
            assert_eq!((stretches.len(), jumps), (1, 0));
            let stretch = &stretches[0];
            assert_eq!(stretch.pts_90k, next);
            let units = stretch.take_access_units;
            next += units as i64 * 1920;
            taken += units;
            // Where the encoder begins, and which of its access units is the first used.
            let fed_from = u64::from(stretch.stream[0][0]);
            let first = (stretch.skip_access_units as u64 - 1) * 1024 + stretch.trim_start_samples;
            if batch == 1 {
                assert_eq!((fed_from * 1152 + first) * 90 / 48, (stretch.pts_90k - 900_000) as u64);
            }
            carry = after;
            assert!(carry.tail.len() < 24, "{}", carry.tail.len());
            carry = serde_json::from_str(&serde_json::to_string(&carry).unwrap()).unwrap();
        }
        // All but what is left to the next batch.
        let all = 7 * 99 * 1152 / 1024;
        assert!((all - 3..all).contains(&taken), "{taken} of {all}");
    }

    #[test]
    fn the_last_batch_leaves_nothing() {
        let (first, carry, _) = run(ForeignCarry::default(), frames(0, 99));
        let (second, carry, _) = plan((ForeignCodec::MpegLayer3, 48_000), carry, frames(99, 99), last());
        assert_eq!(
            first[0].take_access_units + second[0].take_access_units,
            (198_usize * 1152).div_ceil(1024)
        );
        assert!(carry.tail.is_empty());
        // Not one frame more comes with the end.
        let (first, carry, _) = run(ForeignCarry::default(), frames(0, 99));
        let (rest, ..) = plan((ForeignCodec::MpegLayer3, 48_000), carry, Vec::new(), last());
        assert_eq!(first[0].take_access_units + rest[0].take_access_units, (99_usize * 1152).div_ceil(1024));
    }

    #[test]
    fn a_hole_begins_another_stretch_and_ends_the_one_before() {
        let (stretches, _, jumps) = run(ForeignCarry::default(), [frames(0, 30), frames(60, 30)].concat());
        assert_eq!(jumps, 1);
        let seen: Vec<_> =
            stretches.iter().map(|s| (s.pts_90k, s.take_access_units, s.stream.len())).collect();
        assert_eq!(seen, [(900_000, 34, 30), (900_000 + 60 * 2160, 31, 30)]);
    }

    #[test]
    fn a_hole_between_batches_lets_the_end_of_the_first_out() {
        let (first, carry, _) = run(ForeignCarry::default(), frames(0, 30));
        let (second, ..) = run(carry, frames(60, 30));
        assert_eq!(first[0].take_access_units, 31);
        assert_eq!((second[0].pts_90k, second[0].take_access_units), (900_000 + 31 * 1920, 3));
        assert_eq!(second[1].pts_90k, 900_000 + 60 * 2160);
    }

    #[test]
    fn rounded_times_are_no_jump() {
        let mut frames = frames(0, 40);
        for frame in &mut frames {
            frame.time_90k = frame.time_90k.map(|time| time / 90 * 90 + 45);
        }
        let (stretches, _, jumps) = run(ForeignCarry::default(), frames);
        assert_eq!((stretches.len(), jumps), (1, 0));
        assert_eq!(run(ForeignCarry::default(), Vec::new()).0, []);
    }
}
