//! Conditions with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `condition` every 50 ms until it gives something; panics with `what` after `limit`.
pub async fn until<T>(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
