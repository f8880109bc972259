//! The RTMP publisher against nginx-rtmp, and against servers that misbehave.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "rtmp_publisher/media.rs"]
mod media;
#[path = "rtmp_publisher/nginx.rs"]
mod nginx;
#[path = "rtmp_publisher/peer.rs"]
mod peer;

use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Context, Handler, Message};
use overdub_actors::clock::{self, UnixMicros};
use overdub_actors::messages::{
    ChildEvent, ChildId, FinishOutput, PublishBatch, PublisherEvent, Report, Reporter,
};
use overdub_actors::publisher::rtmp::{RtmpPublisher, RtmpPublisherConfig};
use overdub_actors::settings::StreamId;
use overdub_media::rtmp::message::{self, type_id};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use media::Media;
use nginx::Nginx;
use peer::Peer;

/// Waits for a condition, with a deadline.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not happen that {what}");
}

struct Supervisor(UnboundedSender<PublisherEvent>);

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Report> for Supervisor {
    type Result = ();
    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        assert_eq!(report.generation, 3);
        if let ChildEvent::Publisher(event) = report.event {
            let _ = self.0.send(event);
        }
    }
}

/// Ends the supervisor as a panic would.
#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

impl Handler<Leave> for Supervisor {
    type Result = ();
    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// A publisher and what it says.
struct Rig {
    publisher: Addr<RtmpPublisher>,
    supervisor: Addr<Supervisor>,
    events: UnboundedReceiver<PublisherEvent>,
    seen: Vec<PublisherEvent>,
}

impl Rig {
    fn new(url: &str) -> Self {
        let (sender, events) = unbounded_channel();
        let supervisor = Supervisor(sender).start();
        let reporter = Reporter {
            recipient: supervisor.clone().recipient(),
            child: ChildId::Publisher("main/rtmp-0".into()),
            generation: 3,
            mailbox: Default::default(),
        };
        let config = RtmpPublisherConfig {
            stream_id: StreamId::new("test").unwrap(),
            output: "main/rtmp-0".into(),
            url: url.to_owned(),
            takes_h265: false,
        };
        let publisher = RtmpPublisher::new(config, reporter).start();
        Self { publisher, supervisor, events, seen: Vec::new() }
    }

    fn on_port(port: u16) -> Self {
        Self::new(&format!("rtmp://user:pa55@127.0.0.1:{port}/live/s3cret?token=t0ken"))
    }

    async fn publish(&self, batch: &PublishBatch) {
        self.publisher.send(batch.clone()).await.unwrap();
    }

    async fn finish(&mut self) {
        self.publisher.send(FinishOutput).await.unwrap();
        self.event("finished", |event| matches!(event, PublisherEvent::Finished)).await;
    }

    /// Waits for an event and returns it; those before it are kept in `seen`.
    async fn event(&mut self, what: &str, wanted: impl Fn(&PublisherEvent) -> bool) -> &PublisherEvent {
        let found = tokio::time::timeout(Duration::from_secs(25), async {
            loop {
                let event = self.events.recv().await.unwrap();
                let found = wanted(&event);
                self.seen.push(event);
                if found {
                    return;
                }
            }
        });
        assert!(found.await.is_ok(), "not {what} after {:?}", self.seen);
        self.seen.last().unwrap()
    }

    async fn up(&mut self) {
        self.event("up", |event| matches!(event, PublisherEvent::OutputUp)).await;
    }

    async fn down(&mut self) -> String {
        let event = self.event("down", |event| matches!(event, PublisherEvent::OutputDown { .. })).await;
        let PublisherEvent::OutputDown { reason } = event else { unreachable!() };
        for secret in ["s3cret", "t0ken", "pa55", "user"] {
            assert!(!reason.contains(secret), "{reason}");
        }
        reason.clone()
    }

    /// Waits until the batch has aired: sent, missed, lateness, bytes.
    async fn aired(&mut self, number: u64) -> (u64, u64, i64, u64) {
        let wanted = |event: &PublisherEvent| matches!(event, PublisherEvent::BatchAired { batch, .. } if *batch == number);
        let PublisherEvent::BatchAired { sent, missed, max_lateness_us, bytes, .. } =
            *self.event("aired", wanted).await
        else {
            unreachable!()
        };
        (sent, missed, max_lateness_us, bytes)
    }

