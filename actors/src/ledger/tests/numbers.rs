//! HLS sequence numbers over stops and skips, and what leaves the disk.

use super::*;
use crate::files::NewestFiles;

/// Demuxes batch `batch` as the beginning of an epoch.
fn begin_epoch(driver: &mut Driver, batch: u64) {
    driver.apply(Event::SegmentStored(segment(batch * 2, 8)));
    let start_s = i64::try_from(batch).unwrap() * 8;
    let media = Box::new(BatchMedia { discontinuity: true, epoch: 1, ..media(start_s, 8) });
    driver.apply(Event::BatchDemuxed { batch, media, carry: batch.to_string() });
}

fn ready(driver: &mut Driver, batch: u64) {
    driver.processed(batch);
    driver.remuxed(batch);
}

#[test]
fn a_discontinuity_that_was_never_listed_is_not_counted() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    ready(&mut driver, 0);
    begin_epoch(&mut driver, 1);
    ready(&mut driver, 1);
    assert_eq!(driver.ledger.header().hls_discontinuities, 1);
    driver.now = driver.batch(1).air_start().unwrap();
    driver.apply(Event::RunEnded);
    assert_eq!(driver.batch(1).state_name(), "skipped");
    begin_epoch(&mut driver, 2);
    assert_eq!((driver.batch(2).hls_sequence, driver.batch(2).hls_discontinuities), (1, 1));
}

/// The ledger after a start, where files of batches up to this one were found.
fn found(driver: &mut Driver, batch: u64) -> Vec<Action> {
    driver.apply(Event::FilesFound(NewestFiles { batch: Some(batch), segment: Some(batch * 2 + 1) }))
}

#[test]
fn a_ledger_that_lost_its_newest_part_goes_on_after_what_lies_on_disk() {
    let mut driver = Driver::new(plan(&["main"]));
    for batch in 0..3 {
        driver.demuxed_batch(batch);
        ready(&mut driver, batch);
    }
    let before = driver.ledger.header().clone();
    assert_eq!(before.open_batch, 3);
    let told = found(&mut driver, 9);
    assert!(told.contains(&Action::Note(Note::RolledBack { from: 3, to: 10 })), "{told:?}");
    let header = driver.ledger.header();
    assert_eq!((header.open_batch, header.next_segment_number), (10, 20));
    assert_eq!((header.next_media_sequence, header.clock), (None, None));
    assert!(header.open_discontinuity);
    // Seven batches of 6 s that nothing is known of: at most a segment a second, each with a discontinuity.
    assert!(header.hls_sequence >= 7 * 6, "{header:?}");
    assert!(header.hls_discontinuities >= before.hls_discontinuities + 7, "{header:?}");
    assert!(driver.ledger.batches().is_empty());
    assert_eq!(header.totals, before.totals);
}

#[test]
fn of_batches_that_are_complete_at_once_one_alone_is_ahead_of_the_disk() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 8)));
    assert!(!driver.ledger.take_changes().flush);
    driver.apply(Event::SegmentStored(segment(1, 8)));
    assert!(driver.ledger.take_changes().flush);
    driver.wait(8);
    driver.apply(Event::SegmentStored(segment(2, 8)));
    assert!(!driver.ledger.take_changes().flush);
}

#[test]
fn files_that_a_killed_process_may_have_begun_or_an_earlier_stream_left_say_nothing() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    let before = driver.ledger.header().clone();
    // Batch 1 was closed, and batch 2 begun, a moment before: their numbers are given out again.
    for newest in [0, 1, 2] {
        assert_eq!(found(&mut driver, newest), vec![]);
    }
    assert_eq!(*driver.ledger.header(), before);
    let mut new = Driver::new(plan(&["main"]));
    assert_eq!(found(&mut new, 40), vec![]);
    assert_eq!(new.ledger.header().open_batch, 0);
}

#[test]
fn a_discontinuity_before_anything_was_listed_counts_when_it_leaves_the_playlist() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.apply(Event::RunEnded);
    begin_epoch(&mut driver, 1);
    assert_eq!((driver.batch(1).hls_sequence, driver.batch(1).hls_discontinuities), (0, 1));
}

