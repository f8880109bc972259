//! Media that was lost: the hole stays in the timeline, in both tracks alike, and nothing fills it.

use bytes::Bytes;
use overdub_media::assemble::{Assembled, Assembler, Carry, MediaCut};

use crate::mux::{Mux, frame_number, second_by_second};
use crate::support::assemble;

const START: i64 = 900_000;
/// Length of a segment of `second_by_second(_, 2, 94, ..)` by its audio.
const LENGTH: i64 = 94 * 1920;

struct After {
    cuts: Vec<MediaCut>,
    end: Assembled,
}

impl After {
    fn video(&self) -> Vec<i64> {
        self.cuts.iter().flat_map(|cut| &cut.video).map(|sample| sample.dts_90k).collect()
    }

    fn audio(&self) -> Vec<i64> {
        self.cuts.iter().flat_map(|cut| &cut.audio).map(|sample| sample.time).collect()
    }
}

/// Assembles a batch after two seconds from `START` and a loss that is said to be `gap_90k` long.
fn after(segment: Bytes, discontinuity: bool, gap_90k: i64) -> After {
    let first = assemble(&[second_by_second(START, 2, 94, 0, 0)], Carry::default(), false).unwrap();
    let mut assembler = Assembler::after_gap(first.end.carry, discontinuity, gap_90k);
    let mut cuts = assembler.push_segment(&segment).unwrap();
    let end = assembler.finish().unwrap();
    cuts.extend(end.cuts.iter().cloned());
    After { cuts, end }
}

#[test]
fn where_the_sources_clock_goes_on_the_hole_is_as_long_as_it_tells() {
    // Thirty seconds are gone; what was known of them by durations is a little off.
    let start = START + LENGTH + 30 * 90_000;
    for said in [30 * 90_000, 28 * 90_000, 33 * 90_000] {
        let batch = after(second_by_second(start, 2, 94, 0, 0), false, said);
        assert_eq!((batch.video()[0], batch.audio()[0]), (start, start * 48 / 90));
        assert_eq!(batch.audio().len(), 94, "nothing fills the hole");
        assert_eq!(batch.end.carry.epoch(), 0);
        assert!(
            batch.end.counters.iter().all(|(name, _)| *name != "timestamp_jumps"),
            "{:?}",
            batch.end.counters
        );
    }
}

#[test]
fn without_a_gap_the_same_times_are_a_jump_that_is_closed() {
    let start = START + LENGTH + 30 * 90_000;
    let batch = after(second_by_second(start, 2, 94, 0, 0), false, 0);
    assert!(batch.video()[0] < START + LENGTH + 3600);
}

#[test]
fn where_the_sources_clock_began_anew_the_hole_is_as_long_as_what_was_lost() {
    let gap = 30 * 90_000;
    for discontinuity in [false, true] {
        let batch = after(second_by_second(5_000, 2, 94, 0, 0), discontinuity, gap);
        let (video, audio) = (batch.video()[0], batch.audio()[0] * 90 / 48);
        assert_eq!(video, audio, "both begin together, as they did at the source");
        // The later end of the two before counts: that of the pictures is at two seconds, of the audio at LENGTH.
        assert!((START + LENGTH + gap..START + LENGTH + gap + 3600).contains(&video), "{video}");
        assert_eq!(batch.end.carry.epoch(), u32::from(discontinuity));
    }
}

#[test]
fn a_gap_may_be_longer_than_half_the_33_bit_clock() {
    let day = 24 * 3600 * 90_000;
    let start = START + LENGTH + day;
    let batch = after(second_by_second(start, 2, 94, 0, 0), false, day);
    assert_eq!(batch.video()[0], start);
}

#[test]
fn audio_that_does_not_come_back_after_a_gap_is_silent_beside_the_pictures_alone() {
    let start = START + LENGTH + 30 * 90_000;
    let mut mux = Mux::av();
    for picture in 0..100 {
        mux.picture(start + i64::from(picture) * 3600, 0, picture == 0, picture);
    }
    let batch = after(mux.segment(), false, 30 * 90_000);
    let audio = batch.audio();
    assert!(
        (start * 48 / 90 - audio[0]).abs() < 1024,
        "silence begins {} samples early",
        start * 48 / 90 - audio[0]
    );
    assert!((4 * 46..=4 * 48).contains(&audio.len()), "{} access units beside four seconds", audio.len());
}

#[test]
fn pictures_that_refer_to_lost_ones_are_left_out() {
    let start = START + LENGTH + 30 * 90_000;
    let mut mux = Mux::av();
    for picture in 0..50 {
        mux.picture(start + i64::from(picture) * 3600, 0, picture == 25, picture);
    }
    mux.frames(start, 0, 94);
    let batch = after(mux.segment(), false, 30 * 90_000);
    assert_eq!(batch.video()[0], start + 25 * 3600);
    let first = batch.cuts.iter().flat_map(|cut| &cut.audio).next().unwrap();
    assert_eq!((first.time, frame_number(&first.data)), (start * 48 / 90, Some(0)));
}
