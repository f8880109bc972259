//! Start, stop, end, failure and retry.

use std::time::Duration;

use actix::{
    ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture,
};
use tokio::sync::oneshot;

use super::condition::{Condition, dated};
use super::watch::WATCH_INTERVAL;
use super::{Drain, Lifecycle, StreamSupervisor, ledger_plan};
use crate::clock;
use crate::demuxer::DiscardOpen;
use crate::files::KnownFiles;
use crate::ledger::{Event, Ledger};
use crate::messages::ChildId;
use crate::requests::RequestError;
use crate::settings::StreamSettings;
use crate::store::{StoreError, StoredStream};

/// What an output may take to end beyond the grace for the work in flight.
const OUTPUT_END: Duration = Duration::from_secs(5);

/// Begin to run, with other settings if given.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct StartRun {
    /// The settings to run with from now on.
    pub settings: Option<StreamSettings>,
}

/// Drain and stay stopped. The receiver is told when it is done.
#[derive(Debug, Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub struct StopRun;

/// Drain because the process ends; the stream stays wanted.
#[derive(Debug, Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub struct DrainRun;

/// End for ever: after this nothing is written in the stream's name.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

impl StreamSupervisor {
    pub(super) fn begin_run(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(stream = self.id(), "starting");
        self.lifecycle = Lifecycle::Running;
        self.condition = Condition::new(self.settings());
        self.begin_to_count();
        let files = self.files.clone();
        let work = move || files.prepare().and_then(|()| files.newest());
        self.with_files(ctx, work, |this, newest, ctx| {
            this.feed(Event::FilesFound(newest), ctx);
            this.remove_unknown_files(ctx);
        });
        self.refresh_condition();
    }

    fn remove_unknown_files(&mut self, ctx: &mut Context<Self>) {
        let (files, known, stream) = (self.files.clone(), self.known_files(), self.id().to_owned());
        let work = move || {
            let removed = known.map_or(Ok(0), |known| files.remove_unknown(&known))?;
            if removed > 0 {
                tracing::info!(stream, removed, "files that belong to no batch have been removed");
            }
            Ok(())
        };
        self.with_files(ctx, work, |this, (), ctx| this.begin_work(ctx));
    }

