use overdub_media::hls::{MediaPlaylist, Segment};
use proptest::prelude::*;

use super::*;

/// Segments of 2 s named after their number and `run`.
fn window(run: &str, first: u64, count: u64) -> MediaPlaylist {
    let segments = (first..first + count)
        .map(|media_sequence| Segment {
            uri: format!("{run}{media_sequence}.ts"),
            media_sequence,
            duration_us: 2_000_000,
            ..Segment::default()
        })
        .collect();
    MediaPlaylist { target_duration_s: 2, media_sequence: first, segments, ..MediaPlaylist::default() }
}

fn fresh(start: StartAt) -> Plan {
    Plan::new(start, None, 0)
}

fn resumed(next_media_sequence: u64, next_number: u64) -> Plan {
    Plan::new(StartAt::Live, Some(ResumeAt { next_media_sequence, next_number }), 0)
}

/// Stores everything listed; returns media sequence and number of each.
fn drain(plan: &mut Plan) -> Vec<(u64, u64)> {
    let mut stored = Vec::new();
    while let Some(wanted) = plan.wanted() {
        stored.push((wanted.segment.media_sequence, wanted.number));
        plan.stored();
    }
    stored
}

fn sequences(lost: &[Lost]) -> Vec<u64> {
    lost.iter().map(|lost| lost.media_sequence).collect()
}

#[test]
fn a_live_start_is_three_target_durations_from_the_end() {
    let mut plan = fresh(StartAt::Live);
    assert!(plan.observe(&window("a", 10, 6)).lost.is_empty());
    assert_eq!(drain(&mut plan), [(13, 13), (14, 14), (15, 15)]);
}

#[test]
fn a_live_start_in_a_short_window_takes_all_of_it() {
    let mut plan = fresh(StartAt::Live);
    plan.observe(&window("a", 10, 2));
    assert_eq!(drain(&mut plan), [(10, 10), (11, 11)]);
}

#[test]
fn a_window_start_and_an_ended_playlist_begin_with_the_oldest() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 10, 6));
    assert_eq!(drain(&mut plan).first(), Some(&(10, 10)));

    let mut plan = fresh(StartAt::Live);
    plan.observe(&MediaPlaylist { ended: true, ..window("a", 0, 6) });
    assert!(!plan.finished());
    assert_eq!(drain(&mut plan).len(), 6);
    assert!(plan.finished());
}

#[test]
fn a_sliding_window_gives_each_segment_once() {
    let mut plan = fresh(StartAt::Window);
    let mut had = Vec::new();
    for first in [0, 1, 1, 3, 2, 4] {
        let observed = plan.observe(&window("a", first, 4));
        assert!(observed.lost.is_empty() && !observed.restarted, "{observed:?}");
        had.extend(drain(&mut plan).into_iter().map(|(sequence, _)| sequence));
    }
    assert_eq!(had, (0..8).collect::<Vec<_>>());
}

#[test]
fn only_a_playlist_with_something_new_has_advanced() {
    let mut plan = fresh(StartAt::Window);
    assert!(plan.observe(&window("a", 0, 3)).advanced);
    assert!(!plan.observe(&window("a", 0, 3)).advanced);
    assert!(!plan.observe(&MediaPlaylist::default()).advanced, "an empty playlist changes nothing");
    assert!(plan.observe(&window("a", 1, 3)).advanced);
}

#[test]
fn resuming_goes_on_with_the_next_segment() {
    let mut plan = resumed(12, 112);
    assert!(plan.observe(&window("a", 10, 6)).lost.is_empty());
    assert_eq!(drain(&mut plan).first(), Some(&(12, 112)));
}

#[test]
fn who_cannot_fetch_as_fast_as_the_window_slides_skips_to_the_live_edge_once() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 0, 10));
    let mut had = Vec::new();
    let mut lost = Vec::new();
    // Two segments are listed in the time that one takes.
    for first in (2..40).step_by(2) {
        had.extend(plan.wanted().map(|wanted| wanted.segment.media_sequence));
        plan.stored();
        lost.extend(sequences(&plan.observe(&window("a", first, 10)).lost));
        let Some(next) = plan.wanted() else { break };
        if !lost.is_empty() {
            assert_eq!(next.segment.media_sequence, first + 7, "three target durations from the end");
            break;
        }
    }
    let together: Vec<u64> = had.iter().chain(&lost).copied().collect();
    assert_eq!(
        together,
        (0..together.len() as u64).collect::<Vec<_>>(),
        "one run is lost: {lost:?} after {had:?}"
    );
    assert!(lost.len() > 3, "{lost:?}");
}

