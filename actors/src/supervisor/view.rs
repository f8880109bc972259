//! What is shown of a stream.

use std::collections::BTreeMap;

use super::media::described;
use super::{HLS_OUTPUT, Lifecycle, StreamSupervisor, rtmp_outputs, shown};
use crate::clock::{self, UnixMicros, rfc3339};
use crate::ledger::{BatchRecord, FallbackReason, RenditionRecord, RenditionState};
use crate::requests::{
    ActorView, BatchRenditionView, BatchView, OutputView, RenditionView, SourceView, StreamView,
};
use crate::settings::redact_url;

impl StreamSupervisor {
    pub(super) fn view(&self) -> StreamView {
        let settings = self.settings();
        let hls_path = settings.hls_output.then(|| format!("/live/{}/index.m3u8", settings.stream_id));
        StreamView {
            stream_id: settings.stream_id.clone(),
            state: self.condition.state,
            reason: self.condition.reason.clone(),
            since: rfc3339(self.condition.since),
            settings: settings.redacted(),
            actors: self.actor_views(),
            source: self.source_view(),
            renditions: self.rendition_views(),
            outputs: self.output_views(hls_path.as_deref()),
            delay: settings.delay,
            end_to_end: shown::end_to_end_s(&self.ledger),
            last_turnaround: shown::last_turnaround_s(&self.ledger),
            anchor: self.ledger.header().clock.map(|clock| rfc3339(clock.anchor)),
            last_error: self.last_error.clone(),
            hls_path,
        }
    }

    fn actor_views(&self) -> Vec<ActorView> {
        let running = matches!(self.lifecycle, Lifecycle::Running | Lifecycle::Draining(_));
        let views = self.children.vitals.iter().map(|(child, vitals)| ActorView {
            name: child.name(),
            running: running && vitals.abort.is_some(),
            restarts: vitals.restarts,
            last_fault: vitals.last_fault.clone(),
        });
        views.collect()
    }

    fn source_view(&self) -> SourceView {
        let header = self.ledger.header();
        let open_us: i64 = header.open_segments.iter().map(|segment| segment.duration_us).sum();
        let up = self.condition.source_seen
            && self.condition.source_fault.is_none()
            && self.condition.state.is_active();
        SourceView {
            up,
            variant: self.condition.variant.clone(),
            audio: self.condition.audio.clone(),
            media: self
                .ledger
                .batches()
                .values()
                .rev()
                .find_map(|batch| batch.media.as_ref())
                .map(|media| described(media, self.condition.media)),
            bitrate: shown::source_bitrate(&self.ledger).filter(|_| up),
            buffer_duration: self.settings().buffer_duration,
            segments: header.totals.segments,
            bytes: header.totals.segment_bytes,
            lost_segments: header.totals.lost_segments,
            gaps: header.totals.gaps,
            accumulated_duration: open_us as f64 / 1e6,
            current_batch: header.open_batch,
            clock_jumps: header.totals.clock_jumps,
        }
    }

    fn rendition_views(&self) -> Vec<RenditionView> {
        let open: Vec<&BatchRecord> = self.ledger.batches().values().filter(|b| !b.is_settled()).collect();
        let views = self.settings().renditions.iter().enumerate().map(|(index, rendition)| {
            let totals = self.ledger.header().totals.renditions.get(rendition.name.as_str());
            let in_state = |wanted: &[RenditionState]| {
                let states = open.iter().filter_map(|batch| batch.renditions.get(index));
                states.filter(|record| wanted.contains(&record.state)).count() as u64
            };
            RenditionView {
                name: rendition.name.clone(),
                language: rendition.language.clone(),
                history: self.shown.history(&rendition.name, clock::now()),
                on_fallback: self.condition.fallbacks.contains_key(rendition.name.as_str()),
                last_fallback: self.shown.last_fallback(&rendition.name),
                connected: self
                    .condition
                    .links
                    .get(rendition.name.as_str())
                    .is_some_and(|link| link.connected),
                processed: totals.map_or(0, |totals| totals.processed),
                fallbacks: totals.map_or(0, |totals| totals.fallbacks),
                late: totals.map_or(0, |totals| totals.late),
                pending: in_state(&[RenditionState::Waiting, RenditionState::Sent]),
                remuxed: totals.map_or(0, |totals| totals.remuxed),
                pending_remux: in_state(&[RenditionState::Processed, RenditionState::Fallback]),
            }
        });
        views.collect()
    }

