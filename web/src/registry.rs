//! The one way to the streams: typed requests to the registry, each with a deadline.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, MailboxError, Message, Recipient};
use overdub_actors::requests::{
    AddWebhook, BatchView, ChangeStream, CleanStorage, CleanView, CreateStream, DeleteStream, GetBatchAudio,
    GetBatches, GetLive, GetLogs, GetReadiness, GetStorage, GetStream, ListStreams, ListWebhooks,
    LiveResource, LogEntry, Readiness, RemoveWebhook, RequestError, StartStream, StartWithSettings,
    StopStream, StorageView, StreamView, TestWebhook, WebhookTest, WebhookView,
};

use overdub_actors::settings::Difference;

use crate::problem::Problem;

/// An actor that answers everything the web asks.
pub trait RegistryActor:
    Actor<Context = Context<Self>>
    + Handler<CreateStream>
    + Handler<StartWithSettings>
    + Handler<StartStream>
    + Handler<StopStream>
    + Handler<DeleteStream>
    + Handler<ListStreams>
    + Handler<GetStream>
    + Handler<GetBatches>
    + Handler<GetStorage>
    + Handler<CleanStorage>
    + Handler<GetLive>
    + Handler<GetReadiness>
    + Handler<ChangeStream>
    + Handler<GetLogs>
    + Handler<GetBatchAudio>
    + Handler<AddWebhook>
    + Handler<ListWebhooks>
    + Handler<RemoveWebhook>
    + Handler<TestWebhook>
{
}

impl<A> RegistryActor for A where
    A: Actor<Context = Context<A>>
        + Handler<CreateStream>
        + Handler<StartWithSettings>
        + Handler<StartStream>
        + Handler<StopStream>
        + Handler<DeleteStream>
        + Handler<ListStreams>
        + Handler<GetStream>
        + Handler<GetBatches>
        + Handler<GetStorage>
        + Handler<CleanStorage>
        + Handler<GetLive>
        + Handler<GetReadiness>
        + Handler<ChangeStream>
        + Handler<GetLogs>
        + Handler<GetBatchAudio>
        + Handler<AddWebhook>
        + Handler<ListWebhooks>
        + Handler<RemoveWebhook>
        + Handler<TestWebhook>
{
}

/// How long each kind of request may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Questions that are answered from memory.
    pub query: Duration,
    /// Commands that write state, and requests that walk directories.
    pub command: Duration,
    /// Commands that drain a stream. Keep it above `supervision.shutdown_grace`.
    pub drain: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            query: Duration::from_secs(5),
            command: Duration::from_secs(20),
            drain: Duration::from_secs(60),
        }
    }
}

struct Recipients {
    create: Recipient<CreateStream>,
    start_with_settings: Recipient<StartWithSettings>,
    start: Recipient<StartStream>,
    stop: Recipient<StopStream>,
    delete: Recipient<DeleteStream>,
    list: Recipient<ListStreams>,
    get: Recipient<GetStream>,
    batches: Recipient<GetBatches>,
    storage: Recipient<GetStorage>,
    clean: Recipient<CleanStorage>,
    live: Recipient<GetLive>,
    readiness: Recipient<GetReadiness>,
    change: Recipient<ChangeStream>,
    logs: Recipient<GetLogs>,
    audio: Recipient<GetBatchAudio>,
    add_webhook: Recipient<AddWebhook>,
    webhooks: Recipient<ListWebhooks>,
    remove_webhook: Recipient<RemoveWebhook>,
    test_webhook: Recipient<TestWebhook>,
}

/// A handle to the registry actor.
///
/// Clones share one set of recipients: in actix each further sender would add a slot to the mailbox.
#[derive(Clone)]
pub struct Registry {
    recipients: Arc<Recipients>,
    deadlines: Deadlines,
}

impl Registry {
    /// A handle to the actor at `addr`, with the default deadlines.
    #[must_use]
    pub fn new<A: RegistryActor>(addr: &Addr<A>) -> Self {
        let recipients = Recipients {
            create: addr.clone().recipient(),
            start_with_settings: addr.clone().recipient(),
            start: addr.clone().recipient(),
            stop: addr.clone().recipient(),
            delete: addr.clone().recipient(),
            list: addr.clone().recipient(),
            get: addr.clone().recipient(),
            batches: addr.clone().recipient(),
            storage: addr.clone().recipient(),
            clean: addr.clone().recipient(),
            live: addr.clone().recipient(),
            readiness: addr.clone().recipient(),
            change: addr.clone().recipient(),
            logs: addr.clone().recipient(),
            audio: addr.clone().recipient(),
            add_webhook: addr.clone().recipient(),
            webhooks: addr.clone().recipient(),
            remove_webhook: addr.clone().recipient(),
            test_webhook: addr.clone().recipient(),
        };
        Self { recipients: Arc::new(recipients), deadlines: Deadlines::default() }
    }

