//! The ledger: the pure state machine that knows every batch of a stream and decides what happens next.
//!
//! [`Ledger::apply`] takes what happened and gives what to do. What must survive a crash is in [`Header`] and
//! [`BatchRecord`]s and is handed out by [`Ledger::take_changes`]; which commands this process has already
//! given is forgotten with it, so a restarted process gives them again. There is no I/O and no clock in here.
//!
//! | file | what |
//! | --- | --- |
//! | `records` | what is remembered on disk |
//! | `event` | what the ledger is told, and what it tells to do |
//! | `air` | the air clock |
//! | `advance` | from records to the next actions |
//! | `collect` | segments to batches |
//! | `outcome` | what children made of their commands |
//! | `rollback` | a ledger that has lost its newest part |
//! | `figures` | what it holds, counted |

mod advance;
mod air;
mod collect;
mod event;
mod figures;
#[cfg(test)]
mod hours;
mod outcome;
mod records;
mod rollback;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) use advance::playlist_window_90k;
pub use event::{Action, Event, Fill, Note};
pub use figures::Figures;
pub use records::{
    BatchRecord, FallbackReason, Header, OutputTotals, RenditionRecord, RenditionState, RenditionTotals,
    SkipReason, Totals,
};

use crate::clock::UnixMicros;
use crate::messages::ChildId;
use crate::settings::Fallback;
use air::DelayPlan;

/// A batch's processor has until its air time minus this, so that the slot can still be filled.
pub const REMUX_MARGIN_US: i64 = 500_000;

/// A batch is given up after this many failures of one stage.
const MAX_TRIES: u32 = 3;

/// Records of cleaned and skipped batches that are kept to be shown.
const KEPT_RECORDS: usize = 100;

/// What the ledger must know of a stream's settings.
#[derive(Debug, Clone)]
pub struct LedgerPlan {
    /// `bufferDuration` in microseconds.
    pub buffer_us: i64,
    /// `delay` in microseconds.
    pub delay_us: i64,
    /// Batches that may be with one processor at a time.
    pub max_concurrent_batches: usize,
    /// Published batches that stay on disk; `None` keeps all.
    pub keep_batches: Option<u64>,
    /// The renditions, in order.
    pub renditions: Vec<RenditionPlan>,
    /// The outputs, in order.
    pub outputs: Vec<OutputPlan>,
}

/// One rendition of a [`LedgerPlan`].
#[derive(Debug, Clone)]
pub struct RenditionPlan {
    /// Its name.
    pub name: Arc<str>,
    /// What fills its slot when the processor does not.
    pub fallback: Fallback,
}

/// One output of a [`LedgerPlan`].
#[derive(Debug, Clone)]
pub struct OutputPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Index of the rendition that it carries; `None` is HLS, which carries all.
    pub rendition: Option<usize>,
}

/// What is to be stored, as one transition.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// The header, if it changed.
    pub header: Option<Header>,
    /// Batches that changed.
    pub batches: Vec<BatchRecord>,
    /// Batches to forget.
    pub forgotten: Vec<u64>,
    /// Whether all of this must be on disk before the actions are carried out, because another party sees them.
    pub flush: bool,
}

/// How long a stage waits for room on the disk.
const POSTPONED_US: i64 = 1_000_000;

/// A command that failed for want of space and is given again later; until then it counts as given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Postponed {
    Demux,
    Remux(u64, usize),
}

/// Commands given by this process.
#[derive(Debug, Default)]
struct Issued {
    demux: Option<u64>,
    /// Which batch was demuxed ahead, and how many segments of it.
    ahead: (u64, usize),
    sends: BTreeSet<(u64, usize)>,
    remuxes: BTreeSet<(u64, usize)>,
    publishes: BTreeSet<(u64, usize)>,
    cleans: BTreeSet<u64>,
    end: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    plan: LedgerPlan,
    header: Header,
    batches: BTreeMap<u64, BatchRecord>,
    connected: Vec<bool>,
    issued: Issued,
    postponed: Vec<(UnixMicros, Postponed)>,
    dirty_header: bool,
    dirty: BTreeSet<u64>,
    forgotten: Vec<u64>,
    flush: bool,
    /// The newest time that was told.
    now: UnixMicros,
}

