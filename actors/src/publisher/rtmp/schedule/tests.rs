mod air;

use proptest::prelude::*;

use self::air::{ANCHOR, AUDIO_RATE, Air, SECOND, gop, read, video_air};
use super::*;

#[test]
fn every_sample_leaves_once_and_on_time() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 3);
    air.link_up();
    air.run_until(ANCHOR + SECOND);
    air.add_seconds(1, 3, 6);
    air.run_until(ANCHOR + 10 * SECOND);
    air.assert_on_time();
    assert_eq!(air.times(Track::Video), air.all_times(Track::Video));
    assert_eq!(air.times(Track::Audio), air.all_times(Track::Audio));
    assert_eq!(air.aired(), [(0, 75 + 141, 0, 2), (1, 75 + 141, 0, 5)]);
    assert_eq!(air.bases, [0]);
    // Started right after the first sample.
    let started: Vec<_> =
        air.told.iter().filter(|(_, event)| matches!(event, PublisherEvent::BatchStarted { .. })).collect();
    assert_eq!(
        started.iter().map(|(at, _)| (at - ANCHOR + TOGETHER_US) / SECOND).collect::<Vec<_>>(),
        [0, 3]
    );
}

#[test]
fn samples_leave_together_at_the_clocks_multiples() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 3);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    let mut times: Vec<i64> = air.sent.iter().map(|(at, _, _)| *at).collect();
    times.dedup();
    assert!(times.iter().all(|at| at % TOGETHER_US == 0), "{times:?}");
    assert_eq!(times.len() as i64, 3 * SECOND / TOGETHER_US + 1);
    air.assert_on_time();
}

#[test]
fn fragments_are_read_a_second_ahead_and_two_are_held() {
    let mut air = Air::new();
    let fragments: Vec<_> = (0..12).map(|n| gop(n * 22_500, (n + 1) * 22_500)).collect();
    air.add(0, &fragments, 12 * 22_500);
    air.link_up();
    air.run_until(ANCHOR - SECOND - 1);
    assert_eq!(air.reads, []);
    air.run_until(ANCHOR + 5 * SECOND);
    assert_eq!(air.reads.len(), 12);
    // The third is wanted when the second begins to be all there is, which the margin allows for.
    assert!(air.most_in_memory <= 3, "{}", air.most_in_memory);
    air.assert_on_time();
}

#[test]
fn catching_up_holds_no_more_in_memory() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 1);
    air.link_up();
    air.run_until(ANCHOR + 5 * SECOND);
    let fragments: Vec<_> = (4..24).map(|n| gop(n * 22_500, (n + 1) * 22_500)).collect();
    air.add(1, &fragments, 24 * 22_500);
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.times(Track::Video), air.all_times(Track::Video));
    assert!(air.most_in_memory <= 3, "{}", air.most_in_memory);
}

#[test]
fn nothing_overtakes_a_fragment_that_is_still_being_read() {
    let mut air = Air::new();
    let audio = |from: i64, to: i64| -> Vec<i64> { (from..to).map(|unit| unit * 1024).collect() };
    // Audio of the first fragment reaches half a second into the second.
    let (first, second) = ((gop(0, 90_000).0, audio(0, 70)), (gop(90_000, 180_000).0, audio(70, 94)));
    air.add(0, &[first, second], 180_000);
    air.link_up();
    air.run_until(ANCHOR - 1);
    let Step::Read(id, place) = air.schedule.poll(UnixMicros(ANCHOR)) else { panic!("not read") };
    assert_eq!(place.fragment.start_90k, 90_000);
    air.run_until(ANCHOR + SECOND + 200_000);
    assert_eq!(air.times(Track::Audio), audio(0, 47));
    let gop = read(&air.files[&(0, 1001)]);
    air.schedule.read(id, Some(gop));
    air.run_until(ANCHOR + 5 * SECOND);
    let times: Vec<i64> = air.sent.iter().map(|(_, track, time)| air::air(*track, *time)).collect();
    assert!(times.is_sorted());
    assert_eq!(air.aired(), [(0, 50 + 94, 0, 1)]);
}

