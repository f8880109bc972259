//! Children that panic, stops that meet other things, and what is left of a run.

mod announcing;
mod changing;
mod condition;

use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Message};
use tokio::time::Instant;

mod every_child;
mod on_air;
#[path = "../../tests/rtmp_publisher/peer.rs"]
#[allow(dead_code, reason = "shared with the publisher's own tests")]
mod peer;

use super::*;
use crate::messages::{ChildId, StoredSegment};
use crate::requests::{StreamState, StreamView};
use crate::settings::{RenditionSettings, StartAt, StreamId};
use actix::Handler;
use every_child::Panic;

type Deed = Box<dyn FnOnce(&mut StreamSupervisor, &mut Context<StreamSupervisor>) + Send>;

/// Does something within the supervisor.
#[derive(Message)]
#[rtype(result = "()")]
struct Do(Deed);

impl Handler<Do> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, deed: Do, ctx: &mut Self::Context) {
        (deed.0)(self, ctx);
    }
}

struct Bench {
    metrics: Metrics,
    events: EventHub,
    store: Store,
    folder: tempfile::TempDir,
    max_restarts: usize,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        Self {
            events: EventHub::default(),
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap(),
            store,
            folder,
            max_restarts: 3,
        }
    }

    /// Starts a stream whose source and processor are not there.
    fn stream(&self, id: &str) -> Addr<StreamSupervisor> {
        self.stream_with(id, vec![])
    }

    fn stream_with(&self, id: &str, outputs: Vec<OutputSettings>) -> Addr<StreamSupervisor> {
        let settings = StreamSettings {
            stream_id: StreamId::new(id).unwrap(),
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
                fallback: crate::settings::Fallback::Original,
                outputs,
            }],
        };
        let stream = StoredStream { settings, desired_running: true, ended: false };
        self.store.put_stream(&stream).unwrap();
        let files = StreamFiles::new(self.folder.path(), &stream.settings.stream_id);
        StreamSupervisor::new(SupervisorParts {
            stream,
            tree: TreeSettings {
                space: Arc::default(),
                storage: self.folder.path().to_owned(),
                keep_batches: Some(2),
                allow_private: true,
                max_restarts: self.max_restarts,
                restart_window: Duration::from_secs(60),
                failed_retry: Duration::from_secs(60),
                shutdown_grace: Duration::from_secs(10),
            },
            store: self.store.clone(),
            live: Arc::new(LiveOutput::new(files)),
            metrics: self.metrics.clone(),
            events: self.events.clone(),
        })
        .start()
    }

    fn is_wanted(&self, id: &str) -> bool {
        let (streams, _) = self.store.streams().unwrap();
        streams.iter().any(|stream| stream.settings.stream_id.as_str() == id && stream.desired_running)
    }
}

async fn within(
    stream: &Addr<StreamSupervisor>,
    deed: impl FnOnce(&mut StreamSupervisor, &mut Context<StreamSupervisor>) + Send + 'static,
) {
    stream.send(Do(Box::new(deed))).await.unwrap();
}

async fn view(stream: &Addr<StreamSupervisor>) -> StreamView {
    *stream.send(ReadView).await.unwrap()
}

/// Looks at the stream until it is as wanted.
async fn wait_for(stream: &Addr<StreamSupervisor>, wanted: impl Fn(&StreamView) -> bool) -> StreamView {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let view = view(stream).await;
        if wanted(&view) {
            return view;
        }
        assert!(Instant::now() < deadline, "{view:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn all_run(view: &StreamView) -> bool {
    view.actors.len() == 5 && view.actors.iter().all(|actor| actor.running)
}

fn restarts(view: &StreamView, name: &str) -> u32 {
    view.actors.iter().find(|actor| actor.name == name).map_or(0, |actor| actor.restarts)
}

/// Makes a batch that stays in flight: its demuxer is gone and nobody has noticed.
fn leave_work_in_flight(stream: &mut StreamSupervisor, ctx: &mut Context<StreamSupervisor>) {
    stream.end_child(&ChildId::Demuxer);
    let number = stream.ledger.header().next_segment_number;
    let segment = StoredSegment {
        number,
        media_sequence: number,
        path: "no-such-segment.ts".into(),
        bytes: 188,
        duration_us: 8_000_000,
        discontinuity: false,
        program_date_time: None,
        backlog_us: 0,
        is_last: false,
        audio: None,
        date_ranges: Vec::new(),
        date_ranges_dropped: 0,
        cue_tags: 0,
    };
    stream.feed(Event::SegmentStored(segment), ctx);
    assert!(stream.ledger.has_work_in_flight());
}

#[actix::test]
async fn a_child_that_panics_again_and_again_fails_the_stream_which_is_tried_again() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    // Four replacements are too many, so all children are replaced; four more, and the stream has failed.
    for _ in 0..8 {
        wait_for(&stream, |view| view.actors.iter().any(|a| a.name == "demuxer" && a.running)).await;
        within(&stream, |stream, _| stream.children.demuxer.as_ref().unwrap().do_send(Panic)).await;
        let gone = |view: &StreamView| !view.actors.iter().any(|a| a.name == "demuxer" && a.running);
        // An escalation replaces it at once; then the count of restarts says that it was.
        wait_for(&stream, |view| gone(view) || restarts(view, "demuxer").is_multiple_of(4)).await;
    }
    let failed = wait_for(&stream, |view| view.state == StreamState::Failed).await;
    assert!(failed.reason.unwrap().contains("demuxer panicked: a defect in the demuxer"));
    assert_eq!(failed.actors.iter().find(|a| a.name == "demuxer").unwrap().restarts, 8);
    let since = Instant::now();
    wait_for(&stream, all_run).await;
    assert!(since.elapsed() > Duration::from_secs(50));
}