impl Ledger {
    /// A ledger that goes on from what was stored; `Header::default()` and no batches for a new stream.
    #[must_use]
    pub fn new(plan: LedgerPlan, mut header: Header, batches: Vec<BatchRecord>) -> Self {
        // Counts of what a plan of before had would be kept, and stored, for ever.
        let totals = &mut header.totals;
        totals.renditions.retain(|name, _| plan.renditions.iter().any(|rendition| rendition.name == *name));
        totals.outputs.retain(|name, _| plan.outputs.iter().any(|output| output.name == *name));
        Self {
            connected: vec![false; plan.renditions.len()],
            plan,
            header,
            batches: batches.into_iter().map(|batch| (batch.number, batch)).collect(),
            issued: Issued::default(),
            postponed: Vec::new(),
            dirty_header: false,
            dirty: BTreeSet::new(),
            forgotten: Vec::new(),
            flush: false,
            now: UnixMicros(0),
        }
    }

    /// Notes what happened and says what to do about it, and about all that `now` makes due.
    pub fn apply(&mut self, event: Event, now: UnixMicros) -> Vec<Action> {
        let mut actions = Vec::new();
        self.now = now;
        match event {
            Event::TargetDurationRead { seconds } => self.target_duration_read(seconds),
            Event::SegmentStored(segment) => self.segment_stored(segment, now, &mut actions),
            Event::SegmentLost { media_sequence, duration_us } => {
                self.segment_lost(media_sequence, duration_us, now, &mut actions);
            }
            Event::SourceEnded => self.source_ended(now, &mut actions),
            Event::BatchDemuxed { batch, media, carry } => {
                self.batch_demuxed(batch, *media, carry, now, &mut actions);
            }
            Event::DemuxFailed { batch, no_space: true, .. } if self.issued.demux == Some(batch) => {
                self.postponed.push((now.plus_micros(POSTPONED_US), Postponed::Demux));
            }
            Event::DemuxFailed { batch, detail, .. } => self.demux_failed(batch, detail, &mut actions),
            Event::LinkChanged { rendition, connected } => {
                if let Some(known) = self.connected.get_mut(rendition) {
                    *known = connected;
                }
            }
            Event::FragmentProcessed { batch, rendition, format, metadata } => {
                self.fragment_processed(batch, rendition, format, metadata, now, &mut actions);
            }
            Event::FragmentFailed { batch, rendition, fault } => {
                self.fall_back(batch, rendition, FallbackReason::Fault(fault), now, &mut actions);
            }
            Event::BatchRemuxed { batch, rendition, audio_cuts, output, fit } => {
                self.batch_remuxed(batch, rendition, (audio_cuts, output, fit), now, &mut actions);
            }
            Event::RemuxFailed { batch, rendition, no_space: true, .. } => {
                self.postponed.push((now.plus_micros(POSTPONED_US), Postponed::Remux(batch, rendition)));
            }
            Event::RemuxFailed { batch, rendition, detail, .. } => {
                self.remux_failed(batch, rendition, detail, now, &mut actions);
            }
            Event::BatchAired { batch, output, sent, missed, max_lateness_us, bytes } => {
                let totals = OutputTotals {
                    published: 1,
                    sent_samples: sent,
                    missed_samples: missed,
                    bytes,
                    last_lateness_us: max_lateness_us,
                };
                self.batch_aired(batch, &output, &totals, now, &mut actions);
            }
            Event::ChildReplaced(child) => self.child_replaced(&child, now, &mut actions),
            Event::BatchCleaned { batch } => self.batch_cleaned(batch, now),
            Event::FilesFound(newest) => self.files_found(newest, &mut actions),
            Event::RunEnded => {
                self.run_ended(now, &mut actions);
                // Nothing is left to do until the next run, which begins with a ledger of its own.
                return actions;
            }
            Event::TimePassed => {}
        }
        self.advance(now, &mut actions);
        actions
    }

