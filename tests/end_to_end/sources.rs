//! Real media that nobody here made, through the built program: what goes in comes out, or its refusal says why.
//!
//! Each case is served as it lies in the corpus and demuxed by a stream of its own, all at the same time; then the
//! frames and access units of what was made are counted by ffprobe. `OVERDUB_BLESS=1` writes the table into
//! docs/SOURCES.md.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::kit::overdub::Overdub;
use crate::kit::site::{Reply, Site};
use crate::kit::{corpus, folder, free_port, process, root, wait};

/// What all the cases together may take: they are read at the speed of the disk.
const LIMIT: Duration = Duration::from_secs(120);

/// Marks in docs/SOURCES.md around what this test writes.
const MARKS: [&str; 2] = ["<!-- made by tests/end_to_end/sources.rs -->\n", "<!-- end -->"];

/// What must come of a case.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// So many frames of video and access units of audio.
    Frames { video: u64, audio: u64 },
    /// As much sound as the frames of the source hold, in access units of AAC.
    Transcoded { video: u64, source_samples: u64 },
    /// Refused, with these words.
    Refused(&'static str),
}

use Outcome::{Frames, Refused, Transcoded};

struct Case {
    name: &'static str,
    playlist: &'static str,
    what: &'static str,
    outcome: Outcome,
}

const fn case(name: &'static str, playlist: &'static str, what: &'static str, outcome: Outcome) -> Case {
    Case { name, playlist, what, outcome }
}

const fn frames(video: u64, audio: u64) -> Outcome {
    Frames { video, audio }
}

/// Counts are the corpus's own (`MANIFEST.md`).
const CASES: [Case; 18] = [
    case("ts-avc-aac-vod", "playlist.m3u8", "TS, H.264 + AAC", frames(432, 843)),
    case("ts-bframes-discontinuity", "playlist-video.m3u8", "TS, times that jump back", frames(205, 394)),
    case(
        "ts-byterange-id3-cea608-bframes",
        "master.m3u8",
        "TS in byte ranges, ID3, captions",
        frames(1794, 1289),
    ),
    case(
        "ts-alt-audio-renditions",
        "master.m3u8",
        "TS, audio in a playlist of its own that begins 67 ms before the pictures",
        frames(120, 174),
    ),
    case("ts-hevc-aac-portrait", "media.m3u8", "TS, H.265, an unmarked jump back", frames(600, 860)),
    case("aes128-ts", "playlist.m3u8", "TS, AES-128 with derived IVs", frames(5, 7)),
    case("ts-gap", "playlist.m3u8", "TS, EXT-X-GAP, video only", frames(1440, 0)),
    case("ts-aac-audio-only", "playlist.m3u8", "TS, audio only", frames(0, 1488)),
    case("fmp4-muxed", "hls.m3u8", "fMP4, both tracks in one file", frames(60, 47)),
    case("fmp4-demuxed-train", "master.m3u8", "fMP4, audio in a playlist of its own", frames(300, 470)),
    case("fmp4-short-segments", "playlist.m3u8", "fMP4, segments of 0.25 s", frames(90, 131)),
    case("fmp4-daterange-video-only", "main.m3u8", "fMP4, video only", frames(500, 0)),
    case("packed-aac-id3", "manifest.m3u8", "packed AAC", frames(0, 861)),
    case("packed-mp3", "playlist.m3u8", "packed MP3", Transcoded { video: 0, source_samples: 1532 * 1152 }),
    case(
        "ts-eac3-audio-only",
        "playlist.m3u8",
        "TS, E-AC-3 5.1",
        Transcoded { video: 0, source_samples: 375 * 1536 },
    ),
    case("ts-opus", "playlist.m3u8", "TS, Opus", Transcoded { video: 83, source_samples: 166 * 2880 }),
    case("sample-aes-ctr-byterange", "index.m3u8", "SAMPLE-AES-CTR", Refused("METHOD=SAMPLE-AES-CTR")),
    case("ts-mpts-scrambled", "playlist.m3u8", "TS, scrambled programs", Refused("the program is scrambled")),
];

