//! How many reports wait for a supervisor: actix does not tell how full a mailbox is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what has been put into one mailbox and not been dealt with. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Mailbox(Arc<AtomicUsize>);

/// Something in the mailbox; counted until it is dropped.
#[derive(Debug)]
pub struct Waiting(Mailbox);

impl Mailbox {
    /// Counts one more.
    #[must_use]
    pub fn enter(&self) -> Waiting {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }

    /// How many there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dealt_with_no_longer_counts() {
        let mailbox = Mailbox::default();
        let (first, second) = (mailbox.enter(), mailbox.enter());
        assert_eq!(mailbox.depth(), 2);
        drop(first);
        assert_eq!(mailbox.depth(), 1);
        drop(second);
        assert_eq!(mailbox.depth(), 0);
    }
}
