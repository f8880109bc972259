//! What a stream's state and reason say of its source's media.

use super::super::media::MediaNote;
use super::*;
use crate::messages::BatchMedia;

#[actix::test]
async fn a_source_of_which_nothing_aired_does_not_end_as_if_all_had() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    within(&stream, |stream, _| {
        stream.lifecycle = Lifecycle::Ended;
        let reasons = [(0, 0), (2, 0), (2, 1)].map(|(skipped, published)| {
            let (mut header, plan) = (stream.ledger.header().clone(), stream.ledger.plan().clone());
            header.totals.skipped_batches = skipped;
            header.totals.outputs.entry(HLS_OUTPUT.into()).or_default().published = published;
            stream.ledger = Ledger::new(plan, header, Vec::new());
            stream.refresh_condition();
            stream.condition.reason.clone().unwrap()
        });
        let all = "the source has ended and all has aired";
        assert_eq!(reasons, [all, "the source has ended, and none of its 2 batches could be aired", all]);
    })
    .await;
}

#[actix::test]
async fn a_track_that_is_left_out_is_a_degradation_with_its_reason() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    within(&stream, |stream, _| {
        stream.condition.source_seen = true;
        stream.refresh_condition();
        assert!(!stream.condition.reason.as_ref().is_some_and(|reason| reason.contains("left out")));
        stream.condition.media = Some(MediaNote::of(&without_tracks(), &[("audio_left_out", 1)]));
        stream.refresh_condition();
        assert_eq!(stream.condition.state, StreamState::Degraded);
        let reason = stream.condition.reason.as_ref().unwrap();
        assert!(reason.contains("source's audio is left out: its codec"), "{reason}");
    })
    .await;
}

fn without_tracks() -> BatchMedia {
    BatchMedia {
        epoch: 0,
        discontinuity: false,
        start_90k: 0,
        end_90k: 0,
        video: None,
        audio: None,
        program_date_time: None,
        date_ranges: Vec::new(),
    }
}
