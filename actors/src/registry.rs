//! The registry: starts, stops, lists and restores streams; the only actor that others talk to.

mod extras;
mod figures;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::channel;
use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use actix_rt::Arbiter;
use futures_util::future::join_all;

use crate::events::EventHub;
use crate::files::StreamFiles;
use crate::live::LiveOutput;
use crate::log_files::LogFiles;
use crate::metrics::Metrics;
use crate::requests::BatchView;
use crate::requests::{
    CleanStorage, CleanView, CreateStream, DeleteStream, GetBatches, GetLive, GetReadiness, GetStorage,
    GetStream, ListStreams, LiveResource, Readiness, RequestError, Shutdown, StartStream, StartWithSettings,
    StopStream, StorageView, StreamView,
};
use crate::settings::{StreamId, StreamSettings};
use crate::store::{Store, StoredStream};
use crate::supervisor::{
    CleanNow, DrainRun, ReadBatches, ReadView, Retire, StartRun, StopRun, StreamSupervisor, SupervisorParts,
    TreeSettings,
};
use crate::webhooks::{LastCall, Webhooks};

/// How often the disk is looked at.
const SPACE_INTERVAL: Duration = Duration::from_secs(2);
/// What webhooks may take beyond the streams' drains at a stop, or `shutdown_grace` where that is shorter.
const LAST_CALL: Duration = Duration::from_secs(3);
/// Messages that a supervisor's mailbox holds.
const MAILBOX: usize = 64;

/// See the module.
pub struct StreamRegistry {
    tree: TreeSettings,
    store: Store,
    metrics: Metrics,
    events: EventHub,
    log_files: Option<LogFiles>,
    /// Started with the registry.
    webhooks: Option<Addr<Webhooks>>,
    arbiters: Vec<Arbiter>,
    streams: BTreeMap<StreamId, Entry>,
    next_arbiter: usize,
    shutting_down: bool,
    restored: bool,
    /// The stream whose storage was measured last, and whether a measurement is under way.
    measured: Option<StreamId>,
    measuring: bool,
}

struct Entry {
    supervisor: Addr<StreamSupervisor>,
    live: Arc<LiveOutput>,
    generation: u32,
    deleting: bool,
}

/// A supervisor's future has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct SupervisorEnded {
    id: StreamId,
    generation: u32,
    panicked: bool,
}

impl StreamRegistry {
    /// A registry whose streams are spread over `threads` arbiters.
    #[must_use]
    pub fn new(tree: TreeSettings, store: Store, metrics: Metrics, threads: usize) -> Self {
        Self {
            tree,
            store,
            metrics,
            events: EventHub::default(),
            log_files: None,
            webhooks: None,
            arbiters: (0..threads.max(1)).map(|_| Arbiter::new()).collect(),
            streams: BTreeMap::new(),
            next_arbiter: 0,
            shutting_down: false,
            restored: false,
            measured: None,
            measuring: false,
        }
    }

    /// Tells `events` what happens.
    #[must_use]
    pub fn with_events(self, events: EventHub) -> Self {
        Self { events, ..self }
    }

    /// Removes a purged stream's log by way of `log_files`, which may have lines of it still to write.
    #[must_use]
    pub fn with_log_files(self, log_files: LogFiles) -> Self {
        Self { log_files: Some(log_files), ..self }
    }

    fn restore(&mut self, ctx: &mut Context<Self>) {
        match self.store.streams() {
            Ok((streams, damaged)) => {
                for error in damaged {
                    tracing::error!(%error, "a stream cannot be restored and is left out");
                }
                tracing::info!(streams = streams.len(), "restoring");
                for stream in streams {
                    self.supervise(stream, 0, ctx);
                }
                self.restored = true;
            }
            Err(error) => tracing::error!(%error, "streams cannot be restored"),
        }
    }

