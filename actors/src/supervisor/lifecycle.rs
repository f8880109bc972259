//! Start, stop, end, failure and retry.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use tokio::sync::oneshot;

use super::children::WATCH_INTERVAL;
use super::condition::{Condition, dated};
use super::{Drain, Lifecycle, StreamSupervisor, ledger_plan};
use crate::clock;
use crate::ledger::{Event, Ledger};
use crate::messages::ChildId;
use crate::requests::{BatchView, RequestError, StreamView};
use crate::settings::StreamSettings;
use crate::store::StoreError;

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

/// The stream as shown.
#[derive(Debug, Message)]
#[rtype(result = "Box<StreamView>")]
pub struct ReadView;

/// Its batches, newest first.
#[derive(Debug, Message)]
#[rtype(result = "Vec<BatchView>")]
pub struct ReadBatches {
    /// At most this many.
    pub limit: usize,
    /// Only batches with a lower number.
    pub before: Option<u64>,
}

/// Remove the files of published batches but the newest `keep`; answers with how many will go and their bytes.
#[derive(Debug, Message)]
#[rtype(result = "Vec<u64>")]
pub struct CleanNow {
    /// How many published batches stay at least.
    pub keep: u64,
}

impl StreamSupervisor {
    pub(super) fn begin_run(&mut self, ctx: &mut Context<Self>) {
        tracing::info!(stream = self.id(), "starting");
        self.lifecycle = Lifecycle::Running;
        self.condition = Condition::new(self.settings());
        if let Err(error) = self.make_folders() {
            self.fail(error, ctx);
            return;
        }
        self.spawn_all(ctx);
        self.watch_timer = Some(ctx.run_interval(WATCH_INTERVAL, |this, ctx| this.watch(ctx)));
        // Whatever the ledger holds from before goes on.
        self.feed(Event::TimePassed, ctx);
        self.refresh_condition();
    }

    fn make_folders(&self) -> Result<(), String> {
        for folder in [self.files.originals(), self.files.fragments()] {
            std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(())
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
        let store = self.store.clone();
        let flush = async move { store.flush().await };
        ctx.wait(flush.into_actor(self).map(move |flushed, this, ctx| {
            if let Err(error) = flushed {
                tracing::error!(stream = this.id(), %error, "state cannot be stored");
                this.last_error = Some(dated("supervisor", format!("state cannot be stored: {error}")));
            }
            then(this, ctx);
        }));
    }

    /// Ends all children, says why, and tries again later.
    pub(super) fn fail(&mut self, reason: String, ctx: &mut Context<Self>) {
        tracing::error!(stream = self.id(), reason, "the stream has failed and will be tried again");
        self.last_error = Some(dated("supervisor", reason.clone()));
        let waiters = match std::mem::replace(&mut self.lifecycle, Lifecycle::Failed { reason }) {
            Lifecycle::Draining(drain) => drain.waiters,
            _ => Vec::new(),
        };
        self.end_run(ctx);
        for waiter in waiters {
            _ = waiter.send(());
        }
        let retry = ctx.run_later(self.tree.failed_retry, |this, ctx| {
            if matches!(this.lifecycle, Lifecycle::Failed { .. }) {
                this.reload_ledger();
                this.begin_run(ctx);
            }
        });
        self.retry_timer = Some(retry);
        self.refresh_condition();
    }

    /// Goes on from what is on disk, as a restarted process would.
    fn reload_ledger(&mut self) {
        match self.store.ledger(&self.stream.settings.stream_id) {
            Ok((header, batches)) => {
                self.ledger = Ledger::new(ledger_plan(self.settings(), &self.tree), header, batches);
            }
            Err(error) => self.last_error = Some(dated("supervisor", error.to_string())),
        }
    }

    fn end_run(&mut self, ctx: &mut Context<Self>) {
        self.end_all();
        let timers = [self.watch_timer.take(), self.deadline_timer.take(), self.retry_timer.take()];
        for timer in timers.into_iter().flatten() {
            ctx.cancel_future(timer);
        }
    }

    fn drain(&mut self, for_good: bool, ctx: &mut Context<Self>) -> oneshot::Receiver<()> {
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
                ctx.run_later(self.tree.shutdown_grace, |this, ctx| this.finish_drain(ctx));
                ctx.run_later(self.tree.shutdown_grace + OUTPUT_END, |this, ctx| this.end_drain(ctx));
                self.refresh_condition();
                self.continue_drain(ctx);
            }
            Lifecycle::Stopped | Lifecycle::Failed { .. } | Lifecycle::Ended => {
                if for_good {
                    self.lifecycle = Lifecycle::Stopped;
                    self.end_run(ctx);
                    self.feed(Event::RunEnded, ctx);
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
            Lifecycle::Failed { .. } => self.reload_ledger(),
            Lifecycle::Stopped | Lifecycle::Ended => {}
        }
        if let Some(timer) = self.retry_timer.take() {
            ctx.cancel_future(timer);
        }
        if self.stream.ended {
            // A new run of an ended stream begins like one that was stopped.
            self.feed(Event::RunEnded, ctx);
        }
        if let Some(settings) = command.settings {
            self.stream.settings = settings;
        }
        self.stream.desired_running = true;
        self.stream.ended = false;
        self.put_stream().map_err(|error| RequestError::Storage(error.to_string()))?;
        self.last_error = None;
        let (header, batches) =
            (self.ledger.header().clone(), self.ledger.batches().values().cloned().collect());
        self.ledger = Ledger::new(ledger_plan(self.settings(), &self.tree), header, batches);
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

impl Handler<CleanNow> for StreamSupervisor {
    type Result = MessageResult<CleanNow>;

    fn handle(&mut self, command: CleanNow, ctx: &mut Self::Context) -> Self::Result {
        let numbers = self.ledger.cleanable(command.keep);
        for number in &numbers {
            if let Some(batch) = self.ledger.batches().get(number) {
                let segments = batch.segments.iter().map(|segment| segment.path.clone()).collect();
                self.clean(*number, segments, ctx);
            }
        }
        MessageResult(numbers)
    }
}

impl Handler<ReadView> for StreamSupervisor {
    type Result = MessageResult<ReadView>;

    fn handle(&mut self, _: ReadView, _: &mut Self::Context) -> Self::Result {
        MessageResult(Box::new(self.view()))
    }
}

impl Handler<ReadBatches> for StreamSupervisor {
    type Result = Vec<BatchView>;

    fn handle(&mut self, query: ReadBatches, _: &mut Self::Context) -> Self::Result {
        self.batch_views(query.limit, query.before)
    }
}
