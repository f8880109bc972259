//! One ring of events for all listeners. A listener that falls behind by the ring's length has lost some and is
//! told so; the ring never waits for it, and what is in it is bounded.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Event, Happening, LogLevel, LogLine};
use crate::requests::{BatchView, StreamView};
use crate::settings::StreamId;
use crate::webhooks::Notice;

/// How many events a listener may be behind.
pub const RING: usize = 4096;

/// How many notices the webhooks may be behind.
const NOTICES: usize = 1024;

/// The one place that events go through. Cloning shares it.
#[derive(Debug, Clone)]
pub struct EventHub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ring: broadcast::Sender<Arc<Event>>,
    /// Listeners by the level of the log that they want.
    wanted: Mutex<[usize; LogLevel::ALL.len()]>,
    /// How many levels somebody wants, the gravest first.
    levels: AtomicU8,
    closed: AtomicBool,
    /// For webhooks.
    notices: broadcast::Sender<Arc<Notice>>,
}

/// What a listener hears next.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Arc<Event>),
    /// It was too slow: so many events are lost to it.
    Lost(u64),
    /// Nothing will come any more.
    Closed,
}

/// One listener's place. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    hub: EventHub,
    receiver: broadcast::Receiver<Arc<Event>>,
    logs: Option<LogLevel>,
}

impl Default for EventHub {
    fn default() -> Self {
        Self::with_ring(RING)
    }
}

impl EventHub {
    /// A hub whose listeners may be `ring` events behind.
    #[must_use]
    pub fn with_ring(ring: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                ring: broadcast::Sender::new(ring),
                wanted: Mutex::default(),
                levels: AtomicU8::new(0),
                closed: AtomicBool::new(false),
                notices: broadcast::Sender::new(NOTICES),
            }),
        }
    }

    /// Listens from now on, to log lines as grave as `logs` too. None once the hub is closed.
    #[must_use]
    pub fn subscribe(&self, logs: Option<LogLevel>) -> Option<Subscription> {
        // Whoever comes between the two is told of the end like those before.
        let receiver = self.shared.ring.subscribe();
        if self.shared.closed.load(Ordering::SeqCst) {
            return None;
        }
        self.count(logs, |listeners| listeners + 1);
        Some(Subscription { hub: self.clone(), receiver, logs })
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.shared.ring.receiver_count()
    }

    /// Whether anybody listens; asked before an event is made.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.listeners() > 0
    }

    /// Whether anybody wants log lines of this level.
    #[must_use]
    pub fn wants_logs(&self, level: LogLevel) -> bool {
        self.shared.levels.load(Ordering::Relaxed) > level as u8
    }

    /// Tells of a stream as it is now.
    pub fn tell_stream(&self, stream: &StreamView) {
        self.tell(&Happening::Stream { stream });
    }

    /// Tells of a batch as it is now.
    pub fn tell_batch(&self, stream_id: &StreamId, batch: &BatchView) {
        self.tell(&Happening::Batch { stream_id, batch });
    }

    /// Tells that a stream is gone.
    pub fn tell_deleted(&self, stream_id: &StreamId) {
        self.tell(&Happening::Deleted { stream_id });
    }

    /// Tells of a line of the log.
    pub fn tell_log(&self, line: &LogLine) {
        if self.wants_logs(line.level) {
            self.tell(&Happening::Log(line));
        }
    }

    /// Hears notices from now on.
    #[must_use]
    pub fn subscribe_notices(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.shared.notices.subscribe()
    }

    /// Whether anybody hears notices; asked before one is made.
    #[must_use]
    pub fn wants_notices(&self) -> bool {
        self.shared.notices.receiver_count() > 0
    }

    /// Tells webhooks.
    pub fn tell_notice(&self, notice: Notice) {
        // It fails only if nobody hears it.
        _ = self.shared.notices.send(Arc::new(notice));
    }

    /// Notices that somebody who hears them has not taken yet.
    #[must_use]
    pub fn untaken_notices(&self) -> usize {
        self.shared.notices.len()
    }

    /// Ends all listeners, and lets no other come.
    pub fn close(&self, reason: &str) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.tell(&Happening::Closing { reason });
    }

    fn tell(&self, happening: &Happening<'_>) {
        if self.has_listeners() {
            // It fails only if the last listener left meanwhile.
            _ = self.shared.ring.send(Arc::new(happening.event()));
        }
    }

    fn count(&self, logs: Option<LogLevel>, change: impl FnOnce(usize) -> usize) {
        let Some(level) = logs else { return };
        let mut wanted = self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let listeners = &mut wanted[level as usize];
        *listeners = change(*listeners);
        let levels = wanted.iter().rposition(|listeners| *listeners > 0).map_or(0, |level| level + 1);
        self.shared.levels.store(u8::try_from(levels).unwrap_or(u8::MAX), Ordering::Relaxed);
    }
}

