//! Other settings for a stream that runs, and for one that does not.

use super::every_child::all_six_run;
use super::*;
use crate::clock;
use crate::ledger::Note;
use crate::settings::{Fallback, RenditionChange, SettingsChange, SourceChange};

async fn change(stream: &Addr<StreamSupervisor>, change: SettingsChange) -> Result<Vec<String>, String> {
    match stream.send(ChangeRun { change }).await.unwrap() {
        Ok(found) => Ok(found.into_iter().map(|difference| difference.field).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn live() -> SettingsChange {
    SettingsChange {
        max_concurrent_batches: Some(7),
        source: SourceChange {
            headers: [("X-Key".to_owned(), Some("new".to_owned()))].into(),
            ..SourceChange::default()
        },
        fallback: Some(Fallback::Silence),
        renditions: vec![RenditionChange {
            audio_processor_url: Some("ws://127.0.0.1:2".to_owned()),
            ..RenditionChange::default()
        }],
        ..SettingsChange::default()
    }
}

#[actix::test]
async fn a_run_goes_on_under_settings_that_it_can_follow_and_its_other_children_do_not_notice() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    let changed = change(&stream, live()).await.unwrap();
    assert_eq!(
        changed,
        [
            "maxConcurrentBatches",
            "sourceHeaders",
            "renditions[main].audioProcessorUrl",
            "renditions[main].fallback"
        ]
    );
    wait_for(&stream, all_run).await;
    within(&stream, |stream, _| {
        let plan = stream.ledger.plan();
        assert_eq!((plan.max_concurrent_batches, plan.renditions[0].fallback), (7, Fallback::Silence));
        for (child, vitals) in &stream.children.vitals {
            let replaced = matches!(child, ChildId::ProcessorLink(_) | ChildId::Fetcher);
            assert_eq!(vitals.generation > 1, replaced, "{}", child.name());
            assert_eq!(vitals.restarts, 0, "a change is no fault");
        }
    })
    .await;
    let (stored, _) = bench.store.streams().unwrap();
    assert_eq!(stored[0].settings.renditions[0].audio_processor_url, "ws://127.0.0.1:2");
    assert!(stored[0].desired_running);
}

#[actix::test]
async fn what_a_run_cannot_follow_is_named_and_nothing_changes_until_it_is_over() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    let wanted = || SettingsChange { delay: Some(20.0), hls_output: Some(true), ..live() };
    let refused = change(&stream, wanted()).await.unwrap_err();
    assert!(refused.contains("a change of delay;"), "{refused}");
    assert_eq!(view(&stream).await.settings.max_concurrent_batches, 2);
    stream.send(StopRun).await.unwrap().await.unwrap();
    assert_eq!(change(&stream, wanted()).await.unwrap().len(), 5);
    stream.send(StartRun { settings: None }).await.unwrap().unwrap();
    wait_for(&stream, all_run).await;
    within(&stream, |stream, _| assert_eq!(stream.ledger.plan().delay_us, 20_000_000)).await;
}

#[actix::test]
async fn gaps_are_counted_once_and_shown_alike_in_every_place() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    let counted = || bench.metrics.gaps.with_label_values(&["one"]).get();
    within(&stream, |stream, ctx| {
        for media_sequence in 0..2 {
            stream.feed(Event::SegmentLost { media_sequence, duration_us: 6_000_000 }, ctx);
        }
        stream.refresh_condition();
    })
    .await;
    assert_eq!(
        (counted(), view(&stream).await.source.gaps),
        (1, 1),
        "two lost segments in a row are one gap"
    );
    // Another process counts from the same number on; so does a run whose series are made anew.
    bench.metrics.forget("one");
    within(&stream, |stream, _| {
        stream.metrics.begin_anew();
        stream.refresh_condition();
    })
    .await;
    assert_eq!(counted(), 1);
}

#[actix::test]
async fn renditions_and_outputs_that_are_no_longer_there_are_forgotten() {
    tokio::time::pause();
    let registry = prometheus::Registry::new();
    let bench = Bench { metrics: Metrics::new(&registry).unwrap(), ..Bench::new() };
    let url = "rtmp://127.0.0.1:1/live/one".to_owned();
    let stream = bench.stream_with("one", vec![OutputSettings::rtmp(url)]);
    wait_for(&stream, all_six_run).await;
    within(&stream, |stream, ctx| {
        let main: Arc<str> = "main".into();
        let note = Note::Processed { batch: 0, rendition: main.clone() };
        stream.shown.noted(&note, clock::now());
        stream.metrics.processed(&main);
        let (mut header, plan) = (stream.ledger.header().clone(), stream.ledger.plan().clone());
        header.totals.renditions.entry(main).or_default().processed = 1;
        header.totals.outputs.entry(HLS_OUTPUT.into()).or_default().published = 1;
        stream.ledger = Ledger::new(plan, header, Vec::new());
        stream.feed(Event::TimePassed, ctx);
    })
    .await;
    let series = |label: &str| {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        text.lines().filter(|line| line.contains(label)).count()
    };
    assert!(series("rendition=\"main\"") > 0 && series("output=\"hls\"") > 0);
    stream.send(StopRun).await.unwrap().await.unwrap();

    // Without HLS, by a change; with another rendition, by a start.
    let without_hls = SettingsChange { hls_output: Some(false), ..SettingsChange::default() };
    assert_eq!(change(&stream, without_hls).await.unwrap(), ["hlsOutput"]);
    assert_eq!(series("output=\"hls\""), 0);
    let mut settings = bench.store.streams().unwrap().0[0].settings.clone();
    settings.renditions[0].name = "de".to_owned();
    stream.send(StartRun { settings: Some(settings) }).await.unwrap().unwrap();
    wait_for(&stream, |view| view.actors.len() == 5 && view.actors.iter().all(|actor| actor.running)).await;
    assert_eq!((series("rendition=\"main\""), series("output=\"hls\"")), (0, 0));
    assert!(series("rendition=\"de\"") > 0);
    within(&stream, |stream, _| {
        let totals = &stream.ledger.header().totals;
        assert_eq!((totals.renditions.get("main"), totals.outputs.get("hls")), (None, None));
        let shown = stream.shown.history("main", clock::now());
        assert_eq!(shown.batches.iter().sum::<u32>(), 0);
    })
    .await;
}