#[test]
fn tracks_are_merged_across_fragments_and_batches() {
    // Audio of a fragment reaches half a second into the pictures of the next; the last the other way round.
    let audio = |from: i64, to: i64| -> Vec<i64> { (from..to).map(|unit| unit * 1024).collect() };
    let video = |from: i64, to: i64| -> Vec<i64> { (from..to).map(|picture| picture * 3600).collect() };
    let mut air = Air::new();
    air.add(0, &[(video(0, 25), audio(0, 70)), (video(25, 50), audio(70, 110))], 180_000);
    air.add(1, &[(video(50, 90), audio(110, 120)), (video(90, 100), audio(120, 187))], 360_000);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    air.assert_on_time();
    let times: Vec<i64> = air.sent.iter().map(|(_, track, time)| air::air(*track, *time)).collect();
    assert!(times.is_sorted());
    assert_eq!(air.times(Track::Video), video(0, 100));
    assert_eq!(air.times(Track::Audio), audio(0, 187));
    assert_eq!(air.aired().iter().map(|a| (a.1, a.2)).collect::<Vec<_>>(), [(160, 0), (127, 0)]);
}

#[test]
fn without_a_connection_batches_pass_by_unread() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 3);
    air.add_seconds(1, 3, 5);
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.aired(), [(0, 0, 216, 3), (1, 0, 144, 5)]);
    assert_eq!((air.reads.len(), air.sent.len()), (0, 0));
    assert!(air.told.iter().all(|(_, event)| !matches!(event, PublisherEvent::BatchStarted { .. })));
}

#[test]
fn a_connection_is_wanted_ten_seconds_before_the_first_sample_and_not_without_one() {
    let mut air = Air::new();
    assert!(!air.schedule.wants_link(UnixMicros(ANCHOR)));
    air.add_seconds(0, 60, 61);
    air.run_until(ANCHOR);
    assert_eq!(air.step(), Some(Some(ANCHOR + 50 * SECOND)));
    assert!(!air.schedule.wants_link(UnixMicros(ANCHOR + 50 * SECOND - 1)));
    assert!(air.schedule.wants_link(UnixMicros(ANCHOR + 50 * SECOND)));
    air.run_until(ANCHOR + 70 * SECOND);
    assert!(!air.schedule.wants_link(UnixMicros(air.now)));
}

#[test]
fn a_connection_begins_at_the_next_fragment_whose_time_has_not_passed() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 4);
    air.run_until(ANCHOR + SECOND + 200_000);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.times(Track::Video).first(), Some(&180_000));
    assert_eq!(air.bases, [180_000]);
    let gops = [gop(0, 90_000), gop(90_000, 180_000)];
    let missed: usize = gops.iter().map(|(video, audio)| video.len() + audio.len()).sum();
    assert_eq!(air.aired(), [(0, 100 + 188 - missed as u64, missed as u64, 3)]);
    air.assert_on_time();
}

#[test]
fn a_connection_just_after_a_fragments_time_still_begins_with_it() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 2);
    air.run_until(ANCHOR + START_GRACE_US - 1);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.aired(), [(0, 50 + 94, 0, 1)]);
}

#[test]
fn a_broken_connection_misses_the_rest_of_its_fragment_and_repeats_nothing() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 4);
    air.link_up();
    air.run_until(ANCHOR + 500_000);
    let (before, pictures) = (air.sent.len(), air.times(Track::Video).len());
    air.link_down();
    air.run_until(ANCHOR + 900_000);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.times(Track::Video)[pictures..], air.all_times(Track::Video)[25..]);
    let sent = before as u64 + 75 + 141;
    assert_eq!(air.aired(), [(0, sent, 288 - sent, 3)]);
    assert_eq!(air.bases, [0, 90_000]);
}

