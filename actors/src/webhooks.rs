//! Webhooks: what happens, posted to whoever wants to know of it, signed and tried again.
//!
//! | file | what |
//! | --- | --- |
//! | `notice` | what is told |
//! | `hook` | one webhook: what it wants, what is waiting for it, how it went |
//! | `deliver` | one attempt: signature, time limits, private addresses refused where they are |
//!
//! Each webhook has a queue of its own, so that one that does not answer holds up no other. What does not fit is
//! dropped and counted. At a clean stop what is still waiting is tried once more; what then fails is lost.

mod deliver;
mod hook;
mod notice;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, ResponseActFuture,
    SpawnHandle, StreamHandler, WrapFuture,
};
use futures_util::future::join_all;
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;

use crate::clock;
use crate::events::EventHub;
use crate::requests::{
    AddWebhook, ListWebhooks, RemoveWebhook, RequestError, TestWebhook, WebhookTest, WebhookView,
};
use crate::store::{Store, StoredWebhook};
use deliver::{Attempt, Courier};
pub use deliver::{SIGNATURE, TIMESTAMP, signature};
use hook::Hook;
pub use notice::{HookEvent, Notice};

/// Most webhooks of a service.
pub const MAX_WEBHOOKS: usize = 64;

/// The actor that keeps the webhooks.
pub(crate) struct Webhooks {
    store: Store,
    events: EventHub,
    allow_private: bool,
    hooks: BTreeMap<String, Hook>,
    /// Hears notices while there is a webhook.
    listening: Option<SpawnHandle>,
}

impl Webhooks {
    pub(crate) fn new(store: Store, events: EventHub, allow_private: bool) -> Self {
        Self { store, events, allow_private, hooks: BTreeMap::new(), listening: None }
    }

    fn begin(&mut self, stored: StoredWebhook, ctx: &mut Context<Self>) -> WebhookView {
        let hook = Hook::start(stored, self.allow_private);
        let view = hook.view();
        self.hooks.insert(view.id.clone(), hook);
        self.listen(ctx);
        view
    }

    /// Notices are made only while somebody hears them.
    fn listen(&mut self, ctx: &mut Context<Self>) {
        if self.hooks.is_empty() {
            if let Some(listening) = self.listening.take() {
                ctx.cancel_future(listening);
            }
        } else if self.listening.is_none() {
            let receiver = self.events.subscribe_notices();
            let heard = stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
                Ok(notice) => Some((Ok(notice), receiver)),
                Err(RecvError::Lagged(lost)) => Some((Err(lost), receiver)),
                Err(RecvError::Closed) => None,
            });
            self.listening = Some(ctx.add_stream(heard));
        }
    }

    fn unknown(id: &str) -> RequestError {
        RequestError::UnknownWebhook(id.chars().take(64).collect())
    }
}

impl Actor for Webhooks {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.store.webhooks() {
            Ok((stored, damaged)) => {
                for error in damaged {
                    tracing::error!(%error, "a webhook cannot be read and is left out");
                }
                for webhook in stored {
                    self.begin(webhook, ctx);
                }
            }
            Err(error) => tracing::error!(%error, "webhooks cannot be read"),
        }
    }
}

impl StreamHandler<Result<Arc<Notice>, u64>> for Webhooks {
    fn handle(&mut self, heard: Result<Arc<Notice>, u64>, _: &mut Self::Context) {
        match heard {
            Ok(notice) => {
                for hook in self.hooks.values_mut().filter(|hook| hook.wants(&notice)) {
                    hook.enqueue(&notice);
                }
            }
            Err(lost) => tracing::error!(lost, "more happened at once than webhooks can be told of"),
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl Handler<AddWebhook> for Webhooks {
    type Result = ResponseActFuture<Self, Result<WebhookView, RequestError>>;

    fn handle(&mut self, request: AddWebhook, _: &mut Self::Context) -> Self::Result {
        let allowed = deliver::check(&request.url, self.allow_private).map_err(RequestError::Webhook);
        let full = self.hooks.len() >= MAX_WEBHOOKS;
        let stored = StoredWebhook {
            id: format!("{:016x}", fastrand::u64(..)),
            url: request.url,
            secret: request.secret,
            events: request.events,
            stream_id: request.stream_id,
            created_at: clock::now(),
        };
        let store = self.store.clone();
        let kept = async move {
            allowed?;
            if full {
                return Err(RequestError::TooManyWebhooks);
            }
            let written = stored.clone();
            blocking(move || store.put_webhook(&written)).await?;
            Ok(stored)
        };
        Box::pin(kept.into_actor(self).map(|kept, this, ctx| Ok(this.begin(kept?, ctx))))
    }
}

impl Handler<ListWebhooks> for Webhooks {
    type Result = MessageResult<ListWebhooks>;

    fn handle(&mut self, _: ListWebhooks, _: &mut Self::Context) -> Self::Result {
        MessageResult(Ok(self.hooks.values().map(Hook::view).collect()))
    }
}

impl Handler<RemoveWebhook> for Webhooks {
    type Result = ResponseActFuture<Self, Result<(), RequestError>>;

    fn handle(&mut self, request: RemoveWebhook, ctx: &mut Self::Context) -> Self::Result {
        // Dropping it ends its deliveries.
        let known = self.hooks.remove(&request.id).map(drop).ok_or_else(|| Self::unknown(&request.id));
        self.listen(ctx);
        let store = self.store.clone();
        let removed = async move {
            known?;
            blocking(move || store.remove_webhook(&request.id)).await
        };
        Box::pin(removed.into_actor(self))
    }
}

impl Handler<TestWebhook> for Webhooks {
    type Result = ResponseActFuture<Self, Result<WebhookTest, RequestError>>;

    fn handle(&mut self, request: TestWebhook, _: &mut Self::Context) -> Self::Result {
        let stored = self.hooks.get(&request.id).map(Hook::stored).ok_or_else(|| Self::unknown(&request.id));
        let allow_private = self.allow_private;
        let tried = async move {
            let courier = Courier::new(stored?, allow_private);
            Ok(courier.attempt(&Notice::test()).await)
        };
        Box::pin(tried.into_actor(self).map(move |tried: Result<Attempt, RequestError>, this, _| {
            let attempt = tried?;
            let (status, error) = (attempt.status, attempt.error.clone());
            let test = WebhookTest { delivered: error.is_none(), status, error };
            if let Some(hook) = this.hooks.get(&request.id) {
                hook.note(attempt);
            }
            Ok(test)
        }))
    }
}

/// Nothing more will happen: try what is waiting once more, and end. The answer comes when all have been tried.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct LastCall;

impl Handler<LastCall> for Webhooks {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: LastCall, _: &mut Self::Context) -> Self::Result {
        let (events, listening) = (self.events.clone(), self.listening.is_some());
        let heard = async move {
            while listening && events.untaken_notices() > 0 {
                tokio::task::yield_now().await;
            }
        };
        Box::pin(heard.into_actor(self).then(|(), this, ctx| {
            let hooks = std::mem::take(&mut this.hooks);
            this.listen(ctx);
            let last = async move { _ = join_all(hooks.into_values().map(Hook::finish)).await };
            last.into_actor(this)
        }))
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<(), crate::store::StoreError> + Send + 'static,
) -> Result<(), RequestError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| RequestError::Storage(error.to_string())),
        Err(error) => Err(RequestError::Storage(format!("work on the blocking pool ended: {error}"))),
    }
}