#[test]
fn what_comes_after_an_unlisted_batch_was_not_listed_either() {
    let mut driver = Driver::new(plan(&["main"]));
    for batch in 0..3 {
        driver.demuxed_batch(batch);
    }
    // Batch 1 is still being fitted when the air times of both have passed.
    ready(&mut driver, 0);
    ready(&mut driver, 2);
    driver.now = driver.batch(2).air_end().unwrap();
    driver.apply(Event::RunEnded);
    assert_eq!(driver.batch(2).state_name(), "skipped");
    assert_eq!(driver.ledger.header().hls_sequence, 1);
}

#[test]
fn a_batch_that_cannot_be_fitted_at_all_leaves_no_hole_in_the_playlist() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.processed(0);
    let failed =
        || Event::RemuxFailed { batch: 0, rendition: 0, detail: "no space".to_owned(), no_space: false };
    let actions: Vec<Action> = (0..8).flat_map(|_| driver.apply(failed())).collect();
    assert_eq!(driver.batch(0).state_name(), "skipped");
    assert_eq!(published(&actions), [(0, 1)], "HLS lists it, RTMP does not wait for it");
    driver.aired(0, "hls");
    assert_eq!(driver.batch(0).state_name(), "skipped");
}

#[test]
fn what_follows_unreadable_media_begins_an_epoch() {
    let mut driver = Driver::new(plan(&["main"]));
    for number in 0..2 {
        driver.apply(Event::SegmentStored(segment(number, 8)));
    }
    let failed = |batch| Event::DemuxFailed { batch, detail: "junk".to_owned(), no_space: false };
    let actions: Vec<Action> = (0..3).flat_map(|_| driver.apply(failed(0))).collect();
    let next = actions
        .iter()
        .find(|action| matches!(action, Action::Demux(DemuxBatch { batch: 1, complete: true, .. })));
    assert!(matches!(next, Some(Action::Demux(DemuxBatch { discontinuity: true, .. }))), "{actions:?}");
    for _ in 0..3 {
        driver.apply(failed(1));
    }
    driver.apply(Event::SegmentStored(segment(2, 8)));
    assert!(driver.batch(2).discontinuity);
}

#[test]
fn a_source_that_can_never_be_read_does_not_fill_the_disk() {
    let mut driver = Driver::new(plan(&["main"]));
    for batch in 0..500 {
        driver.apply(Event::SegmentStored(segment(batch, 8)));
        for _ in 0..3 {
            let detail = "no picture and no sound".to_owned();
            for action in driver.apply(Event::DemuxFailed { batch, detail, no_space: false }) {
                if let Action::Clean { batch, .. } = action {
                    driver.apply(Event::BatchCleaned { batch });
                }
            }
        }
    }
    let kept = driver.ledger.batches().values().filter(|batch| batch.cleaned_at.is_none()).count();
    assert!(kept <= 3 && driver.ledger.batches().len() <= 110, "{kept}, {}", driver.ledger.batches().len());
}

#[test]
fn an_absurd_target_duration_does_not_keep_the_stream_off_the_air() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::TargetDurationRead { seconds: 86_400 });
    driver.demuxed_batch(0);
    let airs = driver.batch(0).air_start().unwrap();
    assert!(airs.micros_since(driver.now) < 120 * SECOND);
}

#[test]
fn a_replaced_publisher_is_told_to_end_again() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SourceEnded);
    let again = driver.apply(Event::ChildReplaced(ChildId::Publisher("main/rtmp-0".into())));
    assert_eq!(again, [Action::EndOutputs]);
}

#[test]
fn a_child_owes_until_its_last_command_is_answered() {
    let mut driver = Driver::new(plan(&["main"]));
    let remuxer = ChildId::Remuxer("main".into());
    for batch in 0..2 {
        driver.demuxed_batch(batch);
        driver.processed(batch);
    }
    driver.remuxed(0);
    assert!(driver.ledger.is_owed_by(&remuxer));
    driver.remuxed(1);
    assert!(!driver.ledger.is_owed_by(&remuxer));
}

#[test]
fn an_output_is_behind_from_the_end_of_its_oldest_batch() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    ready(&mut driver, 0);
    assert_eq!(driver.ledger.airing_due("hls"), driver.batch(0).air_end());
    driver.aired(0, "hls");
    assert_eq!(driver.ledger.airing_due("hls"), None);
    assert_eq!(driver.ledger.airing_due("main/rtmp-0"), driver.batch(0).air_end());
}
