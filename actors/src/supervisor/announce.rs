//! Telling listeners of the stream: a change of its state at once, of its figures at most once a second.
//! While nobody listens this costs a look at one counter.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use actix::{Addr, Context, Handler, Message, WeakAddr};

use super::StreamSupervisor;
use super::condition::Condition;
use crate::clock::{self, UnixMicros};
use crate::events::EventHub;
use crate::ledger::{BatchRecord, Note};
use crate::requests::StreamState;
use crate::webhooks::{HookEvent, Notice};

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
    /// The state and the outputs that are up, as webhooks know them.
    noticed: StreamState,
    noticed_up: BTreeSet<Arc<str>>,
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
        Self {
            hub,
            own: None,
            told: None,
            told_hash: 0,
            looked_at: UnixMicros(0),
            pending: false,
            noticed: StreamState::Stopped,
            noticed_up: BTreeSet::new(),
        }
    }

    /// Notes where the supervisor is reached.
    pub(super) fn begin(&mut self, own: &Addr<StreamSupervisor>) {
        self.own = Some(own.downgrade());
    }
}

impl StreamSupervisor {
    /// Tells listeners what changed. Called whenever something may have.
    pub(super) fn announce(&mut self) {
        self.notice_changes();
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

    /// Tells webhooks of another state, and of outputs that came up or went down.
    fn notice_changes(&mut self) {
        let was = std::mem::replace(&mut self.announcer.noticed, self.condition.state);
        if was != self.condition.state {
            let (to, reason) = (self.condition.state.name(), &self.condition.reason);
            let data = json!({ "from": was.name(), "to": to, "reason": reason });
            self.notice(HookEvent::StreamState, data);
        }
        let outputs = &self.condition.outputs;
        let known = &self.announcer.noticed_up;
        let up = outputs.iter().filter(|(_, output)| output.up).map(|(name, _)| name);
        if up.clone().eq(known) {
            return;
        }
        let now: BTreeSet<Arc<str>> = up.cloned().collect();
        let before = std::mem::replace(&mut self.announcer.noticed_up, now);
        for name in self.announcer.noticed_up.difference(&before) {
            self.notice(HookEvent::OutputUp, json!({ "output": &**name }));
        }
        for name in before.difference(&self.announcer.noticed_up) {
            let reason = self.condition.outputs.get(name).and_then(|output| output.fault.as_deref());
            let reason = reason.or(self.condition.reason.as_deref());
            self.notice(HookEvent::OutputDown, json!({ "output": &**name, "reason": reason }));
        }
    }

    /// Tells webhooks of the first fallback of a row, and of its end. Called before the condition knows.
    pub(super) fn notice_fallback(&self, note: &Note) {
        match note {
            Note::FellBack { batch, rendition, reason }
                if !self.condition.fallbacks.contains_key(rendition) =>
            {
                let (name, message) = (reason.label(), reason.to_string());
                let data =
                    json!({ "rendition": &**rendition, "batch": batch, "reason": name, "message": message });
                self.notice(HookEvent::FallbackStarted, data);
            }
            Note::Processed { batch, rendition } if self.condition.fallbacks.contains_key(rendition) => {
                self.notice(HookEvent::FallbackEnded, json!({ "rendition": &**rendition, "batch": batch }));
            }
            _ => {}
        }
    }

    fn notice(&self, event: HookEvent, data: serde_json::Value) {
        if self.announcer.hub.wants_notices() {
            let stream = self.stream.settings.stream_id.clone();
            self.announcer.hub.tell_notice(Notice::new(event, stream, data));
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