#[actix::test]
async fn the_timers_of_one_stop_do_not_cut_the_next_one_short() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    stream.send(StopRun).await.unwrap().await.unwrap();
    stream.send(StartRun { settings: None }).await.unwrap().unwrap();
    wait_for(&stream, all_run).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    within(&stream, leave_work_in_flight).await;
    let since = Instant::now();
    stream.send(StopRun).await.unwrap().await.unwrap();
    assert!(since.elapsed() >= Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(view(&stream).await.state, StreamState::Stopped);
}

#[actix::test]
async fn a_stop_that_meets_a_failure_stays_a_stop() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    within(&stream, leave_work_in_flight).await;
    let stopped = stream.send(StopRun).await.unwrap();
    within(&stream, |stream, ctx| stream.fail("children fail over and over".to_owned(), ctx)).await;
    stopped.await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(view(&stream).await.state, StreamState::Stopped);
    assert!(!bench.is_wanted("one"));
}

#[actix::test]
async fn a_publisher_that_panics_while_its_output_ends_does_not_hold_up_the_stop() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    let since = crate::clock::now();
    within(&stream, |stream, ctx| {
        stream.children.hls.as_ref().unwrap().do_send(Panic);
        drop(stream.drain(true, ctx));
        assert!(matches!(&stream.lifecycle, Lifecycle::Draining(drain) if drain.finishing == Some(1)));
    })
    .await;
    wait_for(&stream, |view| view.state == StreamState::Stopped).await;
    // Paused time runs on while the disk is waited for, so what counts is when the run ended.
    within(&stream, move |stream, _| {
        let took_us = stream.condition.since.micros_since(since);
        assert!(took_us < 2_000_000, "{took_us}");
    })
    .await;
}

#[actix::test]
async fn what_a_dead_child_said_last_is_not_heard() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    within(&stream, |stream, ctx| {
        let reporter = crate::messages::Reporter {
            recipient: ctx.address().recipient(),
            child: ChildId::Fetcher,
            generation: stream.children.vitals[&ChildId::Fetcher].generation,
            mailbox: Default::default(),
        };
        stream.fail("a test".to_owned(), ctx);
        reporter.tell(crate::messages::FetcherEvent::PlaylistRead { target_duration_s: 7 });
    })
    .await;
    within(&stream, |stream, _| assert_eq!(stream.ledger.header().source_target_s, 0)).await;
}

#[actix::test]
async fn other_settings_let_go_of_the_batches_of_the_old_ones() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    wait_for(&stream, all_run).await;
    within(&stream, leave_work_in_flight).await;
    within(&stream, |stream, ctx| stream.fail("a test".to_owned(), ctx)).await;
    let mut settings = None;
    let (sender, receiver) = oneshot::channel();
    within(&stream, move |stream, _| drop(sender.send(stream.settings().clone()))).await;
    if let Ok(mut other) = receiver.await {
        other.renditions[0].name = "other".to_owned();
        settings = Some(other);
    }
    stream.send(StartRun { settings }).await.unwrap().unwrap();
    within(&stream, |stream, _| {
        assert_eq!(stream.ledger.batches()[&0].state_name(), "skipped");
        assert!(stream.ledger.batches().values().all(crate::ledger::BatchRecord::is_settled));
    })
    .await;
    let view = wait_for(&stream, all_run).await;
    assert!(view.actors.iter().any(|actor| actor.name == "remuxer/other"));
}

#[actix::test]
async fn a_stopped_stream_shows_no_connection() {
    tokio::time::pause();
    let bench = Bench::new();
    let stream = bench.stream("one");
    let complained = |view: &StreamView| {
        view.actors.iter().any(|actor| actor.name == "processor-link/main" && actor.last_fault.is_some())
    };
    wait_for(&stream, complained).await;
    within(&stream, |stream, _| {
        stream.condition.links.get_mut("main").unwrap().connected = true;
        stream.metrics.set_connected(&"main".into(), true);
    })
    .await;
    stream.send(StopRun).await.unwrap().await.unwrap();
    assert!(!view(&stream).await.renditions[0].connected);
    assert_eq!(bench.metrics.processor_connected.with_label_values(&["one", "main"]).get(), 0);
}
