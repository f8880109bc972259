//! A stream's processor, children and disk on a virtual clock; `source` has its source and its fetcher, `faults`
//! what goes wrong.

mod faults;
mod source;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use fastrand::Rng;

use super::checks::Checks;
use crate::clock::UnixMicros;
use crate::demuxer::DemuxBatch;
use crate::ledger::tests::{SECOND, media, plan};
use crate::ledger::{Action, BatchRecord, Changes, Event, Fill, Header, Ledger, LedgerPlan, Note};
use crate::messages::{AudioFormat, BatchMedia, ChildId, FitReport, FragmentFault};

const FETCHER: usize = 0;
const DEMUXER: usize = 1;
const LINK: usize = 2;
const REMUXER: usize = 3;
/// Of the outputs, RTMP and HLS.
const PUBLISHERS: [usize; 2] = [4, 5];
/// Everything that is none of the stream's children.
const WORLD: usize = 6;

/// How a stream is set, and what may happen to it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub ledger: LedgerPlan,
    /// Length of the source's segments, seconds.
    pub segment_s: i64,
    /// Segments that the source lists.
    pub window: u64,
    /// Mean time between faults, microseconds; none for none.
    pub fault_every_us: Option<u64>,
    /// Dies after this event.
    pub crash_at: Option<u64>,
}

impl Plan {
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let ledger = LedgerPlan {
            buffer_us: random.i64(20..=120) * SECOND,
            delay_us: random.i64(3..=30) * SECOND,
            max_concurrent_batches: random.usize(1..=4),
            keep_batches: Some(random.u64(1..=5)),
            ..plan(&["main"])
        };
        let (segment_s, window) = (random.i64(2..=10), random.u64(4..=30));
        Self { ledger, segment_s, window, fault_every_us: Some(900_000_000), crash_at: None }
    }

    /// A stream to which nothing happens.
    pub fn calm() -> Self {
        let ledger = LedgerPlan { keep_batches: None, ..plan(&["main"]) };
        Self { ledger, segment_s: 4, window: 30, fault_every_us: None, crash_at: None }
    }
}

/// Something that is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The fetcher looks what is listed.
    Fetch,
    /// What it fetched is there.
    Stored,
    /// What it fetched cannot be had.
    Lost,
    Demuxed(u64),
    Answered(u64),
    Remuxed(u64),
    Aired(u64),
    Cleaned(u64),
    /// A child that was gone is there again.
    Back,
    /// The time for a fault.
    Fault,
    LinkIsUp,
    EncoderIsBack,
    /// The process has been started again.
    Started,
    Deadline,
}

/// The child that it happens to and its generation; when either is gone, it does not happen.
type Whose = (usize, u64);

pub struct World {
    plan: Plan,
    random: Rng,
    pub ledger: Ledger,
    pub checks: Checks,
    /// Events that the ledger was told.
    pub events: u64,
    now: UnixMicros,
    queue: BinaryHeap<Reverse<(i64, u64, What, Whose)>>,
    queued: u64,
    generations: [u64; 7],
    /// Children that are being replaced.
    gone: BTreeSet<usize>,
    // The disk: what is surely there, and what has been written since.
    header: Header,
    records: BTreeMap<u64, BatchRecord>,
    unflushed: Vec<Changes>,
    // The source.
    began: UnixMicros,
    paused_us: i64,
    paused_since: Option<UnixMicros>,
    away_until: UnixMicros,
    discontinuities: BTreeSet<u64>,
    ends_at: Option<UnixMicros>,
    unreadable: BTreeSet<u64>,
    // The fetcher.
    next_sequence: u64,
    // The processor.
    link_up: bool,
    sends: BTreeSet<u64>,
    fills: BTreeMap<u64, Fill>,
    running: bool,
}