    fn started(&self) -> Vec<u64> {
        let started = self.seen.iter().filter_map(|event| match event {
            PublisherEvent::BatchStarted { batch } => Some(*batch),
            _ => None,
        });
        started.collect()
    }
}

fn in_seconds(seconds: f64) -> UnixMicros {
    clock::now().plus_micros((seconds * 1e6) as i64)
}

/// Media whose first batch goes on air `seconds` from when it is ready.
fn media_in(folder: &tempfile::TempDir, length: u32, per_batch: usize, seconds: f64) -> Media {
    let mut media = media::make(folder.path(), length, per_batch, in_seconds(0.0));
    let anchor = in_seconds(seconds);
    for batch in &mut media.batches {
        batch.clock.anchor = anchor;
    }
    media
}

async fn sleep_until(at: UnixMicros) {
    tokio::time::sleep_until(clock::instant_at(at)).await;
}

#[actix_rt::test]
async fn nginx_records_exactly_what_was_published() {
    if !nginx::installed() || !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Nginx::start(folder.path(), nginx::free_port()).await;
    let media = media_in(&folder, 6, 2, 1.0);
    let mut rig = Rig::on_port(server.port);
    rig.publish(&media.batches[0]).await;
    rig.up().await;
    for (number, batch) in media.batches.iter().enumerate() {
        if number > 0 {
            rig.publish(batch).await;
        }
        let (sent, missed, lateness, bytes) = rig.aired(number as u64).await;
        assert_eq!((sent, missed), (media.samples[number].iter().sum(), 0));
        assert!(lateness < 100_000, "{lateness} µs late");
        let payload: u64 = batch.fragments.iter().map(|fragment| fragment.len).sum();
        assert!(bytes > payload / 2 && bytes < payload * 2, "{bytes} bytes of {payload}");
    }
    rig.finish().await;
    assert_eq!(rig.started(), [0, 1, 2]);
    server.session_ended().await;
    let recordings = server.recordings();
    assert_eq!(recordings.len(), 1);
    for track in ["v", "a"] {
        let published = media::packets(&media.whole, track);
        let recorded = media::packets(&recordings[0], track);
        assert_eq!(recorded.len(), published.len(), "{track}");
        assert_eq!(media::assert_run_of(&published, &recorded), 0);
    }
}

#[actix_rt::test]
async fn a_server_given_by_the_environment_takes_everything() {
    let Ok(url) = std::env::var("OVERDUB_TEST_SRS") else {
        println!("skipped: OVERDUB_TEST_SRS names no RTMP server (rtmp://host/application/key)");
        return;
    };
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let media = media_in(&folder, 8, 4, 1.0);
    let mut rig = Rig::new(&url);
    for batch in &media.batches {
        rig.publish(batch).await;
    }
    for number in 0..2 {
        let (sent, missed, ..) = rig.aired(number as u64).await;
        assert_eq!((sent, missed), (media.samples[number].iter().sum(), 0));
    }
    rig.finish().await;
    assert!(
        !rig.seen.iter().any(|event| matches!(event, PublisherEvent::OutputDown { .. })),
        "{:?}",
        rig.seen
    );
}

#[actix_rt::test]
async fn a_server_that_comes_back_gets_the_next_gop_and_nothing_twice() {
    if !nginx::installed() || !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Nginx::start(folder.path(), nginx::free_port()).await;
    let media = media_in(&folder, 10, 10, 1.0);
    let anchor = media.batches[0].clock.anchor;
    let mut rig = Rig::on_port(server.port);
    rig.publish(&media.batches[0]).await;
    rig.up().await;
    sleep_until(anchor.plus_micros(2_300_000)).await;
    server.kill();
    rig.down().await;
    drop(server);
    let server = Nginx::start(folder.path(), rig_port(folder.path())).await;
    rig.up().await;
    let (sent, missed, ..) = rig.aired(0).await;
    assert_eq!(sent + missed, media.total());
    assert!(missed > 0 && sent > 0);
    rig.finish().await;
    server.session_ended().await;
    let recordings = server.recordings();
    assert_eq!(recordings.len(), 2);
    for track in ["v", "a"] {
        let published = media::packets(&media.whole, track);
        let first = media::packets(&recordings[0], track);
        let second = media::packets(&recordings[1], track);
        assert_eq!(media::assert_run_of(&published, &first), 0);
        let resumed = media::assert_run_of(&published, &second);
        assert!(resumed >= first.len(), "{track}: {resumed} after {}", first.len());
        assert_eq!(resumed + second.len(), published.len());
        if track == "v" {
            assert!(second[0].key);
        }
    }
}

/// The port that the configuration in this folder names.
fn rig_port(folder: &std::path::Path) -> u16 {
    let text = std::fs::read_to_string(folder.join("nginx.conf")).unwrap();
    let (_, rest) = text.split_once("listen 127.0.0.1:").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

#[actix_rt::test]
async fn batches_pass_by_while_nobody_listens() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let media = media_in(&folder, 2, 1, 0.2);
    let mut rig = Rig::on_port(nginx::free_port());
    for batch in &media.batches {
        rig.publish(batch).await;
    }
    assert!(rig.down().await.starts_with("cannot connect to 127.0.0.1:"));
    for number in 0..2 {
        let missed = media.samples[number].iter().sum();
        assert_eq!(rig.aired(number as u64).await, (0, missed, 0, 0));
    }
    // Many attempts, one report.
    let downs = rig.seen.iter().filter(|event| matches!(event, PublisherEvent::OutputDown { .. })).count();
    assert_eq!((downs, rig.started()), (1, vec![]));
    rig.finish().await;
}

#[actix_rt::test]
async fn a_server_that_refuses_is_named_without_its_secrets_and_asked_again() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Long enough for all attempts: without anything to send none is made.
    let media = media_in(&folder, 20, 20, 5.0);
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media.batches[0]).await;

    let mut peer = Peer::accept(&listener).await;
    let publish = peer.up_to_publish().await;
    assert_eq!(publish.arguments[0].as_text(), Some("s3cret?token=t0ken"));
    peer.status("error", "NetStream.Publish.BadName", "s3cret is taken").await;
    let reason = rig.down().await;
    assert_eq!(reason, "server refused publish: NetStream.Publish.BadName (*** is taken)");

    let mut peer = Peer::accept(&listener).await;
    let connect = peer.command("connect").await;
    assert_eq!(connect.object.get("app").and_then(|app| app.as_text()), Some("live"));
    drop(peer);
    assert_eq!(rig.down().await, "server closed the connection during connect");

    // Accepts, and drops after that: up, then down again.
    drop(Peer::publishing(&listener).await);
    rig.up().await;
    rig.down().await;
    let _peer = Peer::publishing(&listener).await;
    rig.up().await;
    rig.finish().await;
}

