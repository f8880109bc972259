//! One output's connection over its whole life: opens it, reports it up and down, opens it again.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use overdub_media::sample::VideoCodec;
use rustls::ClientConfig;
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::client::{self, Published};
use super::connection::Io;
use super::error::LinkError;
use super::muxer::Muxer;
use super::schedule::Departure;
use super::target::Target;
use crate::clock::{self, UnixMicros};
use crate::messages::{PublisherEvent, Reporter};

/// What is queued must be written within this time.
const STALL_SECONDS: u64 = 5;

/// A connection that lasted so long has earned a quick reconnection.
const LASTED: Duration = Duration::from_secs(10);

/// What happened to the link.
#[derive(Debug)]
pub enum LinkEvent {
    /// The server accepted the publish.
    Up,
    /// The connection is gone.
    Down,
    /// All that was sent has been written at this time; bytes by departure.
    Written(Vec<u64>, UnixMicros),
}

struct Open {
    published: Published,
    muxer: Muxer,
    since: Instant,
    /// Bytes by departure of what is being written.
    writing: Option<Vec<u64>>,
}

enum State {
    /// An attempt may be made as soon as somebody wants one.
    Idle,
    Waiting(Instant),
    Opening(Pin<Box<dyn Future<Output = Result<Published, LinkError>>>>),
    Open(Box<Open>),
}

/// The connection and all that is done to have one.
pub struct Link {
    target: Arc<Target>,
    tls: Arc<ClientConfig>,
    reporter: Reporter,
    backoff: Backoff,
    state: State,
    wanted: bool,
    /// The video that was to be sent last is H.265.
    is_h265: bool,
    /// Why it is down, as last reported.
    reported: Option<String>,
    messages: Vec<super::muxer::Message>,
}

impl Link {
    /// A link that is idle until [`Link::want`].
    pub fn new(target: Target, tls: Arc<ClientConfig>, reporter: Reporter) -> Self {
        Self {
            target: Arc::new(target),
            tls,
            reporter,
            backoff: Backoff::default(),
            state: State::Idle,
            wanted: false,
            is_h265: false,
            reported: None,
            messages: Vec::new(),
        }
    }

    /// Says whether a connection is to be opened when there is none; one that is there stays.
    pub fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// Queues departures; [`LinkEvent::Written`] follows, or [`LinkEvent::Down`]. False where the server cannot take
    /// them: then the connection has ended.
    pub fn send(&mut self, base_90k: i64, departures: &[Departure]) -> bool {
        let State::Open(open) = &mut self.state else { return true };
        let mut codecs = departures.iter().filter_map(|departure| departure.configs.video.as_ref());
        self.is_h265 = codecs.next_back().map_or(self.is_h265, |video| video.codec == VideoCodec::H265);
        if self.is_h265 && !open.published.takes_h265 {
            self.fail(&LinkError::NoH265);
            return false;
        }
        let mut sizes = Vec::with_capacity(departures.len());
        for departure in departures {
            self.messages.clear();
            open.muxer.messages(departure, base_90k, &mut self.messages);
            let mut size = 0;
            for (header, parts) in self.messages.drain(..) {
                // Larger than a message can be: the sample is missed, the connection stays.
                size = open.published.connection.queue(header, &parts).unwrap_or(0);
            }
            sizes.push(size);
        }
        open.writing = Some(sizes);
        true
    }

    /// Ends the connection because of `error`, and opens another after a while.
    pub fn fail(&mut self, error: &LinkError) {
        if let State::Open(open) = &self.state
            && open.since.elapsed() >= LASTED
        {
            self.backoff.reset();
        }
        let wait = self.backoff.next(fastrand::f64());
        self.state = State::Waiting(Instant::now() + wait);
        let reason = error.to_string();
        if self.reported.as_ref() != Some(&reason) {
            tracing::debug!(target_url = %self.target.shown, %reason, "output is down");
            self.reported = Some(reason.clone());
            self.reporter.tell(PublisherEvent::OutputDown { reason });
        }
    }

    /// Waits until something happens. May be dropped and called again at any point.
    pub async fn next(&mut self) -> LinkEvent {
        loop {
            match &mut self.state {
                State::Idle if self.wanted => self.state = self.opening(),
                State::Idle => pending().await,
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    self.state = State::Idle;
                }
                State::Opening(opening) => match opening.await {
                    Ok(published) => {
                        self.opened(published);
                        return LinkEvent::Up;
                    }
                    Err(error) => self.fail(&error),
                },
                State::Open(open) => match open.next(&self.target).await {
                    Ok(sizes) => return LinkEvent::Written(sizes, clock::now()),
                    Err(error) => {
                        self.fail(&error);
                        return LinkEvent::Down;
                    }
                },
            }
        }
    }

    /// Ends cleanly; takes a few seconds at most.
    pub async fn close(self) {
        if let State::Open(open) = self.state {
            client::close(open.published, &self.target).await;
        }
    }

    fn opening(&self) -> State {
        State::Opening(Box::pin(client::open(self.target.clone(), self.tls.clone(), self.is_h265)))
    }

    fn opened(&mut self, published: Published) {
        tracing::debug!(target_url = %self.target.shown, "output is up");
        let muxer = Muxer::new(published.stream_id);
        self.state = State::Open(Box::new(Open { published, muxer, since: Instant::now(), writing: None }));
        self.reported = None;
        self.reporter.tell(PublisherEvent::OutputUp);
    }
}

impl Open {
    /// Waits until what was sent is written.
    async fn next(&mut self, target: &Target) -> Result<Vec<u64>, LinkError> {
        loop {
            // All departures were refused, or there is nothing to write: done already.
            let connection = &mut self.published.connection;
            if connection.queued_since().is_none()
                && let Some(sizes) = self.writing.take()
            {
                return Ok(sizes);
            }
            let stalled = connection.queued_since().map(|since| since + Duration::from_secs(STALL_SECONDS));
            let io = match stalled {
                None => connection.next().await?,
                Some(stalled) => {
                    let too_long = sleep_until(stalled);
                    tokio::select! {
                        io = connection.next() => io?,
                        () = too_long => return Err(LinkError::Stalled { seconds: STALL_SECONDS }),
                    }
                }
            };
            match io {
                Io::Drained => {}
                Io::Command(command) => {
                    if let Some(error) = client::verdict(&command, target) {
                        return Err(error);
                    }
                }
            }
        }
    }
}
