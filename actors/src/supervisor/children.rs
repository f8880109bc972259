//! Children: spawned with their handles kept, so that a panic is seen, and replaced one for one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient, WrapFuture};
use tokio::task::AbortHandle;
use url::Url;

use super::condition::dated;
use super::watch::Probe;
use super::{HLS_OUTPUT, Lifecycle, StreamSupervisor, rtmp_outputs};
use crate::clock::{self, UnixMicros};
use crate::demuxer::Demuxer;
use crate::fetcher::{FetchLimits, Fetcher, FetcherConfig, ResumeAt, refusal};
use crate::ledger::Event;
use crate::link::{LinkConfig, ProcessorLink};
use crate::messages::{ChildId, Reporter};
use crate::publisher::hls::HlsPublisher;
use crate::publisher::rtmp::{RtmpPublisher, RtmpPublisherConfig};
use crate::remuxer::Remuxer;
use crate::requests::ErrorView;
use crate::settings::OutputSettings;

/// First and longest wait before a child is replaced.
const BACKOFF_MS: (u64, u64) = (500, 30_000);

/// Why a child was replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StageFault {
    #[error("panicked: {0}")]
    Panicked(String),
    #[error("made no progress for {0} s")]
    Hung(i64),
    #[error("ended unexpectedly")]
    Ended,
}