#[test]
fn a_long_window_is_not_fallen_behind_in_for_ever() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 0, 500));
    // As fast as the source goes on, and no faster.
    let mut lost = Vec::new();
    for new in 1..=6 {
        plan.stored();
        lost = plan.observe(&window("a", 0, 500 + new)).lost;
        assert!(lost.is_empty() || new == 6, "{new}");
    }
    assert_eq!(lost.len(), 506 - 3 - 6);
    assert_eq!(plan.wanted().unwrap().segment.media_sequence, 503);
}

#[test]
fn a_backlog_that_shrinks_or_waits_for_the_source_or_the_disk_is_fetched_whole() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 0, 500));
    for new in 1..=200 {
        (0..2).for_each(|_| plan.stored());
        assert!(plan.observe(&window("a", 0, 500 + new)).lost.is_empty());
    }
    for new in 201..=300 {
        plan.held_up();
        assert!(plan.observe(&window("a", 0, 500 + new)).lost.is_empty());
    }
    plan.held_up();
    assert_eq!(
        sequences(&plan.observe(&window("a", 402, 400)).lost),
        [400, 401],
        "what left the window, no more"
    );
}

#[test]
fn what_left_the_window_is_lost_one_by_one() {
    let mut plan = resumed(5, 50);
    let observed = plan.observe(&window("a", 8, 3));
    assert_eq!(sequences(&observed.lost), [5, 6, 7]);
    assert!(observed.lost.iter().all(|lost| lost.duration_us == 0), "they were never listed");
    assert_eq!(drain(&mut plan), [(8, 53), (9, 54), (10, 55)]);
}

#[test]
fn a_segment_lost_while_it_was_wanted_keeps_its_duration_and_its_discontinuity() {
    let mut plan = fresh(StartAt::Window);
    let mut playlist = window("a", 0, 3);
    playlist.segments[1].discontinuity = true;
    plan.observe(&playlist);
    plan.stored();
    let observed = plan.observe(&window("a", 2, 3));
    assert_eq!(sequences(&observed.lost), [1]);
    assert_eq!(observed.lost[0].duration_us, 2_000_000);
    let wanted = plan.wanted().expect("segment 2");
    assert!(wanted.discontinuity && wanted.number == 2);
    plan.stored();
    assert!(!plan.wanted().expect("segment 3").discontinuity);
}

#[test]
fn a_great_loss_is_named_in_bounded_events() {
    let mut plan = resumed(0, 7);
    let observed = plan.observe(&window("a", 50_000, 3));
    assert_eq!(observed.lost.len() as u64, MAX_LOSSES);
    assert_eq!(
        observed.lost.last().map(|lost| lost.reason.as_str()),
        Some("it left the source's window before it was fetched, as 40000 after it")
    );
    assert_eq!(drain(&mut plan)[0], (50_000, 50_007));
}

#[test]
fn a_source_that_falls_back_has_begun_again() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 100, 4));
    plan.stored();
    let observed = plan.observe(&window("a", 0, 2));
    assert!(observed.restarted && observed.advanced);
    assert_eq!(sequences(&observed.lost), [101, 102, 103]);
    let wanted = plan.wanted().expect("the new run's first");
    assert!(wanted.discontinuity);
    assert_eq!(drain(&mut plan), [(0, 104), (1, 105)]);
    plan.observe(&window("a", 1, 3));
    assert!(!plan.wanted().expect("the third").discontinuity);
    assert_eq!(drain(&mut plan), [(2, 106), (3, 107)]);
}

#[test]
fn a_lagging_edge_is_not_taken_for_a_restart() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 10, 4));
    drain(&mut plan);
    for first in [8, 7, 9] {
        let observed = plan.observe(&window("a", first, 4));
        assert_eq!(observed, Observed::default());
        assert!(plan.wanted().is_none());
    }
}

