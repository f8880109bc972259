//! What leaves when: batches, fragments and samples against the clock. No I/O, no clock of its own.
//!
//! The caller feeds what happened and asks [`Schedule::poll`] for the next step until that is to wait.
//!
//! - A fragment is read a little ahead of its time, and at most two are in memory.
//! - The tracks are merged by air time, also across fragments: nothing leaves that is not earlier than the next
//!   fragment as long as that has not been read.
//! - Without a connection nothing is read but the count of samples; a connection that comes up begins at the next
//!   fragment whose air time has not passed. What did not leave is missed, never sent later.

mod batch;
mod plan;

use std::collections::VecDeque;
use std::sync::Arc;

use overdub_media::sample::{AudioConfig, VideoConfig};

use self::batch::Batch;
use self::plan::{Count, Planned, State};
use super::sample::{Gop, Sample, Track};
use crate::clock::UnixMicros;
use crate::messages::{PublishBatch, PublisherEvent};

pub use self::plan::Place;

/// Samples leave at the clock's multiples of this time: with what is due before the next one, so early rather than
/// late. One write then serves a few samples, and one wake-up of the thread serves every stream on it.
const TOGETHER_US: i64 = 80_000;

/// Samples written together at most; only a publisher that catches up has more.
const TOGETHER_SAMPLES: usize = 64;

/// A fragment is read so long before its time.
const READ_AHEAD_US: i64 = 1_000_000;

/// With two fragments in memory, the next is read only when what leaves next is so close to it.
const READ_URGENT_US: i64 = 200_000;

/// A connection is wanted so long before the first sample: early enough for a second attempt, and late enough for
/// servers that drop a publisher who sends nothing (SRS: after 20 s at first, 5 s later on).
const CONNECT_AHEAD_US: i64 = 10_000_000;

/// A connection that comes up so long after a fragment's air time may still begin with it.
const START_GRACE_US: i64 = 100_000;

/// On a connection that is up, a fragment so late is not begun, and a sample so late ends the connection.
pub const LATE_LIMIT_US: i64 = 5_000_000;

/// The decoder configurations of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Configs {
    /// Of its video.
    pub video: Option<VideoConfig>,
    /// Of its audio.
    pub audio: Option<AudioConfig>,
}

/// One sample on its way out.
#[derive(Debug)]
pub struct Departure {
    /// Its batch's configurations.
    pub configs: Arc<Configs>,
    /// It.
    pub sample: Sample,
}

/// Names a planned fragment in requests for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentId(u64);

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Tell the supervisor.
    Tell(PublisherEvent),
    /// Read the fragment, then call [`Schedule::read`]. One at a time.
    Read(FragmentId, Place),
    /// Count the fragment's samples without reading media, then call [`Schedule::counted`]. One at a time.
    Count(FragmentId, Place),
    /// Write these, then call [`Schedule::written`]; timestamps count from `base_90k`.
    Send {
        /// Position on the timeline that is timestamp 0.
        base_90k: i64,
        /// What leaves.
        departures: Vec<Departure>,
    },
    /// The connection is too slow for the stream: drop it, then call [`Schedule::link_down`].
    TooSlow,
    /// All that was to leave has left: end the output.
    End,
    /// Nothing to do before this time (or before something happens).
    Wait(Option<UnixMicros>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    /// Up, and nothing has been sent over it.
    Fresh,
    Running {
        base_90k: i64,
    },
}

/// The earliest of several times.
#[derive(Debug, Default)]
struct Wake(Option<UnixMicros>);

impl Wake {
    fn at(&mut self, at: UnixMicros) {
        self.0 = Some(self.0.map_or(at, |earlier| earlier.min(at)));
    }
}

/// A departure that is being written.
#[derive(Debug)]
struct InFlight {
    batch: u64,
    air: UnixMicros,
}

/// All that is to leave.
#[derive(Debug)]
pub struct Schedule {
    link: Link,
    batches: VecDeque<Batch>,
    plan: VecDeque<Planned>,
    in_flight: Vec<InFlight>,
    events: VecDeque<PublisherEvent>,
    /// The fragment that is being read or counted.
    reading: Option<FragmentId>,
    next_id: u64,
    last_batch: Option<u64>,
    /// Time and timescale of each track's last departure.
    last_video: Option<(i64, u32)>,
    last_audio: Option<(i64, u32)>,
    finishing: bool,
    ended: bool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            link: Link::Down,
            batches: VecDeque::new(),
            plan: VecDeque::new(),
            in_flight: Vec::new(),
            events: VecDeque::new(),
            reading: None,
            next_id: 0,
            last_batch: None,
            last_video: None,
            last_audio: None,
            finishing: false,
            ended: false,
        }
    }
}

