//! How late the threads are that run streams. A handler that blocks shows here first.

use std::time::Duration;

use super::Metrics;
use crate::clock;

/// How often a thread is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches the current thread for as long as it runs.
pub(crate) async fn watch(metrics: Metrics, arbiter: usize) {
    let arbiter = arbiter.to_string();
    let lag = metrics.arbiter_lag.with_label_values(&[&arbiter]);
    loop {
        let due = clock::now().plus_micros(i64::try_from(INTERVAL.as_micros()).unwrap_or(i64::MAX));
        tokio::time::sleep(INTERVAL).await;
        lag.observe(clock::now().micros_since(due).max(0) as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thread_is_looked_at_once_a_second() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let watched = tokio::time::timeout(Duration::from_millis(5_500), watch(metrics.clone(), 1));
        assert!(watched.await.is_err());
        assert_eq!(metrics.arbiter_lag.with_label_values(&["1"]).get_sample_count(), 5);
    }
}