#[test]
fn what_was_being_written_when_the_connection_broke_is_missed() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 1);
    air.link_up();
    air.writes = false;
    air.run_until(ANCHOR + 500_000);
    air.link_down();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.aired(), [(0, 0, 25 + 47, 0)]);
}

#[test]
fn a_late_batch_catches_up_on_a_running_connection() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 1);
    air.link_up();
    air.run_until(ANCHOR + 3 * SECOND);
    air.add_seconds(1, 1, 5);
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.times(Track::Video), air.all_times(Track::Video));
    assert_eq!(air.aired(), [(0, 72, 0, 0), (1, 100 + 188 - 47 + 47, 0, 4)]);
    let Some((_, PublisherEvent::BatchAired { max_lateness_us, bytes, .. })) = air.told.last() else {
        panic!("not aired")
    };
    assert_eq!((*max_lateness_us, *bytes), (2 * SECOND, 10 * air.aired()[1].1));
}

#[test]
fn a_batch_that_comes_far_too_late_is_missed_up_to_where_it_is_not() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 1);
    air.link_up();
    air.run_until(ANCHOR + 8 * SECOND);
    air.add_seconds(1, 1, 9);
    air.run_until(ANCHOR + 12 * SECOND);
    assert_eq!(air.times(Track::Video)[25], 3 * 90_000);
    assert_eq!(air.aired()[1].0, 1);
    assert_eq!(air.aired()[1].2, 50 + 94);
}

#[test]
fn a_connection_slower_than_the_stream_is_dropped() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 10);
    air.link_up();
    air.writes = false;
    for tick in 0..300 {
        air.run_until(ANCHOR + tick * SECOND / 10);
        if tick % 20 == 0 && air.waiting > 0 {
            air.written();
        }
    }
    assert!(air.too_slow);
    assert_eq!(air.aired().len(), 1);
    let (_, sent, missed, _) = air.aired()[0];
    assert_eq!(sent + missed, 250 + 469);
}

#[test]
fn an_unreadable_fragment_is_missed_and_the_next_goes_out() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 3);
    air.unreadable.push((0, 1001));
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.aired(), [(0, 50 + 94, 25 + 47, 2)]);
    air.assert_on_time();
}

#[test]
fn a_fragment_that_is_read_too_slowly_is_missed() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 2);
    air.link_up();
    air.run_until(ANCHOR - SECOND - 1);
    let Step::Read(id, _) = air.schedule.poll(UnixMicros(ANCHOR - SECOND)) else { panic!("not read") };
    air.run_until(ANCHOR + 300_000);
    assert_eq!(air.sent.len(), 0);
    let read = read(&air.files[&(0, 1000)]);
    air.schedule.read(id, Some(read));
    air.run_until(ANCHOR + 3 * SECOND);
    assert_eq!(air.aired(), [(0, 25 + 47, 25 + 47, 1)]);
}

#[test]
fn finishing_ends_after_the_fragment_on_air() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 3);
    air.link_up();
    air.run_until(ANCHOR + SECOND + 300_000);
    air.schedule.finish();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.times(Track::Video), air.all_times(Track::Video)[..50]);
    assert_eq!(air.end.map(|at| (at - ANCHOR) / 100_000), Some(19));
    assert_eq!(air.aired(), []);
}

#[test]
fn finishing_reports_the_batch_whose_last_fragment_was_on_air() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 2);
    air.add_seconds(1, 2, 4);
    air.link_up();
    air.run_until(ANCHOR + SECOND + 300_000);
    air.schedule.finish();
    air.add_seconds(2, 4, 5);
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.aired(), [(0, 50 + 94, 0, 1)]);
    assert!(air.end.is_some());
}

#[test]
fn finishing_ends_at_once_when_nothing_is_on_air() {
    let mut idle = Air::new();
    idle.add_seconds(0, 0, 2);
    idle.link_up();
    idle.run_until(ANCHOR - SECOND / 2);
    idle.schedule.finish();
    idle.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(idle.end, Some(ANCHOR - SECOND / 2));

    let mut broken = Air::new();
    broken.add_seconds(0, 0, 2);
    broken.link_up();
    broken.run_until(ANCHOR + SECOND / 2);
    broken.schedule.finish();
    broken.link_down();
    broken.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(broken.end, Some(ANCHOR + SECOND / 2));
}

