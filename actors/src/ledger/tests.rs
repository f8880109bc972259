//! The ledger's rules, one by one.

mod ends;
mod gaps;
mod numbers;

use std::sync::Arc;

use overdub_media::sample::{AudioConfig, VideoConfig};

use super::*;
use crate::demuxer::DemuxBatch;
use crate::messages::{
    AudioFormat, AudioMedia, BatchMedia, ChildId, Cut, FitReport, FragmentFault, StoredSegment, VideoMedia,
};

pub(super) const SECOND: i64 = 1_000_000;
const TICKS: i64 = 90_000;

pub(super) fn plan(renditions: &[&str]) -> LedgerPlan {
    LedgerPlan {
        buffer_us: 6 * SECOND,
        delay_us: 10 * SECOND,
        max_concurrent_batches: 2,
        keep_batches: Some(2),
        renditions: renditions
            .iter()
            .map(|name| RenditionPlan { name: (*name).into(), fallback: Fallback::Original })
            .collect(),
        outputs: vec![
            OutputPlan { name: "main/rtmp-0".into(), rendition: Some(0) },
            OutputPlan { name: "hls".into(), rendition: None },
        ],
    }
}

pub(super) fn segment(number: u64, seconds: i64) -> StoredSegment {
    StoredSegment {
        number,
        media_sequence: number,
        path: format!("segment-{number}.ts").into(),
        bytes: 1000,
        duration_us: seconds * SECOND,
        discontinuity: false,
        program_date_time: None,
        backlog_us: 0,
        is_last: false,
        audio: None,
        date_ranges: Vec::new(),
        date_ranges_dropped: 0,
        cue_tags: 0,
    }
}

pub(super) fn media(start_s: i64, seconds: i64) -> BatchMedia {
    let cut = |timescale: i64| Cut {
        offset: 700,
        len: 5000,
        start: start_s * timescale,
        duration: (seconds * timescale).unsigned_abs(),
        samples: 100,
    };
    BatchMedia {
        epoch: 0,
        discontinuity: false,
        start_90k: start_s * TICKS,
        end_90k: (start_s + seconds) * TICKS,
        video: Some(VideoMedia {
            begins_inside_gop: false,
            config: VideoConfig { width: 2, height: 2, ..VideoConfig::default() },
            init_len: 700,
            cuts: vec![cut(TICKS)],
        }),
        audio: Some(AudioMedia {
            config: AudioConfig {
                audio_specific_config: vec![0x11, 0x90].into(),
                sample_rate: 48_000,
                channels: 2,
                object_type: 2,
                frame_samples: 1024,
                ..AudioConfig::default()
            },
            init_len: 700,
            start: start_s * 48_000,
            duration: (seconds * 48_000).unsigned_abs(),
            access_units: 100,
            cuts: vec![cut(48_000)],
        }),
        program_date_time: None,
        date_ranges: Vec::new(),
    }
}

struct Driver {
    ledger: Ledger,
    now: UnixMicros,
}

impl Driver {
    fn new(plan: LedgerPlan) -> Self {
        let mut driver =
            Self { ledger: Ledger::new(plan, Header::default(), vec![]), now: UnixMicros(1_000 * SECOND) };
        driver.apply(Event::TargetDurationRead { seconds: 4 });
        for rendition in 0..driver.ledger.plan.renditions.len() {
            driver.apply(Event::LinkChanged { rendition, connected: true });
        }
        driver
    }

    fn apply(&mut self, event: Event) -> Vec<Action> {
        self.ledger.apply(event, self.now)
    }

    fn wait(&mut self, seconds: i64) -> Vec<Action> {
        self.now = self.now.plus_micros(seconds * SECOND);
        self.apply(Event::TimePassed)
    }

