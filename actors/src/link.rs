//! The socket to one audio processor: [`ProcessorLink`], one a rendition.
//!
//! | module | what |
//! | --- | --- |
//! | [`codec`] | Engine.IO v4 and Socket.IO v5 packets, pure, for both ends |
//! | [`fragments`] | the fragment protocol's events, pure |
//! | [`sniff`] | what a reply's bytes are, pure |
//! | [`frames`] | WebSocket frames by their first bytes, pure |
//! | `book` | which batches are with the processor, pure |
//! | `target` | the processor's URL, pure |
//! | `wire` | the WebSocket: whole messages, bounded |
//! | `dial`, `session` | one connection: its beginning, and its life |
//! | `load`, `store` | audio from disk, replies to disk |
//!
//! The actor takes commands into the book. A driver, a future of the actor's own context, connects for
//! ever, and sends what the book says over whatever connection there is. So a command is never lost with a
//! connection, and everything ends with the actor. A second dialect of the fragment protocol, in which
//! processors connect to us, would stand beside `session` and `fragments`; codec, book and store know
//! nothing of who dialled.

mod backoff;
mod book;
pub mod codec;
mod dial;
pub mod fragments;
pub mod frames;
mod load;
mod session;
pub mod sniff;
mod store;
mod target;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use self::backoff::{Backoff, Outage};
use self::book::Book;
use self::session::Shared;
use self::target::Target;
use crate::messages::{CancelFragment, ChildEvent, LinkEvent, Reporter, SendFragment};
use crate::settings::StreamId;

/// A connection that lived this long was a good one: the next wait is a short one again.
const GOOD_CONNECTION: Duration = Duration::from_secs(30);

/// How often a link looks whether anybody is left who wants it.
const ORPHAN_CHECK: Duration = Duration::from_secs(2);

/// Longest reason of a disconnect, in bytes.
const MAX_REASON_BYTES: usize = 300;

/// What a link is for.
#[derive(Clone)]
pub struct LinkConfig {
    /// The stream that the batches belong to.
    pub stream_id: StreamId,
    /// The rendition that the processor makes.
    pub rendition: Arc<str>,
    /// `ws://`, `wss://`, `http://` or `https://` URL of a Socket.IO server (protocol 5, as of Socket.IO 3).
    ///
    /// Read as the official client reads it: the path is the Socket.IO namespace (`/` by default), not a
    /// path of the server's, whose endpoint is always `/socket.io/`; the query goes with the handshake. User
    /// name and password are sent as HTTP basic authentication.
    pub url: String,
}

impl std::fmt::Debug for LinkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkConfig")
            .field("stream_id", &self.stream_id)
            .field("rendition", &self.rendition)
            .field("url", &crate::settings::redact_url(&self.url))
            .finish()
    }
}

/// Deadlines of a link.
#[derive(Debug, Clone, Copy)]
pub struct LinkLimits {
    /// From the first packet of a connection until the namespace is joined.
    pub connect: Duration,
    /// How long the processor may take no byte of a fragment that is being sent.
    pub stall: Duration,
    /// Shortest wait before a connection is tried again.
    pub backoff_min: Duration,
    /// Longest wait before a connection is tried again.
    pub backoff_max: Duration,
}

impl Default for LinkLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            backoff_min: Duration::from_millis(500),
            // A processor that is back is to have the next batch, and batches may be as short as 2 s.
            backoff_max: Duration::from_secs(3),
        }
    }
}

/// The actor that speaks with one processor. Takes [`SendFragment`] and [`CancelFragment`], reports
/// [`LinkEvent`]s, and [`ChildEvent::Alive`] at each ping and each attempt to connect.
///
/// Fragments in flight are as many as the commands: it is for the ledger to bound them. At most one is in
/// memory, while it is being written. A connection that is lost is opened again for ever; what is neither
/// answered nor cancelled is then sent again.
#[derive(Debug)]
pub struct ProcessorLink {
    config: LinkConfig,
    reporter: Reporter,
    limits: LinkLimits,
    book: Rc<RefCell<Book>>,
    wake: Rc<Notify>,
}

impl ProcessorLink {
    /// A link that will report through `reporter`. It dials when it is started.
    #[must_use]
    pub fn new(config: LinkConfig, reporter: Reporter) -> Self {
        let book = Rc::new(RefCell::new(Book::new(config.stream_id.clone())));
        Self { config, reporter, limits: LinkLimits::default(), book, wake: Rc::new(Notify::new()) }
    }

    /// The same link with other deadlines.
    #[must_use]
    pub fn with_limits(mut self, limits: LinkLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl Actor for ProcessorLink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let target = match Target::parse(&self.config.url) {
            Ok(target) => target,
            Err(error) => {
                // No attempt will ever go better; the deadlines say what becomes of the batches.
                self.reporter.tell(LinkEvent::Disconnected { reason: error.to_string() });
                return;
            }
        };
        // One reply waits while another is being written; a third waits in the socket.
        let (storing, replies) = mpsc::channel(1);
        let shared = Shared {
            target,
            book: Rc::clone(&self.book),
            wake: Rc::clone(&self.wake),
            reporter: self.reporter.clone(),
            storing,
            limits: self.limits,
        };
        // Futures of its own keep an actor alive when all its addresses are gone.
        ctx.run_interval(ORPHAN_CHECK, |link, ctx| {
            if !ctx.connected() || !link.reporter.recipient.connected() {
                ctx.stop();
            }
        });
        ctx.spawn(store::run(replies, self.reporter.clone()).into_actor(self));
        ctx.spawn(drive(shared).into_actor(self));
    }
}

impl Handler<SendFragment> for ProcessorLink {
    type Result = ();

    fn handle(&mut self, command: SendFragment, _: &mut Self::Context) {
        self.book.borrow_mut().add(command);
        self.wake.notify_one();
    }
}

impl Handler<CancelFragment> for ProcessorLink {
    type Result = ();

    fn handle(&mut self, command: CancelFragment, _: &mut Self::Context) {
        self.book.borrow_mut().cancel(command.batch);
    }
}

/// Connects, serves, and begins again, for ever.
async fn drive(shared: Shared) {
    let mut backoff = Backoff::new(shared.limits.backoff_min, shared.limits.backoff_max);
    let mut outage = Outage::default();
    loop {
        shared.reporter.tell(ChildEvent::Alive);
        let lost = match session::open(&shared).await {
            Ok(session) => {
                outage.over();
                shared.reporter.tell(LinkEvent::Connected);
                let joined = Instant::now();
                let (lost, was_useful) = session.serve().await;
                if was_useful || joined.elapsed() >= GOOD_CONNECTION {
                    backoff.reset();
                }
                lost
            }
            Err(lost) => lost,
        };
        shared.book.borrow_mut().connection_lost();
        let reason = fragments::shorten(&shared.target.scrub(&lost.to_string()), MAX_REASON_BYTES);
        if outage.is_news(&reason) {
            shared.reporter.tell(LinkEvent::Disconnected { reason });
        }
        sleep(backoff.wait(fastrand::f64())).await;
    }
}