    /// What changed since the last call; to be stored before the actions are carried out.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            header: std::mem::take(&mut self.dirty_header).then(|| self.header.clone()),
            batches: std::mem::take(&mut self.dirty)
                .into_iter()
                .filter_map(|number| self.batches.get(&number).cloned())
                .collect(),
            forgotten: std::mem::take(&mut self.forgotten),
            flush: std::mem::take(&mut self.flush),
        }
    }

    /// The next moment at which [`Event::TimePassed`] changes something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMicros> {
        let due =
            self.batches.values().filter(|batch| !batch.is_settled()).filter_map(|batch| self.due(batch));
        let open = self.open_batch_due().map(|(due, _)| due);
        // What was due by now has been done, or waits for something else than time.
        due.chain(self.postponed.iter().map(|(at, _)| *at)).chain(open).filter(|due| *due > self.now).min()
    }

    /// By when the batch's processors must have answered.
    #[must_use]
    pub fn deadline(&self, batch: &BatchRecord) -> Option<UnixMicros> {
        Some(batch.air_start()?.plus_micros(-REMUX_MARGIN_US))
    }

    fn due(&self, batch: &BatchRecord) -> Option<UnixMicros> {
        let undecided = batch
            .renditions
            .iter()
            .any(|r| matches!(r.state, RenditionState::Waiting | RenditionState::Sent));
        if undecided {
            return self.deadline(batch);
        }
        if self.plan.outputs.is_empty() { batch.air_end() } else { None }
    }

    /// The stream's header record.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The batches that are remembered, by number.
    #[must_use]
    pub fn batches(&self) -> &BTreeMap<u64, BatchRecord> {
        &self.batches
    }

    /// What the ledger knows of the settings.
    #[must_use]
    pub fn plan(&self) -> &LedgerPlan {
        &self.plan
    }

    /// Whether a stage is at work on some batch: demuxing, at a processor, or being fitted.
    #[must_use]
    pub fn has_work_in_flight(&self) -> bool {
        self.issued.demux.is_some() || !self.issued.sends.is_empty() || !self.issued.remuxes.is_empty()
    }

    /// Whether the child still owes the outcome of a command.
    #[must_use]
    pub fn is_owed_by(&self, child: &ChildId) -> bool {
        match child {
            ChildId::Demuxer => self.issued.demux.is_some(),
            ChildId::Remuxer(name) => {
                let own = self.plan.renditions.iter().position(|rendition| rendition.name == *name);
                self.issued.remuxes.iter().any(|(_, rendition)| Some(*rendition) == own)
            }
            ChildId::Fetcher | ChildId::ProcessorLink(_) | ChildId::Publisher(_) => false,
        }
    }

    /// Since when an output should have aired a batch that it was given; none when it is not behind.
    #[must_use]
    pub fn airing_due(&self, output: &str) -> Option<UnixMicros> {
        let index = self.plan.outputs.iter().position(|plan| *plan.name == *output)?;
        let given = self.issued.publishes.iter().filter(|(_, to)| *to == index);
        let batches = given.filter_map(|(number, _)| self.batches.get(number));
        let open = batches.filter(|batch| !batch.is_settled() && !batch.aired.contains_key(output));
        open.filter_map(BatchRecord::air_end).min()
    }

    /// Whether every batch has aired and the source has ended.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.header.source_ended
            && self.header.open_segments.is_empty()
            && self.batches.values().all(BatchRecord::is_settled)
    }

    /// Goes on under another plan, of the same renditions and outputs.
    pub fn retune(&mut self, plan: LedgerPlan) {
        self.plan = plan;
    }

    fn delay_plan(&self) -> DelayPlan {
        DelayPlan {
            delay_us: self.plan.delay_us,
            buffer_us: self.plan.buffer_us,
            target_us: i64::from(self.header.source_target_s) * 1_000_000,
        }
    }

    fn header_mut(&mut self) -> &mut Header {
        self.dirty_header = true;
        &mut self.header
    }

    fn batch_mut(&mut self, number: u64) -> Option<&mut BatchRecord> {
        let batch = self.batches.get_mut(&number)?;
        self.dirty.insert(number);
        Some(batch)
    }

    fn rendition_totals(&mut self, rendition: usize) -> Option<&mut RenditionTotals> {
        let name = self.plan.renditions.get(rendition)?.name.clone();
        Some(self.header_mut().totals.renditions.entry(name).or_default())
    }
}