impl Schedule {
    /// Adds a batch after those before it. One that came already, and any after [`Schedule::finish`], is ignored.
    pub fn add(&mut self, command: PublishBatch) {
        if self.finishing || self.last_batch.is_some_and(|last| command.batch <= last) {
            return;
        }
        self.last_batch = Some(command.batch);
        let (batch, fragments) = Batch::new(command);
        for fragment in fragments {
            self.plan.push_back(Planned {
                id: FragmentId(self.next_id),
                place: batch.place(fragment),
                batch: batch.number,
                starts: batch.clock.air_time(fragment.start_90k),
                ends: batch.clock.air_time(fragment.end_90k),
                state: State::Known,
            });
            self.next_id += 1;
        }
        self.batches.push_back(batch);
    }

    /// A connection is up, fresh.
    pub fn link_up(&mut self) {
        self.link = Link::Fresh;
    }

    /// The connection is gone: what was under way is missed.
    pub fn link_down(&mut self) {
        self.link = Link::Down;
        for departure in std::mem::take(&mut self.in_flight) {
            if let Some(batch) = self.batch_mut(departure.batch) {
                batch.in_flight -= 1;
                batch.missed += 1;
            }
        }
        for index in 0..self.plan.len() {
            if let State::Ready { gop, touched: true } = &mut self.plan[index].state {
                let missed = std::mem::take(gop).len() as u64;
                self.miss(index, missed);
            }
        }
    }

    /// Ends after the fragments on air; what is not on air is forgotten, and batches that hold it are not reported.
    pub fn finish(&mut self) {
        self.finishing = true;
        self.plan.retain(|planned| matches!(planned.state, State::Ready { touched: true, .. }));
    }

    /// The fragment was read, or could not be.
    pub fn read(&mut self, id: FragmentId, result: Option<Gop>) {
        if self.reading == Some(id) {
            self.reading = None;
        }
        let Some(index) = self.plan.iter().position(|planned| planned.id == id) else { return };
        match (&self.plan[index].state, result) {
            (State::Reading, Some(gop)) => self.plan[index].state = State::Ready { gop, touched: false },
            (State::Reading, None) => self.plan[index].state = State::Skipped(Count::Unknown),
            // It was given up while it was being read.
            (State::Skipped(Count::Asked), Some(gop)) => self.counted(id, Some(gop.len() as u64)),
            (State::Skipped(Count::Asked), None) => self.plan[index].state = State::Skipped(Count::Unknown),
            _ => {}
        }
    }

    /// The fragment's samples were counted, or could not be.
    pub fn counted(&mut self, id: FragmentId, samples: Option<u64>) {
        if self.reading == Some(id) {
            self.reading = None;
        }
        let Some(index) = self.plan.iter().position(|planned| planned.id == id) else { return };
        if matches!(self.plan[index].state, State::Skipped(Count::Asked)) {
            self.plan[index].state = State::Skipped(Count::Known);
            // Nobody knows how many an unreadable fragment held; one at least, so that it shows.
            self.miss(index, samples.unwrap_or(1));
        }
    }

    /// What was to be sent has been written; `sizes` are the bytes of each departure, 0 for one that could not be.
    pub fn written(&mut self, sizes: &[u64], now: UnixMicros) {
        for (departure, &bytes) in self.in_flight.iter().zip(sizes) {
            let Some(batch) = self.batches.iter_mut().find(|batch| batch.number == departure.batch) else {
                continue;
            };
            batch.in_flight -= 1;
            if bytes == 0 {
                batch.missed += 1;
                continue;
            }
            batch.sent += 1;
            batch.bytes += bytes;
            batch.max_lateness_us = batch.max_lateness_us.max(now.micros_since(departure.air));
            if batch.sent == 1 {
                self.events.push_back(PublisherEvent::BatchStarted { batch: batch.number });
            }
        }
        self.in_flight.clear();
    }

    /// Whether a connection is of use now: something is to be sent soon. One that is there is kept all the same.
    pub fn wants_link(&self, now: UnixMicros) -> bool {
        self.wants_link_at().is_some_and(|wanted| now >= wanted)
    }