    /// The same handle with deadlines of one's own.
    #[must_use]
    pub fn with_deadlines(self, deadlines: Deadlines) -> Self {
        Self { deadlines, ..self }
    }

    /// Whether the registry still takes messages.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.recipients.readiness.connected()
    }

    pub(crate) async fn create(&self, message: CreateStream) -> Result<(), Problem> {
        settle(&self.recipients.create, message, self.deadlines.command).await
    }

    pub(crate) async fn start_with_settings(&self, message: StartWithSettings) -> Result<(), Problem> {
        settle(&self.recipients.start_with_settings, message, self.deadlines.command).await
    }

    pub(crate) async fn start(&self, message: StartStream) -> Result<(), Problem> {
        settle(&self.recipients.start, message, self.deadlines.command).await
    }

    pub(crate) async fn stop(&self, message: StopStream) -> Result<(), Problem> {
        settle(&self.recipients.stop, message, self.deadlines.drain).await
    }

    pub(crate) async fn delete(&self, message: DeleteStream) -> Result<(), Problem> {
        settle(&self.recipients.delete, message, self.deadlines.drain).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<StreamView>, Problem> {
        ask(&self.recipients.list, ListStreams, self.deadlines.query).await
    }

    pub(crate) async fn get(&self, message: GetStream) -> Result<StreamView, Problem> {
        settle(&self.recipients.get, message, self.deadlines.query).await
    }

    pub(crate) async fn batches(&self, message: GetBatches) -> Result<Vec<BatchView>, Problem> {
        settle(&self.recipients.batches, message, self.deadlines.query).await
    }

    pub(crate) async fn storage(&self, message: GetStorage) -> Result<StorageView, Problem> {
        settle(&self.recipients.storage, message, self.deadlines.command).await
    }

    pub(crate) async fn clean(&self, message: CleanStorage) -> Result<CleanView, Problem> {
        settle(&self.recipients.clean, message, self.deadlines.command).await
    }

    pub(crate) async fn live(&self, message: GetLive) -> Result<Option<LiveResource>, Problem> {
        settle(&self.recipients.live, message, self.deadlines.query).await
    }

    pub(crate) async fn change(&self, message: ChangeStream) -> Result<Vec<Difference>, Problem> {
        settle(&self.recipients.change, message, self.deadlines.command).await
    }

    pub(crate) async fn logs(&self, message: GetLogs) -> Result<Vec<LogEntry>, Problem> {
        settle(&self.recipients.logs, message, self.deadlines.command).await
    }

    pub(crate) async fn audio(&self, message: GetBatchAudio) -> Result<Option<LiveResource>, Problem> {
        settle(&self.recipients.audio, message, self.deadlines.command).await
    }

    pub(crate) async fn add_webhook(&self, message: AddWebhook) -> Result<WebhookView, Problem> {
        settle(&self.recipients.add_webhook, message, self.deadlines.command).await
    }

    pub(crate) async fn webhooks(&self, message: ListWebhooks) -> Result<Vec<WebhookView>, Problem> {
        settle(&self.recipients.webhooks, message, self.deadlines.query).await
    }

    pub(crate) async fn remove_webhook(&self, message: RemoveWebhook) -> Result<(), Problem> {
        settle(&self.recipients.remove_webhook, message, self.deadlines.command).await
    }

    pub(crate) async fn test_webhook(&self, message: TestWebhook) -> Result<WebhookTest, Problem> {
        settle(&self.recipients.test_webhook, message, self.deadlines.command).await
    }

    pub(crate) async fn readiness(&self) -> Result<Readiness, Problem> {
        ask(&self.recipients.readiness, GetReadiness, self.deadlines.query).await
    }
}

/// Asks and waits no longer than `deadline`, a full mailbox included.
async fn ask<M>(recipient: &Recipient<M>, message: M, deadline: Duration) -> Result<M::Result, Problem>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    match tokio::time::timeout(deadline, recipient.send(message)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(MailboxError::Closed)) => Err(Problem::from(RequestError::ShuttingDown)),
        // actix's own timeout, or a registry that died with the message in hand.
        Ok(Err(MailboxError::Timeout)) | Err(_) => Err(Problem::unanswered(deadline)),
    }
}

/// As [`ask`], for requests that the registry may refuse.
async fn settle<M, T>(recipient: &Recipient<M>, message: M, deadline: Duration) -> Result<T, Problem>
where
    M: Message<Result = Result<T, RequestError>> + Send + 'static,
    T: Send + 'static,
{
    ask(recipient, message, deadline).await?.map_err(Problem::from)
}