impl Subscription {
    /// The next event that this listener wants: `stream`'s alone if one is given.
    pub async fn next(&mut self, stream: Option<&StreamId>) -> Heard {
        loop {
            match self.receiver.recv().await {
                Ok(event) if self.wants(&event, stream) => return Heard::Event(event),
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => return Heard::Lost(lost),
                Err(RecvError::Closed) => return Heard::Closed,
            }
        }
    }

    fn wants(&self, event: &Event, stream: Option<&StreamId>) -> bool {
        match (event.level, &event.stream) {
            (Some(level), about) => {
                self.logs.is_some_and(|most| level <= most)
                    && stream.is_none_or(|stream| about.as_ref() == Some(stream))
            }
            (None, Some(about)) => stream.is_none_or(|stream| about == stream),
            (None, None) => true,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.count(self.logs, |listeners| listeners.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn id(text: &str) -> StreamId {
        StreamId::new(text).unwrap()
    }

    fn line(level: LogLevel, stream: Option<&str>) -> LogLine {
        LogLine {
            at: clock::now(),
            level,
            target: "overdub".to_owned(),
            message: format!("{} of {stream:?}", level.name()),
            stream_id: stream.map(id),
            fields: serde_json::Map::new(),
        }
    }

    async fn heard(subscription: &mut Subscription, stream: Option<&str>, count: usize) -> Vec<String> {
        let stream = stream.map(id);
        let mut texts = Vec::new();
        for _ in 0..count {
            match subscription.next(stream.as_ref()).await {
                Heard::Event(event) => texts.push(event.text.clone()),
                other => texts.push(format!("{other:?}")),
            }
        }
        texts
    }

    #[tokio::test]
    async fn a_listener_hears_what_it_asked_for_and_nothing_else() {
        let hub = EventHub::default();
        let mut all = hub.subscribe(Some(LogLevel::Warn)).unwrap();
        let mut one = hub.subscribe(None).unwrap();
        hub.tell_deleted(&id("a"));
        hub.tell_log(&line(LogLevel::Info, Some("b")));
        hub.tell_log(&line(LogLevel::Error, Some("b")));
        hub.tell_log(&line(LogLevel::Warn, None));
        hub.tell_deleted(&id("b"));
        let texts = heard(&mut all, None, 4).await;
        for (text, part) in texts.iter().zip(["\"a\"", "error of", "warn of", "\"b\""]) {
            assert!(text.contains(part) && text.starts_with("{\"v\":1,\"type\":\""), "{text}");
        }
        assert!(heard(&mut one, Some("b"), 1).await[0].contains("\"type\":\"deleted\",\"streamId\":\"b\""));
    }

    #[tokio::test]
    async fn log_lines_are_wanted_only_while_somebody_listens_to_them() {
        let hub = EventHub::default();
        assert!(!hub.wants_logs(LogLevel::Error) && !hub.has_listeners());
        let all = hub.subscribe(Some(LogLevel::Debug)).unwrap();
        let grave = hub.subscribe(Some(LogLevel::Warn)).unwrap();
        assert!(LogLevel::ALL.into_iter().all(|level| hub.wants_logs(level)));
        drop(all);
        assert!(hub.wants_logs(LogLevel::Warn) && !hub.wants_logs(LogLevel::Info));
        drop(grave);
        assert!(!hub.wants_logs(LogLevel::Error) && !hub.has_listeners());
    }

    #[tokio::test]
    async fn a_listener_that_falls_behind_is_told_and_the_ring_stays_bounded() {
        let hub = EventHub::with_ring(4);
        let mut slow = hub.subscribe(None).unwrap();
        for _ in 0..10 {
            hub.tell_deleted(&id("a"));
        }
        assert_eq!(slow.next(None).await, Heard::Lost(6));
    }

    #[tokio::test]
    async fn a_closed_hub_says_why_and_takes_no_other_listener() {
        let hub = EventHub::default();
        let mut last = hub.subscribe(None).unwrap();
        hub.close("the service is shutting down");
        assert!(hub.subscribe(None).is_none());
        let Heard::Event(event) = last.next(Some(&id("a"))).await else { panic!("no event") };
        assert_eq!(event.end.as_deref(), Some("the service is shutting down"));
        assert!(event.text.contains("\"type\":\"closing\",\"reason\":\"the service is"), "{event:?}");
    }
}
