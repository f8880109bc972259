//! Processors that die, or answer what nobody asked for.

use serde_json::{Value, json};

use crate::kit::content::same_slots;
use crate::kit::hls::Watch;
use crate::kit::live::LiveSource;
use crate::kit::process::output;
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
    // What came to be after the death, and was due before the return, nobody can have processed.
    let lost = |batch: &&Value| {
        collected(batch) > killed_us && unix_micros(batch["deadline"].as_str().unwrap()) < returned_us
    };
    let lost: Vec<&Value> = batches.iter().filter(lost).collect();
    assert!(!lost.is_empty() && lost.iter().all(|batch| fell_back(batch)), "{lost:#?}");
    row.measured(format!("{} batches lost their processor, {} fell back", lost.len(), reasons.len()));
    // What was sent again after the return may be answered right before its slot airs, too late to be fitted.
    let of_death = |reason: &&str| {
        ["connected", "did not answer", "until the slot airs"].iter().any(|words| reason.contains(words))
    };
    assert!(reasons.iter().all(of_death), "{reasons:?}");
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
        "1": [quieter(12000)],                      // late
        "2": [quieter(3000)], "3": [quieter(0)],    // out of order
        "4": [quieter(0), quieter(500)],            // twice
        "5": [{"do": "unknown"}, quieter(300)],
        "6": [{"do": "error"}],
        "7": [{"do": "garbage"}],
        "8": [{"do": "never"}],
        "9": [{"do": "disconnect", "as": "quieter"}],
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
    // Batch 9 was with the processor when it hung up, and is sent again.
    for number in [2, 3, 4, 5, 9, 10, 11] {
        assert!(!fell_back(by_number(number)), "{number}: {:#}", by_number(number));
    }
    for (number, words) in [(1, "did not answer"), (6, "no model"), (7, "audio"), (8, "did not answer")] {
        let reason = by_number(number)["renditions"][0]["fallbackReason"].as_str().unwrap_or_default();
        assert!(reason.contains(words), "{number}: '{reason}' does not say '{words}'");
    }
    // The late one fell back as unanswered, as the one did that was never answered.
    assert_eq!(strays.map(|(_, count)| count), [1.0, 1.0, 1.0, 1.0, 1.0, 2.0], "{strays:?}");
    let shown = scene.overdub.stream("s").await;
    assert_eq!(shown["renditions"][0]["late"], 1, "{shown:#}");
    assert_alive(&mut scene.overdub);
    drop(processor);
    row.held();
}

/// Mono at 8 kHz.
async fn decoded(scene: &Scene, watch: &Watch, name: &str) -> Vec<f32> {
    let file = watch.recorded(name).write(&scene.folder.path().join(format!("{name}.mp4"))).unwrap();
    let bytes = output(
        tokio::process::Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(["-ac", "1", "-ar", "8000", "-f", "f32le", "-"]),
    )
    .await
    .unwrap();
    bytes.as_chunks::<4>().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

/// By how many samples (at most 50 ms) `two` comes after `one`, by the best correlation.
fn shift(one: &[f32], two: &[f32]) -> i32 {
    const MOST: i32 = 400;
    let edge = MOST as usize;
    let body = &one[edge..one.len() - edge];
    let alike = |lag: i32| {
        let other = &two[(MOST + lag) as usize..];
        body.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>()
    };
    (-MOST..=MOST).max_by(|a, b| alike(*a).total_cmp(&alike(*b))).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_of_any_format_and_length_fills_its_slot_to_the_frame_and_shifts_nothing() {
    let mut row = Row::new(
        30,
        "processor returns mono 44.1 kHz AAC, WAV, MP3, Opus, FLAC, or audio 3 s short or long",
        "slot filled to the exact frame; sync shift 0 before and after; the difference shown per batch",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(8).await.unwrap();
    let formats = ["mono", "wav", "mp3", "opus", "flac"];
    let lengths = ["short", "long"];
    let mut stages = Vec::new();
    for (id, buffer_s, forms) in [("formats", 2, &formats[..]), ("lengths", 4, &lengths[..])] {
        let mut script = json!({});
        for (index, form) in forms.iter().enumerate() {
            script[(2 * index + 1).to_string()] = json!([{"as": form}]);
        }
        let processor = EchoProcessor::scripted(scene.folder.path(), &script, 0).await.unwrap();
        let with = json!({"delay": 5, "bufferDuration": buffer_s, "audioProcessorUrl": processor.url()});
        stages.push((id, buffer_s, forms, scene.stream(id, &source, with).await, processor));
    }
    for (id, buffer_s, forms, watch, _processor) in &stages {
        let last = 2 * forms.len() as u64;
        aired(&scene, id, last).await;
        let batches = scene.overdub.batches(id).await;
        let name = processed_name(watch);
        let end = batches.iter().find(|batch| batch["batch"] == last).unwrap()["lastSegment"].as_i64();
        wait::until("the watch has seen the last batch", LIMIT, async || {
            let seen =
                |name: &str| scene.shown(&source, watch, name).iter().any(|shown| shown.content >= end);
            (seen("Original") && seen(&name)).then_some(())
        })
        .await;
        let found = scene.continuity(&source, watch);
        let segments = scene.shown(&source, watch, "Original");
        let slots = same_slots(&segments, &scene.shown(&source, watch, &name)).unwrap();
        assert_eq!(found.gaps, [], "{id}: {found:?}");
        let (one, two) = (decoded(&scene, watch, "Original").await, decoded(&scene, watch, &name).await);
        let at = |content: i64| {
            let segment = segments.iter().find(|segment| segment.content >= Some(content)).unwrap();
            ((segment.time.0 - segments[0].time.0) * 8000 / segment.per_second) as usize
        };
        for batch in batches.iter().filter(|batch| batch["batch"].as_u64() <= Some(last)) {
            let number = batch["batch"].as_u64().unwrap() as usize;
            let form = if number % 2 == 1 { forms[number / 2] } else { "echo" };
            let rendition = &batch["renditions"][0];
            assert!(!fell_back(batch), "{id} {form}: {batch:#}");
            let fit = &rendition["fit"];
            let difference = fit["receivedSamples"].as_i64().unwrap() - fit["slotSamples"].as_i64().unwrap();
            let due = [("short", -144_000), ("long", 144_000)].iter().find(|(name, _)| *name == form);
            let due = due.map_or(0, |(_, due)| *due);
            let start = at(batch["firstSegment"].as_i64().unwrap());
            let seconds = if form == "short" { 1 } else { *buffer_s };
            let end = (start + seconds * 8000).min(one.len()).min(two.len());
            let off = shift(&one[start..end], &two[start..end]);
            if form != "echo" {
                row.measured(format!("{form}: shift {:.3} ms, {difference:+} samples", f64::from(off) / 8.0));
            }
            // An AAC encoder ends with a whole access unit, of 1024 samples at its own rate.
            assert!((difference - due).abs() <= 2 * 1115, "{id} {form}: {batch:#}");
            // Coding adds noise: a sample at 8 kHz is what correlation can tell.
            assert!(off.abs() <= 1, "{id} {form} is shifted by {off} samples of 8 kHz: {batch:#}");
        }
        row.measured(format!("{id}: {slots} slots exact, stall {:.2} s", found.stall_s));
        assert!(found.stall_s < STALL_S, "{id}: {found:?}");
    }
    assert_alive(&mut scene.overdub);
    row.held();
}
