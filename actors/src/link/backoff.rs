//! When to try again, and when to say so.

use std::time::Duration;

/// Exponential backoff with jitter.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits of at least `min`, and of at most `max`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        let first = (min * 2).min(max);
        Self { first, max, next: first }
    }

    /// The next wait; `random` is from 0 to 1. Half of it is jitter, so that a hundred links that lost
    /// one server do not come back in one moment.
    pub fn wait(&mut self, random: f64) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(self.max);
        half + half.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Begins anew after a connection that was of use.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// The reasons told since the last time all was well: each is told once.
#[derive(Debug, Default)]
pub struct Outage {
    told: Vec<String>,
}

impl Outage {
    /// More distinct reasons than this in one outage are not told: the other end makes them up.
    const MAX_TOLD: usize = 16;

    /// Whether `reason` is news.
    pub fn is_news(&mut self, reason: &str) -> bool {
        if self.told.len() >= Self::MAX_TOLD || self.told.iter().any(|told| told == reason) {
            return false;
        }
        self.told.push(reason.to_owned());
        true
    }

    /// All is well again.
    pub fn over(&mut self) {
        self.told.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_half_of_each_is_jitter() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
        let longest: Vec<u128> = (0..6).map(|_| backoff.wait(1.0).as_millis()).collect();
        assert_eq!(longest, [1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.wait(0.0).as_millis(), 5000);
        backoff.reset();
        assert_eq!(backoff.wait(0.0).as_millis(), 500);
    }

    #[test]
    fn a_reason_is_told_once_an_outage() {
        let mut outage = Outage::default();
        assert!(outage.is_news("refused") && outage.is_news("404"));
        assert!(!outage.is_news("refused") && !outage.is_news("404"));
        outage.over();
        assert!(outage.is_news("refused"));
        let told = (0..100).filter(|n| outage.is_news(&n.to_string())).count();
        assert_eq!(told, Outage::MAX_TOLD - 1);
    }
}