#[tokio::test(flavor = "multi_thread")]
async fn real_sources_come_out_whole_or_are_refused_by_name() {
    let Some(corpus) = corpus() else { return };
    let folder = folder();
    let served = corpus.clone();
    let site = Site::start(move |path| match path {
        // The corpus has the file alone.
        "/ts-mpts-scrambled/playlist.m3u8" => {
            let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\ntest-101.ts\n#EXT-X-ENDLIST\n";
            Reply::Whole(200, "application/vnd.apple.mpegurl", text.into())
        }
        path => Reply::file(&served, path),
    })
    .await;
    let mut overdub =
        Overdub::start_with(folder.path(), &[("OVERDUB__STORAGE__AUTO_CLEANUP", "false")]).await.unwrap();
    let processor = format!("ws://127.0.0.1:{}", free_port());
    for case in &CASES {
        overdub
            .create(&json!({
                "streamId": case.name, "sourceUrl": site.url(&format!("/{}/{}", case.name, case.playlist)),
                "bufferDuration": 4, "delay": 1, "start": "window", "srsRtmpUrl": null,
                "audioProcessorUrl": processor,
            }))
            .await;
    }
    let mut table = String::from(
        "| case | what it is | frames in | frames out | access units in | out | lost segments | reason |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut wrong = String::new();
    for case in &CASES {
        let stream = overdub.stream_until(case.name, "all of it is read", LIMIT, settled).await;
        wait::until("all batches are demuxed", LIMIT, async || {
            let batches = overdub.batches(case.name).await;
            batches.iter().all(|batch| batch["state"] != "collected").then_some(())
        })
        .await;
        let batches = overdub.batches(case.name).await;
        let (video, audio) = (
            count(&overdub.storage, case.name, &batches, "video.fmp4").await,
            count(&overdub.storage, case.name, &batches, "audio.fmp4").await,
        );
        let reason = said(&stream, &batches);
        if let Some(problem) = judge(&case.outcome, video, audio, &reason) {
            let _ = writeln!(wrong, "{}: {problem}; it says: {reason}", case.name);
        }
        let (video_in, audio_in) = match case.outcome {
            Frames { video, audio, .. } => (video.to_string(), audio.to_string()),
            Transcoded { video, source_samples } => {
                (video.to_string(), format!("{} of AAC", source_samples.div_ceil(1024)))
            }
            Refused(_) => ("-".to_owned(), "-".to_owned()),
        };
        let lost = &stream["source"]["lostSegments"];
        let shown = if matches!(case.outcome, Refused(_)) { reason } else { String::new() };
        let _ = writeln!(
            table,
            "| {} | {} | {video_in} | {video} | {audio_in} | {audio} | {lost} | {shown} |",
            case.name, case.what
        );
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{wrong}\n{table}");
    assert!(overdub.process.running());
    assert!(!overdub.process.log().contains("panicked"));
    if std::env::var_os("OVERDUB_BLESS").is_some() {
        let path = root().join("docs/SOURCES.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(MARKS[0]).unwrap();
        let (_, after) = rest.split_once(MARKS[1]).unwrap();
        std::fs::write(&path, [before, MARKS[0], &table, MARKS[1], after].concat()).unwrap();
    }
}

/// Whether the fetcher has had all of the source.
fn settled(stream: &Value) -> bool {
    let fetcher = stream["actors"].as_array().into_iter().flatten().find(|actor| actor["name"] == "fetcher");
    fetcher.is_some_and(|fetcher| fetcher["running"] == false)
        && stream["source"]["accumulatedDuration"] == 0.0
}

/// What a stream says about what is wrong, or was.
fn said(stream: &Value, batches: &[Value]) -> String {
    let mut words = vec![&stream["reason"], &stream["lastError"]["message"]];
    words.extend(batches.iter().map(|batch| &batch["reason"]));
    let mut said: Vec<&str> = words.into_iter().filter_map(Value::as_str).collect();
    said.dedup();
    said.join(" / ").replace('|', "/")
}

fn judge(outcome: &Outcome, video: u64, audio: u64, reason: &str) -> Option<String> {
    match *outcome {
        Frames { video: v, audio: a } => {
            let good = (video, audio) == (v, a);
            (!good).then(|| format!("{video} frames of {v}, {audio} access units of {a}"))
        }
        Transcoded { video: v, source_samples } => {
            let wanted = source_samples.div_ceil(1024);
            let good = (video, audio) == (v, wanted);
            (!good).then(|| format!("{video} frames of {v}, {audio} access units of {wanted}"))
        }
        Refused(words) => {
            let good = video + audio == 0 && reason.contains(words);
            (!good).then(|| format!("{video} frames and {audio} access units, and not \"{words}\""))
        }
    }
}

/// Packets of one file of all batches.
async fn count(storage: &Path, stream: &str, batches: &[Value], file: &str) -> u64 {
    let mut sum = 0;
    for batch in batches {
        let folder = format!("processed_fragments/{stream}/batch-{}", batch["batch"]);
        let path = storage.join(folder).join(file);
        if !path.exists() {
            continue;
        }
        let counted = process::output(
            Command::new("ffprobe")
                .args(["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets"])
                .args(["-of", "csv=p=0"])
                .arg(&path),
        )
        .await
        .unwrap();
        let text = String::from_utf8_lossy(&counted).into_owned();
        sum += text.trim().trim_end_matches(',').parse::<u64>().unwrap_or(0);
    }
    sum
}