    /// Stores two segments of 4 s, which make a batch of 8 s, and demuxes it.
    fn demuxed_batch(&mut self, batch: u64) -> Vec<Action> {
        let first = batch * 2;
        self.apply(Event::SegmentStored(segment(first, 4)));
        self.now = self.now.plus_micros(4 * SECOND);
        self.apply(Event::SegmentStored(segment(first + 1, 4)));
        let start_s = i64::try_from(batch).unwrap() * 8;
        let media = Box::new(media(start_s, 8));
        self.apply(Event::BatchDemuxed { batch, media, carry: batch.to_string() })
    }

    fn processed(&mut self, batch: u64) -> Vec<Action> {
        let format = AudioFormat::Mp4;
        self.apply(Event::FragmentProcessed { batch, rendition: 0, format, metadata: None })
    }

    fn remuxed(&mut self, batch: u64) -> Vec<Action> {
        let (audio_cuts, output, fit) = (vec![], vec![], FitReport::default());
        self.apply(Event::BatchRemuxed { batch, rendition: 0, audio_cuts, output, fit })
    }

    fn aired(&mut self, batch: u64, output: &str) -> Vec<Action> {
        let output: Arc<str> = output.into();
        self.apply(Event::BatchAired { batch, output, sent: 1, missed: 0, max_lateness_us: 0, bytes: 1 })
    }

    fn batch(&self, number: u64) -> &BatchRecord {
        &self.ledger.batches()[&number]
    }
}

fn published(actions: &[Action]) -> Vec<(u64, usize)> {
    let published = actions.iter().filter_map(|action| match action {
        Action::Publish { batch, output, .. } => Some((*batch, *output)),
        _ => None,
    });
    published.collect()
}

#[test]
fn a_batch_closes_when_its_segments_reach_the_buffer() {
    let mut driver = Driver::new(plan(&["main"]));
    let ahead = DemuxBatch {
        batch: 0,
        complete: false,
        segments: vec![segment(7, 4)],
        discontinuity: false,
        gap_us: 0,
        carry: None,
    };
    assert_eq!(driver.apply(Event::SegmentStored(segment(7, 4))), [Action::Demux(ahead)]);
    assert_eq!(driver.wait(1), []);
    let actions = driver.apply(Event::SegmentStored(segment(8, 4)));
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Demux(DemuxBatch { batch: 0, complete: true, segments, .. }) if segments.len() == 2))
    );
    assert_eq!(driver.ledger.header().open_batch, 1);
    assert_eq!(driver.ledger.header().next_media_sequence, Some(9));
}

#[test]
fn a_discontinuity_closes_the_open_batch_early() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 4)));
    let jumped = StoredSegment { discontinuity: true, ..segment(1, 4) };
    driver.apply(Event::SegmentStored(jumped));
    assert_eq!(driver.batch(0).segments.len(), 1);
    assert!(!driver.batch(0).discontinuity);
    driver.apply(Event::SegmentStored(segment(2, 4)));
    assert!(driver.batch(1).discontinuity);
}

#[test]
fn a_segment_stored_twice_counts_once() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 4)));
    driver.apply(Event::SegmentStored(segment(0, 4)));
    assert_eq!(driver.ledger.header().open_segments.len(), 1);
}

#[test]
fn the_first_batch_airs_after_the_delay_and_what_later_ones_may_need() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    // Delay 10 s, and buffer 6 s + target 4 s − 8 s.
    assert_eq!(driver.batch(0).air_start(), Some(driver.now.plus_micros(12 * SECOND)));
    driver.demuxed_batch(1);
    let airs = driver.batch(1).air_start().unwrap();
    assert_eq!(airs.micros_since(driver.batch(0).air_start().unwrap()), 8 * SECOND);
}

#[test]
fn a_reply_in_time_is_fitted_and_published_in_order() {
    let mut driver = Driver::new(plan(&["main"]));
    let actions = driver.demuxed_batch(0);
    assert!(actions.contains(&Action::Send { batch: 0, rendition: 0 }));
    assert!(driver.ledger.take_changes().flush, "a fragment is sent only when that is on disk");
    driver.demuxed_batch(1);
    let actions = driver.processed(1);
    assert!(actions.contains(&Action::Remux { batch: 1, rendition: 0, fill: Fill::Processed }));
    assert_eq!(published(&driver.remuxed(1)), [], "batch 0 comes first");
    driver.processed(0);
    assert_eq!(published(&driver.remuxed(0)), [(0, 0), (1, 0), (0, 1), (1, 1)]);
}

