use super::*;

const SECOND: i64 = 90_000;

/// A window of audio: numbers from `first`, seconds each.
fn window(first: u64, count: u64, seconds: i64) -> MediaPlaylist {
    let segments = (first..first + count).map(|media_sequence| Segment {
        uri: format!("a{media_sequence}"),
        media_sequence,
        duration_us: seconds * 1_000_000,
        ..Segment::default()
    });
    MediaPlaylist { target_duration_s: 2, segments: segments.collect(), ..MediaPlaylist::default() }
}

/// Video of `seconds` at `start_s`, listed `before_end_s` before the end of its playlist.
fn span(start_s: i64, seconds: i64, before_end_s: i64) -> Span {
    Span {
        start_90k: Some(start_s * SECOND),
        duration_us: seconds * 1_000_000,
        timeline: 0,
        program_date_time: None,
        before_end_us: before_end_s * 1_000_000,
        is_last: false,
    }
}

/// Runs a span to its end over audio whose segment `n` begins at `times(n)`; numbers of what was fetched.
fn run(
    pairing: &mut Pairing,
    span: &Span,
    playlist: &MediaPlaylist,
    times: impl Fn(u64) -> Option<i64>,
) -> (Vec<u64>, Step) {
    let mut fetched = Vec::new();
    for _ in 0..50 {
        match pairing.step(span, playlist) {
            Step::Fetch(segment) => {
                fetched.push(segment.media_sequence);
                let stored = StoredAudio {
                    media_sequence: segment.media_sequence,
                    path: format!("a{}", segment.media_sequence).into(),
                };
                pairing.fetched(span, &segment, stored, times(segment.media_sequence));
            }
            end => return (fetched, end),
        }
    }
    panic!("no end: {fetched:?}");
}

fn numbers(audio: &[StoredAudio]) -> Vec<u64> {
    audio.iter().map(|audio| audio.media_sequence).collect()
}

#[test]
fn audio_is_found_by_its_own_time_whatever_its_numbers_and_lengths() {
    // Audio segment n begins at 3n s; video's window begins elsewhere, so that the guess is wrong both ways.
    for before_end_s in [1, 6, 12, 29] {
        let mut pairing = Pairing::default();
        let playlist = window(100, 10, 3);
        let times = |n: u64| Some((n as i64 * 3) * SECOND);
        let video = span(311, 4, before_end_s);
        let (fetched, end) = run(&mut pairing, &video, &playlist, times);
        assert_eq!(end, Step::Done);
        assert_eq!(numbers(&pairing.take(&video)), [103, 104], "{fetched:?}");
        // 315 to 319 begins within segment 105; 104 ends where it begins.
        let next = span(315, 4, before_end_s);
        let (fetched, _) = run(&mut pairing, &next, &playlist, times);
        assert_eq!(fetched, [105, 106]);
        assert_eq!(numbers(&pairing.take(&next)), [104, 105, 106]);
    }
}

#[test]
fn numbers_and_times_that_fall_back_are_met_anew() {
    let mut pairing = Pairing::default();
    let times = |n: u64| Some((n as i64 * 2) * SECOND);
    let before = span(200, 4, 4);
    run(&mut pairing, &before, &window(100, 4, 2), times);
    assert_eq!(numbers(&pairing.take(&before)), [100, 101]);
    let after = span(0, 4, 8);
    let (_, end) = run(&mut pairing, &after, &window(0, 4, 2), times);
    assert_eq!(end, Step::Done);
    assert_eq!(numbers(&pairing.take(&after)), [0, 1]);
}

#[test]
fn long_audio_serves_several_spans_of_video_and_is_fetched_once() {
    let mut pairing = Pairing::default();
    let playlist = window(7, 3, 10);
    let times = |n: u64| Some((n as i64 * 10) * SECOND);
    let mut all = Vec::new();
    for start in [72, 74, 76, 78, 80] {
        let video = span(start, 2, 98 - start);
        all.extend(run(&mut pairing, &video, &playlist, times).0);
        let wanted: &[u64] = if start < 80 { &[7] } else { &[7, 8] };
        assert_eq!(numbers(&pairing.take(&video)), wanted, "{start}");
    }
    assert_eq!(all, [7, 8]);
}

