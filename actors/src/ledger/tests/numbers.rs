//! HLS sequence numbers over stops and skips, and what leaves the disk.

use super::*;

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
    let next = actions.iter().find(|action| matches!(action, Action::Demux { batch: 1, .. }));
    assert!(matches!(next, Some(Action::Demux { discontinuity: true, .. })), "{actions:?}");
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