    /// Starts a supervisor on the next arbiter, its handle watched: actix would lose it silently to a panic.
    fn supervise(&mut self, stream: StoredStream, generation: u32, ctx: &mut Context<Self>) {
        let id = stream.settings.stream_id.clone();
        let files = StreamFiles::new(&self.tree.storage, &id);
        let live = Arc::new(LiveOutput::new(files));
        let parts = SupervisorParts {
            stream,
            tree: self.tree.clone(),
            store: self.store.clone(),
            live: live.clone(),
            metrics: self.metrics.clone(),
            events: self.events.clone(),
        };
        let (sender, receiver) = channel::channel(MAILBOX);
        let supervisor = Addr::new(sender);
        self.streams.insert(id.clone(), Entry { supervisor, live, generation, deleting: false });
        self.next_arbiter = (self.next_arbiter + 1) % self.arbiters.len();
        let registry = ctx.address();
        let spawned = self.arbiters[self.next_arbiter].spawn_fn(move || {
            let own = Context::with_receiver(receiver);
            let handle = tokio::task::spawn_local(own.into_future(StreamSupervisor::new(parts)));
            tokio::task::spawn_local(async move {
                let panicked = handle.await.is_err_and(|error| error.is_panic());
                registry.do_send(SupervisorEnded { id, generation, panicked });
            });
        });
        if !spawned {
            tracing::error!("an arbiter has ended; the stream cannot run");
        }
    }

    /// Supervises a stream anew as it is stored, after a while.
    fn replace(&mut self, id: &StreamId, generation: u32, ctx: &mut Context<Self>) {
        // The wait keeps a supervisor that panics at once from taking the thread with it.
        let generation = generation.wrapping_add(1);
        if let Some(entry) = self.streams.get_mut(id) {
            entry.generation = generation;
        }
        let wait = Duration::from_millis(500 + u64::from(generation.min(16)) * 1_000);
        let id = id.clone();
        ctx.run_later(wait, move |this, ctx| {
            let current = this.streams.get(&id).map(|entry| (entry.generation, entry.deleting));
            if current != Some((generation, false)) || this.shutting_down {
                return;
            }
            let stored = match this.store.streams() {
                Ok((streams, _)) => streams.into_iter().find(|stream| stream.settings.stream_id == id),
                Err(error) => {
                    tracing::error!(stream = %id, %error, "the stream cannot be read; it is tried again");
                    this.replace(&id, generation, ctx);
                    return;
                }
            };
            match stored {
                Some(stream) => this.supervise(stream, generation, ctx),
                None => _ = this.streams.remove(&id),
            }
        });
    }

    fn entry(&self, id: &StreamId) -> Result<&Entry, RequestError> {
        self.streams.get(id).filter(|entry| !entry.deleting).ok_or_else(|| RequestError::Unknown(id.clone()))
    }

    fn supervisor(&self, id: &StreamId) -> Result<Addr<StreamSupervisor>, RequestError> {
        if self.shutting_down {
            return Err(RequestError::ShuttingDown);
        }
        Ok(self.entry(id)?.supervisor.clone())
    }

    /// Refuses an id that is known; otherwise stores the stream and supervises it.
    fn create(
        &mut self,
        settings: StreamSettings,
        start: bool,
        ctx: &mut Context<Self>,
    ) -> Result<(), RequestError> {
        if self.shutting_down {
            return Err(RequestError::ShuttingDown);
        }
        let id = settings.stream_id.clone();
        if self.streams.contains_key(&id) {
            let advice = "use another id, or start, change or delete the one that exists";
            return Err(RequestError::Conflict { id, state: "exists", advice });
        }
        let stream = StoredStream { settings, desired_running: start, ended: false };
        self.store.put_stream(&stream).map_err(|error| RequestError::Storage(error.to_string()))?;
        self.supervise(stream, 0, ctx);
        Ok(())
    }

    /// Answers `outcome` once it is on disk.
    fn when_flushed(
        &self,
        outcome: Result<(), RequestError>,
    ) -> ResponseActFuture<Self, Result<(), RequestError>> {
        let store = self.store.clone();
        let flushed = async move {
            outcome?;
            store.flush_all().await.map_err(|error| RequestError::Storage(error.to_string()))
        };
        Box::pin(flushed.into_actor(self))
    }
}

/// Sends to a supervisor; one that is being replaced counts as a stream that cannot answer now.
async fn ask<M>(supervisor: Addr<StreamSupervisor>, message: M) -> Result<M::Result, RequestError>
where
    M: Message + Send + 'static,
    M::Result: Send,
    StreamSupervisor: Handler<M>,
{
    supervisor.send(message).await.map_err(|_| replaced())
}

fn replaced() -> RequestError {
    RequestError::Storage("the stream's supervisor is being replaced; ask again".to_owned())
}

impl Actor for StreamRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.tree.space.measure();
        self.begin_to_count(ctx);
        let webhooks = Webhooks::new(self.store.clone(), self.events.clone(), self.tree.allow_private);
        self.webhooks = Some(webhooks.start());
        self.restore(ctx);
    }
}

