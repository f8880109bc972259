//! A registry without streams behind it: it remembers what it was asked, and answers as it was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use actix::{Actor, Addr, Context, Handler, ResponseFuture};
use overdub_actors::requests::*;
use overdub_actors::settings::{Difference, StreamId, StreamSettings, differences};

/// How the fake behaves as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Well,
    /// Refuses everything as a registry does on its way down.
    ShuttingDown,
    /// Takes questions and never answers.
    Mute,
    /// Cannot write.
    FullDisk,
}

#[derive(Default)]
pub struct State {
    pub mood: Mood,
    pub streams: BTreeMap<StreamId, StreamView>,
    /// Settings as they came, secrets included.
    pub settings: BTreeMap<StreamId, StreamSettings>,
    pub batches: Vec<BatchView>,
    pub logs: Vec<LogEntry>,
    pub webhooks: Vec<WebhookView>,
    pub live: BTreeMap<String, LiveResource>,
    /// Names of the messages that came, with what matters of them.
    pub asked: Vec<String>,
    pub ready: bool,
}

/// The test's hold on the fake.
#[derive(Clone)]
pub struct Fake {
    pub state: Arc<Mutex<State>>,
    pub addr: Addr<FakeRegistry>,
}

pub struct FakeRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(actix::Message)]
#[rtype(result = "()")]
pub struct Die;

impl FakeRegistry {
    pub fn start() -> (Fake, Addr<Self>) {
        let state = Arc::new(Mutex::new(State { ready: true, ..State::default() }));
        let addr = Self { state: state.clone() }.start();
        (Fake { state, addr: addr.clone() }, addr)
    }

    /// Notes the message, and answers by `act` unless the mood says otherwise.
    fn answer<T: 'static>(
        &self,
        asked: String,
        act: impl FnOnce(&mut State) -> Result<T, RequestError>,
    ) -> ResponseFuture<Result<T, RequestError>> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(asked);
        let result = match state.mood {
            Mood::Well => act(&mut state),
            Mood::ShuttingDown => Err(RequestError::ShuttingDown),
            Mood::FullDisk => Err(RequestError::Storage("no space left on device".to_owned())),
            Mood::Mute => return Box::pin(std::future::pending()),
        };
        Box::pin(async move { result })
    }
}

impl Fake {
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    pub fn set_mood(&self, mood: Mood) {
        self.with(|state| state.mood = mood);
    }

    pub fn asked(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.asked))
    }

    /// Puts a stream there, by the same road as a request would.
    pub fn add(&self, id: &str, change: impl FnOnce(&mut StreamView)) {
        let mut view = view_of(&settings(id), StreamState::Running);
        change(&mut view);
        self.with(|state| state.streams.insert(view.stream_id.clone(), view));
    }
}

impl State {
    fn find(&mut self, id: &StreamId) -> Result<&mut StreamView, RequestError> {
        self.streams.get_mut(id).ok_or_else(|| RequestError::Unknown(id.clone()))
    }

    fn insert(&mut self, settings: StreamSettings, state: StreamState) {
        let view = view_of(&settings, state);
        self.settings.insert(settings.stream_id.clone(), settings);
        self.streams.insert(view.stream_id.clone(), view);
    }
}

pub fn settings(id: &str) -> StreamSettings {
    let body = serde_json::json!({ "streamId": id, "sourceUrl": "http://host/x.m3u8?token=hunter2" });
    let body = body.as_object().unwrap().clone();
    overdub_web::validate::plain_start(body, &overdub_web::StreamDefaults::default()).unwrap()
}

/// A stream's view. It forgets to redact, so that tests see that the web does not rely on it.
pub fn view_of(settings: &StreamSettings, state: StreamState) -> StreamView {
    StreamView {
        stream_id: settings.stream_id.clone(),
        state,
        reason: None,
        since: "2026-01-31T12:00:00.000Z".to_owned(),
        settings: settings.clone(),
        actors: Vec::new(),
        source: SourceView::default(),
        renditions: Vec::new(),
        outputs: Vec::new(),
        delay: settings.delay,
        end_to_end: None,
        last_turnaround: None,
        anchor: None,
        last_error: None,
        hls_path: Some(format!("/live/{}/index.m3u8", settings.stream_id)),
    }
}

