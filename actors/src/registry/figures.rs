//! What the registry counts: the disk, each stream's storage, the threads.

use std::collections::BTreeMap;
use std::ops::Bound;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures_util::future::join_all;

use super::{SPACE_INTERVAL, StreamRegistry, storage};
use crate::files::StreamFiles;
use crate::metrics;
use crate::settings::StreamId;

/// Streams whose storage is measured at a time: a look costs some dozen system calls a stream.
const MEASURED_AT_ONCE: usize = 20;

fn as_gauge(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The `most` streams whose turn it is after `last`, and whom the next turn follows; after the last stream it
/// begins with the first again.
fn turn<T>(
    streams: &BTreeMap<StreamId, T>,
    last: Option<StreamId>,
    most: usize,
) -> (Vec<StreamId>, Option<StreamId>) {
    let after = last.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = streams.range((after, Bound::Unbounded)).map(|(id, _)| id.clone());
    let turn: Vec<StreamId> = rest.take(most).collect();
    let last = turn.last().filter(|_| turn.len() == most).cloned();
    (turn, last)
}

impl StreamRegistry {
    pub(super) fn begin_to_count(&mut self, ctx: &mut Context<Self>) {
        for (number, arbiter) in self.arbiters.iter().enumerate() {
            arbiter.spawn(metrics::watch(self.metrics.clone(), number));
        }
        self.metrics.storage_quota.set(as_gauge(self.tree.space.quota_bytes()));
        self.measure_storage(ctx);
        ctx.run_interval(SPACE_INTERVAL, |this, ctx| this.measure_storage(ctx));
    }

    pub(super) fn count_replaced(&self, id: &StreamId, panicked: bool) {
        let cause = if panicked { "panicked" } else { "ended" };
        self.metrics.restarts.with_label_values(&[id.as_str(), "supervisor", cause]).inc();
    }

    /// Looks at the disk, and at the storage of some streams. One look at a time: on a disk that hangs they would
    /// pile up, and take the threads of all other work.
    fn measure_storage(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.measuring, true) {
            return;
        }
        let space = self.tree.space.clone();
        let root = self.tree.storage.clone();
        let (turn, last) = turn(&self.streams, self.measured.take(), MEASURED_AT_ONCE);
        self.measured = last;
        let measured = join_all(turn.into_iter().map(move |id| {
            let files = StreamFiles::new(&root, &id);
            async move { (id, storage::measure_with_log(files).await) }
        }));
        let disk = tokio::task::spawn_blocking(move || {
            space.measure();
            (space.disk(), space.refusal().is_some())
        });
        // The disk comes first: whether there is room must not wait for the streams' turn.
        let looked = async move { (disk.await, measured.await) };
        ctx.spawn(looked.into_actor(self).map(|(disk, measured), this, _| {
            this.measuring = false;
            for (id, measured) in measured {
                // A stream that was deleted meanwhile must not come back as a series.
                if let (Ok((view, log)), true) = (measured, this.entry(&id).is_ok()) {
                    let series = |kind: &str| this.metrics.storage.with_label_values(&[id.as_str(), kind]);
                    series("segments").set(as_gauge(view.original_stream_size));
                    series("batches").set(as_gauge(view.processed_fragments_size));
                    series("log").set(as_gauge(log));
                }
            }
            // A disk that cannot be looked at shows its trouble when it is written to.
            if let Ok((Ok(disk), refusing)) = disk {
                this.metrics.storage_free.set(as_gauge(disk.free));
                this.metrics.storage_size.set(as_gauge(disk.size));
                this.metrics.storage_reserve.set(as_gauge(disk.reserve));
                this.metrics.storage_refusing.set(i64::from(refusing));
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_its_turn_and_then_the_first_again() {
        let id = |number: u32| StreamId::new(&format!("s{number}")).unwrap();
        let streams: BTreeMap<StreamId, ()> = (0..5).map(|number| (id(number), ())).collect();
        let (first, last) = turn(&streams, None, 2);
        assert_eq!(first, [id(0), id(1)]);
        let (second, last) = turn(&streams, last, 2);
        assert_eq!(second, [id(2), id(3)]);
        let (third, last) = turn(&streams, last, 2);
        assert_eq!((third, last.clone()), (vec![id(4)], None));
        assert_eq!(turn(&streams, last, 2).0, first);
        assert_eq!(turn(&BTreeMap::<StreamId, ()>::new(), Some(id(1)), 2), (vec![], None));
    }
}