impl World {
    pub fn new(plan: Plan, seed: u64) -> Self {
        let start = UnixMicros(1_000_000 * SECOND);
        let mut world = Self {
            ledger: Ledger::new(plan.ledger.clone(), Header::default(), vec![]),
            plan,
            random: Rng::with_seed(seed),
            checks: Checks::default(),
            events: 0,
            now: start,
            queue: BinaryHeap::new(),
            queued: 0,
            generations: [0; 7],
            gone: BTreeSet::new(),
            header: Header::default(),
            records: BTreeMap::new(),
            unflushed: Vec::new(),
            began: start.plus_micros(-60 * SECOND),
            paused_us: 0,
            paused_since: None,
            away_until: start,
            discontinuities: BTreeSet::new(),
            ends_at: None,
            unreadable: BTreeSet::new(),
            next_sequence: 0,
            link_up: true,
            sends: BTreeSet::new(),
            fills: BTreeMap::new(),
            running: true,
        };
        world.begin();
        if world.plan.fault_every_us.is_some() {
            world.plan_fault();
        }
        world
    }

    /// Lets the source run for so long.
    pub fn run_for(&mut self, time_us: i64) {
        let end = self.now.plus_micros(time_us);
        self.happen_until(end);
    }

    /// The source ends and no more faults come; everything finishes.
    pub fn settle(&mut self) {
        self.plan.fault_every_us = None;
        self.ends_at = Some(self.now);
        self.happen_until(self.now.plus_micros(2 * 3600 * SECOND));
    }

    /// What became of each batch.
    pub fn outcome(&self) -> Vec<(u64, Vec<u64>, i64, i64, u64, u64)> {
        let batches = self.ledger.batches().values();
        batches
            .map(|batch| {
                let segments = batch.segments.iter().map(|segment| segment.media_sequence).collect();
                let (start, end) = batch.media.as_ref().map_or((0, 0), |m| (m.start_90k, m.end_90k));
                (batch.number, segments, start, end, batch.hls_sequence, batch.hls_discontinuities)
            })
            .collect()
    }

    fn happen_until(&mut self, end: UnixMicros) {
        while let Some(Reverse((at, ..))) = self.queue.peek()
            && *at <= end.0
        {
            let Some(Reverse((at, _, what, (child, generation)))) = self.queue.pop() else { return };
            if self.generations[child] != generation || (self.gone.contains(&child) && what != What::Back) {
                continue;
            }
            self.now = self.now.max(UnixMicros(at));
            self.happen(what, child);
        }
        self.now = self.now.max(end);
    }

    fn later(&mut self, after_us: i64, what: What, child: usize) {
        // What is sent to a child that is gone is lost.
        if self.gone.contains(&child) && what != What::Back {
            return;
        }
        self.queued += 1;
        let at = self.now.0 + after_us.max(0);
        self.queue.push(Reverse((at, self.queued, what, (child, self.generations[child]))));
    }

    /// A process begins: with what is on disk.
    fn begin(&mut self) {
        self.running = true;
        let batches = self.records.values().cloned().collect();
        self.ledger = Ledger::new(self.plan.ledger.clone(), self.header.clone(), batches);
        let live = self.produced().saturating_sub(3);
        self.next_sequence = self.header.next_media_sequence.unwrap_or(live);
        let seconds = u32::try_from(self.plan.segment_s).unwrap();
        self.tell(Event::TargetDurationRead { seconds });
        let connected = self.link_up;
        self.tell(Event::LinkChanged { rendition: 0, connected });
        self.later(0, What::Fetch, FETCHER);
    }

    fn crash(&mut self, away_us: i64) {
        self.checks.crashes += 1;
        let kept = self.random.usize(0..=self.unflushed.len());
        let written: Vec<Changes> = self.unflushed.drain(..).take(kept).collect();
        written.into_iter().for_each(|changes| self.keep(changes));
        self.generations[..WORLD].iter_mut().for_each(|generation| *generation += 1);
        self.gone.clear();
        self.sends.clear();
        self.fills.clear();
        self.running = false;
        self.checks.excuse_until(self.now.plus_micros(away_us + 20 * SECOND));
        self.later(away_us, What::Started, WORLD);
    }

    fn keep(&mut self, changes: Changes) {
        if let Some(header) = changes.header {
            self.header = header;
        }
        self.records.extend(changes.batches.into_iter().map(|batch| (batch.number, batch)));
        for number in changes.forgotten {
            self.records.remove(&number);
        }
    }

