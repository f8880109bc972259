//! What the registry counts: the disk, each stream's storage, the threads.

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

    /// The streams whose turn it is.
    fn next_measured(&mut self) -> Vec<StreamId> {
        let after = self.measured.take().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.streams.range((after, Bound::Unbounded)).map(|(id, _)| id.clone());
        let next: Vec<StreamId> = next.take(MEASURED_AT_ONCE).collect();
        // After the last one the first follows.
        self.measured = next.last().filter(|_| next.len() == MEASURED_AT_ONCE).cloned();
        next
    }

    fn measure_storage(&mut self, ctx: &mut Context<Self>) {
        let space = self.tree.space.clone();
        let root = self.tree.storage.clone();
        let measured = join_all(self.next_measured().into_iter().map(move |id| {
            let files = StreamFiles::new(&root, &id);
            async move { (id, storage::measure(vec![files]).await) }
        }));
        let disk = tokio::task::spawn_blocking(move || (space.disk(), space.refusal().is_some()));
        let looked = async move { (measured.await, disk.await) };
        ctx.spawn(looked.into_actor(self).map(|(measured, disk), this, _| {
            for (id, view) in measured {
                // A stream that was deleted meanwhile must not come back as a series.
                if let (Ok(view), true) = (view, this.entry(&id).is_ok()) {
                    let series = |kind: &str| this.metrics.storage.with_label_values(&[id.as_str(), kind]);
                    series("segments").set(as_gauge(view.original_stream_size));
                    series("batches").set(as_gauge(view.processed_fragments_size));
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
