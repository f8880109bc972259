//! When to poll and when to retry: pure.

use std::time::Duration;

/// Longest wait between two polls, however long the target duration is said to be.
const MAX_POLL: Duration = Duration::from_secs(30);

const FIRST_BACKOFF_MS: u64 = 500;

/// How long after the start of one load of the playlist the next may begin (rfc8216bis 6.3.4): the target
/// duration if it had changed, half of it if not. `jitter` in 0..1 adds up to 5 %, never takes away.
pub(super) fn poll_delay(target_duration_s: u32, changed: bool, jitter: f64) -> Duration {
    let target = Duration::from_secs(u64::from(target_duration_s.max(1))).min(MAX_POLL);
    let delay = if changed { target } else { target / 2 };
    delay.mul_f64(1.0 + 0.05 * jitter.clamp(0.0, 1.0))
}

/// How long to wait after `failures` in a row: 0.5 s, doubled each time up to the target duration, which
/// counts as 1 to 10 s; give or take 20 % by `jitter` in 0..1.
pub(super) fn backoff(failures: u32, target_duration_s: u32, jitter: f64) -> Duration {
    let doubled = FIRST_BACKOFF_MS << failures.saturating_sub(1).min(10);
    let most = u64::from(target_duration_s.clamp(1, 10)) * 1000;
    Duration::from_millis(doubled.min(most)).mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

/// How long a source may list nothing new before it counts as stalled: one and a half target durations, in
/// which it has to list more (rfc8216bis 6.2.1). Polled every half, it is found out within two.
pub(super) fn stall_patience(target_duration_s: u32) -> Duration {
    Duration::from_millis(u64::from(target_duration_s.max(1)) * 1500)
}

/// Within what time a failing segment must have been had: two target durations.
pub(super) fn retry_budget(target_duration_s: u32) -> Duration {
    Duration::from_secs(u64::from(target_duration_s.max(1)) * 2)
}

/// What a try may take that begins when the first began `since_first` ago: what is left of all tries' time, 1 s
/// at least.
pub(super) fn try_limit(target_duration_s: u32, since_first: Duration) -> Duration {
    retry_budget(target_duration_s).saturating_sub(since_first).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(duration: Duration) -> u128 {
        duration.as_millis()
    }

    #[test]
    fn a_changed_playlist_is_polled_after_its_target_duration_and_an_unchanged_one_after_half() {
        assert_eq!(ms(poll_delay(6, true, 0.0)), 6000);
        assert_eq!(ms(poll_delay(6, false, 0.0)), 3000);
        assert_eq!(ms(poll_delay(6, true, 1.0)), 6300);
        assert_eq!(ms(poll_delay(0, false, 0.0)), 500);
        assert_eq!(ms(poll_delay(u32::MAX, true, 0.0)), 30_000);
    }

    #[test]
    fn retries_double_up_to_the_target_duration() {
        let waits: Vec<_> = (1..=6).map(|failures| ms(backoff(failures, 6, 0.5))).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 6000, 6000]);
        assert_eq!(ms(backoff(u32::MAX, u32::MAX, 0.5)), 10_000);
        assert_eq!(ms(backoff(9, 0, 0.0)), 800);
    }

    #[test]
    fn patience_grows_with_the_target_duration() {
        assert_eq!([0, 2, 6].map(stall_patience), [1500, 3000, 9000].map(Duration::from_millis));
        assert_eq!([0, 6].map(retry_budget), [2, 12].map(Duration::from_secs));
        let seconds = |target, since| try_limit(target, Duration::from_secs(since)).as_secs();
        assert_eq!([seconds(1, 0), seconds(6, 0), seconds(6, 7), seconds(6, 60)], [2, 12, 5, 1]);
    }
}