    fn tell(&mut self, event: Event) {
        if !self.running {
            return;
        }
        let actions = self.ledger.apply(event, self.now);
        let changes = self.ledger.take_changes();
        let flush = changes.flush;
        self.unflushed.push(changes);
        if flush {
            let all = std::mem::take(&mut self.unflushed);
            all.into_iter().for_each(|changes| self.keep(changes));
        }
        let event = self.events;
        self.events += 1;
        // Half of the crashes come between the disk and the act.
        if self.plan.crash_at == Some(event) && event.is_multiple_of(2) {
            return self.crash(0);
        }
        for action in actions {
            self.act(action, flush);
        }
        self.checks.always(&self.ledger, self.sends.len());
        if let Some(at) = self.ledger.next_deadline() {
            self.later(at.micros_since(self.now), What::Deadline, WORLD);
        }
        if self.plan.crash_at == Some(event) {
            self.crash(0);
        }
    }

    fn act(&mut self, action: Action, flushed: bool) {
        match action {
            Action::Demux(DemuxBatch { batch, complete: true, .. }) => {
                let time_us = self.random.i64(20_000..200_000);
                self.later(time_us, What::Demuxed(batch), DEMUXER);
            }
            Action::Demux(_) => {}
            Action::Send { batch, .. } => {
                assert!(flushed, "batch {batch} is sent before that is on disk");
                self.sends.insert(batch);
                if self.link_up {
                    self.process(batch);
                }
            }
            Action::CancelSend { batch, .. } => _ = self.sends.remove(&batch),
            Action::Remux { batch, fill, .. } => {
                self.fills.insert(batch, fill);
                // FFmpeg may take long; what would take too long fails in time for the fallback.
                let airs = self.ledger.batches()[&batch].air_start().unwrap();
                let left_us = airs.micros_since(self.now) - 200_000;
                let time_us = match fill {
                    Fill::Processed => self.random.i64(50_000..3_000_000).min(left_us.max(10_000)),
                    _ => self.random.i64(10_000..150_000),
                };
                self.later(time_us, What::Remuxed(batch), REMUXER);
            }
            Action::Publish { batch, output, .. } => {
                assert!(flushed, "batch {batch} is published before that is on disk");
                let record = &self.ledger.batches()[&batch];
                if !self.checks.aired_by[output].contains(&batch) && record.skipped.is_none() {
                    self.checks.published(record, self.now);
                    let airs_us = record.air_end().unwrap().micros_since(self.now);
                    self.later(airs_us, What::Aired(batch), PUBLISHERS[output]);
                }
            }
            Action::Clean { batch, .. } => {
                assert!(
                    self.ledger.batches()[&batch].is_settled(),
                    "batch {batch} is cleaned before it aired"
                );
                self.later(100_000, What::Cleaned(batch), WORLD);
            }
            Action::Note(Note::FellBack { .. }) => self.checks.fallbacks += 1,
            Action::Note(Note::GapBegan { .. }) => self.checks.gaps += 1,
            Action::Note(Note::ClockJumped { .. }) => self.checks.jumps += 1,
            Action::Note(Note::BatchSkipped { .. }) => self.checks.skipped += 1,
            Action::Note(_) | Action::EndOutputs => {}
        }
    }

    /// The processor answers, mostly.
    fn process(&mut self, batch: u64) {
        let delay_us = self.plan.ledger.delay_us.unsigned_abs();
        let time_us = match self.random.u8(0..100) {
            0..3 => return,
            3..10 => self.random.u64(0..2 * delay_us),
            _ => self.random.u64(0..delay_us / 2),
        };
        self.later(time_us.cast_signed(), What::Answered(batch), LINK);
    }