impl Handler<SupervisorEnded> for StreamRegistry {
    type Result = ();

    fn handle(&mut self, ended: SupervisorEnded, ctx: &mut Self::Context) {
        let known = self.streams.get(&ended.id).map(|entry| (entry.generation, entry.deleting));
        if known != Some((ended.generation, false)) || self.shutting_down {
            return;
        }
        tracing::error!(stream = %ended.id, panicked = ended.panicked, "a supervisor is replaced");
        self.count_replaced(&ended.id, ended.panicked);
        self.replace(&ended.id, ended.generation, ctx);
    }
}

impl Handler<CreateStream> for StreamRegistry {
    type Result = ResponseActFuture<Self, Result<(), RequestError>>;

    fn handle(&mut self, request: CreateStream, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.create(request.settings, request.start, ctx);
        self.when_flushed(outcome)
    }
}

impl Handler<StartWithSettings> for StreamRegistry {
    type Result = ResponseActFuture<Self, Result<(), RequestError>>;

    fn handle(&mut self, request: StartWithSettings, ctx: &mut Self::Context) -> Self::Result {
        let id = request.settings.stream_id.clone();
        if !self.streams.contains_key(&id) {
            let outcome = self.create(request.settings, true, ctx);
            return self.when_flushed(outcome);
        }
        let supervisor = self.supervisor(&id);
        let start = async move { ask(supervisor?, StartRun { settings: Some(request.settings) }).await? };
        Box::pin(start.into_actor(self))
    }
}

impl Handler<StartStream> for StreamRegistry {
    type Result = ResponseFuture<Result<(), RequestError>>;

    fn handle(&mut self, request: StartStream, _: &mut Self::Context) -> Self::Result {
        let supervisor = self.supervisor(&request.id);
        Box::pin(async move { ask(supervisor?, StartRun { settings: None }).await? })
    }
}

impl Handler<StopStream> for StreamRegistry {
    type Result = ResponseFuture<Result<(), RequestError>>;

    fn handle(&mut self, request: StopStream, _: &mut Self::Context) -> Self::Result {
        let supervisor = self.supervisor(&request.id);
        Box::pin(async move {
            // A supervisor that is replaced meanwhile drops its end, and its successor runs the stream again.
            ask(supervisor?, StopRun).await?.await.map_err(|_| replaced())
        })
    }
}

impl Handler<DeleteStream> for StreamRegistry {
    type Result = ResponseActFuture<Self, Result<(), RequestError>>;

    fn handle(&mut self, request: DeleteStream, _: &mut Self::Context) -> Self::Result {
        let supervisor = self.supervisor(&request.id);
        if supervisor.is_ok()
            && let Some(entry) = self.streams.get_mut(&request.id)
        {
            entry.deleting = true;
        }
        let files = StreamFiles::new(&self.tree.storage, &request.id);
        let (store, id, purge) = (self.store.clone(), request.id.clone(), request.purge);
        let log_files = self.log_files.clone();
        let delete = async move {
            // A delete goes through even while the supervisor is being replaced.
            let supervisor = supervisor?;
            if let Ok(waiting) = ask(supervisor.clone(), StopRun).await {
                _ = waiting.await;
            }
            // From here on nothing can bring the stream's records or figures back.
            _ = ask(supervisor, Retire).await;
            store.remove_stream(&id).map_err(|error| RequestError::Storage(error.to_string()))?;
            store.flush_all().await.map_err(|error| RequestError::Storage(error.to_string()))?;
            if purge {
                storage::purge(files, log_files, id).await?;
            }
            Ok(())
        };
        Box::pin(delete.into_actor(self).map(move |outcome, this, ctx| {
            let refused = matches!(outcome, Err(RequestError::Unknown(_) | RequestError::ShuttingDown));
            if outcome.is_ok() {
                this.streams.remove(&request.id);
                this.metrics.forget(request.id.as_str());
                this.events.tell_deleted(&request.id);
            } else if !refused && let Some(entry) = this.streams.get_mut(&request.id) {
                // Its supervisor is gone; whatever is left of the stream gets another.
                entry.deleting = false;
                let generation = entry.generation;
                this.replace(&request.id, generation, ctx);
            }
            outcome
        }))
    }
}

impl Handler<ListStreams> for StreamRegistry {
    type Result = ResponseFuture<Vec<StreamView>>;