#[test]
fn audio_that_is_not_listed_yet_is_waited_for_and_what_left_the_window_is_gone() {
    let mut pairing = Pairing::default();
    let times = |n: u64| Some((n as i64 * 2) * SECOND);
    let video = span(20, 2, 2);
    assert_eq!(run(&mut pairing, &video, &window(6, 4, 2), times).1, Step::Wait);
    let (fetched, end) = run(&mut pairing, &video, &window(8, 4, 2), times);
    assert_eq!((fetched, end), (vec![10], Step::Done));
    pairing.take(&video);
    // The window has slid beyond the next one.
    let (fetched, _) = run(&mut pairing, &span(22, 8, 2), &window(13, 4, 2), times);
    assert_eq!(fetched, [13, 14]);
    let ended = MediaPlaylist { ended: true, ..window(13, 2, 2) };
    assert_eq!(run(&mut pairing, &span(30, 2, 2), &ended, times), (vec![], Step::Done));
}

#[test]
fn a_new_timeline_begins_with_its_own_audio() {
    let mut playlist = window(0, 8, 2);
    playlist.discontinuity_sequence = 4;
    playlist.segments[5].discontinuity = true;
    let times = |n: u64| Some(if n < 5 { (n as i64 * 2) * SECOND } else { (1000 + n as i64 * 2) * SECOND });
    let mut pairing = Pairing::default();
    let old = Span { timeline: 4, ..span(6, 2, 10) };
    assert_eq!(run(&mut pairing, &old, &playlist, times).1, Step::Done);
    assert_eq!(numbers(&pairing.take(&old)), [3]);
    // The old timeline's last audio is left out, the new one's first is taken.
    let new = Span { timeline: 5, ..span(1010, 2, 6) };
    let (fetched, _) = run(&mut pairing, &new, &playlist, times);
    assert_eq!(fetched, [5]);
    assert_eq!(numbers(&pairing.take(&new)), [5]);
}

#[test]
fn the_clock_may_wrap_between_audio_and_video() {
    assert_eq!(ahead(5, WRAP_90K - 5), 10);
    assert_eq!(ahead(WRAP_90K - 5, 5), -10);
    let mut pairing = Pairing::default();
    let times = |n: u64| Some((WRAP_90K - 3 * SECOND + n as i64 * 2 * SECOND) % WRAP_90K);
    let video = Span { start_90k: Some(WRAP_90K - SECOND), ..span(0, 4, 8) };
    run(&mut pairing, &video, &window(0, 6, 2), times);
    assert_eq!(numbers(&pairing.take(&video)), [1, 2]);
}

#[test]
fn gaps_are_stepped_over_and_unreadable_times_follow_the_playlists() {
    let mut playlist = window(0, 6, 2);
    playlist.segments[3].gap = true;
    let mut pairing = Pairing::default();
    let video = span(4, 4, 8);
    let (fetched, end) = run(&mut pairing, &video, &playlist, |_| None);
    assert_eq!((fetched, end), (vec![2, 4], Step::Done));
    let mut pairing = Pairing::default();
    let dated = |n: u64| Some(1_000_000_000 + n as i64 * 2_000_000);
    for segment in &mut playlist.segments {
        segment.program_date_time = dated(segment.media_sequence);
    }
    let video = Span { program_date_time: dated(4), start_90k: None, ..span(0, 2, 99) };
    assert_eq!(run(&mut pairing, &video, &playlist, |_| None).0, [4]);
}

#[test]
fn the_last_pictures_take_all_audio_that_is_left() {
    // Audio in segments of 2 s that end just before the pictures do, and one more of a moment.
    let mut playlist = window(0, 4, 2);
    playlist.segments[3].duration_us = 40_000;
    let starts = [0, 2, 4, 6].map(|second| second * SECOND - 3600);
    let times = move |number: u64| starts.get(usize::try_from(number).unwrap()).copied();
    for (is_last, ended, expected) in
        [(false, true, &[1, 2][..]), (true, true, &[1, 2, 3]), (true, false, &[1, 2, 3])]
    {
        let mut pairing = Pairing::default();
        playlist.ended = ended;
        run(&mut pairing, &span(0, 4, 6), &playlist, times);
        pairing.take(&span(0, 4, 6));
        let last = Span { is_last, ..span(4, 2, 2) };
        assert_eq!(run(&mut pairing, &last, &playlist, times).1, Step::Done);
        assert_eq!(numbers(&pairing.take(&last)), expected, "is_last: {is_last}, ended: {ended}");
    }
}