impl StageFault {
    /// Every word that [`Self::cause`] gives.
    pub(super) const CAUSES: [&'static str; 3] = ["panicked", "hung", "ended"];

    fn cause(&self) -> &'static str {
        match self {
            Self::Panicked(_) => "panicked",
            Self::Hung(_) => "hung",
            Self::Ended => "ended",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Children {
    pub vitals: BTreeMap<ChildId, Vitals>,
    pub fetcher: Option<Addr<Fetcher>>,
    pub demuxer: Option<Addr<Demuxer>>,
    pub links: BTreeMap<Arc<str>, Addr<ProcessorLink>>,
    pub remuxers: BTreeMap<Arc<str>, Addr<Remuxer>>,
    pub rtmp: BTreeMap<Arc<str>, Addr<RtmpPublisher>>,
    pub hls: Option<Addr<HlsPublisher>>,
    /// When children were replaced lately.
    restarts: VecDeque<UnixMicros>,
    /// When all of them were.
    escalated_at: Option<UnixMicros>,
}

/// How one child is.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    pub generation: u32,
    pub restarts: u32,
    pub last_fault: Option<ErrorView>,
    pub abort: Option<AbortHandle>,
    /// Since when it owes an answer or a sign of life.
    pub owing_since: Option<UnixMicros>,
    /// Asks it whether it takes messages.
    pub probe: Option<Recipient<Probe>>,
    /// Since when it has been asked and has not taken it.
    pub probed_since: Option<UnixMicros>,
    /// When this incarnation began.
    pub spawned_at: Option<UnixMicros>,
    /// Replacements since it last worked.
    pub attempts: u32,
}

impl Drop for Children {
    fn drop(&mut self) {
        // A supervisor that is gone leaves no child behind.
        for vitals in self.vitals.values() {
            if let Some(abort) = &vitals.abort {
                abort.abort();
            }
        }
    }
}

/// The children that a stream of these settings has, sources last so that nobody misses their first event.
pub(super) fn wanted(supervisor: &StreamSupervisor) -> Vec<ChildId> {
    let settings = supervisor.settings();
    let mut wanted = vec![];
    if settings.hls_output {
        wanted.push(ChildId::Publisher(HLS_OUTPUT.into()));
    }
    wanted.extend(rtmp_outputs(settings).map(|(_, name, _)| ChildId::Publisher(name)));
    for rendition in &settings.renditions {
        let name: Arc<str> = rendition.name.as_str().into();
        wanted.extend([ChildId::Remuxer(name.clone()), ChildId::ProcessorLink(name)]);
    }
    wanted.extend([ChildId::Demuxer, ChildId::Fetcher]);
    wanted
}

impl StreamSupervisor {
    pub(super) fn spawn_all(&mut self, ctx: &mut Context<Self>) {
        for child in wanted(self) {
            self.spawn(&child, ctx);
        }
    }

    /// Ends all children. What is known of their faults stays.
    pub(super) fn end_all(&mut self) {
        let ended = std::mem::take(&mut self.children);
        self.children.escalated_at = ended.escalated_at;
        for (child, vitals) in &ended.vitals {
            // Generations go on, so that a report of the dead that is still on its way is known as such.
            let kept = Vitals {
                generation: vitals.generation + 1,
                restarts: vitals.restarts,
                last_fault: vitals.last_fault.clone(),
                ..Vitals::default()
            };
            self.children.vitals.insert(child.clone(), kept);
            self.disconnected(child);
        }
    }

    /// Forgets the faults of earlier runs, and children that these settings do not want.
    pub(super) fn forget_faults(&mut self) {
        let wanted = wanted(self);
        self.children.vitals.retain(|child, _| wanted.contains(child));
        for vitals in self.children.vitals.values_mut() {
            (vitals.restarts, vitals.last_fault) = (0, None);
        }
    }

    /// Ends one child for good.
    pub(super) fn end_child(&mut self, child: &ChildId) {
        if let Some(vitals) = self.children.vitals.get_mut(child) {
            vitals.generation += 1;
            (vitals.owing_since, vitals.probe, vitals.probed_since) = (None, None, None);
            if let Some(abort) = vitals.abort.take() {
                abort.abort();
            }
        }
        self.children.forget_address(child);
    }

    pub(super) fn spawn(&mut self, child: &ChildId, ctx: &mut Context<Self>) {
        let vitals = self.children.vitals.entry(child.clone()).or_default();
        vitals.generation += 1;
        vitals.spawned_at = Some(clock::now());
        let reporter = Reporter {
            recipient: ctx.address().recipient(),
            child: child.clone(),
            generation: vitals.generation,
            mailbox: self.mailbox.clone(),
        };
        match child {
            ChildId::Fetcher => match self.fetcher_config() {
                Ok(config) => {
                    self.owes(&ChildId::Fetcher);
                    self.children.fetcher = Some(self.run(child, Fetcher::new(config, reporter), ctx));
                }
                Err(error) => self.complain(child, error),
            },
            ChildId::Demuxer => {
                let language = self.settings().source.audio_language.clone();
                let demuxer = Demuxer::new(self.files.clone(), language, reporter);
                self.children.demuxer = Some(self.run(child, demuxer, ctx));
            }
            ChildId::ProcessorLink(name) => {
                let settings = self.settings();
                let rendition = settings.renditions.iter().find(|r| *r.name == **name);
                let config = LinkConfig {
                    stream_id: settings.stream_id.clone(),
                    rendition: name.clone(),
                    url: rendition.map(|r| r.audio_processor_url.clone()).unwrap_or_default(),
                };
                let address = self.run(child, ProcessorLink::new(config, reporter), ctx);
                self.children.links.insert(name.clone(), address);
            }
            ChildId::Remuxer(name) => {
                let remuxer = Remuxer::new(self.files.clone(), name.clone(), reporter);
                let address = self.run(child, remuxer, ctx);
                self.children.remuxers.insert(name.clone(), address);
            }
            ChildId::Publisher(name) if **name == *HLS_OUTPUT => {
                let publisher = HlsPublisher::new(self.live.clone(), reporter);
                self.children.hls = Some(self.run(child, publisher, ctx));
            }
            ChildId::Publisher(name) => {
                let settings = self.settings();
                let Some((_, _, OutputSettings::Rtmp { url, takes_h265 })) =
                    rtmp_outputs(settings).find(|(_, other, _)| other == name)
                else {
                    return;
                };
                let config = RtmpPublisherConfig {
                    stream_id: settings.stream_id.clone(),
                    output: name.clone(),
                    url: url.clone(),
                    takes_h265: *takes_h265,
                };
                let address = self.run(child, RtmpPublisher::new(config, reporter), ctx);
                self.children.rtmp.insert(name.clone(), address);
            }
        }
    }

    fn fetcher_config(&self) -> Result<FetcherConfig, String> {
        let settings = self.settings();
        let header = self.ledger.header();
        let resume = header.next_media_sequence.map(|next_media_sequence| ResumeAt {
            next_media_sequence,
            next_number: header.next_segment_number,
        });
        Ok(FetcherConfig {
            stream_id: settings.stream_id.clone(),
            source_url: Url::parse(&settings.source_url).map_err(|error| format!("source URL: {error}"))?,
            options: settings.source.clone(),
            directory: self.files.originals().to_owned(),
            resume,
            lowest_number: header.next_segment_number,
            start: settings.start,
            limits: FetchLimits::default(),
            space: self.tree.space.clone(),
            refuses: refusal(self.tree.allow_private),
        })
    }

    /// Runs an actor on this thread with its handle kept. actix's own Supervisor would not survive its panic.
    fn run<A: Actor<Context = Context<A>> + Handler<Probe>>(
        &mut self,
        child: &ChildId,
        actor: A,
        ctx: &mut Context<Self>,
    ) -> Addr<A> {
        let own = Context::new();
        let address = own.address();
        let handle = tokio::task::spawn_local(own.into_future(actor));
        let vitals = self.children.vitals.entry(child.clone()).or_default();
        vitals.abort = Some(handle.abort_handle());
        (vitals.probe, vitals.probed_since) = (Some(address.clone().recipient()), None);
        let (child, generation) = (child.clone(), vitals.generation);
        ctx.spawn(handle.into_actor(self).map(move |outcome, this, ctx| {
            let fault = match outcome {
                Ok(()) => StageFault::Ended,
                Err(error) if error.is_panic() => StageFault::Panicked(panic_text(&*error.into_panic())),
                Err(_) => return,
            };
            this.child_failed(&child, generation, fault, ctx);
        }));
        address
    }

    /// Notes that a child owes an answer from now on, unless it owes one already.
    pub(super) fn owes(&mut self, child: &ChildId) {
        if let Some(vitals) = self.children.vitals.get_mut(child) {
            vitals.owing_since.get_or_insert_with(clock::now);
        }
    }

    /// Notes a fault without replacing anybody.
    pub(super) fn complain(&mut self, child: &ChildId, message: String) {
        let error = dated(&child.name(), message);
        if let Some(vitals) = self.children.vitals.get_mut(child) {
            vitals.last_fault = Some(error.clone());
        }
        self.last_error = Some(error);
    }

    pub(super) fn child_failed(
        &mut self,
        child: &ChildId,
        generation: u32,
        fault: StageFault,
        ctx: &mut Context<Self>,
    ) {
        let Some(vitals) = self.children.vitals.get_mut(child) else { return };
        if vitals.generation != generation
            || !matches!(self.lifecycle, Lifecycle::Running | Lifecycle::Draining(_))
        {
            return;
        }
        if matches!(self.lifecycle, Lifecycle::Draining(_)) && fault == StageFault::Ended {
            return;
        }
        let error = dated(&child.name(), fault.to_string());
        tracing::error!(stream = self.stream.settings.stream_id.as_str(), actor = child.name(), %fault, "a child is replaced");
        vitals.last_fault = Some(error.clone());
        vitals.restarts += 1;
        vitals.attempts += 1;
        let attempts = vitals.attempts;
        self.last_error = Some(error);
        self.metrics.replaced(&child.name(), fault.cause());
        self.end_child(child);
        self.disconnected(child);
        let ending = matches!(&self.lifecycle, Lifecycle::Draining(drain) if drain.finishing.is_some());
        if let ChildId::Publisher(name) = child
            && ending
        {
            // It was about to end anyway.
            self.output_finished(name, ctx);
            return;
        }

        let now = clock::now();
        let window = i64::try_from(self.tree.restart_window.as_micros()).unwrap_or(i64::MAX);
        let recent = &mut self.children.restarts;
        recent.push_back(now);
        while recent.front().is_some_and(|first| now.micros_since(*first) > window) {
            recent.pop_front();
        }
        if recent.len() > self.tree.max_restarts {
            recent.clear();
            self.escalate(&format!("{} {fault}", child.name()), now, window, ctx);
            return;
        }
        let generation = self.children.vitals.get(child).map_or(0, |vitals| vitals.generation);
        let child = child.clone();
        ctx.run_later(backoff(attempts), move |this, ctx| {
            let current = this.children.vitals.get(&child).map(|vitals| vitals.generation);
            let alive = matches!(this.lifecycle, Lifecycle::Running | Lifecycle::Draining(_));
            if alive && current == Some(generation) {
                this.spawn(&child, ctx);
                this.feed(Event::ChildReplaced(child), ctx);
                this.refresh_condition();
            }
        });
        self.refresh_condition();
    }

    /// Too many replacements: first all children are; if that was done lately, the stream has failed.
    fn escalate(&mut self, cause: &str, now: UnixMicros, window: i64, ctx: &mut Context<Self>) {
        if matches!(self.lifecycle, Lifecycle::Draining(_)) {
            self.fail(cause.to_owned(), ctx);
            return;
        }
        let tried = self.children.escalated_at.is_some_and(|at| now.micros_since(at) <= window);
        if tried {
            self.fail(cause.to_owned(), ctx);
            return;
        }
        self.children.escalated_at = Some(now);
        tracing::error!(stream = self.id(), cause, "too many restarts: all children are replaced");
        self.end_all();
        self.spawn_all(ctx);
        for child in wanted(self) {
            self.feed(Event::ChildReplaced(child), ctx);
        }
        self.refresh_condition();
    }
}

impl Children {
    fn forget_address(&mut self, child: &ChildId) {
        match child {
            ChildId::Fetcher => self.fetcher = None,
            ChildId::Demuxer => self.demuxer = None,
            ChildId::ProcessorLink(name) => _ = self.links.remove(name),
            ChildId::Remuxer(name) => _ = self.remuxers.remove(name),
            ChildId::Publisher(name) if **name == *HLS_OUTPUT => self.hls = None,
            ChildId::Publisher(name) => _ = self.rtmp.remove(name),
        }
    }
}

impl Vitals {
    /// Notes a sign of life.
    pub(super) fn alive(&mut self, still_owing: bool) {
        self.attempts = 0;
        self.owing_since = still_owing.then(clock::now);
    }
}

impl ChildId {
    /// The child's name in API, metrics and logs.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Fetcher => "fetcher".to_owned(),
            Self::Demuxer => "demuxer".to_owned(),
            Self::ProcessorLink(name) => format!("processor-link/{name}"),
            Self::Remuxer(name) => format!("remuxer/{name}"),
            Self::Publisher(name) => format!("publisher/{name}"),
        }
    }
}

/// Exponential, with up to a quarter of jitter so that neighbours do not come back in step.
fn backoff(attempts: u32) -> Duration {
    let (first, longest) = BACKOFF_MS;
    let base = first.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(longest);
    Duration::from_millis(base - fastrand::u64(0..=base / 4))
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