#[test]
fn a_late_reply_is_kept_but_not_aired() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    assert_eq!(driver.ledger.next_deadline(), Some(driver.now.plus_micros(12 * SECOND - REMUX_MARGIN_US)));
    let actions = driver.wait(12);
    assert!(actions.contains(&Action::Remux { batch: 0, rendition: 0, fill: Fill::Original }));
    assert!(actions.contains(&Action::CancelSend { batch: 0, rendition: 0 }));
    assert_eq!(driver.batch(0).renditions[0].fallback, Some(FallbackReason::NoReply));
    let actions = driver.processed(0);
    assert!(matches!(actions[..], [Action::Note(Note::LateReply { late_us: 500_000, .. })]), "{actions:?}");
    let totals = &driver.ledger.header().totals.renditions["main"];
    assert_eq!((totals.processed, totals.fallbacks, totals.late), (0, 1, 1));
    assert!(driver.batch(0).renditions[0].late_at.is_some());
}

#[test]
fn a_reply_that_comes_with_the_deadline_unnoticed_is_late_all_the_same() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.now = driver.now.plus_micros(13 * SECOND);
    let actions = driver.processed(0);
    assert!(actions.contains(&Action::Remux { batch: 0, rendition: 0, fill: Fill::Original }), "{actions:?}");
}

#[test]
fn each_fallback_says_its_own_reason() {
    let mut driver = Driver::new(LedgerPlan { max_concurrent_batches: 1, ..plan(&["main"]) });
    driver.demuxed_batch(0);
    driver.demuxed_batch(1);
    let fault = FragmentFault::Refused { message: "no".to_owned() };
    let actions = driver.apply(Event::FragmentFailed { batch: 0, rendition: 0, fault: fault.clone() });
    assert!(actions.contains(&Action::Send { batch: 1, rendition: 0 }), "its place is free: {actions:?}");
    driver.demuxed_batch(2);
    driver.demuxed_batch(3);
    driver.apply(Event::LinkChanged { rendition: 0, connected: false });
    driver.wait(40);
    driver.apply(Event::LinkChanged { rendition: 0, connected: true });
    let reasons: Vec<_> =
        (0..4).map(|n| driver.batch(n).renditions[0].fallback.clone().unwrap().label()).collect();
    assert_eq!(reasons[0], "processor_error");
    assert_eq!(reasons[1..], ["not_connected"; 3]);
}

#[test]
fn audio_that_cannot_be_fitted_falls_back() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.processed(0);
    let detail = "garbage".to_owned();
    let actions = driver.apply(Event::RemuxFailed { batch: 0, rendition: 0, detail, no_space: false });
    assert!(actions.contains(&Action::Remux { batch: 0, rendition: 0, fill: Fill::Original }), "{actions:?}");
}

#[test]
fn a_batch_is_demuxed_ahead_towards_its_end_and_anew_by_a_new_demuxer() {
    let mut driver = Driver::new(LedgerPlan { buffer_us: 20 * SECOND, ..plan(&["main"]) });
    let ahead = |actions: &[Action]| match actions {
        [Action::Demux(command)] if !command.complete => command.segments.len(),
        [] => 0,
        other => panic!("{other:?}"),
    };
    let counts: Vec<usize> =
        (0..9).map(|number| ahead(&driver.apply(Event::SegmentStored(segment(number, 2))))).collect();
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 8, 9]);
    assert_eq!(ahead(&driver.wait(1)), 0);
    assert_eq!(ahead(&driver.apply(Event::ChildReplaced(ChildId::Demuxer))), 9);
}

