//! Every child in turn panics, hangs, or shares its thread with somebody who blocks.

use actix::fut::WrapFuture;

use super::*;
use crate::demuxer::Demuxer;
use crate::fetcher::Fetcher;
use crate::link::ProcessorLink;
use crate::publisher::hls::HlsPublisher;
use crate::publisher::rtmp::RtmpPublisher;
use crate::remuxer::Remuxer;
use crate::supervisor::children::Children;

pub const EVERY: [&str; 6] =
    ["fetcher", "demuxer", "processor-link/main", "remuxer/main", "publisher/main/rtmp-0", "publisher/hls"];

/// Makes a child panic in a handler, as a defect would.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Panic;

/// Makes a child wait for something that never comes.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
struct Hang;

macro_rules! defects_in {
    ($($actor:ty: $what:literal),*) => {$(
        impl Handler<Panic> for $actor {
            type Result = ();

            fn handle(&mut self, _: Panic, _: &mut Self::Context) {
                panic!("a defect in the {}", $what);
            }
        }

        impl Handler<Hang> for $actor {
            type Result = ();

            fn handle(&mut self, _: Hang, ctx: &mut Self::Context) {
                ctx.wait(std::future::pending::<()>().into_actor(self));
            }
        }
    )*};
}
defects_in!(
    Fetcher: "fetcher", Demuxer: "demuxer", ProcessorLink: "link", Remuxer: "remuxer",
    RtmpPublisher: "RTMP publisher", HlsPublisher: "HLS publisher"
);

/// Tells the child of this name.
pub fn tell<M>(children: &Children, name: &str, message: M)
where
    M: Message<Result = ()> + Send + Clone + 'static,
    Fetcher: Handler<M>,
    Demuxer: Handler<M>,
    ProcessorLink: Handler<M>,
    Remuxer: Handler<M>,
    RtmpPublisher: Handler<M>,
    HlsPublisher: Handler<M>,
{
    match name {
        "fetcher" => children.fetcher.as_ref().unwrap().do_send(message),
        "demuxer" => children.demuxer.as_ref().unwrap().do_send(message),
        "processor-link/main" => children.links["main"].do_send(message),
        "remuxer/main" => children.remuxers["main"].do_send(message),
        "publisher/main/rtmp-0" => children.rtmp["main/rtmp-0"].do_send(message),
        _ => children.hls.as_ref().unwrap().do_send(message),
    }
}

pub fn all_six_run(view: &StreamView) -> bool {
    view.actors.len() == 6 && view.actors.iter().all(|actor| actor.running)
}

/// Two streams on one thread, both with all of their children.
async fn two_streams(bench: &Bench) -> [Addr<StreamSupervisor>; 2] {
    let outputs = || vec![OutputSettings::rtmp("rtmp://127.0.0.1:1/live/x".to_owned())];
    let streams = ["one", "other"].map(|id| bench.stream_with(id, outputs()));
    for stream in &streams {
        wait_for(stream, all_six_run).await;
    }
    streams
}

/// After `name` of the first stream has been replaced for a reason that says `words`: nobody else was, so that the
/// stream's connections are those that it had.
async fn only_replaced(
    one: &Addr<StreamSupervisor>,
    other: &Addr<StreamSupervisor>,
    name: &str,
    words: &str,
) {
    let after = wait_for(one, |view| all_six_run(view) && restarts(view, name) > 0).await;
    let fault = after.actors.iter().find(|actor| actor.name == name).unwrap().last_fault.clone();
    // What it complained of since its replacement may stand there by now, of those that find nobody at the far end.
    let complains = ["fetcher", "processor-link/main"].contains(&name);
    assert!(complains || fault.as_ref().unwrap().message.contains(words), "{name}: {fault:?}");
    let name = name.to_owned();
    within(one, move |stream, _| {
        for (child, vitals) in &stream.children.vitals {
            let due = if child.name() == name { 1 } else { 0 };
            assert_eq!(vitals.restarts, due, "{} after {name}", child.name());
            assert!(vitals.generation == 1 || due == 1, "{} is another one after {name}", child.name());
        }
    })
    .await;
    within(other, |stream, _| {
        assert!(stream.children.vitals.values().all(|vitals| vitals.generation == 1));
    })
    .await;
}

