//! One RTMP push: takes batches, sends each sample at its air time over one connection that outlives batches.
//!
//! | module | what |
//! | --- | --- |
//! | `schedule` | what leaves when; pure |
//! | `driver` | the loop that does what the schedule says |
//! | `link`, `backoff` | the connection over its whole life |
//! | `client`, `connection`, `socket` | opening and closing one, its bytes, TCP and TLS |
//! | `target`, `error` | the URL taken apart; why there is no connection |
//! | `enhanced` | whether a server takes codecs beyond FLV's own |
//! | `gop`, `sample` | one fragment of the output file in memory |
//! | `muxer` | samples to RTMP messages |
//!
//! The actor itself only passes commands on to its driver, which runs inside the actor's context: a panic there is
//! a panic of the actor, and aborting the actor ends the connection.

mod backoff;
mod client;
mod connection;
mod driver;
mod enhanced;
mod error;
mod gop;
mod link;
mod muxer;
mod sample;
mod schedule;
mod socket;
mod target;

use std::fmt;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, WrapFuture};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::driver::Command;
use crate::messages::{FinishOutput, PublishBatch, Reporter};
use crate::settings::{StreamId, redact_url};

pub use self::target::{Target, TargetError};

/// What an RTMP publisher must know.
#[derive(Clone)]
pub struct RtmpPublisherConfig {
    /// The stream it belongs to.
    pub stream_id: StreamId,
    /// The output's name, `{rendition}/rtmp-{index}`.
    pub output: Arc<str>,
    /// Where to publish; holds secrets.
    pub url: String,
    /// Whether H.265 is sent to a server that does not say that it takes it.
    pub takes_h265: bool,
}

impl fmt::Debug for RtmpPublisherConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtmpPublisherConfig")
            .field("stream_id", &self.stream_id)
            .field("output", &self.output)
            .field("url", &redact_url(&self.url))
            .field("takes_h265", &self.takes_h265)
            .finish()
    }
}

/// Publishes one rendition by RTMP.
///
/// Connects when it gets its first batch and holds the connection from then on. It never stops by itself before the
/// output is finished, unless its supervisor is gone.
#[derive(Debug)]
pub struct RtmpPublisher {
    config: RtmpPublisherConfig,
    reporter: Reporter,
    commands: UnboundedSender<Command>,
    /// Taken when the actor starts.
    receiver: Option<UnboundedReceiver<Command>>,
}

impl RtmpPublisher {
    /// A publisher that reports to `reporter`.
    #[must_use]
    pub fn new(config: RtmpPublisherConfig, reporter: Reporter) -> Self {
        // Unbounded, yet what it holds is bounded by the ledger: names and numbers of the batches in flight.
        let (commands, receiver) = unbounded_channel();
        Self { config, reporter, commands, receiver: Some(receiver) }
    }

    fn pass_on(&self, command: Command) {
        // Fails only after the output has finished, when there is nothing more to do with a batch.
        let _ = self.commands.send(command);
    }
}

impl Actor for RtmpPublisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(receiver) = self.receiver.take() {
            let driver = driver::run(self.config.clone(), self.reporter.clone(), receiver);
            ctx.spawn(driver.into_actor(self));
        }
    }
}

impl Handler<PublishBatch> for RtmpPublisher {
    type Result = ();

    fn handle(&mut self, batch: PublishBatch, _: &mut Self::Context) {
        self.pass_on(Command::Publish(batch));
    }
}

impl Handler<FinishOutput> for RtmpPublisher {
    type Result = ();

    fn handle(&mut self, _: FinishOutput, _: &mut Self::Context) {
        self.pass_on(Command::Finish);
    }
}
