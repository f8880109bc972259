//! The supervisor of one stream: feeds its ledger, persists what changed, then acts; replaces children that
//! panic, fail or hang.
//!
//! | file | what |
//! | --- | --- |
//! | `children` | spawning, exits, backoff, escalation |
//! | `reports` | what children say, as ledger events and figures |
//! | `acting` | the ledger's actions, as commands to children |
//! | `lifecycle` | start, stop, end, failure and retry |
//! | `queries` | what the registry asks, and cleaning |
//! | `media` | what a source's media is, in words |
//! | `condition` | the stream's state and why |
//! | `shown` | what is measured for those who look |
//! | `announce` | telling listeners |
//! | `change` | other settings for a run |
//! | `view` | what is shown |
//! | `watch` | which children make no progress |
//! | `figures` | what is counted |

mod acting;
mod announce;
mod change;
mod children;
mod condition;
mod figures;
mod lifecycle;
mod media;
mod queries;
mod reports;
mod shown;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, SpawnHandle};
use std::collections::{BTreeSet, VecDeque};
use tokio::sync::oneshot;

use crate::clock::UnixMicros;
use crate::events::EventHub;
use crate::files::StreamFiles;
use crate::ledger::{Action, Event, Ledger, LedgerPlan, OutputPlan, RenditionPlan};
use crate::live::LiveOutput;
use crate::metrics::{Mailbox, Metrics, StreamMetrics};
use crate::requests::ErrorView;
use crate::settings::{OutputSettings, StreamSettings};
use crate::space::Space;
use crate::store::{Store, StoredStream};
use announce::Announcer;
pub use change::ChangeRun;
use children::Children;
use condition::Condition;
pub use lifecycle::{DrainRun, Retire, StartRun, StopRun};
pub use queries::{CleanNow, ReadBatches, ReadView};
use shown::Shown;

/// Name of the HLS output.
pub const HLS_OUTPUT: &str = "hls";

/// Settings that all streams share.
#[derive(Debug, Clone)]
pub struct TreeSettings {
    /// Root of the storage.
    pub storage: PathBuf,
    /// Published batches that stay on disk; `None` keeps all.
    pub keep_batches: Option<u64>,
    /// Whether there is room for new segments.
    pub space: Arc<Space>,
    /// Whether sources may have private addresses.
    pub allow_private: bool,
    /// More restarts than this within the window escalate.
    pub max_restarts: usize,
    /// The window.
    pub restart_window: Duration,
    /// How long a failed stream waits for its next try.
    pub failed_retry: Duration,
    /// How long a drain may take.
    pub shutdown_grace: Duration,
}

/// What a supervisor needs to begin.
#[derive(Debug)]
pub struct SupervisorParts {
    /// The stream as stored.
    pub stream: StoredStream,
    /// Settings that all streams share.
    pub tree: TreeSettings,
    /// The state.
    pub store: Store,
    /// The HLS output, shared with the registry.
    pub live: Arc<LiveOutput>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where listeners are told.
    pub events: EventHub,
}

/// Where a run stands.
#[derive(Debug)]
enum Lifecycle {
    Stopped,
    Running,
    /// Children end their work; the outputs follow.
    Draining(Drain),
    Failed {
        reason: String,
    },
    Ended,
}

#[derive(Debug)]
struct Drain {
    /// Whether the stream is to stay stopped.
    for_good: bool,
    /// Whether the outputs have been told to end, and how many have yet to say that they have.
    finishing: Option<usize>,
    since: UnixMicros,
    waiters: Vec<oneshot::Sender<()>>,
}

/// See the module.
pub struct StreamSupervisor {
    stream: StoredStream,
    tree: TreeSettings,
    store: Store,
    files: StreamFiles,
    live: Arc<LiveOutput>,
    metrics: StreamMetrics,
    /// Counts the reports that wait for this supervisor.
    mailbox: Mailbox,
    ledger: Ledger,
    lifecycle: Lifecycle,
    children: Children,
    condition: Condition,
    shown: Shown,
    announcer: Announcer,
    last_error: Option<ErrorView>,
    deadline_timer: Option<SpawnHandle>,
    retry_timer: Option<SpawnHandle>,
    watch_timer: Option<SpawnHandle>,
    watched_at: Option<UnixMicros>,
    drain_timers: Vec<SpawnHandle>,
    /// Actions that wait for the disk, in the ledger's order.
    queued: VecDeque<Action>,
    /// Flushes that are being waited for.
    flushes: usize,
    /// Batches whose files are being removed.
    cleaning: BTreeSet<u64>,
}