#[test]
fn media_that_three_tries_cannot_read_is_skipped_and_the_next_goes_on() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 8)));
    driver.apply(Event::SegmentStored(segment(1, 8)));
    for _ in 0..2 {
        let actions =
            driver.apply(Event::DemuxFailed { batch: 0, detail: "junk".to_owned(), no_space: false });
        assert!(
            matches!(actions[..], [Action::Demux(DemuxBatch { batch: 0, complete: true, .. })]),
            "{actions:?}"
        );
    }
    let actions = driver.apply(Event::DemuxFailed { batch: 0, detail: "junk".to_owned(), no_space: false });
    assert!(
        actions
            .iter()
            .any(|action| matches!(action, Action::Demux(DemuxBatch { batch: 1, complete: true, .. }))),
        "{actions:?}"
    );
    assert_eq!(driver.batch(0).state_name(), "skipped");
}

#[test]
fn a_full_disk_costs_a_batch_nothing_but_time() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 8)));
    for _ in 0..5 {
        let full = Event::DemuxFailed { batch: 0, detail: "no space".to_owned(), no_space: true };
        assert_eq!(driver.apply(full), []);
        assert_eq!(driver.ledger.next_deadline(), Some(driver.now.plus_micros(SECOND)));
        assert!(matches!(driver.wait(1)[..], [Action::Demux(DemuxBatch { batch: 0, complete: true, .. })]));
    }
    driver.apply(Event::BatchDemuxed { batch: 0, media: Box::new(media(0, 8)), carry: String::new() });
    driver.processed(0);
    let full = Event::RemuxFailed { batch: 0, rendition: 0, detail: "no space".to_owned(), no_space: true };
    assert_eq!(driver.apply(full), []);
    let again = Action::Remux { batch: 0, rendition: 0, fill: Fill::Processed };
    assert_eq!(driver.wait(1), [again]);
}

#[test]
fn a_source_that_comes_too_late_moves_the_clock_once() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.wait(60);
    let actions = driver.demuxed_batch(1);
    assert!(actions.iter().any(|action| matches!(action, Action::Note(Note::ClockJumped { batch: 1, .. }))));
    assert_eq!(driver.batch(1).air_start(), Some(driver.now.plus_micros(12 * SECOND)));
    driver.demuxed_batch(2);
    assert_eq!(driver.ledger.header().totals.clock_jumps, 1);
}

#[test]
fn a_batch_that_we_fetched_too_late_airs_late_and_the_clock_stays() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    let clock = driver.ledger.header().clock;
    driver.wait(30);
    // The source had gone on meanwhile: 16 s more are listed.
    driver.apply(Event::SegmentStored(StoredSegment { backlog_us: 16 * SECOND, ..segment(2, 8) }));
    let event = Event::BatchDemuxed { batch: 1, media: Box::new(media(8, 8)), carry: String::new() };
    let actions = driver.apply(event);
    assert!(actions.contains(&Action::Remux { batch: 1, rendition: 0, fill: Fill::Original }), "{actions:?}");
    assert_eq!(driver.batch(1).renditions[0].fallback, Some(FallbackReason::TooLate));
    assert_eq!(driver.ledger.header().clock, clock);
    assert_eq!(driver.ledger.header().totals.clock_jumps, 0);
}

#[test]
fn a_source_that_is_always_fetched_too_late_gets_a_later_clock() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    driver.wait(25);
    for batch in 1..=4 {
        let number = batch * 2;
        driver.apply(Event::SegmentStored(StoredSegment { backlog_us: 12 * SECOND, ..segment(number, 8) }));
        let start_s = i64::try_from(batch).unwrap() * 8;
        let media = Box::new(media(start_s, 8));
        driver.apply(Event::BatchDemuxed { batch, media, carry: String::new() });
        driver.now = driver.now.plus_micros(10 * SECOND);
        assert_eq!(driver.ledger.header().totals.clock_jumps, u64::from(batch == 4));
    }
}

