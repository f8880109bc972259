//! Which children make no progress.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use super::StreamSupervisor;
use super::children::{StageFault, Vitals};
use crate::clock::{self, UnixMicros};
use crate::demuxer::Demuxer;
use crate::fetcher::Fetcher;
use crate::link::ProcessorLink;
use crate::messages::ChildId;
use crate::publisher::hls::HlsPublisher;
use crate::publisher::rtmp::RtmpPublisher;
use crate::remuxer::Remuxer;

/// How often stages' time limits are checked.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(5);
/// A stage that has not finished a command after this long is hung; so is a fetcher that has said nothing, and
/// whoever takes no message.
const STAGE_LIMIT_US: i64 = 60_000_000;
/// A watch that comes so late was held up with its whole thread, and so were those whom it watches.
const HELD_UP_US: i64 = 15_000_000;

/// Asks a child whether it takes messages: the answer is that it has taken this one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Probe;

macro_rules! take_probes {
    ($($actor:ty),*) => {$(
        impl Handler<Probe> for $actor {
            type Result = ();

            fn handle(&mut self, _: Probe, _: &mut Self::Context) {}
        }
    )*};
}
take_probes!(Fetcher, Demuxer, ProcessorLink, Remuxer, RtmpPublisher, HlsPublisher);

impl StreamSupervisor {
    /// Replaces children that owe an answer, a sign of life or the end of a batch for too long.
    pub(super) fn watch(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        let last = self.watched_at.replace(now);
        if last.is_some_and(|last| now.micros_since(last) > HELD_UP_US) {
            // Somebody blocked the thread: nobody's silence since then says anything.
            for vitals in self.children.vitals.values_mut() {
                for since in [&mut vitals.owing_since, &mut vitals.probed_since] {
                    *since = since.map(|_| now);
                }
                vitals.spawned_at = vitals.spawned_at.map(|_| now);
            }
        }
        let hung: Vec<(ChildId, u32, i64)> = self
            .children
            .vitals
            .iter()
            .filter_map(|(child, vitals)| {
                let silent = now.micros_since(self.waited_for_since(child, vitals)?);
                (silent > STAGE_LIMIT_US).then(|| (child.clone(), vitals.generation, silent / 1_000_000))
            })
            .collect();
        for (child, generation, seconds) in hung {
            self.child_failed(&child, generation, StageFault::Hung(seconds), ctx);
        }
        self.probe(now, ctx);
        self.refresh_condition();
    }

    /// Since when a child that runs is behind with what it has to do.
    fn waited_for_since(&self, child: &ChildId, vitals: &Vitals) -> Option<UnixMicros> {
        vitals.abort.as_ref()?;
        let owed = match child {
            // It owes no answer, but the end of a batch that has been on air for long.
            ChildId::Publisher(name) => {
                self.ledger.airing_due(name).map(|due| due.max(vitals.spawned_at.unwrap_or_default()))
            }
            _ => vitals.owing_since,
        };
        [owed, vitals.probed_since].into_iter().flatten().min()
    }

    #[cfg(test)]
    pub(super) fn probe_all(&mut self, ctx: &mut Context<Self>) {
        self.probe(clock::now(), ctx);
    }

    /// Asks every child that has answered the last time.
    fn probe(&mut self, now: UnixMicros, ctx: &mut Context<Self>) {
        let mut asked = Vec::new();
        for (child, vitals) in &mut self.children.vitals {
            if let Some(probe) = vitals.probe.clone().filter(|_| vitals.probed_since.is_none()) {
                vitals.probed_since = Some(now);
                asked.push((child.clone(), vitals.generation, probe));
            }
        }
        for (child, generation, probe) in asked {
            let answered = async move { probe.send(Probe).await.is_ok() };
            ctx.spawn(answered.into_actor(self).map(move |answered, this, _| {
                let vitals = this.children.vitals.get_mut(&child);
                if let Some(vitals) = vitals.filter(|vitals| answered && vitals.generation == generation) {
                    vitals.probed_since = None;
                }
            }));
        }
    }
}
