//! How long to wait before the next attempt.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// Exponential backoff with jitter, 0.5 s to 10 s.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure; `jitter` in 0..1 shortens it by up to a half, so that the outputs of a
    /// server that comes back do not all arrive at once.
    pub fn next(&mut self, jitter: f64) -> Duration {
        let full = SHORTEST.saturating_mul(2u32.saturating_pow(self.failures.saturating_add(1))).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0).max(SHORTEST)
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_half_a_second_to_ten() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.next(0.0).as_millis()).collect();
        assert_eq!(waits, [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), SHORTEST);
        for _ in 0..100 {
            let wait = backoff.next(fastrand::f64());
            assert!((SHORTEST..=LONGEST).contains(&wait));
        }
    }
}