    fn wants_link_at(&self) -> Option<UnixMicros> {
        let next = self.plan.front().filter(|_| !self.finishing)?;
        Some(next.starts.plus_micros(-CONNECT_AHEAD_US))
    }

    /// The next thing to do.
    pub fn poll(&mut self, now: UnixMicros) -> Step {
        if self.ended {
            return self.events.pop_front().map_or(Step::Wait(None), Step::Tell);
        }
        let mut wake = Wake::default();
        self.skip_passed(now, &mut wake);
        self.resolve(now, &mut wake);
        if let Some(event) = self.events.pop_front() {
            return Step::Tell(event);
        }
        if self.finishing && (self.link == Link::Down || self.nothing_on_air()) {
            self.ended = true;
            return Step::End;
        }
        if let Some(step) = self.reading(now, &mut wake) {
            return step;
        }
        if let Some(step) = self.departures(now, &mut wake) {
            return step;
        }
        if let Some(wanted) = self.wants_link_at().filter(|&wanted| now < wanted) {
            wake.at(wanted);
        }
        Step::Wait(wake.0)
    }

    fn nothing_on_air(&self) -> bool {
        let airing = self.batches.front().is_some_and(|batch| batch.fragments_left == 0);
        self.plan.is_empty() && self.in_flight.is_empty() && !airing
    }

    fn batch_mut(&mut self, number: u64) -> Option<&mut Batch> {
        self.batches.iter_mut().find(|batch| batch.number == number)
    }

    fn miss(&mut self, index: usize, samples: u64) {
        let number = self.plan[index].batch;
        if let Some(batch) = self.batch_mut(number) {
            batch.missed += samples;
        }
    }

    /// Gives up fragments that can no longer be begun.
    fn skip_passed(&mut self, now: UnixMicros, wake: &mut Wake) {
        let grace = if matches!(self.link, Link::Running { .. }) { LATE_LIMIT_US } else { START_GRACE_US };
        for index in 0..self.plan.len() {
            let planned = &mut self.plan[index];
            let count = match &planned.state {
                State::Skipped(_) | State::Ready { touched: true, .. } => continue,
                State::Known => (Count::Unknown, 0),
                State::Reading => (Count::Asked, 0),
                State::Ready { gop, touched: false } => (Count::Known, gop.len() as u64),
            };
            let last_chance = planned.starts.plus_micros(grace);
            if now <= last_chance {
                wake.at(last_chance.plus_micros(1));
                return;
            }
            planned.state = State::Skipped(count.0);
            self.miss(index, count.1);
        }
    }

    /// Takes what is over from the front, and reports batches of which nothing is left.
    fn resolve(&mut self, now: UnixMicros, wake: &mut Wake) {
        while let Some(planned) = self.plan.front() {
            let over = match &planned.state {
                State::Ready { gop, .. } => gop.is_empty(),
                State::Skipped(Count::Known) => {
                    if now < planned.ends {
                        wake.at(planned.ends);
                    }
                    now >= planned.ends
                }
                _ => false,
            };
            if !over {
                break;
            }
            let number = planned.batch;
            self.plan.pop_front();
            if let Some(batch) = self.batch_mut(number) {
                batch.fragments_left -= 1;
            }
        }
        while let Some(batch) = self.batches.front() {
            if batch.fragments_left > 0 || batch.in_flight > 0 {
                return;
            }
            if let Some(over) = batch.last_air.filter(|&over| now < over) {
                wake.at(over);
                return;
            }
            self.events.push_back(batch.aired());
            self.batches.pop_front();
        }
    }

    /// Reads the next fragment when its time is near, else counts what was skipped.
    fn reading(&mut self, now: UnixMicros, wake: &mut Wake) -> Option<Step> {
        if self.reading.is_some() || self.finishing {
            return None;
        }
        if self.link != Link::Down {
            let in_memory = self.until_unread().filter(|planned| planned.holds_media()).count();
            let next_air = self.next_sample().map(|(_, _, air)| air);
            if let Some(next) = self.plan.iter_mut().find(|planned| matches!(planned.state, State::Known)) {
                let at = next.starts.plus_micros(-READ_AHEAD_US);
                let urgent = next.starts.plus_micros(-READ_URGENT_US);
                let needed = in_memory < 2 || next_air.is_none_or(|air| air >= urgent);
                if needed && now >= at {
                    next.state = State::Reading;
                    self.reading = Some(next.id);
                    return Some(Step::Read(next.id, next.place.clone()));
                }
                if needed {
                    wake.at(at);
                }
            }
        }
        let skipped = |planned: &&mut Planned| matches!(planned.state, State::Skipped(Count::Unknown));
        let next = self.plan.iter_mut().find(skipped)?;
        next.state = State::Skipped(Count::Asked);
        self.reading = Some(next.id);
        Some(Step::Count(next.id, next.place.clone()))
    }

