//! A schedule, a clock that the test moves, and files that are only numbers.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::*;
use crate::messages::{AirClock, OutputFragment};

pub const SECOND: i64 = 1_000_000;
pub const ANCHOR: i64 = 1_000 * SECOND;
pub const AUDIO_RATE: i64 = 48_000;

/// A schedule, a clock, and the files that it reads from.
pub struct Air {
    pub schedule: Schedule,
    pub now: i64,
    /// Fragments by batch and offset.
    pub files: BTreeMap<(u64, u64), (Vec<i64>, Vec<i64>)>,
    pub unreadable: Vec<(u64, u64)>,
    /// Whether writes complete at once.
    pub writes: bool,
    pub up: bool,
    pub waiting: usize,
    pub sent: Vec<(i64, Track, i64)>,
    pub bases: Vec<i64>,
    pub reads: Vec<(i64, u64, u64)>,
    pub told: Vec<(i64, PublisherEvent)>,
    pub too_slow: bool,
    pub end: Option<i64>,
    pub most_in_memory: usize,
}

pub fn video_air(time: i64) -> i64 {
    ANCHOR + time * 100 / 9
}

pub fn air(track: Track, time: i64) -> i64 {
    if track == Track::Video { video_air(time) } else { ANCHOR + time * SECOND / AUDIO_RATE }
}

impl Air {
    pub fn new() -> Self {
        Self {
            schedule: Schedule::default(),
            now: ANCHOR - 5 * SECOND,
            files: BTreeMap::new(),
            unreadable: Vec::new(),
            writes: true,
            up: false,
            waiting: 0,
            sent: Vec::new(),
            bases: Vec::new(),
            reads: Vec::new(),
            told: Vec::new(),
            too_slow: false,
            end: None,
            most_in_memory: 0,
        }
    }

    /// A batch whose fragments hold these decode times: video at 90 kHz, audio at 48 kHz.
    pub fn add(&mut self, batch: u64, fragments: &[(Vec<i64>, Vec<i64>)], end_90k: i64) {
        let starts: Vec<i64> = fragments
            .iter()
            .map(|(video, audio)| {
                let audio = audio.first().map(|&time| (time * 90_000).div_euclid(AUDIO_RATE));
                video.first().copied().into_iter().chain(audio).min().unwrap()
            })
            .collect();
        let places = (0..fragments.len()).map(|index| OutputFragment {
            offset: 1000 + index as u64,
            len: 10,
            start_90k: starts[index],
            end_90k: starts.get(index + 1).copied().unwrap_or(end_90k),
        });
        for (index, fragment) in fragments.iter().enumerate() {
            self.files.insert((batch, 1000 + index as u64), fragment.clone());
        }
        self.schedule.add(PublishBatch {
            batch,
            clock: AirClock { anchor: UnixMicros(ANCHOR) },
            path: "output.fmp4".into(),
            fragments: places.collect(),
            video: None,
            audio: None,
        });
    }

    /// Seconds `from..to` of 25 pictures a second and of audio as one batch of one-second fragments.
    pub fn add_seconds(&mut self, batch: u64, from: i64, to: i64) {
        let fragments: Vec<_> =
            (from..to).map(|second| gop(second * 90_000, (second + 1) * 90_000)).collect();
        self.add(batch, &fragments, to * 90_000);
    }

    pub fn link_up(&mut self) {
        self.up = true;
        self.schedule.link_up();
    }

    pub fn link_down(&mut self) {
        (self.up, self.waiting) = (false, 0);
        self.schedule.link_down();
    }

    pub fn run_until(&mut self, until: i64) {
        loop {
            match self.step() {
                Some(Some(at)) if at <= until => {
                    assert!(at > self.now, "it wants to be woken in the past");
                    self.now = at;
                }
                Some(_) => {
                    self.now = until;
                    return;
                }
                None => return,
            }
        }
    }