#[actix::test]
async fn whichever_child_panics_it_alone_is_replaced_and_its_siblings_on_the_thread_do_not_notice() {
    tokio::time::pause();
    for name in EVERY {
        let bench = Bench::new();
        let [one, other] = two_streams(&bench).await;
        within(&one, move |stream, _| tell(&stream.children, name, Panic)).await;
        only_replaced(&one, &other, name, "panicked: a defect in the").await;
    }
}

#[actix::test]
async fn whichever_child_hangs_it_alone_is_replaced_within_its_time_limit() {
    tokio::time::pause();
    for name in EVERY {
        let bench = Bench::new();
        let [one, other] = two_streams(&bench).await;
        let since = Instant::now();
        within(&one, move |stream, _| tell(&stream.children, name, Hang)).await;
        only_replaced(&one, &other, name, "made no progress for").await;
        assert!(since.elapsed() > Duration::from_secs(55), "{name}: {:?}", since.elapsed());
    }
}

#[actix::test]
async fn nobody_is_replaced_for_the_silence_of_a_thread_that_somebody_blocked() {
    tokio::time::pause();
    let bench = Bench::new();
    let [one, other] = two_streams(&bench).await;
    // As a handler that blocks: nobody on the thread runs for two minutes.
    tokio::time::advance(Duration::from_secs(120)).await;
    for stream in [&one, &other] {
        wait_for(stream, all_six_run).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    within(&one, |stream, ctx| {
        // The same with the watch first: all were asked before the thread was held up and have had no turn since.
        let then = crate::clock::now().plus_micros(-120_000_000);
        stream.watched_at = Some(then);
        for vitals in stream.children.vitals.values_mut() {
            vitals.probed_since = Some(then);
        }
        stream.watch(ctx);
    })
    .await;
    for stream in [&one, &other] {
        within(stream, |stream, _| {
            assert!(stream.children.vitals.values().all(|vitals| vitals.generation == 1));
        })
        .await;
    }
}

/// Who has been asked whether it takes messages and has not taken that one.
async fn silent_children(stream: &Addr<StreamSupervisor>) -> Vec<String> {
    let (sender, receiver) = oneshot::channel();
    within(stream, move |stream, _| {
        let silent = stream.children.vitals.iter().filter(|(_, vitals)| vitals.probed_since.is_some());
        drop(sender.send(silent.map(|(child, _)| child.name()).collect()));
    })
    .await;
    receiver.await.unwrap()
}

/// Lets whoever reads this pipe go when it is dropped: the runtime would wait for him.
struct LetGo(PathBuf);

impl Drop for LetGo {
    fn drop(&mut self) {
        let path = self.0.clone();
        std::thread::spawn(move || {
            // Whoever reads holds the pipe; the next who opens the path finds a file.
            let pipe = std::fs::OpenOptions::new().write(true).open(&path);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, b"no segment").unwrap();
            drop(pipe);
        });
    }
}

/// A segment that cannot be read to its end: the demuxer's work blocks a thread of the pool for ever.
#[actix::test]
async fn work_that_blocks_its_pool_thread_holds_up_nobody_else() {
    let bench = Bench::new();
    let [one, other] = two_streams(&bench).await;
    let fifo = bench.folder.path().join("stuck.ts");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (path, reader) = (fifo.clone(), LetGo(fifo));
    within(&one, move |stream, ctx| {
        let segment = StoredSegment {
            number: 0,
            media_sequence: 0,
            path,
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
    })
    .await;
    // Both supervisors and all other children answer meanwhile.
    for (stream, silent) in [(&one, vec!["demuxer".to_owned()]), (&other, vec![])] {
        within(stream, |stream, ctx| stream.probe_all(ctx)).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while silent_children(stream).await != silent {
            assert!(Instant::now() < deadline, "{:?}", silent_children(stream).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    drop(reader);
    wait_for(&one, |view| view.actors.iter().any(|a| a.name == "demuxer" && a.last_fault.is_some())).await;
}
