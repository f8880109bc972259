//! What the registry passes on beside starts and stops: settings, logs, sound, webhooks.

use actix::{Context, Handler, ResponseFuture};

use super::{StreamRegistry, ask, storage};
use crate::files::StreamFiles;
use crate::log_files::last_lines;
use crate::requests::{
    AddWebhook, ChangeStream, GetBatchAudio, GetLogs, ListWebhooks, LiveResource, LogEntry, RemoveWebhook,
    RequestError, TestWebhook, WebhookTest, WebhookView,
};
use crate::settings::Difference;
use crate::supervisor::ChangeRun;

impl Handler<ChangeStream> for StreamRegistry {
    type Result = ResponseFuture<Result<Vec<Difference>, RequestError>>;

    fn handle(&mut self, request: ChangeStream, _: &mut Context<Self>) -> Self::Result {
        let supervisor = self.supervisor(&request.id);
        let store = self.store.clone();
        Box::pin(async move {
            let changed = ask(supervisor?, ChangeRun { change: request.change }).await??;
            store.flush_all().await.map_err(|error| RequestError::Storage(error.to_string()))?;
            Ok(changed)
        })
    }
}

impl Handler<GetLogs> for StreamRegistry {
    type Result = ResponseFuture<Result<Vec<LogEntry>, RequestError>>;

    fn handle(&mut self, request: GetLogs, _: &mut Context<Self>) -> Self::Result {
        let known = self.entry(&request.id).map(|_| ());
        let files = StreamFiles::new(&self.tree.storage, &request.id);
        Box::pin(async move {
            known?;
            storage::blocking(move || last_lines(files.logs(), request.level, request.limit)).await
        })
    }
}

impl Handler<GetBatchAudio> for StreamRegistry {
    type Result = ResponseFuture<Result<Option<LiveResource>, RequestError>>;

    fn handle(&mut self, request: GetBatchAudio, _: &mut Context<Self>) -> Self::Result {
        let known = self.entry(&request.id).map(|_| ());
        let files = StreamFiles::new(&self.tree.storage, &request.id);
        Box::pin(async move {
            known?;
            storage::blocking(move || storage::batch_audio(&files, &request)).await
        })
    }
}

macro_rules! pass_to_webhooks {
    ($($message:ident -> $answer:ty),*) => {$(
        impl Handler<$message> for StreamRegistry {
            type Result = ResponseFuture<Result<$answer, RequestError>>;

            fn handle(&mut self, request: $message, _: &mut Context<Self>) -> Self::Result {
                let webhooks = self.webhooks.clone();
                let down = self.shutting_down;
                Box::pin(async move {
                    match webhooks {
                        Some(webhooks) if !down => {
                            webhooks.send(request).await.map_err(|_| RequestError::ShuttingDown)?
                        }
                        _ => Err(RequestError::ShuttingDown),
                    }
                })
            }
        }
    )*};
}

pass_to_webhooks!(
    AddWebhook -> WebhookView,
    ListWebhooks -> Vec<WebhookView>,
    RemoveWebhook -> (),
    TestWebhook -> WebhookTest
);