    /// Does work on the folders, then goes on; nothing else is dealt with meanwhile.
    fn with_files<T: Send + 'static>(
        &mut self,
        ctx: &mut Context<Self>,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        let done = tokio::task::spawn_blocking(work);
        ctx.wait(done.into_actor(self).map(|done, this, ctx| {
            let problem = match done {
                Ok(Ok(outcome)) => return then(this, outcome, ctx),
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("preparing the folders ended: {error}"),
            };
            this.fail(problem, ctx);
        }));
    }

    /// What of the stream's files its ledger knows; none where all are to be kept.
    fn known_files(&self) -> Option<KnownFiles> {
        self.ledger.plan().keep_batches?;
        let batches = self.ledger.batches().values().filter(|batch| batch.cleaned_at.is_none());
        let mut known = KnownFiles::default();
        for batch in batches {
            known.batches.insert(batch.number);
            known.segments.extend(batch.segments.iter().map(|segment| segment.number));
        }
        known.segments.extend(self.ledger.header().open_segments.iter().map(|segment| segment.number));
        Some(known)
    }

    fn begin_work(&mut self, ctx: &mut Context<Self>) {
        self.spawn_all(ctx);
        self.watched_at = Some(clock::now());
        self.watch_timer = Some(ctx.run_interval(WATCH_INTERVAL, |this, ctx| this.watch(ctx)));
        // Whatever the ledger holds from before goes on.
        self.feed(Event::TimePassed, ctx);
        self.refresh_condition();
    }

    fn put_stream(&self) -> Result<(), StoreError> {
        self.store.put_stream(&self.stream)
    }

    /// Flushes the state, then goes on.
    fn after_flush(
        &self,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        let (store, id) = (self.store.clone(), self.stream.settings.stream_id.clone());
        let flush = async move { store.flush(&id).await };
        ctx.wait(flush.into_actor(self).map(move |flushed, this, ctx| {
            if let Err(error) = flushed {
                tracing::error!(stream = this.id(), %error, "state cannot be stored");
                this.last_error = Some(dated("supervisor", format!("state cannot be stored: {error}")));
            }
            then(this, ctx);
        }));
    }

    /// Ends all children, says why, and tries again later. A stream that is stopping is stopped by that.
    pub(super) fn fail(&mut self, reason: String, ctx: &mut Context<Self>) {
        tracing::error!(stream = self.id(), reason, "the stream has failed");
        self.last_error = Some(dated("supervisor", reason.clone()));
        match self.lifecycle {
            Lifecycle::Running => {}
            Lifecycle::Draining(_) => return self.end_drain(ctx),
            Lifecycle::Stopped | Lifecycle::Ended | Lifecycle::Failed { .. } => return,
        }
        self.lifecycle = Lifecycle::Failed { reason };
        self.end_run(ctx);
        self.retry_later(ctx);
        self.refresh_condition();
    }

    fn retry_later(&mut self, ctx: &mut Context<Self>) {
        let retry = ctx.run_later(self.tree.failed_retry, |this, ctx| {
            if !matches!(this.lifecycle, Lifecycle::Failed { .. }) {
                return;
            }
            match this.reload_ledger() {
                Ok(()) => this.begin_run(ctx),
                Err(error) => {
                    // What is in memory may be ahead of the disk: nothing goes on from that.
                    this.last_error = Some(dated("supervisor", error.to_string()));
                    this.retry_later(ctx);
                }
            }
        });
        self.retry_timer = Some(retry);
    }

    /// Goes on from what is on disk, as a restarted process would.
    fn reload_ledger(&mut self) -> Result<(), StoreError> {
        let id = &self.stream.settings.stream_id;
        let (header, batches) = match self.store.ledger(id) {
            Err(StoreError::Record { .. }) => self.store.salvage_ledger(id)?,
            read => read?,
        };
        self.ledger = Ledger::new(ledger_plan(self.settings(), &self.tree), header, batches);
        Ok(())
    }

    /// The same records under the settings of now, with every command still to be given.
    fn renew_ledger(&mut self) {
        let (header, batches) =
            (self.ledger.header().clone(), self.ledger.batches().values().cloned().collect());
        self.ledger = Ledger::new(ledger_plan(self.settings(), &self.tree), header, batches);
    }

    fn end_run(&mut self, ctx: &mut Context<Self>) {
        self.end_all();
        let timers = [self.watch_timer.take(), self.deadline_timer.take(), self.retry_timer.take()];
        // Those of a drain that is over would cut the next one short.
        for timer in timers.into_iter().flatten().chain(self.drain_timers.drain(..)) {
            ctx.cancel_future(timer);
        }
    }

    pub(super) fn drain(&mut self, for_good: bool, ctx: &mut Context<Self>) -> oneshot::Receiver<()> {
        let (done, waiting) = oneshot::channel();
        match &mut self.lifecycle {
            Lifecycle::Draining(drain) => {
                drain.for_good |= for_good;
                drain.waiters.push(done);
            }
            Lifecycle::Running => {
                tracing::info!(stream = self.id(), for_good, "stopping");
                self.lifecycle = Lifecycle::Draining(Drain {
                    for_good,
                    finishing: None,
                    since: clock::now(),
                    waiters: vec![done],
                });
                self.end_child(&ChildId::Fetcher);
                if let Some(demuxer) = &self.children.demuxer {
                    demuxer.do_send(DiscardOpen);
                }
                let grace = self.tree.shutdown_grace;
                self.drain_timers = vec![
                    ctx.run_later(grace, |this, ctx| this.finish_drain(ctx)),
                    ctx.run_later(grace + OUTPUT_END, |this, ctx| this.end_drain(ctx)),
                ];
                self.refresh_condition();
                self.continue_drain(ctx);
            }
            Lifecycle::Stopped | Lifecycle::Failed { .. } | Lifecycle::Ended => {
                if for_good {
                    self.lifecycle = Lifecycle::Stopped;
                    self.end_run(ctx);
                    self.feed(Event::RunEnded, ctx);
                } else if let Some(timer) = self.retry_timer.take() {
                    // Nothing begins any more in a process that ends.
                    ctx.cancel_future(timer);
                }
                self.store_desire(for_good, vec![done], ctx);
            }
        }
        waiting
    }

    fn store_desire(&mut self, for_good: bool, waiters: Vec<oneshot::Sender<()>>, ctx: &mut Context<Self>) {
        if for_good {
            self.stream.desired_running = false;
            if let Err(error) = self.put_stream() {
                self.last_error = Some(dated("supervisor", error.to_string()));
            }
        }
        self.after_flush(ctx, move |this, _| {
            for waiter in waiters {
                _ = waiter.send(());
            }
            this.refresh_condition();
        });
    }

    /// While draining: once nothing is in flight, the outputs end.
    pub(super) fn continue_drain(&mut self, ctx: &mut Context<Self>) {
        if matches!(&self.lifecycle, Lifecycle::Draining(drain) if drain.finishing.is_none())
            && self.flushes == 0
            && !self.ledger.has_work_in_flight()
        {
            self.finish_drain(ctx);
        }
    }

    fn finish_drain(&mut self, ctx: &mut Context<Self>) {
        let outputs = match &self.lifecycle {
            Lifecycle::Draining(drain) if drain.finishing.is_none() => self.finish_outputs(false),
            _ => return,
        };
        if let Lifecycle::Draining(drain) = &mut self.lifecycle {
            drain.finishing = Some(outputs);
        }
        if outputs == 0 {
            self.end_drain(ctx);
        }
    }

    pub(super) fn output_finished(&mut self, name: &str, ctx: &mut Context<Self>) {
        self.end_child(&ChildId::Publisher(name.into()));
        if let Lifecycle::Draining(drain) = &mut self.lifecycle
            && let Some(outputs) = &mut drain.finishing
        {
            *outputs = outputs.saturating_sub(1);
            if *outputs == 0 {
                self.end_drain(ctx);
            }
        } else if self.ledger.is_complete() && self.children.rtmp.is_empty() && self.children.hls.is_none() {
            self.end_of_source(ctx);
        }
    }

    fn end_drain(&mut self, ctx: &mut Context<Self>) {
        let Lifecycle::Draining(drain) = std::mem::replace(&mut self.lifecycle, Lifecycle::Stopped) else {
            return;
        };
        let took_ms = clock::now().micros_since(drain.since) / 1000;
        tracing::info!(stream = self.id(), took_ms, "stopped");
        self.end_run(ctx);
        if drain.for_good {
            self.feed(Event::RunEnded, ctx);
        }
        self.store_desire(drain.for_good, drain.waiters, ctx);
        self.refresh_condition();
    }

    /// The source has ended and all has aired: the outputs end, then the stream.
    pub(super) fn end_outputs(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.lifecycle, Lifecycle::Running) && self.finish_outputs(true) == 0 {
            self.end_of_source(ctx);
        }
    }

    fn end_of_source(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(stream = self.id(), "ended");
        self.lifecycle = Lifecycle::Ended;
        self.end_run(ctx);
        self.stream.ended = true;
        self.store_desire(false, Vec::new(), ctx);
        if let Err(error) = self.put_stream() {
            self.last_error = Some(dated("supervisor", error.to_string()));
        }
        self.refresh_condition();
    }
}