#[actix_rt::test]
async fn what_is_no_rtmp_server_is_said_so() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = media_in(&folder, 1, 1, 0.1);
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media.batches[0]).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    assert!(rig.down().await.contains("not an RTMP version"));

    let mut rig = Rig::new("http://127.0.0.1/live/s3cret");
    assert!(rig.down().await.contains("expected rtmp://"));
    rig.publish(&media.batches[0]).await;
    rig.aired(0).await;
    rig.finish().await;
}

#[actix_rt::test]
async fn finishing_says_goodbye_after_the_gop_on_air() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = media_in(&folder, 4, 4, 0.3);
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media.batches[0]).await;
    let mut peer = Peer::publishing(&listener).await;
    rig.up().await;
    rig.event("started", |event| matches!(event, PublisherEvent::BatchStarted { .. })).await;
    rig.publisher.do_send(FinishOutput);
    let (mut samples, mut goodbye) = (0, Vec::new());
    while let Some(message) = peer.message().await {
        match (message.type_id, message.payload.get(1)) {
            (type_id::VIDEO | type_id::AUDIO, Some(1)) => {
                assert!(goodbye.is_empty());
                samples += 1;
            }
            _ => {
                if let Ok(message::Received::Command(command)) = message::parse(&message) {
                    goodbye.push(command.name);
                }
            }
        }
    }
    assert_eq!(goodbye, ["FCUnpublish", "deleteStream"]);
    assert_eq!(samples, media.samples[0][0]);
    drop(peer);
    rig.event("finished", |event| matches!(event, PublisherEvent::Finished)).await;
}

#[actix_rt::test]
async fn finishing_is_bounded_by_a_peer_that_never_closes() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = media_in(&folder, 1, 1, 9.0);
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media.batches[0]).await;
    let _peer = Peer::publishing(&listener).await;
    rig.up().await;
    let before = clock::now();
    rig.finish().await;
    assert!(clock::now().micros_since(before) < 5_000_000);
}

#[actix_rt::test]
async fn pings_and_windows_are_answered_before_there_is_media() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = media_in(&folder, 1, 1, 9.0);
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media.batches[0]).await;
    let mut peer = Peer::publishing(&listener).await;
    rig.up().await;
    peer.send(message::window_ack_size(64)).await;
    let ping = bytes::Bytes::from_static(&[0, 6, 0, 0, 0, 9]);
    for _ in 0..10 {
        peer.send(message::control(type_id::USER_CONTROL, ping.clone())).await;
    }
    let (mut pongs, mut acknowledged) = (0, 0);
    while pongs < 10 || acknowledged == 0 {
        let message = peer.message().await.expect("still connected");
        match message.type_id {
            type_id::USER_CONTROL => {
                assert_eq!(message.payload[..], [0, 7, 0, 0, 0, 9]);
                pongs += 1;
            }
            type_id::ACKNOWLEDGEMENT => acknowledged += 1,
            _ => {}
        }
    }
    rig.finish().await;
}

#[actix_rt::test]
async fn a_server_that_stops_reading_is_down_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media::make_huge(folder.path(), in_seconds(0.5))).await;
    let _peer = Peer::publishing(&listener).await;
    rig.up().await;
    assert_eq!(rig.down().await, "server took no data for 5 s");
    let (sent, missed, ..) = rig.aired(0).await;
    assert_eq!(sent + missed, 3);
    assert!(missed > 0);
}

#[actix_rt::test]
async fn a_publisher_whose_supervisor_is_gone_leaves() {
    if !media::has("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = media_in(&folder, 1, 1, 9.0);
    let mut rig = Rig::on_port(listener.local_addr().unwrap().port());
    rig.publish(&media.batches[0]).await;
    let mut peer = Peer::publishing(&listener).await;
    rig.up().await;
    rig.supervisor.do_send(Leave);
    assert!(tokio::time::timeout(Duration::from_secs(8), peer.message()).await.unwrap().is_none());
    // What is still sent to it is not heard.
    rig.publisher.send(FinishOutput).await.unwrap();
}
