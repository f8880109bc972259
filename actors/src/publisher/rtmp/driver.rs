//! The loop that does what the schedule says: one future, which the actor's context polls.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::RtmpPublisherConfig;
use super::error::LinkError;
use super::gop::{self, BatchMovie, GopError};
use super::link::{Link, LinkEvent};
use super::sample::Gop;
use super::schedule::{FragmentId, LATE_LIMIT_US, Schedule, Step};
use super::socket;
use super::target::Target;
use crate::clock;
use crate::messages::{ChildEvent, PublishBatch, PublisherEvent, Reporter};

/// How often the supervisor hears that this output lives, and this output looks whether the supervisor does.
const ALIVE: Duration = Duration::from_secs(5);

/// What the supervisor asks for.
pub enum Command {
    Publish(PublishBatch),
    Finish,
}

/// What a job on the blocking pool made.
enum Done {
    Read(Result<(Gop, BatchMovie), GopError>),
    Counted(Result<u64, GopError>),
}

/// A job on the blocking pool. It has no deadline: while the disk hangs the schedule gives fragments up by itself,
/// and another job would only hang beside the first.
struct Job {
    fragment: FragmentId,
    batch: u64,
    counts: bool,
    handle: JoinHandle<Done>,
}

/// Publishes until the output has been finished, or nobody listens any more.
pub async fn run(config: RtmpPublisherConfig, reporter: Reporter, mut commands: UnboundedReceiver<Command>) {
    let mut driver = Driver::new(&config, reporter);
    let mut alive = interval(ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some(wake) = driver.act() {
        if let Some(link) = &mut driver.link {
            link.want(driver.schedule.wants_link(clock::now()));
        }
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Publish(batch)) => driver.schedule.add(batch),
                Some(Command::Finish) => driver.schedule.finish(),
                None => return,
            },
            event = next(driver.link.as_mut()) => driver.linked(event),
            done = finished(driver.job.as_mut()) => driver.done(done),
            () = until(wake) => {}
            _ = alive.tick() => {
                if !driver.reporter.recipient.connected() {
                    return;
                }
                driver.reporter.tell(ChildEvent::Alive);
            }
        }
    }
    if let Some(link) = driver.link {
        link.close().await;
    }
    driver.reporter.tell(PublisherEvent::Finished);
}

struct Driver {
    config: RtmpPublisherConfig,
    reporter: Reporter,
    schedule: Schedule,
    /// None when the URL is none to publish to; batches pass by all the same.
    link: Option<Link>,
    job: Option<Job>,
    movie: Option<BatchMovie>,
}

impl Driver {
    fn new(config: &RtmpPublisherConfig, reporter: Reporter) -> Self {
        let link = match Target::parse(&config.url) {
            Ok(mut target) => {
                target.takes_h265 = config.takes_h265;
                Some(Link::new(target, socket::public_roots(), reporter.clone()))
            }
            Err(error) => {
                reporter.tell(PublisherEvent::OutputDown { reason: error.to_string() });
                None
            }
        };
        let (schedule, config) = (Schedule::default(), config.clone());
        Self { config, reporter, schedule, link, job: None, movie: None }
    }

    /// Does all that is to be done now; returns until when to wait, or none when the output has ended.
    fn act(&mut self) -> Option<Option<Instant>> {
        loop {
            match self.schedule.poll(clock::now()) {
                Step::Tell(event) => self.reporter.tell(event),
                Step::Read(fragment, place) => {
                    let (batch, known) = (place.batch, self.movie.clone());
                    let work = move || Done::Read(gop::read(&place, known));
                    self.start(fragment, batch, false, work);
                }
                Step::Count(fragment, place) => {
                    let batch = place.batch;
                    let work = move || Done::Counted(gop::count(&place));
                    self.start(fragment, batch, true, work);
                }
                Step::Send { base_90k, departures } => {
                    if self.link.as_mut().is_some_and(|link| !link.send(base_90k, &departures)) {
                        self.schedule.link_down();
                    }
                }
                Step::TooSlow => {
                    if let Some(link) = &mut self.link {
                        link.fail(&LinkError::TooSlow { seconds: LATE_LIMIT_US.unsigned_abs() / 1_000_000 });
                    }
                    self.schedule.link_down();
                }
                Step::End => return None,
                Step::Wait(at) => return Some(at.map(clock::instant_at)),
            }
        }
    }

    fn start(
        &mut self,
        fragment: FragmentId,
        batch: u64,
        counts: bool,
        work: impl FnOnce() -> Done + Send + 'static,
    ) {
        self.job = Some(Job { fragment, batch, counts, handle: spawn_blocking(work) });
    }

    fn linked(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up => self.schedule.link_up(),
            LinkEvent::Down => self.schedule.link_down(),
            LinkEvent::Written(sizes, at) => self.schedule.written(&sizes, at),
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        let Some(job) = self.job.take() else { return };
        let problem = match done {
            Ok(Done::Read(Ok((gop, movie)))) => {
                self.movie = Some(movie);
                return self.schedule.read(job.fragment, Some(gop));
            }
            Ok(Done::Counted(Ok(samples))) => return self.schedule.counted(job.fragment, Some(samples)),
            Ok(Done::Read(Err(error)) | Done::Counted(Err(error))) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            stream = %self.config.stream_id,
            output = %self.config.output,
            batch = job.batch,
            %problem,
            "a fragment cannot be read"
        );
        if job.counts {
            self.schedule.counted(job.fragment, None);
        } else {
            self.schedule.read(job.fragment, None);
        }
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn next(link: Option<&mut Link>) -> LinkEvent {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

async fn finished(job: Option<&mut Job>) -> Result<Done, JoinError> {
    match job {
        Some(job) => (&mut job.handle).await,
        None => std::future::pending().await,
    }
}
