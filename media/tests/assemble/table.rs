//! Every case of the corpus, counted. `OVERDUB_BLESS=1` writes the table into docs/SOURCES.md.

use std::fmt::Write;

use overdub_media::assemble::{EventKind, Take};

use crate::cases::CASES;
use crate::sources::{Outcome, ranges, run, ts};

/// Marks in docs/SOURCES.md around what this test writes.
const MARKS: [&str; 2] = ["<!-- made by media/tests/assemble/table.rs -->\n", "<!-- end -->"];

/// The same samples, whatever the batches.
fn assert_same(one: &Outcome, other: &Outcome, name: &str) {
    let video = |out: &Outcome| {
        out.video.iter().map(|s| (s.dts_90k, s.pts_90k, s.sync, s.nals.clone())).collect::<Vec<_>>()
    };
    let audio = |out: &Outcome| out.audio.iter().map(|s| (s.time, s.data.clone())).collect::<Vec<_>>();
    assert!(video(one) == video(other), "{name}: the same pictures at the same times in other batches");
    assert!(audio(one) == audio(other), "{name}: the same audio at the same times in other batches");
}

#[test]
fn every_case_of_the_corpus_ends_as_its_manifest_says() {
    let mut table = "| case | what it is | in (video, audio) | out (video, audio) | holes | why |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let mut wrong = Vec::new();
    for case in CASES {
        let Some(steps) = (case.steps)() else { return };
        let out = run(&steps, usize::MAX);
        let audio = out.audio.len() + out.foreign_frames() as usize;
        let (expected, why) = case.lost.unwrap_or((case.frames, ""));
        let said = out.errors.join("; ");
        let explained = case.lost.is_none() || expected != [0, 0] || said.contains(why);
        if [out.video.len(), audio] != expected || out.holes() != case.holes || !explained {
            wrong.push(format!(
                "{}: {} and {audio} with {} holes, {expected:?} with {} expected; {:?}; {said}",
                case.name,
                out.video.len(),
                out.holes(),
                case.holes,
                out.counters.to_vec(),
            ));
        }
        let reason = if expected == [0, 0] { &said } else { why };
        writeln!(
            table,
            "| {} | {} | {}, {} | {}, {audio} | {} | {reason} |",
            case.name,
            case.what,
            case.frames[0],
            case.frames[1],
            out.video.len(),
            out.holes(),
        )
        .unwrap();
        if out.foreign.is_empty() && out.errors.is_empty() {
            assert_same(&out, &run(&steps, 1), case.name);
        }
    }
    println!("{table}");
    if std::env::var_os("OVERDUB_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SOURCES.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once(MARKS[0]).unwrap();
        let (_, after) = rest.split_once(MARKS[1]).unwrap();
        std::fs::write(path, [before, MARKS[0], &table, MARKS[1], after].concat()).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_rides_along_is_given_out_with_its_time() {
    let Some(steps) = ts("ts-scte35-80s", &["80s_with_ad.ts"]) else { return };
    let out = run(&steps, usize::MAX);
    let cues = out.events.iter().filter(|event| matches!(event.kind, EventKind::Scte35(_)));
    let times: Vec<i64> = cues.map(|event| event.time_90k).collect();
    assert!(!times.is_empty());
    let (first, last) = (out.video[0].dts_90k, out.video.last().unwrap().dts_90k);
    assert!(times.iter().all(|time| (first..=last + 90_000).contains(time)), "{times:?}");
    let Some(steps) = ranges("ts-byterange-id3-cea608-bframes", "video.m3u8", Take::All) else { return };
    let out = run(&steps, 2);
    let tags: Vec<i64> = out
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Id3(tag) => Some(tag).filter(|tag| tag.starts_with(b"ID3")).map(|_| event.time_90k),
            _ => None,
        })
        .collect();
    assert!(tags.len() > 1 && tags.is_sorted(), "{tags:?}");
}
