//! Requests that meet each other, and supervisors that are lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::requests::StreamState;
use crate::settings::{Fallback, RenditionSettings, StartAt};

/// Makes a supervisor panic in a handler, as a defect would.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("a defect in the supervisor");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct PanicIn(StreamId);

impl Handler<PanicIn> for StreamRegistry {
    type Result = ();

    fn handle(&mut self, stream: PanicIn, _: &mut Self::Context) {
        self.streams[&stream.0].supervisor.do_send(Panic);
    }
}

struct Bench {
    registry: Addr<StreamRegistry>,
    store: Store,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        let tree = TreeSettings {
            space: Arc::default(),
            storage: folder.path().to_owned(),
            keep_batches: Some(2),
            allow_private: true,
            max_restarts: 3,
            restart_window: Duration::from_secs(60),
            failed_retry: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(2),
        };
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let registry = StreamRegistry::new(tree, store.clone(), metrics, 1).start();
        Self { registry, store, folder }
    }

    async fn create(&self, id: &StreamId) -> Result<(), RequestError> {
        self.registry.send(CreateStream { settings: settings(id), start: true }).await.unwrap()
    }

    async fn start(&self, id: &StreamId) -> Result<(), RequestError> {
        self.registry.send(StartWithSettings { settings: settings(id) }).await.unwrap()
    }

    async fn stop(&self, id: &StreamId) -> Result<(), RequestError> {
        self.registry.send(StopStream { id: id.clone() }).await.unwrap()
    }

    async fn delete(&self, id: &StreamId) -> Result<(), RequestError> {
        self.registry.send(DeleteStream { id: id.clone(), purge: true }).await.unwrap()
    }

    async fn state(&self, id: &StreamId) -> Option<StreamState> {
        let view = self.registry.send(GetStream { id: id.clone() }).await.unwrap();
        view.ok().map(|view| view.state)
    }

    /// All is gone and nothing answers any more.
    async fn end(self) {
        tokio::time::timeout(Duration::from_secs(20), self.registry.send(Shutdown)).await.unwrap().unwrap();
    }
}

fn settings(id: &StreamId) -> StreamSettings {
    StreamSettings {
        stream_id: id.clone(),
        source_url: "http://127.0.0.1:1/x.m3u8".to_owned(),
        buffer_duration: 6.0,
        delay: 10.0,
        max_concurrent_batches: 2,
        hls_output: true,
        start: StartAt::Live,
        source: crate::settings::SourceOptions::default(),
        renditions: vec![RenditionSettings {
            name: "main".to_owned(),
            language: None,
            audio_processor_url: "ws://127.0.0.1:1".to_owned(),
            fallback: Fallback::Original,
            outputs: vec![],
        }],
    }
}

fn id() -> StreamId {
    StreamId::new("one").unwrap()
}

#[actix::test]
async fn two_starts_at_once_make_one_stream() {
    let bench = Bench::new();
    let id = id();
    let (one, two) = tokio::join!(bench.start(&id), bench.start(&id));
    assert_eq!(one, Ok(()));
    assert!(matches!(two, Err(RequestError::Conflict { .. })), "{two:?}");
    assert_eq!(bench.registry.send(ListStreams).await.unwrap().len(), 1);
    bench.end().await;
}

#[actix::test]
async fn a_stop_that_meets_a_start_leaves_one_outcome() {
    let bench = Bench::new();
    let id = id();
    let (started, stopped) = tokio::join!(bench.create(&id), bench.stop(&id));
    assert_eq!((started, stopped), (Ok(()), Ok(())));
    assert_eq!(bench.state(&id).await, Some(StreamState::Stopped));
    let (streams, _) = bench.store.streams().unwrap();
    assert!(!streams[0].desired_running);
    assert_eq!(bench.start(&id).await, Ok(()));
    bench.end().await;
}

#[actix::test]
async fn of_two_deletes_one_finds_nothing_and_nothing_is_left() {
    let bench = Bench::new();
    let id = id();
    bench.create(&id).await.unwrap();
    let (one, two, stopped) = tokio::join!(bench.delete(&id), bench.delete(&id), bench.stop(&id));
    assert_eq!((one, two), (Ok(()), Err(RequestError::Unknown(id.clone()))));
    assert_eq!(stopped, Err(RequestError::Unknown(id.clone())));
    assert_eq!(bench.store.ledger(&id).unwrap(), Default::default());
    assert!(bench.store.streams().unwrap().0.is_empty());
    assert!(!bench.folder.path().join("processed_fragments").join("one").exists());
    assert_eq!(bench.create(&id).await, Ok(()));
    bench.end().await;
}

#[actix::test]
async fn a_create_that_meets_a_delete_is_refused_until_the_stream_is_gone() {
    let bench = Bench::new();
    let id = id();
    bench.create(&id).await.unwrap();
    let (deleted, created) = tokio::join!(bench.delete(&id), bench.create(&id));
    assert_eq!(deleted, Ok(()));
    assert!(matches!(created, Err(RequestError::Conflict { .. })), "{created:?}");
    assert_eq!(bench.state(&id).await, None);
    bench.end().await;
}

#[actix::test]
async fn a_supervisor_that_panics_is_replaced_and_its_stream_goes_on() {
    let bench = Bench::new();
    let (id, other) = (id(), StreamId::new("other").unwrap());
    bench.create(&id).await.unwrap();
    bench.create(&other).await.unwrap();
    bench.registry.send(PanicIn(id.clone())).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut was_gone = false;
    loop {
        assert!(bench.state(&other).await.is_some(), "its sibling on the same thread answers all the while");
        match bench.state(&id).await {
            None => was_gone = true,
            Some(_) if was_gone => break,
            Some(_) => {}
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.end().await;
}