pub fn batch_view(batch: u64) -> BatchView {
    BatchView {
        batch,
        state: "published",
        first_segment: batch,
        last_segment: batch,
        duration: 6.0,
        epoch: 0,
        times: BTreeMap::new(),
        air_time: None,
        deadline: None,
        reason: None,
        renditions: Vec::new(),
    }
}

impl Actor for FakeRegistry {
    type Context = Context<Self>;
}

macro_rules! handle {
    ($message:ident -> $answer:ty, $note:expr, $act:expr) => {
        impl Handler<$message> for FakeRegistry {
            type Result = ResponseFuture<Result<$answer, RequestError>>;
            fn handle(&mut self, message: $message, _: &mut Context<Self>) -> Self::Result {
                #[allow(clippy::redundant_closure_call)]
                let asked = ($note)(&message);
                self.answer(asked, move |state| ($act)(state, message))
            }
        }
    };
}

fn conflict(id: StreamId) -> RequestError {
    RequestError::Conflict { id, state: "is already running", advice: "stop it first" }
}

handle!(CreateStream -> (), |m: &CreateStream| format!("create {} start={}", m.settings.stream_id, m.start), |state: &mut State, m: CreateStream| {
    if state.streams.contains_key(&m.settings.stream_id) {
        return Err(conflict(m.settings.stream_id));
    }
    state.insert(m.settings, if m.start { StreamState::Starting } else { StreamState::Stopped });
    Ok(())
});
handle!(StartWithSettings -> (), |m: &StartWithSettings| format!("start-with {}", m.settings.stream_id), |state: &mut State, m: StartWithSettings| {
    if state.streams.get(&m.settings.stream_id).is_some_and(|view| view.state.is_active()) {
        return Err(conflict(m.settings.stream_id));
    }
    state.insert(m.settings, StreamState::Starting);
    Ok(())
});
handle!(StartStream -> (), |m: &StartStream| format!("start {}", m.id), |state: &mut State, m: StartStream| {
    let view = state.find(&m.id)?;
    if view.state.is_active() {
        return Err(conflict(m.id));
    }
    view.state = StreamState::Starting;
    Ok(())
});
handle!(StopStream -> (), |m: &StopStream| format!("stop {}", m.id), |state: &mut State, m: StopStream| {
    state.find(&m.id)?.state = StreamState::Stopped;
    Ok(())
});
handle!(DeleteStream -> (), |m: &DeleteStream| format!("delete {} purge={}", m.id, m.purge), |state: &mut State, m: DeleteStream| {
    state.find(&m.id)?;
    state.streams.remove(&m.id);
    Ok(())
});
handle!(GetStream -> StreamView, |m: &GetStream| format!("get {}", m.id), |state: &mut State, m: GetStream| {
    state.find(&m.id).cloned()
});
handle!(GetBatches -> Vec<BatchView>, |m: &GetBatches| format!("batches {} limit={} before={:?}", m.id, m.limit, m.before), |state: &mut State, m: GetBatches| {
    state.find(&m.id)?;
    Ok(state.batches.iter().filter(|batch| m.before.is_none_or(|before| batch.batch < before)).take(m.limit).cloned().collect())
});
handle!(GetStorage -> StorageView, |m: &GetStorage| format!("storage {:?}", m.id.as_ref().map(StreamId::as_str)), |state: &mut State, m: GetStorage| {
    if let Some(id) = &m.id {
        state.find(id)?;
    }
    Ok(StorageView { original_stream_size: 1, processed_fragments_size: 2, total_size: 3, oldest_batch: Some(4), newest_batch: None })
});
handle!(CleanStorage -> CleanView, |m: &CleanStorage| format!("clean {} keep={}", m.id, m.keep_last), |state: &mut State, m: CleanStorage| {
    state.find(&m.id)?;
    Ok(CleanView { removed_batches: 7, freed_bytes: 8 })
});
handle!(GetLive -> Option<LiveResource>, |m: &GetLive| format!("live {} {}", m.id, m.path), |state: &mut State, m: GetLive| {
    state.find(&m.id)?;
    Ok(state.live.get(&m.path).cloned())
});

