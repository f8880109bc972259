//! The stream's state and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::media::MediaNote;
use super::{Lifecycle, StreamSupervisor};
use crate::clock::{self, UnixMicros};
use crate::messages::ChildId;
use crate::requests::{ErrorView, StreamState};
use crate::settings::StreamSettings;

/// A segment may be lost; so many in a row are a source that does not deliver.
const LOST_IN_A_ROW: u32 = 3;

/// A stage that owes an answer for so long is told of, long before it is replaced.
const STUCK_US: i64 = 15_000_000;

/// What is known of the world outside.
#[derive(Debug)]
pub(super) struct Condition {
    /// Whether the source was ever reached in this run, and what is wrong with it now.
    pub source_seen: bool,
    pub source_fault: Option<String>,
    /// Which variant and which audio of a multivariant playlist were taken, and why.
    pub variant: Option<String>,
    pub audio: Option<String>,
    /// What is in the way of the source's audio, where it has a playlist of its own.
    pub audio_fault: Option<String>,
    /// What became of the newest batch's source, once one is demuxed.
    pub media: Option<MediaNote>,
    /// Segments lost since one was stored, and why the first was.
    pub lost_in_a_row: u32,
    pub loss: Option<String>,
    /// Why the newest batch could not be demuxed.
    pub unreadable: Option<String>,
    pub links: BTreeMap<Arc<str>, LinkCondition>,
    pub outputs: BTreeMap<Arc<str>, OutputCondition>,
    /// Why the newest batch of a rendition fell back, if it did.
    pub fallbacks: BTreeMap<Arc<str>, String>,
    pub state: StreamState,
    pub reason: Option<String>,
    pub since: UnixMicros,
}

#[derive(Debug, Default)]
pub(super) struct LinkCondition {
    pub connected: bool,
    pub fault: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct OutputCondition {
    pub up: bool,
    pub fault: Option<String>,
    /// The newest batch of which something has gone out.
    pub on_air: Option<u64>,
}

impl Condition {
    pub(super) fn new(settings: &StreamSettings) -> Self {
        let links = settings.renditions.iter().map(|r| (r.name.as_str().into(), LinkCondition::default()));
        let outputs = super::rtmp_outputs(settings).map(|(_, name, _)| name);
        let hls = settings.hls_output.then(|| super::HLS_OUTPUT.into());
        Self {
            source_seen: false,
            source_fault: None,
            variant: None,
            audio: None,
            audio_fault: None,
            media: None,
            lost_in_a_row: 0,
            loss: None,
            unreadable: None,
            links: links.collect(),
            outputs: outputs.chain(hls).map(|name| (name, OutputCondition::default())).collect(),
            fallbacks: BTreeMap::new(),
            state: StreamState::Stopped,
            reason: None,
            since: clock::now(),
        }
    }

    /// Why a source that answers gives nothing to air all the same.
    fn no_media(&self) -> Option<String> {
        let lost = self.loss.as_ref().filter(|_| self.lost_in_a_row >= LOST_IN_A_ROW);
        let lost = lost.map(|why| format!("its segments cannot be had: {why}"));
        lost.or_else(|| self.unreadable.as_ref().map(|why| format!("its media cannot be read: {why}")))
    }

