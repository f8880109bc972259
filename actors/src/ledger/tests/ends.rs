//! What must come to an end: timers, tries, files.

use super::*;

/// A ledger whose processor is not there.
fn alone(plan: LedgerPlan) -> Driver {
    let mut driver = Driver::new(plan);
    driver.apply(Event::LinkChanged { rendition: 0, connected: false });
    driver
}

/// Takes as many timers as are due until `seconds` have passed; more than a few are a spin.
fn timers_fire(driver: &mut Driver, seconds: i64) -> usize {
    let end = driver.now.plus_micros(seconds * SECOND);
    let mut fired = 0;
    while let Some(due) = driver.ledger.next_deadline().filter(|due| *due < end) {
        driver.now = driver.now.max(due);
        driver.apply(Event::TimePassed);
        fired += 1;
        assert!(fired < 50, "the timer of {due:?} spins");
    }
    fired
}

#[test]
fn a_deadline_that_has_passed_is_not_due_again() {
    // The slots are due to be filled, and the remuxer hangs; without sound, or without an output.
    let mut driver = alone(plan(&["main"]));
    for number in 0..2 {
        driver.apply(Event::SegmentStored(segment(number, 4)));
    }
    let silent = BatchMedia { audio: None, ..media(0, 8) };
    driver.apply(Event::BatchDemuxed { batch: 0, media: Box::new(silent), carry: String::new() });
    timers_fire(&mut driver, 120);

    let mut driver = alone(LedgerPlan { outputs: Vec::new(), ..plan(&["main"]) });
    driver.demuxed_batch(0);
    assert!(timers_fire(&mut driver, 120) > 0, "the fallback is due once");
    assert_eq!(driver.batch(0).renditions[0].state, RenditionState::Fallback);
}

#[test]
fn a_slot_that_cannot_be_filled_is_left_empty_and_the_batch_airs() {
    let mut driver = alone(plan(&["main", "de"]));
    driver.ledger.plan.renditions[0].fallback = Fallback::Silence;
    driver.demuxed_batch(0);
    driver.wait(20);
    let fail = |driver: &mut Driver| {
        driver.apply(Event::RemuxFailed { batch: 0, rendition: 0, detail: "?".to_owned(), no_space: false })
    };
    let filled = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Remux { batch: 0, rendition: 0, fill } => Some(*fill),
            _ => None,
        })
    };
    let fills: Vec<_> = (0..4).map(|_| filled(&fail(&mut driver))).collect();
    assert_eq!(fills, [Some(Fill::Silence), Some(Fill::Silence), Some(Fill::Silence), Some(Fill::Nothing)]);
    driver.remuxed(0);
    assert_eq!(driver.batch(0).renditions[0].state, RenditionState::Remuxed);
    assert_eq!(driver.batch(0).skipped, None);
}

#[test]
fn a_batch_that_children_die_of_is_given_up() {
    let mut driver = alone(plan(&["main"]));
    for number in 0..4 {
        driver.apply(Event::SegmentStored(segment(number, 4)));
    }
    let demuxing = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Demux(DemuxBatch { batch, complete: true, .. }) => Some(*batch),
            _ => None,
        })
    };
    let given: Vec<_> =
        (0..3).map(|_| demuxing(&driver.apply(Event::ChildReplaced(ChildId::Demuxer)))).collect();
    assert_eq!(given, [Some(0), Some(0), Some(1)]);
    assert_eq!(driver.batch(0).state_name(), "skipped");

    // A reply that remuxers die of makes way for the fallback.
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.processed(0);
    let remuxer = || Event::ChildReplaced(ChildId::Remuxer("main".into()));
    for _ in 0..2 {
        assert_eq!(driver.batch(0).renditions[0].state, RenditionState::Processed);
        driver.apply(remuxer());
    }
    driver.apply(remuxer());
    assert_eq!(driver.batch(0).renditions[0].state, RenditionState::Fallback);
}

#[test]
fn segments_of_the_open_batch_leave_the_disk_after_a_stop() {
    let mut driver = alone(plan(&["main"]));
    let mut cleaned = Vec::new();
    for run in 0..5 {
        driver.apply(Event::SegmentStored(segment(run, 4)));
        driver.apply(Event::RunEnded);
        for action in driver.wait(1) {
            if let Action::Clean { batch, segments } = action {
                cleaned.extend(segments);
                driver.apply(Event::BatchCleaned { batch });
            }
        }
    }
    // The newest two stay, as of those that were published.
    let expected: Vec<std::path::PathBuf> = (0..3).map(|run| format!("segment-{run}.ts").into()).collect();
    assert_eq!(cleaned, expected);
    assert_eq!(driver.ledger.cleanable(0), [3, 4]);
}

#[test]
fn what_was_skipped_but_is_listed_counts_as_published_for_cleaning() {
    let mut driver = alone(plan(&["main"]));
    for batch in 0..30 {
        driver.demuxed_batch(batch);
        driver.wait(20);
        for _ in 0..8 {
            let detail = "?".to_owned();
            driver.apply(Event::RemuxFailed { batch, rendition: 0, detail, no_space: false });
        }
        assert_eq!(driver.batch(batch).state_name(), "skipped");
    }
    // Playlists of 48 s, and as long again.
    assert!(driver.ledger.cleanable(2).len() >= 16, "{:?}", driver.ledger.cleanable(2));
}
