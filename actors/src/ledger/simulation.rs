//! The ledger driven by chance: replies in any order, failures, deadlines, replaced children and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::tests::{SECOND, media, plan, segment};
use super::*;
use crate::demuxer::DemuxBatch;
use crate::messages::{AudioFormat, BatchMedia, ChildId, FitReport, FragmentFault, StoredSegment};

/// What chance may do next. Indices pick among what is possible, modulo its number.
#[derive(Debug, Clone, Copy)]
enum Step {
    Segment {
        seconds: i64,
        discontinuity: bool,
    },
    Demux {
        fails: bool,
    },
    Reply {
        pick: usize,
        refused: bool,
    },
    Remux {
        pick: usize,
        fails: bool,
    },
    Air {
        output: usize,
    },
    Wait {
        seconds: i64,
    },
    Replace {
        child: usize,
    },
    Link {
        connected: bool,
    },
    Clean,
    /// The process dies: between the commit and the actions, or after both.
    Crash {
        before_acting: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..8_i64, prop::bool::weighted(0.1))
            .prop_map(|(seconds, discontinuity)| Step::Segment { seconds, discontinuity }),
        6 => prop::bool::weighted(0.1).prop_map(|fails| Step::Demux { fails }),
        6 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(pick, refused)| Step::Reply { pick, refused }),
        6 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(pick, fails)| Step::Remux { pick, fails }),
        6 => (0..2_usize).prop_map(|output| Step::Air { output }),
        4 => (0..20_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..5_usize).prop_map(|child| Step::Replace { child }),
        1 => any::<bool>().prop_map(|connected| Step::Link { connected }),
        1 => Just(Step::Clean),
        1 => any::<bool>().prop_map(|before_acting| Step::Crash { before_acting }),
    ];
    prop::collection::vec(step, 0..300)
}

