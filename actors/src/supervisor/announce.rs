//! Telling listeners of the stream: a change of its state at once, of its figures at most once a second.
//! While nobody listens this costs a look at one counter.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use actix::{Addr, Context, Handler, Message, WeakAddr};

use super::StreamSupervisor;
use super::condition::Condition;
use crate::clock::{self, UnixMicros};
use crate::events::EventHub;
use crate::ledger::BatchRecord;
use crate::requests::StreamState;

/// Figures are told at most this often.
const FIGURES_INTERVAL_US: i64 = 1_000_000;

/// Tell the figures that have changed meanwhile.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct TellFigures;

#[derive(Debug)]
pub(super) struct Announcer {
    hub: EventHub,
    own: Option<WeakAddr<StreamSupervisor>>,
    /// What cannot wait, as it was told last.
    told: Option<Urgent>,
    /// The whole as it was told last, and when it was looked at.
    told_hash: u64,
    looked_at: UnixMicros,
    /// Whether a look at the figures is to come.
    pending: bool,
}

/// What listeners hear of at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Urgent {
    state: StreamState,
    reason: Option<String>,
    /// Of outputs and links, in the order of their names.
    up: Vec<bool>,
}

impl Urgent {
    fn of(condition: &Condition) -> Self {
        let outputs = condition.outputs.values().map(|output| output.up);
        let links = condition.links.values().map(|link| link.connected);
        Self { state: condition.state, reason: condition.reason.clone(), up: outputs.chain(links).collect() }
    }
}

impl Announcer {
    pub(super) fn new(hub: EventHub) -> Self {
        Self { hub, own: None, told: None, told_hash: 0, looked_at: UnixMicros(0), pending: false }
    }

    /// Notes where the supervisor is reached.
    pub(super) fn begin(&mut self, own: &Addr<StreamSupervisor>) {
        self.own = Some(own.downgrade());
    }
}

impl StreamSupervisor {
    /// Tells listeners what changed. Called whenever something may have.
    pub(super) fn announce(&mut self) {
        if !self.announcer.hub.has_listeners() {
            return;
        }
        let urgent = Urgent::of(&self.condition);
        if self.announcer.told.as_ref() != Some(&urgent) {
            self.announcer.told = Some(urgent);
            self.tell_view();
        } else if !self.announcer.pending {
            let waited = clock::now().micros_since(self.announcer.looked_at);
            if waited >= FIGURES_INTERVAL_US {
                self.tell_view();
            } else if let Some(own) = self.announcer.own.clone() {
                self.announcer.pending = true;
                let rest = FIGURES_INTERVAL_US - waited.max(0);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(Duration::from_micros(rest.unsigned_abs())).await;
                    if let Some(own) = own.upgrade() {
                        own.do_send(TellFigures);
                    }
                });
            }
        }
    }

    fn tell_view(&mut self) {
        let view = self.view();
        self.announcer.looked_at = clock::now();
        let mut hasher = DefaultHasher::new();
        // Views hold nothing that JSON cannot.
        serde_json::to_vec(&view).unwrap_or_default().hash(&mut hasher);
        let hash = hasher.finish();
        if hash != self.announcer.told_hash {
            self.announcer.told_hash = hash;
            self.announcer.hub.tell_stream(&view);
        }
    }

    /// Tells listeners of batches that have changed.
    pub(super) fn announce_batches(&self, batches: &[BatchRecord]) {
        if !self.announcer.hub.has_listeners() {
            return;
        }
        for batch in batches {
            self.announcer.hub.tell_batch(&self.stream.settings.stream_id, &self.batch_view(batch));
        }
    }
}

impl Handler<TellFigures> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: TellFigures, _: &mut Context<Self>) {
        self.announcer.pending = false;
        if self.announcer.hub.has_listeners() {
            self.tell_view();
        }
    }
}
