//! What the state counts about itself.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// A flush is one fsync on a healthy disk.
const FLUSH_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct StoreFigures {
    pub flush: Histogram,
    pub writes: IntCounter,
    pub failures: IntCounter,
    pub queued: IntGauge,
}

impl StoreFigures {
    pub(super) fn new() -> prometheus::Result<Self> {
        let flush = HistogramOpts::new(
            "overdub_state_flush_seconds",
            "Time that a flush of the state to disk took; all who wait share one.",
        );
        Ok(Self {
            flush: Histogram::with_opts(flush.buckets(FLUSH_SECONDS.to_vec()))?,
            writes: IntCounter::new("overdub_state_writes_total", "Transitions written to the state.")?,
            failures: IntCounter::new(
                "overdub_state_failures_total",
                "Writes and flushes of the state that failed.",
            )?,
            queued: IntGauge::new(
                "overdub_state_queue_requests",
                "Writes and flushes that wait for the thread that does them.",
            )?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.flush.clone()))?;
        registry.register(Box::new(self.writes.clone()))?;
        registry.register(Box::new(self.failures.clone()))?;
        registry.register(Box::new(self.queued.clone()))
    }
}