/// Children that have commands and no will of their own, and a disk.
struct World {
    ledger: Ledger,
    now: UnixMicros,
    header: Header,
    disk: BTreeMap<u64, BatchRecord>,
    demux: Option<(u64, bool)>,
    sends: BTreeSet<u64>,
    remuxes: BTreeMap<u64, Fill>,
    queues: [Vec<u64>; 2],
    cleans: Vec<u64>,
    /// Batches aired by each output, in order.
    aired: [Vec<u64>; 2],
    fills: BTreeMap<u64, Vec<Fill>>,
    collected: u64,
    next_segment: u64,
    media_end_s: i64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            ledger: Ledger::new(plan(&["main"]), Header::default(), vec![]),
            now: UnixMicros(1_000 * SECOND),
            header: Header::default(),
            disk: BTreeMap::new(),
            demux: None,
            sends: BTreeSet::new(),
            remuxes: BTreeMap::new(),
            queues: [vec![], vec![]],
            cleans: vec![],
            aired: [vec![], vec![]],
            fills: BTreeMap::new(),
            collected: 0,
            next_segment: 0,
            media_end_s: 0,
        };
        world.tell(Event::TargetDurationRead { seconds: 8 }, true);
        world.tell(Event::LinkChanged { rendition: 0, connected: true }, true);
        world
    }

    fn tell(&mut self, event: Event, act: bool) {
        let actions = self.ledger.apply(event, self.now);
        let changes = self.ledger.take_changes();
        if let Some(header) = changes.header {
            self.header = header;
        }
        self.disk.extend(changes.batches.into_iter().map(|batch| (batch.number, batch)));
        for number in changes.forgotten {
            self.disk.remove(&number);
        }
        if act {
            actions.into_iter().for_each(|action| self.act(action, changes.flush));
        }
    }

    fn act(&mut self, action: Action, flushed: bool) {
        match action {
            Action::Demux(DemuxBatch { batch, complete: true, discontinuity, .. }) => {
                self.demux = Some((batch, discontinuity))
            }
            Action::Demux(ahead) => {
                assert_eq!((self.demux, ahead.batch), (None, self.ledger.header().open_batch));
                assert_eq!(ahead.segments, self.ledger.header().open_segments);
            }
            Action::Send { batch, .. } => {
                assert!(flushed, "batch {batch} is sent before that is on disk");
                self.sends.insert(batch);
                let most = self.ledger.plan().max_concurrent_batches;
                assert!(self.sends.len() <= most, "more than {most} with the processor: {:?}", self.sends);
            }
            Action::CancelSend { batch, .. } => _ = self.sends.remove(&batch),
            Action::Remux { batch, fill, .. } => _ = self.remuxes.insert(batch, fill),
            Action::Publish { batch, output, .. } => {
                assert!(flushed, "batch {batch} is published before that is on disk");
                // HLS gets what has aired once more after a restart, to list it.
                if !self.aired[output].contains(&batch) {
                    let last = self.queues[output].last().or(self.aired[output].last());
                    assert!(last.is_none_or(|last| *last < batch), "output {output}: {batch} after {last:?}");
                    self.queues[output].push(batch);
                }
            }
            Action::Clean { batch, .. } => {
                assert!(self.disk[&batch].is_settled(), "batch {batch} is cleaned and has not aired");
                self.cleans.push(batch);
            }
            Action::Note(Note::BatchCollected { .. }) => self.collected += 1,
            Action::Note(_) | Action::EndOutputs => {}
        }
    }

    fn crash(&mut self) {
        let batches = self.disk.values().cloned().collect();
        self.ledger = Ledger::new(plan(&["main"]), self.header.clone(), batches);
        self.demux = None;
        self.sends.clear();
        self.remuxes.clear();
        self.queues = [vec![], vec![]];
        self.cleans.clear();
        self.collected = self.header.open_batch;
        self.next_segment = self.header.next_segment_number;
        self.tell(Event::LinkChanged { rendition: 0, connected: true }, true);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Segment { seconds, discontinuity } => {
                let segment = StoredSegment { discontinuity, ..segment(self.next_segment, seconds) };
                self.next_segment += 1;
                self.tell(Event::SegmentStored(segment), true);
            }
            Step::Demux { fails } => {
                let Some((batch, discontinuity)) = self.demux.take() else { return };
                if fails {
                    self.tell(Event::DemuxFailed { batch, detail: "junk".to_owned(), no_space: false }, true);
                    return;
                }
                let seconds = self.ledger.batches()[&batch].listed_duration_us() / SECOND;
                let media = BatchMedia { discontinuity, ..media(self.media_end_s, seconds) };
                self.media_end_s += seconds;
                self.tell(Event::BatchDemuxed { batch, media: Box::new(media), carry: String::new() }, true);
            }
            Step::Reply { pick, refused } => {
                let Some(batch) = pick_of(&self.sends, pick) else { return };
                self.sends.remove(&batch);
                let event = if refused {
                    let fault = FragmentFault::Refused { message: "no".to_owned() };
                    Event::FragmentFailed { batch, rendition: 0, fault }
                } else {
                    let format = AudioFormat::Mp4;
                    Event::FragmentProcessed { batch, rendition: 0, format, metadata: None }
                };
                self.tell(event, true);
            }
            Step::Remux { pick, fails } => {
                let keys: BTreeSet<u64> = self.remuxes.keys().copied().collect();
                let Some(batch) = pick_of(&keys, pick) else { return };
                let Some(fill) = self.remuxes.remove(&batch) else { return };
                if fails && fill == Fill::Processed {
                    let detail = "cannot be fitted".to_owned();
                    self.tell(Event::RemuxFailed { batch, rendition: 0, detail, no_space: false }, true);
                    return;
                }
                self.fills.entry(batch).or_default().push(fill);
                let (audio_cuts, output, fit) = (vec![], vec![], FitReport::default());
                self.tell(Event::BatchRemuxed { batch, rendition: 0, audio_cuts, output, fit }, true);
            }
            Step::Air { output } => self.air(output),
            Step::Wait { seconds } => {
                self.now = self.now.plus_micros(seconds * SECOND);
                self.tell(Event::TimePassed, true);
            }
            Step::Replace { child } => {
                let child = match child {
                    0 => ChildId::Fetcher,
                    1 => ChildId::Demuxer,
                    2 => ChildId::ProcessorLink("main".into()),
                    3 => ChildId::Remuxer("main".into()),
                    _ => ChildId::Publisher("hls".into()),
                };
                match &child {
                    ChildId::Demuxer => self.demux = None,
                    ChildId::ProcessorLink(_) => self.sends.clear(),
                    ChildId::Remuxer(_) => self.remuxes.clear(),
                    ChildId::Publisher(_) => self.queues[1].clear(),
                    ChildId::Fetcher => {}
                }
                self.tell(Event::ChildReplaced(child), true);
                self.tell(Event::LinkChanged { rendition: 0, connected: true }, true);
            }
            Step::Link { connected } => self.tell(Event::LinkChanged { rendition: 0, connected }, true),
            Step::Clean => {
                if let Some(batch) = self.cleans.pop() {
                    self.tell(Event::BatchCleaned { batch }, true);
                }
            }
            Step::Crash { before_acting } => {
                if before_acting {
                    self.now = self.now.plus_micros(SECOND);
                    self.tell(Event::TimePassed, false);
                }
                self.crash();
            }
        }
    }

    /// The output airs its oldest batch, once that one's time has come.
    fn air(&mut self, output: usize) {
        let Some(batch) = self.queues[output].first().copied() else { return };
        if self.disk[&batch].air_start().is_none_or(|at| at > self.now) {
            return;
        }
        self.queues[output].remove(0);
        self.aired[output].push(batch);
        let name: Arc<str> = self.ledger.plan().outputs[output].name.clone();
        let event =
            Event::BatchAired { batch, output: name, sent: 1, missed: 0, max_lateness_us: 0, bytes: 1 };
        self.tell(event, true);
    }

    /// Everybody does what was asked until nothing is left.
    fn settle(&mut self) {
        self.tell(Event::SourceEnded, true);
        for _ in 0..2_000 {
            if self.ledger.is_complete() {
                return;
            }
            self.step(Step::Demux { fails: false });
            self.step(Step::Reply { pick: 0, refused: false });
            self.step(Step::Remux { pick: 0, fails: false });
            self.air(0);
            self.air(1);
            self.step(Step::Wait { seconds: 1 });
        }
    }
}

fn pick_of(set: &BTreeSet<u64>, pick: usize) -> Option<u64> {
    set.iter().nth(pick.checked_rem(set.len())?).copied()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_batch_airs_once_and_in_order(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        prop_assert!(world.ledger.is_complete(), "batches are stuck: {:?}", world.ledger.batches());
        let wanted: Vec<u64> = (0..world.collected)
            .filter(|number| world.ledger.batches().get(number).is_none_or(|batch| batch.skipped.is_none()))
            .collect();
        prop_assert_eq!(&world.aired[0], &wanted);
        prop_assert_eq!(&world.aired[1], &wanted);
        for number in &wanted {
            prop_assert!(world.fills.contains_key(number), "the slot of batch {} is empty", number);
        }
        // HLS numbers have neither holes nor repeats.
        let mut next = None;
        for batch in world.disk.values().filter(|batch| batch.media.is_some() && batch.skipped.is_none()) {
            prop_assert!(next.is_none_or(|next| next == batch.hls_sequence), "batch {}", batch.number);
            next = Some(batch.hls_sequence + u64::from(batch.hls_segments));
        }
    }
}
