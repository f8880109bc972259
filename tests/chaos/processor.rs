//! Processors that die, or answer what nobody asked for.

use serde_json::{Value, json};

use crate::kit::content::same_slots;
use crate::kit::hls::Watch;
use crate::kit::live::LiveSource;
use crate::kit::processor::EchoProcessor;
use crate::kit::time::unix_micros;
use crate::kit::{free_port, wait};
use crate::scene::{LIMIT, STALL_S, Scene, assert_alive, listed, now_us, outage, processed_name};
use crate::table::{Row, lasting};

/// Waits until batch `number` has been listed whole.
async fn aired(scene: &Scene, id: &str, number: u64) {
    wait::until(&format!("batch {number} has aired"), LIMIT, async || {
        let batches = scene.overdub.batches(id).await;
        batches
            .iter()
            .any(|batch| {
                batch["batch"] == number
                    && ["published", "cleaned"].contains(&batch["state"].as_str().unwrap_or_default())
            })
            .then_some(())
    })
    .await;
}

/// Whether a batch aired with the fallback, by its records.
fn fell_back(batch: &Value) -> bool {
    batch["renditions"][0]["fallbackReason"].is_string()
}

/// Batches whose records and sound agree: original sound where the fallback is recorded, processed elsewhere.
/// Gives how many of each.
fn judge_sound(scene: &Scene, source: &LiveSource, watch: &Watch, batches: &[Value]) -> (usize, usize) {
    let processed = scene.shown(source, watch, &processed_name(watch));
    let (mut originals, mut others) = (0, 0);
    for segment in &processed {
        let content = segment.content.expect("dates are listed") as u64;
        let of_segment = |batch: &&Value| {
            batch["firstSegment"].as_u64() <= Some(content) && Some(content) <= batch["lastSegment"].as_u64()
        };
        let Some(batch) = batches.iter().find(of_segment) else { continue };
        let known = segment.numbers.iter().filter(|number| number.is_some()).count();
        if fell_back(batch) {
            assert_eq!(known, segment.numbers.len(), "{content} is not the original's sound: {batch:#}");
            originals += 1;
        } else {
            assert!(known * 10 < segment.numbers.len(), "{content} is not processed: {batch:#}");
            others += 1;
        }
    }
    (originals, others)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_is_killed_costs_its_batches_the_processed_audio_and_nothing_else() {
    let time = lasting(12, 40);
    let mut row = Row::new(
        10,
        format!("processor killed for {} s", time.as_secs()),
        "0 s stall; batches past their deadline carry the original audio, counted with the reason; processed \
         audio again within one batch of its return",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(6).await.unwrap();
    let port = free_port();
    let script = json!({"*": [{"as": "quieter"}]});
    let processor = EchoProcessor::scripted(scene.folder.path(), &script, port).await.unwrap();
    let watch = scene.stream("s", &source, json!({"delay": 4, "audioProcessorUrl": processor.url()})).await;
    listed(&watch, 3).await;
    processor.kill().await;
    let killed_us = now_us();
    outage(&source, time).await;
    let _processor = EchoProcessor::scripted(scene.folder.path(), &script, port).await.unwrap();
    let returned_us = now_us();
    let again = wait::until("a batch is processed again", LIMIT, async || {
        let batches = scene.overdub.batches("s").await;
        batches.into_iter().find(|batch| {
            let processed = batch["renditions"][0]["times"]["processed"].as_str();
            processed.is_some_and(|at| unix_micros(at) > returned_us) && !fell_back(batch)
        })
    })
    .await;
    aired(&scene, "s", again["batch"].as_u64().unwrap() + 2).await;

    let found = scene.continuity(&source, &watch);
    let batches = scene.overdub.batches("s").await;
    let (originals, processed) = judge_sound(&scene, &source, &watch, &batches);
    let slots = same_slots(
        &scene.shown(&source, &watch, "Original"),
        &scene.shown(&source, &watch, &processed_name(&watch)),
    )
    .unwrap();
    let reasons: Vec<&str> =
        batches.iter().filter_map(|batch| batch["renditions"][0]["fallbackReason"].as_str()).collect();
    // Batches that came to be after its return and still fell back.
    let collected = |batch: &Value| unix_micros(batch["times"]["collected"].as_str().unwrap());
    let missed = batches.iter().filter(|batch| collected(batch) > returned_us && fell_back(batch)).count();
    let again_s = (unix_micros(again["renditions"][0]["times"]["processed"].as_str().unwrap()) - returned_us)
        as f64
        / 1e6;
    row.measured(format!("stall {:.2} s over {} segments", found.stall_s, found.segments));
    row.measured(format!(
        "{originals} segments with original, {processed} with processed audio, {slots} slots exact"
    ));
    row.measured(format!("processed again {again_s:.1} s after its return, {missed} newer batches missed"));
    assert_eq!(found.gaps, [], "{found:?}");
    assert!(found.stall_s < STALL_S, "{found:?}");
    let least = ((returned_us - killed_us) / 2_000_000) as usize - 3;
    assert!(reasons.len() >= least, "at least {least} fallbacks: {reasons:?}");
    let of_death = |reason: &&str| reason.contains("connected") || reason.contains("did not answer");
    assert!(reasons.iter().all(|reason| of_death(&reason)), "{reasons:?}");
    let shown = scene.overdub.stream("s").await;
    assert_eq!(shown["renditions"][0]["fallbacks"].as_u64(), Some(reasons.len() as u64), "{shown:#}");
    assert_eq!(scene.metric("overdub_fallbacks_total", &["stream=\"s\""]).await as usize, reasons.len());
    assert!(missed <= 1, "{missed} batches collected after the return fell back: {batches:#?}");
    assert_alive(&mut scene.overdub);
    row.held();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_processor_answers_order_is_kept_and_each_case_is_counted_under_its_own_reason() {
    let mut row = Row::new(
        20,
        "processor answers late, out of order, twice, for an unknown batch, with an error, garbage, or never",
        "order kept; late kept on disk and not aired; each case counted under its own reason",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(6).await.unwrap();
    let quieter = |after_ms: u64| json!({"as": "quieter", "after_ms": after_ms});
    let script = json!({
        "1": [quieter(9000)],                       // late
        "2": [quieter(3000)], "3": [quieter(0)],    // out of order
        "4": [quieter(0), quieter(500)],            // twice
        "5": [{"do": "unknown"}, quieter(300)],
        "6": [{"do": "error"}],
        "7": [{"do": "garbage"}],
        "8": [{"do": "never"}],
        "9": [{"do": "disconnect"}],
        "*": [quieter(0)],
    });
    let processor = EchoProcessor::scripted(scene.folder.path(), &script, 0).await.unwrap();
    let with = json!({"delay": 6, "audioProcessorUrl": processor.url(), "maxConcurrentBatches": 8});
    let watch = scene.stream("s", &source, with).await;
    let late = wait::until("the late reply is recorded", LIMIT, async || {
        let batches = scene.overdub.batches("s").await;
        batches
            .into_iter()
            .find(|batch| batch["batch"] == 1 && batch["renditions"][0]["times"]["late"].is_string())
    })
    .await;
    let kept = scene.folder.path().join("storage/processed_fragments/s/batch-1/processed_audio.fmp4");
    assert!(
        std::fs::metadata(&kept).is_ok_and(|file| file.len() > 0),
        "the late reply is not on disk: {late:#}"
    );
    aired(&scene, "s", 11).await;

    let found = scene.continuity(&source, &watch);
    let batches = scene.overdub.batches("s").await;
    let (originals, processed) = judge_sound(&scene, &source, &watch, &batches);
    let slots = same_slots(
        &scene.shown(&source, &watch, "Original"),
        &scene.shown(&source, &watch, &processed_name(&watch)),
    )
    .unwrap();
    let counted = async |name: &str, label: &str| scene.metric(name, &["stream=\"s\"", label]).await;
    let strays = [
        ("late", counted("overdub_stray_replies_total", "\"late\"").await),
        ("duplicate", counted("overdub_stray_replies_total", "\"duplicate\"").await),
        ("unmatched", counted("overdub_stray_replies_total", "\"unmatched\"").await),
        ("processor_error", counted("overdub_fallbacks_total", "\"processor_error\"").await),
        ("not_audio", counted("overdub_fallbacks_total", "\"not_audio\"").await),
        ("no_reply", counted("overdub_fallbacks_total", "\"no_reply\"").await),
    ];
    row.measured(format!(
        "stall {:.2} s over {} segments, {slots} slots exact",
        found.stall_s, found.segments
    ));
    row.measured(format!("{originals} segments with original, {processed} with processed audio"));
    row.measured(strays.map(|(name, count)| format!("{name} {count}")).join(", "));
    assert_eq!(found.gaps, [], "{found:?}");
    assert!(found.stall_s < STALL_S, "{found:?}");
    let by_number = |number: u64| batches.iter().find(|batch| batch["batch"] == number).unwrap();
    for number in [2, 3, 4, 5, 10, 11] {
        assert!(!fell_back(by_number(number)), "{number}: {:#}", by_number(number));
    }
    for (number, words) in [(1, "did not answer"), (6, "no model"), (7, "audio"), (8, "did not answer")] {
        let reason = by_number(number)["renditions"][0]["fallbackReason"].as_str().unwrap_or_default();
        assert!(reason.contains(words), "{number}: '{reason}' does not say '{words}'");
    }
    // The one that was dropped with the connection is sent again and answered by a hang-up each time.
    assert!(fell_back(by_number(9)) || by_number(9)["renditions"][0]["times"]["processed"].is_string());
    // Late, twice, never, error and garbage, once each; the disconnect has its batch fall back as unanswered.
    assert_eq!(strays.map(|(_, count)| count >= 1.0), [true; 6], "{strays:?}");
    assert_eq!((strays[0].1, strays[1].1, strays[3].1, strays[4].1), (1.0, 1.0, 1.0, 1.0), "{strays:?}");
    let shown = scene.overdub.stream("s").await;
    assert_eq!(shown["renditions"][0]["late"], 1, "{shown:#}");
    assert_alive(&mut scene.overdub);
    drop(processor);
    row.held();
}