impl Handler<StartRun> for StreamSupervisor {
    type Result = Result<(), RequestError>;

    fn handle(&mut self, command: StartRun, ctx: &mut Self::Context) -> Self::Result {
        let id = self.stream.settings.stream_id.clone();
        match self.lifecycle {
            Lifecycle::Running => {
                let advice = "stop it first, or use another id";
                return Err(RequestError::Conflict { id, state: "is already running", advice });
            }
            Lifecycle::Draining(_) => {
                let advice = "start it again when its state is stopped";
                return Err(RequestError::Conflict { id, state: "is stopping", advice });
            }
            Lifecycle::Failed { .. } | Lifecycle::Stopped | Lifecycle::Ended => {}
        }
        // A new run of an ended stream begins like one that was stopped; so does one with other settings, since
        // batches of the old ones would wait for ever for renditions that they do not have.
        let anew = self.stream.ended || command.settings.is_some();
        let settings = command.settings.unwrap_or_else(|| self.stream.settings.clone());
        let stream = StoredStream { settings, desired_running: true, ended: false };
        self.store.put_stream(&stream).map_err(|error| RequestError::Storage(error.to_string()))?;
        if matches!(self.lifecycle, Lifecycle::Failed { .. }) {
            self.reload_ledger().map_err(|error| RequestError::Storage(error.to_string()))?;
        }
        if let Some(timer) = self.retry_timer.take() {
            ctx.cancel_future(timer);
        }
        if anew {
            self.feed(Event::RunEnded, ctx);
        }
        let old = std::mem::replace(&mut self.stream, stream).settings;
        self.forget_gone(&old);
        self.last_error = None;
        self.forget_faults();
        self.renew_ledger();
        self.lifecycle = Lifecycle::Running;
        self.after_flush(ctx, |this, ctx| this.begin_run(ctx));
        Ok(())
    }
}

impl Handler<StopRun> for StreamSupervisor {
    type Result = MessageResult<StopRun>;

    fn handle(&mut self, _: StopRun, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.drain(true, ctx))
    }
}

impl Handler<DrainRun> for StreamSupervisor {
    type Result = MessageResult<DrainRun>;

    fn handle(&mut self, _: DrainRun, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.drain(false, ctx))
    }
}

impl Handler<Retire> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        self.end_run(ctx);
        ctx.stop();
    }
}
