//! One webhook: what it wants, what is waiting for it, how it went.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::deliver::{Attempt, Courier, shown_url};
use super::notice::{HookEvent, Notice};
use crate::clock::rfc3339;
use crate::requests::{WebhookAttempt, WebhookView};
use crate::store::StoredWebhook;

/// Notices that may wait for one webhook.
const QUEUE: usize = 256;
/// How often one notice is tried, and the first and longest wait between two tries.
const TRIES: u32 = 6;
const BACKOFF_MS: (u64, u64) = (1_000, 30_000);

/// See the module. Dropping it ends its deliveries.
pub(super) struct Hook {
    stored: StoredWebhook,
    queue: mpsc::Sender<Arc<Notice>>,
    record: Arc<Mutex<Record>>,
    deliveries: Deliveries,
}

/// The task that delivers.
struct Deliveries {
    task: JoinHandle<()>,
    /// Whether each notice has its last try.
    last_call: watch::Sender<bool>,
}

/// How it went.
#[derive(Debug, Default)]
struct Record {
    delivered: u64,
    failed: u64,
    dropped: u64,
    last: Option<Attempt>,
}

impl Hook {
    pub(super) fn start(stored: StoredWebhook, allow_private: bool) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let record = Arc::<Mutex<Record>>::default();
        let (last_call, called) = watch::channel(false);
        let courier = Courier::new(stored.clone(), allow_private);
        let task = tokio::task::spawn_local(deliver_all(courier, waiting, record.clone(), called));
        Self { stored, queue, record, deliveries: Deliveries { task, last_call } }
    }

    /// Takes no more; ends when each notice that waits has been tried once more. Dropping the future gives them up.
    pub(super) async fn finish(self) {
        let Self { queue, mut deliveries, .. } = self;
        drop(queue);
        deliveries.last_call.send_replace(true);
        // An error is a panic, which the log has told of.
        _ = (&mut deliveries.task).await;
    }

    pub(super) fn stored(&self) -> StoredWebhook {
        self.stored.clone()
    }

    pub(super) fn wants(&self, notice: &Notice) -> bool {
        let stream = self.stored.stream_id.as_ref();
        self.stored.events.contains(&notice.event)
            && stream.is_none_or(|stream| notice.stream.as_ref() == Some(stream))
    }

    pub(super) fn enqueue(&mut self, notice: &Arc<Notice>) {
        if self.queue.try_send(notice.clone()).is_err() {
            let mut record = lock(&self.record);
            record.dropped += 1;
            if record.dropped == 1 {
                let url = shown_url(&self.stored.url);
                tracing::warn!(webhook = self.stored.id, url, "a webhook is too slow: notices are dropped");
            }
        }
    }

    /// Notes how a single attempt went.
    pub(super) fn note(&self, attempt: Attempt) {
        lock(&self.record).last = Some(attempt);
    }

    pub(super) fn view(&self) -> WebhookView {
        let record = lock(&self.record);
        WebhookView {
            id: self.stored.id.clone(),
            url: shown_url(&self.stored.url),
            has_secret: self.stored.secret.is_some(),
            events: self.stored.events.clone(),
            stream_id: self.stored.stream_id.clone(),
            created_at: rfc3339(self.stored.created_at),
            pending: (QUEUE - self.queue.capacity()) as u64,
            delivered: record.delivered,
            failed: record.failed,
            dropped: record.dropped,
            last_attempt: record.last.as_ref().map(|attempt| WebhookAttempt {
                at: rfc3339(attempt.at),
                event: attempt.event,
                delivered: attempt.error.is_none(),
                status: attempt.status,
                error: attempt.error.clone(),
            }),
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn deliver_all(
    courier: Courier,
    mut waiting: mpsc::Receiver<Arc<Notice>>,
    record: Arc<Mutex<Record>>,
    mut last_call: watch::Receiver<bool>,
) {
    while let Some(notice) = waiting.recv().await {
        for tried in 1..=TRIES {
            let is_last = *last_call.borrow() || tried == TRIES;
            let attempt = courier.attempt(&notice).await;
            let (error, again) = (attempt.error.clone(), attempt.worth_another && !is_last);
            {
                let mut record = lock(&record);
                record.last = Some(attempt);
                match (&error, again) {
                    (None, _) => record.delivered += 1,
                    (Some(_), false) => record.failed += 1,
                    (Some(_), true) => {}
                }
            }
            let Some(error) = error else { break };
            if !again {
                let event = HookEvent::name(notice.event);
                tracing::warn!(url = courier.shown_url(), event, tried, error, "a webhook could not be told");
                break;
            }
            // The last try need not wait for its turn.
            _ = tokio::time::timeout(backoff(tried), last_call.wait_for(|called| *called)).await;
        }
    }
}

/// Exponential, with up to a quarter of jitter.
fn backoff(tried: u32) -> Duration {
    let (first, longest) = BACKOFF_MS;
    let base = first.saturating_mul(1 << tried.saturating_sub(1).min(10)).min(longest);
    Duration::from_millis(base - fastrand::u64(0..=base / 4))
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