    fn handle(&mut self, _: ListStreams, _: &mut Self::Context) -> Self::Result {
        let supervisors: Vec<_> =
            self.streams.values().filter(|entry| !entry.deleting).map(|e| e.supervisor.clone()).collect();
        Box::pin(async move {
            let views = join_all(supervisors.into_iter().map(|supervisor| ask(supervisor, ReadView))).await;
            views.into_iter().flatten().map(|view| *view).collect()
        })
    }
}

impl Handler<GetStream> for StreamRegistry {
    type Result = ResponseFuture<Result<StreamView, RequestError>>;

    fn handle(&mut self, request: GetStream, _: &mut Self::Context) -> Self::Result {
        let supervisor = self.entry(&request.id).map(|entry| entry.supervisor.clone());
        Box::pin(async move { Ok(*ask(supervisor?, ReadView).await?) })
    }
}

impl Handler<GetBatches> for StreamRegistry {
    type Result = ResponseFuture<Result<Vec<BatchView>, RequestError>>;

    fn handle(&mut self, request: GetBatches, _: &mut Self::Context) -> Self::Result {
        let supervisor = self.entry(&request.id).map(|entry| entry.supervisor.clone());
        let query = ReadBatches { limit: request.limit, before: request.before };
        Box::pin(async move { ask(supervisor?, query).await })
    }
}

impl Handler<GetStorage> for StreamRegistry {
    type Result = ResponseFuture<Result<StorageView, RequestError>>;

    fn handle(&mut self, request: GetStorage, _: &mut Self::Context) -> Self::Result {
        let ids = match request.id {
            Some(id) => self.entry(&id).map(|_| vec![id]),
            None => Ok(self.streams.keys().cloned().collect()),
        };
        let storage = self.tree.storage.clone();
        Box::pin(async move {
            let files = ids?.iter().map(|id| StreamFiles::new(&storage, id)).collect();
            storage::measure(files).await
        })
    }
}

impl Handler<CleanStorage> for StreamRegistry {
    type Result = ResponseFuture<Result<CleanView, RequestError>>;

    fn handle(&mut self, request: CleanStorage, _: &mut Self::Context) -> Self::Result {
        let supervisor = self.supervisor(&request.id);
        Box::pin(async move {
            let removals = ask(supervisor?, CleanNow { keep: request.keep_last }).await?;
            let removed_batches = removals.len() as u64;
            let freed = join_all(removals).await;
            Ok(CleanView { removed_batches, freed_bytes: freed.into_iter().flatten().sum() })
        })
    }
}

impl Handler<GetLive> for StreamRegistry {
    type Result = Result<Option<LiveResource>, RequestError>;

    fn handle(&mut self, request: GetLive, _: &mut Self::Context) -> Self::Result {
        Ok(self.entry(&request.id)?.live.resource(&request.path))
    }
}

impl Handler<GetReadiness> for StreamRegistry {
    type Result = MessageResult<GetReadiness>;

    fn handle(&mut self, _: GetReadiness, _: &mut Self::Context) -> Self::Result {
        let reason = if self.shutting_down {
            Some("the service is shutting down".to_owned())
        } else if !self.restored {
            Some("the streams of the last run could not be restored".to_owned())
        } else {
            None
        };
        MessageResult(Readiness { ready: reason.is_none(), reason })
    }
}

impl Handler<Shutdown> for StreamRegistry {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        self.shutting_down = true;
        let supervisors: Vec<_> = self.streams.values().map(|entry| entry.supervisor.clone()).collect();
        let arbiters = std::mem::take(&mut self.arbiters);
        let store = self.store.clone();
        let webhooks = self.webhooks.clone();
        let last_call = self.tree.shutdown_grace.min(LAST_CALL);
        Box::pin(async move {
            let drains = supervisors.into_iter().map(|supervisor| async {
                if let Ok(waiting) = ask(supervisor, DrainRun).await {
                    _ = waiting.await;
                }
            });
            join_all(drains).await;
            if let Some(webhooks) = webhooks
                && tokio::time::timeout(last_call, webhooks.send(LastCall)).await.is_err()
            {
                tracing::warn!("the service ends before every webhook was told");
            }
            if let Err(error) = store.flush_all().await {
                tracing::error!(%error, "state cannot be stored");
            }
            // System::stop does not wait for other arbiters.
            for arbiter in arbiters {
                arbiter.stop();
                _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
            }
        })
    }
}
