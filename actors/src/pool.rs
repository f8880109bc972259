//! The blocking pool, for work that wants a CPU for long: as many at once as there are cores.
//!
//! Batches of hundreds of streams may be complete at the same moment. Side by side their jobs would all be slow,
//! would hold all their memory, and would take the CPU from the threads that send what is on air.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// Work that waited so long begins all the same: a job that hangs on a disk keeps its place for ever, and must not
/// keep other streams from theirs.
const MOST_WAIT: Duration = Duration::from_millis(500);

static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)));

/// Runs `work` on the blocking pool when a place is free.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // None after the wait; the semaphore is never closed.
    let place = timeout(MOST_WAIT, PLACES.acquire()).await.ok().and_then(Result::ok);
    spawn_blocking(move || {
        // Kept by the work itself: it goes on when nobody waits for it any more.
        let _place = place;
        work()
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_keeps_nobody_waiting_for_ever() {
        let mut hanging = Vec::new();
        for _ in 0..PLACES.available_permits() {
            let (end, ended) = channel::<()>();
            hanging.push((end, tokio::spawn(run(move || ended.recv()))));
        }
        let taken = async {
            while PLACES.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), taken).await.expect("all places are taken");
        let since = tokio::time::Instant::now();
        let done = timeout(Duration::from_secs(30), run(|| 7)).await.expect("work that does not hang");
        assert_eq!(done.ok(), Some(7));
        assert!(since.elapsed() >= MOST_WAIT, "it waited for a place");
        for (end, work) in hanging {
            drop(end);
            assert!(work.await.is_ok());
        }
    }
}
