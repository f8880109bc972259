//! The HLS publisher: lists each segment when its last frame's air time has come.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};

use crate::clock;
use crate::live::{Listing, LiveOutput};
use crate::messages::{FinishPlaylists, ListBatch, PublisherEvent, Reporter};

/// See the module.
#[derive(Debug)]
pub struct HlsPublisher {
    live: Arc<LiveOutput>,
    reporter: Reporter,
    listing: Listing,
    timer: Option<SpawnHandle>,
    up: bool,
}

impl HlsPublisher {
    /// A publisher that serves through `live`.
    #[must_use]
    pub fn new(live: Arc<LiveOutput>, reporter: Reporter) -> Self {
        Self { live, reporter, listing: Listing::default(), timer: None, up: false }
    }

    /// Advances once all that is in the mailbox has been taken. After a replacement or a restart the batches
    /// come one by one, and a playlist of the first alone would take back what clients have seen.
    fn advance_soon(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = Some(ctx.run_later(std::time::Duration::ZERO, |this, ctx| {
            this.timer = None;
            this.advance(ctx);
        }));
    }

    /// Lists what is due and sleeps until the next segment is.
    fn advance(&mut self, ctx: &mut Context<Self>) {
        let (added, complete) = self.listing.advance(clock::now());
        if added {
            self.live.publish(&self.listing);
            if !self.up {
                self.up = true;
                self.reporter.tell(PublisherEvent::OutputUp);
            }
        }
        for batch in complete {
            self.reporter.tell(PublisherEvent::BatchAired {
                batch,
                sent: 0,
                missed: 0,
                max_lateness_us: 0,
                bytes: 0,
            });
        }
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(next) = self.listing.next_change() {
            let wait = next.micros_since(clock::now()).max(0).unsigned_abs();
            let wait = std::time::Duration::from_micros(wait);
            self.timer = Some(ctx.run_later(wait, |this, ctx| {
                this.timer = None;
                this.advance(ctx);
            }));
        }
    }
}

impl Actor for HlsPublisher {
    type Context = Context<Self>;
}

impl Handler<ListBatch> for HlsPublisher {
    type Result = ();

    fn handle(&mut self, batch: ListBatch, ctx: &mut Self::Context) {
        self.listing.insert(batch);
        self.advance_soon(ctx);
    }
}

impl Handler<FinishPlaylists> for HlsPublisher {
    type Result = ();

    fn handle(&mut self, command: FinishPlaylists, ctx: &mut Self::Context) {
        self.advance(ctx);
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if command.ended {
            self.listing.end();
            self.live.publish(&self.listing);
        }
        self.reporter.tell(PublisherEvent::Finished);
    }
}
