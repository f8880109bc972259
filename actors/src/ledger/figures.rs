//! What the ledger holds, counted.

use std::sync::Arc;

use super::Ledger;
use super::records::RenditionState;

/// Counts of what is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The delay that is configured now, microseconds.
    pub delay_us: i64,
    /// Media in the open batch, microseconds.
    pub buffer_us: i64,
    /// Holes that lost media has left in the timeline since the stream was created.
    pub gaps: u64,
    /// How much slower the source's clock runs than ours, parts per million, once that is known.
    pub clock_drift_ppm: Option<f64>,
    /// Batches on disk by state, in the order of [`Figures::HELD`].
    pub held: [usize; Self::HELD.len()],
    /// By rendition: slots that are not ready to air by state, in the order of [`Figures::SLOTS`].
    pub slots: Vec<(Arc<str>, [usize; Self::SLOTS.len()])>,
    /// Commands given and not answered, in the order of [`Figures::STAGES`].
    pub in_flight: [usize; Self::STAGES.len()],
}

impl Figures {
    /// States of batches whose files are there.
    pub const HELD: [&'static str; 5] = ["collected", "demuxed", "publishing", "published", "skipped"];
    /// States of slots that are not ready.
    pub const SLOTS: [&'static str; 4] = ["waiting", "sent", "processed", "fallback"];
    /// Stages that are given commands.
    pub const STAGES: [&'static str; 5] = ["demux", "process", "remux", "publish", "clean"];
}

impl Ledger {
    /// Counts of what is under way.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut held = [0; Figures::HELD.len()];
        let none = [0; Figures::SLOTS.len()];
        let mut slots: Vec<_> = self.plan.renditions.iter().map(|plan| (plan.name.clone(), none)).collect();
        let mut publishing = 0;
        for batch in self.batches.values() {
            if let Some(at) = Figures::HELD.iter().position(|state| *state == batch.state_name()) {
                held[at] += 1;
            }
            if batch.is_settled() {
                continue;
            }
            let airing = self.plan.outputs.iter().enumerate().filter(|(index, output)| {
                self.issued.publishes.contains(&(batch.number, *index))
                    && !batch.aired.contains_key(&output.name)
            });
            publishing += airing.count();
            for (record, (_, counts)) in batch.renditions.iter().zip(&mut slots) {
                match record.state {
                    RenditionState::Waiting => counts[0] += 1,
                    RenditionState::Sent => counts[1] += 1,
                    RenditionState::Processed => counts[2] += 1,
                    RenditionState::Fallback => counts[3] += 1,
                    RenditionState::Remuxed => {}
                }
            }
        }
        let issued = &self.issued;
        Figures {
            delay_us: self.plan.delay_us,
            buffer_us: self.header.open_segments.iter().map(|segment| segment.duration_us).sum(),
            gaps: self.header.totals.gaps,
            clock_drift_ppm: self.header.pace.drift_ppm(),
            held,
            slots,
            in_flight: [
                usize::from(issued.demux.is_some()),
                issued.sends.len(),
                issued.remuxes.len(),
                publishing,
                issued.cleans.len(),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMicros;
    use crate::ledger::{BatchRecord, Header, LedgerPlan, OutputPlan, RenditionPlan};
    use crate::settings::Fallback;

    fn batch(number: u64, states: [&str; 2], published: bool) -> BatchRecord {
        let rendition = |name: &str, state: &str| {
            serde_json::json!({
                "name": name, "state": state, "sent_at": null, "processed_at": null, "fallback_at": null,
                "fallback": null, "late_at": null, "format": null, "metadata": null, "remuxed_at": null,
                "remux_failures": 0, "fit": null, "audio_cuts": [], "output": []
            })
        };
        serde_json::from_value(serde_json::json!({
            "number": number, "segments": [], "discontinuity": false, "collected_at": 1, "demuxed_at": null,
            "demux_failures": 0, "media": null, "clock": null, "hls_sequence": 0, "hls_discontinuities": 0,
            "hls_segments": 0, "renditions": [rendition("main", states[0]), rendition("de", states[1])],
            "aired": {}, "published_at": published.then_some(2), "cleaned_at": null, "skipped": null
        }))
        .unwrap()
    }

    #[test]
    fn what_is_under_way_is_counted_by_state_and_stage() {
        let plan = LedgerPlan {
            buffer_us: 6_000_000,
            delay_us: 10_000_000,
            max_concurrent_batches: 2,
            keep_batches: None,
            renditions: ["main", "de"]
                .map(|name| RenditionPlan { name: name.into(), fallback: Fallback::Original })
                .to_vec(),
            outputs: vec![OutputPlan { name: "hls".into(), rendition: None }],
        };
        let batches = vec![
            batch(0, ["remuxed", "remuxed"], true),
            batch(1, ["sent", "fallback"], false),
            batch(2, ["sent", "waiting"], false),
        ];
        let mut ledger = Ledger::new(plan, Header::default(), batches);
        ledger.apply(crate::ledger::Event::TimePassed, UnixMicros(3));
        ledger.issued.publishes.extend([(0, 0), (1, 0)]);
        let figures = ledger.figures();
        assert_eq!(figures.delay_us, 10_000_000);
        assert_eq!(figures.held, [2, 0, 0, 1, 0]);
        let slots = [("main".into(), [0, 2, 0, 0]), ("de".into(), [1, 0, 0, 1])];
        assert_eq!(figures.slots, slots);
        // Demuxing begins anew after a start; what is published is no longer with its output.
        assert_eq!(figures.in_flight, [1, 0, 0, 1, 0]);
    }
}