#[test]
fn while_we_catch_up_with_the_source_the_clock_stays() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    let clock = driver.ledger.header().clock;
    driver.wait(120);
    for batch in 1..=12 {
        let left_s = 120 - 8 * i64::try_from(batch).unwrap();
        driver.apply(Event::SegmentStored(StoredSegment {
            backlog_us: left_s * SECOND,
            ..segment(batch * 2, 8)
        }));
        let media = Box::new(media(i64::try_from(batch).unwrap() * 8, 8));
        driver.apply(Event::BatchDemuxed { batch, media, carry: String::new() });
    }
    assert_eq!(driver.ledger.header().totals.clock_jumps, 0);
    assert_eq!(driver.ledger.header().clock, clock);
}

#[test]
fn a_replaced_child_is_told_again() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.demuxed_batch(0);
    let link = ChildId::ProcessorLink("main".into());
    assert!(driver.apply(Event::ChildReplaced(link)).contains(&Action::Send { batch: 0, rendition: 0 }));
    driver.processed(0);
    let remuxer = ChildId::Remuxer("main".into());
    let again = Action::Remux { batch: 0, rendition: 0, fill: Fill::Processed };
    assert!(driver.apply(Event::ChildReplaced(remuxer)).contains(&again));
    driver.remuxed(0);
    let publisher = ChildId::Publisher("main/rtmp-0".into());
    assert_eq!(published(&driver.apply(Event::ChildReplaced(publisher))), [(0, 0)]);
}

#[test]
fn what_is_published_leaves_the_disk_when_no_playlist_needs_it() {
    let mut driver = Driver::new(plan(&["main"]));
    let mut cleaned = Vec::new();
    for batch in 0..20 {
        driver.demuxed_batch(batch);
        driver.processed(batch);
        driver.remuxed(batch);
        driver.aired(batch, "main/rtmp-0");
        for action in driver.aired(batch, "hls") {
            if let Action::Clean { batch, segments } = action {
                assert_eq!(segments.len(), 2);
                cleaned.push(batch);
                driver.apply(Event::BatchCleaned { batch });
            }
        }
    }
    // Segments of 8 s make playlists of 48 s, and files stay as long again: the newest 12 batches.
    assert_eq!(cleaned, (0..=6).collect::<Vec<_>>());
}

#[test]
fn the_end_of_the_source_closes_the_batch_and_ends_the_outputs_when_all_has_aired() {
    let mut driver = Driver::new(plan(&["main"]));
    driver.apply(Event::SegmentStored(segment(0, 4)));
    driver.apply(Event::SourceEnded);
    assert!(driver.batch(0).segments[0].is_last, "what ends with it is told so");
    driver.apply(Event::BatchDemuxed { batch: 0, media: Box::new(media(0, 4)), carry: String::new() });
    driver.processed(0);
    driver.remuxed(0);
    driver.aired(0, "hls");
    assert!(driver.aired(0, "main/rtmp-0").contains(&Action::EndOutputs));
}

#[test]
fn a_stopped_run_leaves_no_hole_in_the_numbers() {
    let mut driver = Driver::new(plan(&["main"]));
    for batch in 0..3 {
        driver.demuxed_batch(batch);
        driver.processed(batch);
        driver.remuxed(batch);
    }
    // The first batch has aired, the others have not.
    driver.now = driver.batch(1).air_start().unwrap();
    driver.apply(Event::RunEnded);
    assert_eq!(driver.batch(0).state_name(), "published");
    assert_eq!((driver.batch(1).state_name(), driver.batch(2).state_name()), ("skipped", "skipped"));
    assert_eq!(driver.ledger.header().hls_sequence, 1);
    driver.demuxed_batch(3);
    assert_eq!(driver.batch(3).hls_sequence, 1);
    assert!(driver.batch(3).discontinuity);
    assert_eq!(driver.batch(3).air_start(), Some(driver.now.plus_micros(12 * SECOND)));
}