impl StreamSupervisor {
    /// A supervisor that goes on where the stored ledger stands; what of it cannot be read is set aside, loudly.
    #[must_use]
    pub fn new(parts: SupervisorParts) -> Self {
        let SupervisorParts { stream, tree, store, live, metrics, events } = parts;
        let id = stream.settings.stream_id.clone();
        let mut last_error = None;
        let (header, batches) = store.ledger(&id).unwrap_or_else(|error| {
            tracing::error!(stream = %id, %error, "the ledger is damaged; what cannot be read is set aside");
            last_error = Some(condition::dated("supervisor", error.to_string()));
            store.salvage_ledger(&id).unwrap_or_else(|error| {
                tracing::error!(stream = %id, %error, "the ledger cannot be read; it begins anew");
                Default::default()
            })
        });
        let ledger = Ledger::new(ledger_plan(&stream.settings, &tree), header, batches);
        let lifecycle = if stream.ended { Lifecycle::Ended } else { Lifecycle::Stopped };
        Self {
            files: StreamFiles::new(&tree.storage, &id),
            children: Children::default(),
            condition: Condition::new(&stream.settings),
            shown: Shown::of(ledger.batches().values()),
            announcer: Announcer::new(events),
            stream,
            tree,
            store,
            live,
            metrics: StreamMetrics::new(&metrics, id.as_str()),
            mailbox: Mailbox::default(),
            ledger,
            lifecycle,
            last_error,
            deadline_timer: None,
            retry_timer: None,
            watch_timer: None,
            watched_at: None,
            drain_timers: Vec::new(),
            queued: VecDeque::new(),
            flushes: 0,
            cleaning: BTreeSet::new(),
        }
    }

    fn settings(&self) -> &StreamSettings {
        &self.stream.settings
    }

    fn id(&self) -> &str {
        self.stream.settings.stream_id.as_str()
    }

    /// Tells the ledger what happened; then stores what changed; then acts.
    fn feed(&mut self, event: Event, ctx: &mut Context<Self>) {
        let actions = self.ledger.apply(event, crate::clock::now());
        self.carry_out(actions, ctx);
        self.set_deadline_timer(ctx);
    }

    fn set_deadline_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.deadline_timer.take() {
            ctx.cancel_future(timer);
        }
        if !matches!(self.lifecycle, Lifecycle::Running | Lifecycle::Draining(_)) {
            return;
        }
        if let Some(deadline) = self.ledger.next_deadline() {
            let wait = deadline.micros_since(crate::clock::now()).max(0).unsigned_abs();
            self.deadline_timer = Some(ctx.run_later(Duration::from_micros(wait), |this, ctx| {
                this.deadline_timer = None;
                this.feed(Event::TimePassed, ctx);
                this.refresh_condition();
            }));
        }
    }
}

impl Actor for StreamSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.announcer.begin(&ctx.address());
        if self.stream.desired_running && !self.stream.ended {
            self.begin_run(ctx);
        }
        self.refresh_condition();
    }
}

fn ledger_plan(settings: &StreamSettings, tree: &TreeSettings) -> LedgerPlan {
    let micros = |seconds: f64| (seconds * 1_000_000.0) as i64;
    let renditions = settings
        .renditions
        .iter()
        .map(|r| RenditionPlan { name: r.name.as_str().into(), fallback: r.fallback });
    let mut outputs: Vec<OutputPlan> =
        rtmp_outputs(settings).map(|(index, name, _)| OutputPlan { name, rendition: Some(index) }).collect();
    if settings.hls_output {
        outputs.push(OutputPlan { name: HLS_OUTPUT.into(), rendition: None });
    }
    LedgerPlan {
        buffer_us: micros(settings.buffer_duration),
        delay_us: micros(settings.delay),
        max_concurrent_batches: settings.max_concurrent_batches as usize,
        keep_batches: tree.keep_batches,
        renditions: renditions.collect(),
        outputs,
    }
}

/// The RTMP outputs: index of their rendition, name, settings.
fn rtmp_outputs(settings: &StreamSettings) -> impl Iterator<Item = (usize, Arc<str>, &OutputSettings)> {
    settings.renditions.iter().enumerate().flat_map(|(index, rendition)| {
        rendition
            .outputs
            .iter()
            .enumerate()
            .map(move |(n, output)| (index, format!("{}/rtmp-{n}", rendition.name).into(), output))
    })
}
