//! Which troubles to tell of: each distinct reason once, until all is well again.

use std::collections::BTreeSet;

use crate::messages::FetcherEvent;

/// Distinct reasons remembered; a source that invents a new one each time is told of this often.
const MAX_REASONS: usize = 32;

/// What is in the way; each ends by its own success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The playlist cannot be had; ends when one is read.
    Source,
    /// The playlist brings nothing new; ends when it does.
    Stalled,
    /// What it lists cannot be used; ends when a segment is stored.
    Media,
    /// Segments cannot be written; ends when one is.
    Storage,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    open: BTreeSet<Trouble>,
    told: BTreeSet<String>,
}

impl Health {
    /// Takes note of a trouble; what to tell, if it is news.
    pub(super) fn failed(&mut self, trouble: Trouble, reason: String) -> Option<FetcherEvent> {
        self.open.insert(trouble);
        let news = self.told.len() < MAX_REASONS && self.told.insert(reason.clone());
        news.then_some(FetcherEvent::SourceFailed { reason })
    }

    /// Takes note of a trouble's end; what to tell, if it was the last.
    pub(super) fn cleared(&mut self, trouble: Trouble) -> Option<FetcherEvent> {
        let was_last = self.open.remove(&trouble) && self.open.is_empty();
        if was_last {
            self.told.clear();
        }
        was_last.then_some(FetcherEvent::SourceRecovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_until_all_is_well_again() {
        let mut health = Health::default();
        assert!(health.cleared(Trouble::Source).is_none(), "nothing was wrong");
        assert!(health.failed(Trouble::Source, "404".into()).is_some());
        assert!(health.failed(Trouble::Source, "404".into()).is_none());
        assert!(health.failed(Trouble::Source, "refused".into()).is_some());
        assert!(health.failed(Trouble::Source, "404".into()).is_none(), "reasons that alternate are no news");
        assert!(health.failed(Trouble::Storage, "disk full".into()).is_some());
        assert!(health.cleared(Trouble::Source).is_none(), "the disk is still full");
        assert!(matches!(health.cleared(Trouble::Storage), Some(FetcherEvent::SourceRecovered)));
        assert!(health.cleared(Trouble::Storage).is_none());
        assert!(health.failed(Trouble::Source, "404".into()).is_some());
    }

    #[test]
    fn a_source_that_invents_reasons_is_not_told_of_for_ever() {
        let mut health = Health::default();
        let told = (0..1000).filter_map(|n| health.failed(Trouble::Source, format!("error {n}"))).count();
        assert_eq!(told, MAX_REASONS);
    }
}