    fn degradation(&self, stuck: Option<String>) -> Option<String> {
        let outputs = self.outputs.iter().filter_map(|(name, output)| {
            output.fault.as_ref().map(|fault| format!("output {name} is down: {fault}"))
        });
        let links = self.links.iter().filter_map(|(name, link)| {
            link.fault.as_ref().map(|fault| format!("processor of {name} is not connected: {fault}"))
        });
        let fallbacks = self.fallbacks.iter().map(|(name, why)| format!("{name} is on fallback: {why}"));
        let lack = self.media.and_then(MediaNote::lack).map(str::to_owned);
        let audio = self.audio_fault.iter().map(|fault| of_source(fault)).chain(lack);
        let reasons: Vec<String> =
            stuck.into_iter().chain(audio).chain(outputs).chain(links).chain(fallbacks).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Words about the source; most name it themselves.
fn of_source(fault: &str) -> String {
    if fault.starts_with("source") { fault.to_owned() } else { format!("source: {fault}") }
}

impl StreamSupervisor {
    /// Forgets the connection of a child that is gone and could not say so itself.
    pub(super) fn disconnected(&mut self, child: &ChildId) {
        match child {
            ChildId::ProcessorLink(name) => {
                if let Some(link) = self.condition.links.get_mut(name) {
                    link.connected = false;
                }
                self.metrics.set_connected(name, false);
            }
            ChildId::Publisher(name) => {
                if let Some(output) = self.condition.outputs.get_mut(name) {
                    output.up = false;
                }
                self.metrics.set_output(name, false, false);
            }
            ChildId::Fetcher | ChildId::Demuxer | ChildId::Remuxer(_) => {}
        }
    }

    /// Which stage works at nothing, and so keeps every later batch waiting.
    fn stuck(&self) -> Option<String> {
        let now = clock::now();
        self.children.vitals.iter().find_map(|(child, vitals)| {
            if !matches!(child, ChildId::Demuxer | ChildId::Remuxer(_)) {
                return None;
            }
            let name = child.name();
            if vitals.attempts > 1 {
                let fault = vitals.last_fault.as_ref().map_or("it ended", |fault| fault.message.as_str());
                return Some(format!("{name} is replaced again and again: {fault}"));
            }
            let owes = vitals.owing_since.is_some_and(|since| now.micros_since(since) > STUCK_US);
            owes.then(|| format!("{name} makes no progress, as if the disk hung"))
        })
    }

    fn judged(&self) -> (StreamState, Option<String>) {
        match &self.lifecycle {
            Lifecycle::Stopped => {
                let reason =
                    if self.stream.desired_running { "the service ends" } else { "stopped on request" };
                (StreamState::Stopped, Some(reason.to_owned()))
            }
            Lifecycle::Ended => (StreamState::Ended, Some(self.how_it_ended())),
            Lifecycle::Failed { reason } => (StreamState::Failed, Some(reason.clone())),
            Lifecycle::Draining(_) => {
                (StreamState::Stopping, Some("what its processors and outputs are at is finished".to_owned()))
            }
            Lifecycle::Running => match (&self.condition.source_fault, self.condition.source_seen) {
                (Some(fault), _) => (StreamState::Waiting, Some(of_source(fault))),
                (None, false) => (StreamState::Starting, Some("the source is being reached".to_owned())),
                (None, true) => match (self.condition.no_media(), self.condition.degradation(self.stuck())) {
                    (Some(reason), _) => (StreamState::Waiting, Some(of_source(&reason))),
                    (None, Some(reason)) => (StreamState::Degraded, Some(reason)),
                    (None, None) => (StreamState::Running, None),
                },
            },
        }
    }

    fn how_it_ended(&self) -> String {
        let totals = &self.ledger.header().totals;
        let aired = totals.outputs.values().any(|output| output.published > 0);
        if aired || totals.skipped_batches == 0 {
            return "the source has ended and all has aired".to_owned();
        }
        let why = self.ledger.batches().values().rev().find_map(|batch| batch.skipped.as_ref());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        format!(
            "the source has ended, and none of its {} batches could be aired{why}",
            totals.skipped_batches
        )
    }

    /// Judges the stream anew and says so where its state changed.
    pub(super) fn refresh_condition(&mut self) {
        let (state, reason) = self.judged();
        if state != self.condition.state {
            tracing::info!(
                stream = self.id(),
                from = self.condition.state.name(),
                to = state.name(),
                reason = reason.as_deref(),
                "state changed"
            );
            self.condition.state = state;
            self.condition.since = clock::now();
        }
        self.metrics.set_state(state);
        let up = matches!(self.lifecycle, Lifecycle::Running)
            && self.condition.source_seen
            && self.condition.source_fault.is_none();
        self.metrics.set_source_up(up);
        self.metrics.show(&self.ledger.figures(), self.mailbox.depth());
        self.condition.reason = reason;
        self.announce();
    }
}

pub(super) fn dated(actor: &str, message: String) -> ErrorView {
    ErrorView { actor: actor.to_owned(), message, at: clock::rfc3339(clock::now()) }
}