    /// Does all that is to be done now; returns the next wake-up, or none when it has ended.
    pub fn step(&mut self) -> Option<Option<i64>> {
        for _ in 0..10_000 {
            match self.schedule.poll(UnixMicros(self.now)) {
                Step::Tell(event) => self.told.push((self.now, event)),
                Step::Read(id, place) => {
                    let key = (place.batch, place.fragment.offset);
                    self.reads.push((self.now, key.0, key.1));
                    let gop = (!self.unreadable.contains(&key)).then(|| read(&self.files[&key]));
                    self.schedule.read(id, gop);
                    let in_memory = self.schedule.plan.iter().filter(|planned| planned.holds_media()).count();
                    self.most_in_memory = self.most_in_memory.max(in_memory);
                }
                Step::Count(id, place) => {
                    let (video, audio) = &self.files[&(place.batch, place.fragment.offset)];
                    self.schedule.counted(id, Some((video.len() + audio.len()) as u64));
                }
                Step::Send { base_90k, departures } => {
                    assert!(self.up, "sent without a connection");
                    if self.bases.last() != Some(&base_90k) {
                        self.bases.push(base_90k);
                    }
                    self.waiting = departures.len();
                    for Departure { sample, .. } in departures {
                        self.sent.push((self.now, sample.track, sample.time));
                    }
                    if self.writes {
                        self.written();
                    }
                }
                Step::TooSlow => {
                    self.too_slow = true;
                    self.link_down();
                }
                Step::End => {
                    self.end = Some(self.now);
                    return None;
                }
                Step::Wait(at) => return Some(at.map(|at| at.0)),
            }
        }
        panic!("it never waits");
    }

    pub fn written(&mut self) {
        let sizes = vec![10; std::mem::take(&mut self.waiting)];
        self.schedule.written(&sizes, UnixMicros(self.now));
    }

    /// Batch, sent and missed samples, and seconds after the anchor of each report.
    pub fn aired(&self) -> Vec<(u64, u64, u64, i64)> {
        let aired = self.told.iter().filter_map(|(at, event)| match event {
            PublisherEvent::BatchAired { batch, sent, missed, .. } => {
                Some((*batch, *sent, *missed, (at - ANCHOR) / SECOND))
            }
            _ => None,
        });
        aired.collect()
    }

    pub fn times(&self, of: Track) -> Vec<i64> {
        self.sent.iter().filter(|(_, track, _)| *track == of).map(|(_, _, time)| *time).collect()
    }

    pub fn all_times(&self, of: Track) -> Vec<i64> {
        self.files
            .values()
            .flat_map(|(video, audio)| if of == Track::Video { video } else { audio })
            .copied()
            .collect()
    }

    pub fn assert_on_time(&self) {
        for (at, track, time) in &self.sent {
            let late = at - air(*track, *time);
            assert!((-TOGETHER_US..=1).contains(&late), "{track:?} {time} left {late} µs after its time");
        }
    }
}

/// Pictures every 40 ms and audio access units within `from..to` (90 kHz).
pub fn gop(from: i64, to: i64) -> (Vec<i64>, Vec<i64>) {
    let video = (from..to).step_by(3600).collect();
    let (first, last) = (from * AUDIO_RATE, to * AUDIO_RATE);
    let units = (first + 1024 * 90_000 - 1).div_euclid(1024 * 90_000);
    let audio = (units..).map(|unit| unit * 1024).take_while(|time| time * 90_000 < last).collect();
    (video, audio)
}

pub fn read((video, audio): &(Vec<i64>, Vec<i64>)) -> Gop {
    let sample = |track, time, timescale| Sample {
        track,
        time,
        timescale,
        cts_offset: 0,
        sync: false,
        data: Bytes::from_static(b"x"),
    };
    Gop {
        video: video.iter().map(|&time| sample(Track::Video, time, 90_000)).collect(),
        audio: audio.iter().map(|&time| sample(Track::Audio, time, 48_000)).collect(),
    }
}
