//! Other settings for a stream that runs, and for one that does not.

use super::*;
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
