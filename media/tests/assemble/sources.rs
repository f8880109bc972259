//! Sources of any kind as the demuxer reads them: probed, foreign audio first, then batches.

use bytes::Bytes;
use overdub_media::assemble::{Assembler, Carry, Event, Input, ProbedAudio, Take, probe};
use overdub_media::counters::Counters;
use overdub_media::foreign::{ForeignReader, Transcode};
use overdub_media::sample::{AudioConfig, AudioSample, VideoConfig, VideoSample};

use crate::support::{Batch, check_invariants, corpus, read};

/// A segment with its init section, and which of its tracks to take.
#[derive(Clone)]
pub struct Piece {
    pub data: Bytes,
    pub init: Option<Bytes>,
    pub take: Take,
}

/// What is pushed before cuts are taken.
pub type Step = Vec<Piece>;

/// What came out of all batches.
#[derive(Default)]
pub struct Outcome {
    pub video: Vec<VideoSample>,
    pub audio: Vec<AudioSample>,
    pub video_config: Option<VideoConfig>,
    pub audio_config: Option<AudioConfig>,
    pub foreign: Vec<Transcode>,
    pub events: Vec<Event>,
    pub counters: Counters,
    pub errors: Vec<String>,
    pub epochs: u32,
}

impl Outcome {
    /// Frames of foreign audio.
    pub fn foreign_frames(&self) -> u64 {
        self.foreign.iter().map(|transcode| transcode.frames).sum()
    }

    /// Holes of half a second and more in the video.
    pub fn holes(&self) -> usize {
        self.video.iter().filter(|sample| sample.duration_90k >= 45_000).count()
    }
}

pub fn piece(data: Bytes) -> Piece {
    Piece { data, init: None, take: Take::All }
}

/// Files of a case, one a step, with an init section if one is named.
pub fn files(case: &str, init: Option<&str>, names: &[String], take: Take) -> Option<Vec<Step>> {
    let load = |name: &str| Some(read(&corpus(&format!("{case}/{name}"))?));
    let init = match init {
        Some(name) => Some(load(name)?),
        None => None,
    };
    names.iter().map(|name| Some(vec![Piece { data: load(name)?, init: init.clone(), take }])).collect()
}

/// Names of numbered files.
pub fn names(range: std::ops::RangeInclusive<u32>, name: impl Fn(u32) -> String) -> Vec<String> {
    range.map(name).collect()
}

/// Files of a transport stream.
pub fn ts(case: &str, list: &[&str]) -> Option<Vec<Step>> {
    files(case, None, &list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), Take::All)
}

/// The byte ranges of a playlist, and the init section where it names one.
pub fn ranges(case: &str, playlist: &str, take: Take) -> Option<Vec<Step>> {
    let text = String::from_utf8(read(&corpus(&format!("{case}/{playlist}"))?).to_vec()).unwrap();
    let (mut steps, mut init, mut range, mut next) = (Vec::new(), None, None, 0);
    let parse = |text: &str, next: usize| {
        let (len, at) = text.split_once('@').map_or((text, next), |(len, at)| (len, at.parse().unwrap()));
        at..at + len.parse::<usize>().unwrap()
    };
    for line in text.lines() {
        if let Some(map) = line.strip_prefix("#EXT-X-MAP:") {
            let field =
                |name: &str| map.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
            let file = read(&corpus(&format!("{case}/{}", field("URI")))?);
            init = Some(file.slice(parse(field("BYTERANGE"), 0)));
        } else if let Some(text) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let found = parse(text, next);
            next = found.end;
            range = Some(found);
        } else if !line.starts_with('#') && !line.is_empty() {
            let data = read(&corpus(&format!("{case}/{line}"))?).slice(range.take().unwrap());
            let mut segment = piece(data);
            (segment.init, segment.take) = (init.clone(), take);
            steps.push(vec![segment]);
        }
    }
    Some(steps)
}

/// Two renditions side by side, step by step; the longer one goes on alone.
pub fn beside(video: Vec<Step>, audio: Vec<Step>) -> Vec<Step> {
    let count = video.len().max(audio.len());
    let (mut video, mut audio) = (video.into_iter(), audio.into_iter());
    (0..count).map(|_| video.next().into_iter().chain(audio.next()).flatten().collect()).collect()
}

/// Reads all steps, `per_batch` of them a batch.
pub fn run(steps: &[Step], per_batch: usize) -> Outcome {
    let mut out = Outcome::default();
    let mut carry = Carry::default();
    for batch in steps.chunks(per_batch) {
        match read_batch(batch, carry.clone(), &mut out) {
            Ok(next) => carry = next,
            Err(error) => out.errors.push(error),
        }
    }
    out.epochs = carry.epoch();
    out
}

fn read_batch(steps: &[Step], carry: Carry, out: &mut Outcome) -> Result<Carry, String> {
    let carry: Carry = serde_json::from_str(&serde_json::to_string(&carry).unwrap()).unwrap();
    let mut assembler = Assembler::new(carry, false);
    let foreign = steps.iter().flatten().find_map(|piece| {
        let found = probe(&as_input(piece)).ok()?;
        Some(matches!(found.audio, Some(ProbedAudio::Foreign(..) | ProbedAudio::Unsupported(_))))
            .filter(|foreign| *foreign)
    });
    if foreign.is_some() {
        let mut reader = ForeignReader::new(assembler.foreign_carry());
        for piece in steps.iter().flatten() {
            let _ = reader.push(&as_input(piece));
        }
        if let Some(transcode) = reader.finish() {
            assembler.set_foreign_carry(transcode.carry.clone());
            out.foreign.push(transcode);
        }
    }
    let mut cuts = Vec::new();
    for step in steps {
        for piece in step {
            let input = as_input(piece);
            let input = if foreign.is_some() { input.take(Take::Video) } else { input };
            if let Err(error) = assembler.push(&input) {
                // Foreign audio without video.
                if foreign.is_some() && out.foreign_frames() > 0 {
                    continue;
                }
                return Err(error.to_string());
            }
        }
        cuts.extend(assembler.take_cuts());
        out.events.extend(assembler.take_events());
    }
    let end = assembler.finish().map_err(|error| error.to_string())?;
    cuts.extend(end.cuts.iter().cloned());
    out.events.extend(end.events.iter().cloned());
    let batch = Batch { cuts, end };
    check_invariants(&batch);
    out.video.extend(batch.video().cloned());
    out.audio.extend(batch.audio().cloned());
    out.video_config = batch.end.video.clone().or(out.video_config.take());
    out.audio_config = batch.end.audio.clone().or(out.audio_config.take());
    for (name, times) in &batch.end.counters {
        out.counters.add(name, *times);
    }
    Ok(batch.end.carry)
}

pub fn as_input(piece: &Piece) -> Input<'_> {
    Input { data: &piece.data, init: piece.init.as_ref(), take: piece.take }
}
