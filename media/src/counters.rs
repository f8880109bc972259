//! Leniencies, counted by name.

use std::collections::BTreeMap;

/// How often something out of order was tolerated, by a fixed name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// Counts `times` more under `name`; nothing when `times` is 0.
    pub fn add(&mut self, name: &'static str, times: u64) {
        if times > 0 {
            let count = self.0.entry(name).or_default();
            *count = count.saturating_add(times);
        }
    }

    /// How often `name` was counted.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, times) in &other.0 {
            self.add(name, *times);
        }
    }

    /// All names that were counted, in alphabetical order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(&'static str, u64)> {
        self.0.iter().map(|(name, times)| (*name, *times)).collect()
    }
}
