//! What listeners hear of a stream, and when.

use serde_json::Value;

use super::*;
use crate::events::Heard;

/// The events that are there by now.
async fn heard(listener: &mut crate::events::Subscription) -> Vec<Value> {
    let mut events = Vec::new();
    while let Ok(heard) = tokio::time::timeout(Duration::from_millis(1), listener.next(None)).await {
        let Heard::Event(event) = heard else { panic!("{heard:?}") };
        events.push(serde_json::from_str(&event.text).unwrap());
    }
    events
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

fn segment(number: u64, duration_us: i64) -> StoredSegment {
    StoredSegment {
        number,
        media_sequence: number,
        path: "no-such-segment.ts".into(),
        bytes: 1_500_000,
        duration_us,
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

#[actix::test]
async fn a_change_of_state_is_told_at_once_and_figures_once_a_second() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, |view| view.state == StreamState::Waiting).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut listener = bench.events.subscribe(None).unwrap();

    within(&stream, |stream, _| {
        stream.condition.source_fault = None;
        stream.condition.source_seen = true;
        stream.condition.links.values_mut().for_each(|link| link.fault = None);
        stream.refresh_condition();
    })
    .await;
    let events = heard(&mut listener).await;
    assert_eq!(of_type(&events, "stream").last().unwrap()["stream"]["state"], "running", "{events:?}");

    for number in 0..20 {
        within(&stream, move |stream, ctx| {
            stream.condition.source_fault = None;
            stream.feed(Event::SegmentStored(segment(number, 250_000)), ctx);
            stream.refresh_condition();
        })
        .await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = heard(&mut listener).await;
    let told = of_type(&events, "stream");
    // Twenty changes of figures within half a second.
    assert!((1..=2).contains(&told.len()), "{told:?}");
    let newest = &told.last().unwrap()["stream"]["source"];
    assert_eq!((&newest["segments"], &newest["bufferDuration"]), (&20.into(), &6.0.into()));

    for number in 20..25 {
        within(&stream, move |stream, ctx| {
            stream.feed(Event::SegmentStored(segment(number, 6_000_000)), ctx);
        })
        .await;
        let events = heard(&mut listener).await;
        assert_eq!(of_type(&events, "batch")[0]["batch"]["state"], "collected", "{events:?}");
        tokio::time::sleep(Duration::from_secs(6)).await;
        heard(&mut listener).await;
    }
}

#[actix::test]
async fn what_has_not_changed_is_not_told_again() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    stream.send(StopRun).await.unwrap().await.unwrap();
    let mut listener = bench.events.subscribe(None).unwrap();
    for _ in 0..10 {
        within(&stream, |stream, _| stream.refresh_condition()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(heard(&mut listener).await.len(), 1);
}