#[test]
fn samples_that_left_already_are_dropped_and_counted() {
    let mut air = Air::new();
    air.add(0, &[(vec![0, 3600, 7200], vec![])], 10_800);
    air.add(1, &[(vec![7200, 10_800], vec![])], 14_400);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.times(Track::Video), [0, 3600, 7200, 10_800]);
    assert_eq!(air.aired().iter().map(|a| (a.1, a.2)).collect::<Vec<_>>(), [(3, 0), (1, 1)]);
}

#[test]
fn a_batch_given_twice_airs_once_and_an_empty_one_airs_at_once() {
    let mut air = Air::new();
    air.add_seconds(0, 0, 1);
    air.add_seconds(0, 0, 1);
    air.add(1, &[], 90_000);
    air.link_up();
    air.run_until(ANCHOR + 10 * SECOND);
    assert_eq!(air.aired().iter().map(|a| (a.0, a.1, a.2)).collect::<Vec<_>>(), [(0, 72, 0), (1, 0, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_every_sample_is_sent_or_missed_and_none_twice(
        gops in proptest::collection::vec(1i64..40, 1..12),
        per_batch in 1usize..4,
        audio_ahead in -20i64..20,
        links in proptest::collection::vec((0i64..8_000_000, 0i64..2_000_000), 0..5),
        late in 0i64..2_000_000,
    ) {
        let mut air = Air::new();
        // Fragments of `gops` pictures each, whose audio is cut somewhere else.
        let total: i64 = gops.iter().sum();
        let (mut picture, mut unit, mut fragments) = (0, 0, Vec::new());
        for (index, pictures) in gops.iter().enumerate() {
            let video: Vec<i64> = (picture..picture + pictures).map(|n| n * 3600).collect();
            picture += pictures;
            let cut = if index + 1 == gops.len() { total } else { (picture + audio_ahead).clamp(0, total) };
            let end = (cut * 3600 * AUDIO_RATE / (90_000 * 1024)).max(unit);
            fragments.push((video, (unit..end).map(|n| n * 1024).collect::<Vec<i64>>()));
            unit = end;
        }
        let mut events: Vec<(i64, Option<bool>)> = Vec::new();
        for (at, length) in &links {
            events.push((ANCHOR - SECOND + at, Some(true)));
            events.push((ANCHOR - SECOND + at + length, Some(false)));
        }
        let chunks: Vec<_> = fragments.chunks(per_batch).collect();
        for chunk in &chunks {
            events.push((video_air(chunk[0].0[0]) - 1_500_000 + late, None));
        }
        events.sort();
        let mut batch = 0;
        for (at, event) in events {
            air.run_until(at.max(air.now));
            match event {
                Some(true) => air.link_up(),
                Some(false) => air.link_down(),
                None => {
                    let end = chunks.get(batch + 1).map_or(total * 3600, |next| next[0].0[0]);
                    air.add(batch as u64, chunks[batch], end);
                    batch += 1;
                }
            }
        }
        air.run_until(ANCHOR + 60 * SECOND);
        let aired = air.aired();
        prop_assert_eq!(aired.iter().map(|a| a.0).collect::<Vec<_>>(), (0..chunks.len() as u64).collect::<Vec<_>>());
        for (number, sent, missed, _) in &aired {
            let samples: usize = chunks[*number as usize].iter().map(|(video, audio)| video.len() + audio.len()).sum();
            prop_assert_eq!(sent + missed, samples as u64);
        }
        for track in [Track::Video, Track::Audio] {
            prop_assert!(air.times(track).is_sorted_by(|a, b| a < b));
        }
        for (at, track, time) in &air.sent {
            prop_assert!(at - air::air(*track, *time) >= -TOGETHER_US);
        }
    }
}