    fn output_views(&self, hls_path: Option<&str>) -> Vec<OutputView> {
        let rtmp = rtmp_outputs(self.settings()).map(|(_, name, output)| (name, redact_url(output.url())));
        let hls = hls_path.map(|path| (HLS_OUTPUT.into(), path.to_owned()));
        let views = rtmp.chain(hls).map(|(name, target)| {
            let condition = self.condition.outputs.get(&name);
            let up = condition.is_some_and(|output| output.up);
            let reason = condition.and_then(|output| output.fault.clone());
            let totals = self.ledger.header().totals.outputs.get(&name).cloned().unwrap_or_default();
            let active = self.condition.state.is_active();
            let connection_status = match (up, &reason, active) {
                (true, ..) => "connected",
                (false, None, true) => "connecting",
                (false, ..) => "disconnected",
            };
            OutputView {
                name: name.to_string(),
                target,
                up,
                connection_status: connection_status.to_owned(),
                published: totals.published,
                missed_samples: totals.missed_samples,
                bytes: totals.bytes,
                max_lateness_ms: totals.last_lateness_us as f64 / 1e3,
                reason,
            }
        });
        views.collect()
    }

    pub(super) fn batch_views(&self, limit: usize, before: Option<u64>) -> Vec<BatchView> {
        let range = ..before.unwrap_or(u64::MAX);
        self.ledger
            .batches()
            .range(range)
            .rev()
            .take(limit)
            .map(|(_, batch)| self.batch_view(batch))
            .collect()
    }

    pub(super) fn batch_view(&self, batch: &BatchRecord) -> BatchView {
        let listed_s = batch.listed_duration_us() as f64 / 1e6;
        BatchView {
            batch: batch.number,
            state: batch.state_name(),
            first_segment: batch.segments.first().map_or(0, |segment| segment.number),
            last_segment: batch.segments.last().map_or(0, |segment| segment.number),
            duration: batch.media.as_ref().map_or(listed_s, |media| media.duration_s()),
            epoch: batch.media.as_ref().map_or(0, |media| media.epoch),
            times: times([
                ("collected", Some(batch.collected_at)),
                ("demuxed", batch.demuxed_at),
                ("published", batch.published_at),
                ("cleaned", batch.cleaned_at),
            ]),
            air_time: batch.air_start().map(rfc3339),
            deadline: self.ledger.deadline(batch).map(rfc3339),
            reason: batch.skipped.as_ref().map(ToString::to_string),
            renditions: batch.renditions.iter().map(|record| self.rendition_view(record)).collect(),
        }
    }

    fn rendition_view(&self, record: &RenditionRecord) -> BatchRenditionView {
        // What was given to a link that has no connection lies there.
        let connected = || self.condition.links.get(&record.name).is_some_and(|link| link.connected);
        let lies_there = match record.state {
            RenditionState::Sent => !connected(),
            _ => matches!(record.fallback, Some(FallbackReason::NotConnected)),
        };
        let state = match record.state {
            RenditionState::Waiting => "waiting",
            RenditionState::Sent if lies_there => "waiting",
            RenditionState::Sent => "sent",
            RenditionState::Processed => "processed",
            RenditionState::Fallback => "fallback",
            RenditionState::Remuxed => "remuxed",
        };
        BatchRenditionView {
            name: record.name.to_string(),
            state,
            times: times([
                ("sent", record.sent_at.filter(|_| !lies_there)),
                ("processed", record.processed_at),
                ("fallback", record.fallback_at),
                ("remuxed", record.remuxed_at),
                ("late", record.late_at),
            ]),
            fallback_kind: record.fallback.as_ref().map(FallbackReason::label),
            fallback_reason: record.fallback.as_ref().map(ToString::to_string),
            fit: record.fit.clone(),
            metadata: record.metadata.as_ref().and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}

fn times<const N: usize>(
    transitions: [(&'static str, Option<UnixMicros>); N],
) -> BTreeMap<&'static str, String> {
    transitions.into_iter().filter_map(|(name, at)| Some((name, rfc3339(at?)))).collect()
}