handle!(ChangeStream -> Vec<Difference>, |m: &ChangeStream| format!("change {}", m.id), |state: &mut State, m: ChangeStream| {
    let running = state.find(&m.id)?.state.is_active();
    let old = state.settings.get(&m.id).cloned().unwrap_or_else(|| settings(m.id.as_str()));
    let new = m.change.applied(&old).map_err(RequestError::Impossible)?;
    let found = differences(&old, &new);
    let fields: Vec<String> = found.iter().filter(|d| !d.live).map(|d| d.field.clone()).collect();
    if running && !fields.is_empty() {
        return Err(RequestError::NeedsRestart { id: m.id, fields });
    }
    state.find(&m.id)?.settings = new.clone();
    state.settings.insert(m.id, new);
    Ok(found)
});
handle!(GetLogs -> Vec<LogEntry>, |m: &GetLogs| format!("logs {} {} {}", m.id, m.level.name(), m.limit), |state: &mut State, m: GetLogs| {
    state.find(&m.id)?;
    Ok(state.logs.clone())
});
handle!(GetBatchAudio -> Option<LiveResource>, |m: &GetBatchAudio| format!("audio {} {} {:?} {}", m.id, m.batch, m.track, m.rendition), |state: &mut State, m: GetBatchAudio| {
    state.find(&m.id)?;
    Ok(state.live.get(&format!("audio-{}", m.batch)).cloned())
});
handle!(AddWebhook -> WebhookView, |m: &AddWebhook| format!("add-webhook {}", m.events.len()), |state: &mut State, m: AddWebhook| {
    let view = webhook(m);
    state.webhooks.push(view.clone());
    Ok(view)
});
handle!(ListWebhooks -> Vec<WebhookView>, |_: &ListWebhooks| "webhooks".to_owned(), |state: &mut State, _: ListWebhooks| Ok(state.webhooks.clone()));
handle!(RemoveWebhook -> (), |m: &RemoveWebhook| format!("remove-webhook {}", m.id), |state: &mut State, m: RemoveWebhook| {
    let before = state.webhooks.len();
    state.webhooks.retain(|webhook| webhook.id != m.id);
    if state.webhooks.len() == before { Err(RequestError::UnknownWebhook(m.id)) } else { Ok(()) }
});
handle!(TestWebhook -> WebhookTest, |m: &TestWebhook| format!("test-webhook {}", m.id), |_: &mut State, _: TestWebhook| {
    Ok(WebhookTest { delivered: false, status: Some(500), error: Some("answered 500".to_owned()) })
});

fn webhook(wanted: AddWebhook) -> WebhookView {
    WebhookView {
        id: "0123456789abcdef".to_owned(),
        url: "https://hooks.example/***".to_owned(),
        has_secret: wanted.secret.is_some(),
        events: wanted.events,
        stream_id: wanted.stream_id,
        created_at: "2026-01-31T12:00:00.000Z".to_owned(),
        pending: 0,
        delivered: 0,
        failed: 0,
        dropped: 0,
        last_attempt: None,
    }
}

impl Handler<ListStreams> for FakeRegistry {
    type Result = ResponseFuture<Vec<StreamView>>;
    fn handle(&mut self, _: ListStreams, _: &mut Context<Self>) -> Self::Result {
        let state = self.state.lock().unwrap();
        if state.mood == Mood::Mute {
            return Box::pin(std::future::pending());
        }
        let streams = state.streams.values().cloned().collect();
        Box::pin(async move { streams })
    }
}

impl Handler<GetReadiness> for FakeRegistry {
    type Result = ResponseFuture<Readiness>;
    fn handle(&mut self, _: GetReadiness, _: &mut Context<Self>) -> Self::Result {
        let state = self.state.lock().unwrap();
        if state.mood == Mood::Mute {
            return Box::pin(std::future::pending());
        }
        let ready = state.ready;
        let reason = (!ready).then(|| "streams are being restored".to_owned());
        Box::pin(async move { Readiness { ready, reason } })
    }
}

impl Handler<Die> for FakeRegistry {
    type Result = ();
    fn handle(&mut self, _: Die, context: &mut Context<Self>) {
        actix::ActorContext::terminate(context);
    }
}