#[test]
fn the_same_numbers_with_other_files_are_a_restart() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 0, 3));
    drain(&mut plan);
    assert!(plan.observe(&window("b", 0, 3)).restarted);
    assert_eq!(drain(&mut plan), [(0, 3), (1, 4), (2, 5)]);
}

#[test]
fn fresh_tokens_are_no_restart_and_are_taken_over() {
    let mut plan = fresh(StartAt::Window);
    let signed = |token: &str| {
        let mut playlist = window("a", 0, 3);
        for segment in &mut playlist.segments {
            segment.uri = format!("/{token}/{}?token={token}", segment.uri);
        }
        playlist
    };
    plan.observe(&signed("one"));
    assert!(!plan.observe(&signed("two")).restarted);
    assert_eq!(plan.wanted().expect("segment 0").segment.uri, "/two/a0.ts?token=two");
    assert_eq!(drain(&mut plan).len(), 3);
}

#[test]
fn dates_tell_segments_apart_better_than_names() {
    let dated = |run: &str, start_us: i64| {
        let mut playlist = window(run, 0, 3);
        for (index, segment) in (0i64..).zip(&mut playlist.segments) {
            segment.program_date_time = Some(start_us + index * 2_000_000);
        }
        playlist
    };
    let mut plan = fresh(StartAt::Window);
    plan.observe(&dated("a", 0));
    assert!(!plan.observe(&dated("renamed", 0)).restarted);
    // The other of two origins, whose clock is ahead.
    assert!(!plan.observe(&dated("renamed", 1_900_000)).restarted);
    assert!(plan.observe(&dated("named otherwise", 3_800_000)).restarted);
    plan.observe(&dated("renamed", 0));
    assert!(plan.observe(&dated("renamed", 60_000_000)).restarted);
}

#[test]
fn a_leap_to_another_numbering_is_a_restart_without_millions_of_losses() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 3, 2));
    drain(&mut plan);
    let observed = plan.observe(&window("a", 1_700_000_000, 4));
    assert!(observed.restarted && observed.lost.is_empty());
    assert_eq!(drain(&mut plan)[0], (1_700_000_000, 5));
}

#[test]
fn a_restart_with_a_long_window_is_not_fetched_from_its_beginning() {
    let mut plan = fresh(StartAt::Live);
    plan.observe(&window("a", 5000, 4));
    drain(&mut plan);
    plan.observe(&window("a", 0, 1000));
    assert_eq!(drain(&mut plan)[0], (990, 5004));
}

#[test]
fn a_segment_given_up_lets_the_next_go_on() {
    let mut plan = fresh(StartAt::Window);
    plan.observe(&window("a", 0, 2));
    assert_eq!(plan.lose("404").map(|lost| (lost.media_sequence, lost.reason)), Some((0, "404".into())));
    assert_eq!(drain(&mut plan), [(1, 1)]);
    assert_eq!(plan.lose("nothing is wanted"), None);
}

proptest! {
    /// Whatever a source lists: numbers grow, nothing panics, and within a run every segment is had or lost once.
    #[test]
    fn numbers_only_grow(
        steps in proptest::collection::vec((0u8..3, 0u64..40, 0u64..9, 0usize..9, any::<bool>()), 1..60),
        resume in proptest::option::of((0u64..50, 0u64..50)),
    ) {
        let resume = resume.map(|(next_media_sequence, next_number)| ResumeAt { next_media_sequence, next_number });
        let mut plan = Plan::new(StartAt::Live, resume, 0);
        let mut last_number = None;
        let mut next_sequence = None;
        for (run, first, count, take, lose) in steps {
            let observed = plan.observe(&window(&run.to_string(), first, count));
            if observed.restarted {
                next_sequence = None;
            }
            for lost in observed.lost.iter().filter(|_| !observed.restarted) {
                prop_assert!(next_sequence.is_none_or(|next| next == lost.media_sequence));
                next_sequence = Some(lost.media_sequence + 1);
            }
            for _ in 0..take {
                let Some(wanted) = plan.wanted() else { break };
                prop_assert!(last_number.is_none_or(|last| wanted.number > last));
                prop_assert!(next_sequence.is_none_or(|next| next == wanted.segment.media_sequence));
                last_number = Some(wanted.number);
                next_sequence = Some(wanted.segment.media_sequence + 1);
                if lose { plan.lose("x"); } else { plan.stored(); }
            }
        }
    }
}