    /// Collects what leaves now.
    fn departures(&mut self, now: UnixMicros, wake: &mut Wake) -> Option<Step> {
        if self.link == Link::Down || !self.in_flight.is_empty() {
            return None;
        }
        let mut departures = Vec::new();
        let horizon = leaves_at(now).plus_micros(TOGETHER_US);
        while departures.len() < TOGETHER_SAMPLES {
            let Some((index, track, air)) = self.next_sample() else { break };
            if air >= horizon {
                if departures.is_empty() {
                    wake.at(leaves_at(air));
                }
                break;
            }
            // The fragment after those in memory may hold an earlier sample of the other track.
            if self.first_unread().is_some_and(|unread| air >= unread) {
                break;
            }
            if now.micros_since(air) > LATE_LIMIT_US && departures.is_empty() && self.is_touched(index) {
                return Some(Step::TooSlow);
            }
            departures.extend(self.depart(index, track, air));
        }
        if departures.is_empty() {
            return None;
        }
        let Link::Running { base_90k } = self.link else { return None };
        Some(Step::Send { base_90k, departures })
    }

    /// The sample that goes on air next: index of its fragment, its track, its time.
    fn next_sample(&self) -> Option<(usize, Track, UnixMicros)> {
        let head = |track| {
            self.until_unread().enumerate().find_map(|(index, planned)| {
                let State::Ready { gop, .. } = &planned.state else { return None };
                let sample = gop.track(track).front()?;
                let clock = self.batches.iter().find(|batch| batch.number == planned.batch)?.clock;
                Some((index, track, sample.air_time(clock)))
            })
        };
        match (head(Track::Video), head(Track::Audio)) {
            (Some(video), Some(audio)) => Some(if audio.2 < video.2 { audio } else { video }),
            (video, audio) => video.or(audio),
        }
    }

    /// The fragments up to the first that is still to be read; what is in memory is among them.
    fn until_unread(&self) -> impl Iterator<Item = &Planned> {
        self.plan.iter().take_while(|planned| !planned.is_unread())
    }

    fn first_unread(&self) -> Option<UnixMicros> {
        self.plan.iter().find(|planned| planned.is_unread()).map(|planned| planned.starts)
    }

    fn is_touched(&self, index: usize) -> bool {
        matches!(self.plan[index].state, State::Ready { touched: true, .. })
    }

    /// Takes one sample out; none when it would repeat what has left.
    fn depart(&mut self, index: usize, track: Track, air: UnixMicros) -> Option<Departure> {
        let planned = &mut self.plan[index];
        let State::Ready { gop, touched } = &mut planned.state else { return None };
        let sample = gop.pop(track)?;
        *touched = true;
        let last = match track {
            Track::Video => &mut self.last_video,
            Track::Audio => &mut self.last_audio,
        };
        let repeats = last.is_some_and(|last| !sample.is_after(last));
        let (number, start_90k) = (planned.batch, planned.place.fragment.start_90k);
        let batch = self.batches.iter_mut().find(|batch| batch.number == number)?;
        if repeats {
            batch.missed += 1;
            return None;
        }
        *last = Some((sample.time, sample.timescale));
        if self.link == Link::Fresh {
            self.link = Link::Running { base_90k: start_90k.min(sample.time_90k()) };
        }
        batch.in_flight += 1;
        batch.last_air = batch.last_air.max(Some(air));
        self.in_flight.push(InFlight { batch: number, air });
        Some(Departure { configs: batch.configs.clone(), sample })
    }
}

/// When a sample leaves that is due at `air`.
fn leaves_at(air: UnixMicros) -> UnixMicros {
    UnixMicros(air.0.div_euclid(TOGETHER_US) * TOGETHER_US)
}

#[cfg(test)]
mod tests;