    fn happen(&mut self, what: What, child: usize) {
        match what {
            What::Fetch => self.fetch(),
            What::Stored => self.store(),
            What::Lost => self.lose(0),
            What::Demuxed(batch) => self.demuxed(batch),
            What::Answered(batch) => self.answered(batch),
            What::Remuxed(batch) => self.remuxed(batch),
            What::Aired(batch) => self.aired(batch, child),
            What::Cleaned(batch) => self.tell(Event::BatchCleaned { batch }),
            What::Back => {
                self.gone.remove(&child);
                self.replaced(child);
            }
            What::Fault => {
                self.fault();
                self.plan_fault();
            }
            What::LinkIsUp => {
                self.link_up = true;
                if self.gone.contains(&LINK) {
                    return;
                }
                self.tell(Event::LinkChanged { rendition: 0, connected: true });
                self.sends.clone().into_iter().for_each(|batch| self.process(batch));
            }
            What::EncoderIsBack => {
                let next = self.produced();
                if let Some(since) = self.paused_since.take() {
                    self.paused_us += self.now.micros_since(since);
                    self.discontinuities.insert(next);
                }
            }
            What::Started => self.begin(),
            What::Deadline => {
                if self.ledger.next_deadline().is_some_and(|at| at <= self.now) {
                    self.tell(Event::TimePassed);
                }
            }
        }
    }

    fn demuxed(&mut self, batch: u64) {
        let Some(record) = self.ledger.batches().get(&batch) else { return };
        let (first, count) = (record.segments[0].media_sequence, record.segments.len() as u64);
        let bad = (first..first + count).any(|sequence| self.unreadable.contains(&sequence));
        if bad {
            return self.tell(Event::DemuxFailed { batch, detail: "junk".to_owned(), no_space: false });
        }
        let discontinuity = record.discontinuity || record.gap_us > 0;
        // Where it lies by the source's own count, whatever the ledger makes of that.
        let of = |count: u64| count.cast_signed() * self.plan.segment_s;
        let media = BatchMedia { discontinuity, ..media(of(first), of(count)) };
        self.tell(Event::BatchDemuxed { batch, media: Box::new(media), carry: String::new() });
        if let Some(record) = self.ledger.batches().get(&batch) {
            self.checks.demuxed(record);
        }
    }

    fn answered(&mut self, batch: u64) {
        if !self.sends.remove(&batch) {
            return;
        }
        let event = if self.random.u8(0..50) == 0 {
            let fault = FragmentFault::Refused { message: "no".to_owned() };
            Event::FragmentFailed { batch, rendition: 0, fault }
        } else {
            Event::FragmentProcessed { batch, rendition: 0, format: AudioFormat::Mp4, metadata: None }
        };
        self.tell(event);
    }

    fn remuxed(&mut self, batch: u64) {
        let Some(fill) = self.fills.remove(&batch) else { return };
        let airs = self.ledger.batches()[&batch].air_start().unwrap();
        let too_slow = airs.micros_since(self.now) <= 200_000;
        if fill == Fill::Processed && (too_slow || self.random.u8(0..50) == 0) {
            let detail = "cannot be fitted".to_owned();
            return self.tell(Event::RemuxFailed { batch, rendition: 0, detail, no_space: false });
        }
        self.checks.filled.insert(batch);
        let (audio_cuts, output, fit) = (vec![], vec![], FitReport::default());
        self.tell(Event::BatchRemuxed { batch, rendition: 0, audio_cuts, output, fit });
    }

    fn aired(&mut self, batch: u64, child: usize) {
        let output = child - PUBLISHERS[0];
        self.checks.airs(output, batch);
        let name = self.ledger.plan().outputs[output].name.clone();
        self.tell(Event::BatchAired {
            batch,
            output: name,
            sent: 1,
            missed: 0,
            max_lateness_us: 0,
            bytes: 1,
        });
    }

    /// It knows nothing and is told again.
    fn replaced(&mut self, child: usize) {
        let id = match child {
            FETCHER => ChildId::Fetcher,
            DEMUXER => ChildId::Demuxer,
            LINK => {
                self.sends.clear();
                ChildId::ProcessorLink("main".into())
            }
            REMUXER => {
                self.fills.clear();
                ChildId::Remuxer("main".into())
            }
            4 => ChildId::Publisher("main/rtmp-0".into()),
            _ => ChildId::Publisher("hls".into()),
        };
        self.tell(Event::ChildReplaced(id));
        match child {
            FETCHER => self.later(0, What::Fetch, FETCHER),
            LINK => {
                let connected = self.link_up;
                self.tell(Event::LinkChanged { rendition: 0, connected });
            }
            _ => {}
        }
    }
}
