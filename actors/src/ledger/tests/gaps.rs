//! Lost media: one gap for a run of it, on a clock that stays.

use super::*;

fn lose(driver: &mut Driver, media_sequence: u64, seconds: i64) -> Vec<Action> {
    driver.apply(Event::SegmentLost { media_sequence, duration_us: seconds * SECOND })
}

fn gap_before(actions: &[Action]) -> Option<(u64, i64)> {
    actions.iter().find_map(|action| match action {
        Action::Demux(DemuxBatch { batch, complete: true, gap_us, .. }) => Some((*batch, *gap_us)),
        _ => None,
    })
}

#[test]
fn a_run_of_lost_segments_closes_the_open_batch_and_is_one_gap_before_the_next() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 4)));
    let actions = lose(&mut driver, 1, 4);
    assert_eq!(gap_before(&actions), Some((0, 0)), "what came before the gap goes on its way");
    lose(&mut driver, 2, 4);
    // Never listed: it counts as long as the last one.
    lose(&mut driver, 3, 0);
    driver.apply(Event::BatchDemuxed { batch: 0, media: Box::new(media(0, 4)), carry: String::new() });
    driver.apply(Event::SegmentStored(segment(4, 4)));
    let actions = driver.apply(Event::SegmentStored(segment(5, 4)));
    assert_eq!(gap_before(&actions), Some((1, 12 * SECOND)));
    let totals = &driver.ledger.header().totals;
    assert_eq!((totals.lost_segments, totals.gaps), (3, 1));
    lose(&mut driver, 6, 4);
    assert_eq!(driver.ledger.header().totals.gaps, 2);
}

#[test]
fn the_sources_own_dates_tell_how_long_a_gap_is() {
    let mut driver = Driver::new(plan(&["main"]));
    let dated = |number: u64, at_s: i64| StoredSegment {
        program_date_time: Some(UnixMicros(at_s * SECOND)),
        ..segment(number, 4)
    };
    driver.apply(Event::SegmentStored(dated(0, 5_000)));
    lose(&mut driver, 1, 0);
    driver.apply(Event::SegmentStored(dated(2, 5_034)));
    assert_eq!(driver.ledger.header().open_gap_us, 30 * SECOND);
}

#[test]
fn who_was_away_for_longer_than_the_sources_window_is_back_on_the_same_clock() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.apply(Event::SegmentStored(segment(2, 4)));
    let clock = driver.ledger.header().clock;
    // Half a batch is open when the process ends; 32 s later 6 segments are lost, and one is listed beyond the next.
    driver.wait(32);
    (3..9).for_each(|number| _ = lose(&mut driver, number, 4));
    driver.apply(Event::BatchDemuxed { batch: 1, media: Box::new(media(8, 4)), carry: String::new() });
    assert_eq!(driver.ledger.header().clock, clock, "the open batch airs late, and moves nothing");
    driver.apply(Event::SegmentStored(StoredSegment { backlog_us: 8 * SECOND, ..segment(9, 4) }));
    driver.apply(Event::SegmentStored(StoredSegment { backlog_us: 4 * SECOND, ..segment(10, 4) }));
    let after = BatchMedia { discontinuity: true, ..media(36, 8) };
    driver.apply(Event::BatchDemuxed { batch: 2, media: Box::new(after), carry: String::new() });
    let header = driver.ledger.header();
    assert_eq!((header.clock, header.totals.clock_jumps), (clock, 0));
    assert!(driver.batch(2).air_start().unwrap().micros_since(driver.now) > 0, "it is on time");
}

#[test]
fn the_clock_stays_over_a_gap() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    let clock = driver.ledger.header().clock;
    driver.wait(32);
    (2..10).for_each(|number| _ = lose(&mut driver, number, 4));
    driver.apply(Event::SegmentStored(segment(10, 4)));
    driver.wait(4);
    driver.apply(Event::SegmentStored(segment(11, 4)));
    // The source's clock has gone on: 8 s aired, 32 s are lost.
    let media = BatchMedia { discontinuity: true, ..media(40, 8) };
    driver.apply(Event::BatchDemuxed { batch: 1, media: Box::new(media), carry: String::new() });
    assert_eq!(driver.ledger.header().clock, clock);
    assert_eq!(driver.ledger.header().totals.clock_jumps, 0);
    assert!(driver.batch(1).renditions[0].fallback.is_none(), "it has all of its delay");
    assert_eq!(driver.batch(1).hls_discontinuities, 1);
}

#[test]
fn an_open_batch_that_the_source_leaves_unfinished_airs_as_it_is() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.apply(Event::SegmentStored(segment(2, 4)));
    // Batch 1 is to air 8 s after batch 0; half of the delay before that it is closed.
    let due = driver.batch(0).air_end().unwrap().plus_micros(-5 * SECOND);
    while driver.ledger.batches().len() == 1 {
        let next = driver.ledger.next_deadline().unwrap();
        assert!(next > driver.now && next <= due, "{next:?}");
        driver.now = next;
        driver.apply(Event::TimePassed);
    }
    assert_eq!(driver.now, due);
    assert_eq!(driver.batch(1).segments.len(), 1);
    // What comes too late even for that is not cut to pieces.
    driver.apply(Event::BatchDemuxed { batch: 1, media: Box::new(media(8, 4)), carry: String::new() });
    driver.wait(60);
    driver.apply(Event::SegmentStored(segment(3, 4)));
    assert_eq!(driver.ledger.batches().len(), 2);
    assert!(driver.ledger.next_deadline().is_none_or(|next| next > driver.now));
}

#[test]
fn media_that_cannot_be_read_leaves_a_gap_of_its_length() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    lose(&mut driver, 2, 4);
    driver.apply(Event::SegmentStored(segment(3, 8)));
    for _ in 0..3 {
        driver.apply(Event::DemuxFailed { batch: 1, detail: "junk".to_owned(), no_space: false });
    }
    let actions = driver.apply(Event::SegmentStored(segment(4, 8)));
    assert_eq!(gap_before(&actions), Some((2, 12 * SECOND)));
}

#[test]
fn a_gap_takes_nothing_off_the_disk_that_a_playlist_lists() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.now = driver.batch(0).air_end().unwrap();
    driver.processed(0);
    driver.remuxed(0);
    for output in ["main/rtmp-0", "hls"] {
        driver.aired(0, output);
    }
    // Ten minutes are lost; two short batches come after them.
    for batch in 1..=3 {
        let start_s = 600 + 8 * i64::try_from(batch).unwrap();
        driver.apply(Event::SegmentStored(segment(batch + 100, 8)));
        driver.apply(Event::BatchDemuxed { batch, media: Box::new(media(start_s, 8)), carry: String::new() });
        driver.processed(batch);
        driver.remuxed(batch);
        for output in ["main/rtmp-0", "hls"] {
            driver.aired(batch, output);
        }
    }
    assert_eq!(driver.ledger.cleanable(1), Vec::<u64>::new(), "30 s are listed: all of it");
}
