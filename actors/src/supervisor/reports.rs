//! What children say, as ledger events and figures.

use std::sync::Arc;

use actix::{Context, Handler};

use super::media::MediaNote;
use super::{Lifecycle, StreamSupervisor};
use crate::ledger::Event;
use crate::messages::{
    ChildEvent, ChildId, DemuxerEvent, FetcherEvent, LinkEvent, PublisherEvent, RemuxerEvent, Report,
};

impl Handler<Report> for StreamSupervisor {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        let Some(vitals) = self.children.vitals.get_mut(&report.child) else { return };
        if vitals.generation != report.generation {
            return;
        }
        // The fetcher always owes its next sign of life; the others only answers to commands.
        vitals.alive(report.child == ChildId::Fetcher);
        let child = report.child.clone();
        match (report.child, report.event) {
            (_, ChildEvent::Alive) => return,
            (_, ChildEvent::Fetcher(event)) => self.fetcher_said(event, ctx),
            (_, ChildEvent::Demuxer(event)) => self.demuxer_said(event, ctx),
            (ChildId::ProcessorLink(name), ChildEvent::Link(event)) => self.link_said(&name, event, ctx),
            (ChildId::Remuxer(name), ChildEvent::Remuxer(event)) => self.remuxer_said(&name, event, ctx),
            (ChildId::Publisher(name), ChildEvent::Publisher(event)) => {
                self.publisher_said(&name, event, ctx)
            }
            (child, event) => {
                tracing::warn!(
                    stream = self.id(),
                    actor = child.name(),
                    ?event,
                    "an event from the wrong child"
                );
            }
        }
        // One answer may leave others owed.
        if self.ledger.is_owed_by(&child) {
            self.owes(&child);
        }
        self.refresh_condition();
        self.continue_drain(ctx);
    }
}

impl StreamSupervisor {
    fn rendition_index(&self, name: &str) -> Option<usize> {
        self.settings().renditions.iter().position(|rendition| rendition.name == name)
    }

    fn fetcher_said(&mut self, event: FetcherEvent, ctx: &mut Context<Self>) {
        if matches!(self.lifecycle, Lifecycle::Draining(_)) {
            return;
        }
        match event {
            FetcherEvent::PlaylistRead { target_duration_s } => {
                self.condition.source_seen = true;
                self.feed(Event::TargetDurationRead { seconds: target_duration_s }, ctx);
            }
            FetcherEvent::VariantChosen { variant, audio } => {
                tracing::info!(stream = self.id(), variant, audio, "variant chosen");
                (self.condition.variant, self.condition.audio) = (Some(variant), audio);
            }
            FetcherEvent::AudioChanged { trouble } => {
                tracing::warn!(stream = self.id(), trouble, "the source's audio");
                if let Some(reason) = &trouble {
                    self.complain(&ChildId::Fetcher, reason.clone());
                }
                self.condition.audio_fault = trouble;
            }
            FetcherEvent::SegmentStored(segment) => {
                self.condition.source_seen = true;
                self.condition.lost_in_a_row = 0;
                self.condition.loss = None;
                self.metrics.segment_stored(&segment);
                tracing::debug!(
                    stream = self.id(),
                    segment = segment.number,
                    bytes = segment.bytes,
                    "segment stored"
                );
                self.feed(Event::SegmentStored(segment), ctx);
            }
            FetcherEvent::SegmentLost { media_sequence, duration_us, reason } => {
                self.metrics.segment_lost();
                tracing::warn!(stream = self.id(), media_sequence, duration_us, reason, "segment lost");
                self.complain(&ChildId::Fetcher, format!("segment {media_sequence} is lost: {reason}"));
                self.condition.lost_in_a_row += 1;
                // Later ones are often lost because of the first: it took the time in which they were listed.
                self.condition.loss.get_or_insert(reason);
                self.feed(Event::SegmentLost { media_sequence, duration_us }, ctx);
            }
            FetcherEvent::SourceFailed { reason } => {
                tracing::warn!(stream = self.id(), reason, "source failed");
                self.complain(&ChildId::Fetcher, reason.clone());
                self.metrics.source_failed();
                self.condition.source_fault = Some(reason);
            }
            FetcherEvent::SourceRecovered => {
                tracing::info!(stream = self.id(), "source recovered");
                self.metrics.source_recovered();
                self.condition.source_fault = None;
                self.condition.source_seen = true;
            }
            FetcherEvent::SourceEnded => {
                tracing::info!(stream = self.id(), "source ended");
                self.condition.source_fault = None;
                // It has nothing more to say; what it still owed is settled.
                self.end_child(&ChildId::Fetcher);
                self.feed(Event::SourceEnded, ctx);
            }
        }
    }

    fn demuxer_said(&mut self, event: DemuxerEvent, ctx: &mut Context<Self>) {
        match event {
            DemuxerEvent::BatchDemuxed { batch, media, carry, leniencies } => {
                self.condition.unreadable = None;
                self.condition.media = Some(MediaNote::of(&media, &leniencies));
                // RTMP has no place for what HLS carries beside the media.
                let passed_on = leniencies.iter().filter(|(kind, _)| kind.ends_with("_passed_on"));
                let passed_on: u64 = passed_on.map(|(_, count)| count).sum();
                let dropped = passed_on.saturating_mul(self.children.rtmp.len() as u64);
                for (kind, count) in leniencies.into_iter().chain([("events_dropped_by_rtmp", dropped)]) {
                    self.metrics.tolerated(kind, count);
                    if count > 0 {
                        tracing::debug!(stream = self.id(), batch, kind, count, "tolerated in the source");
                    }
                }
                self.feed(Event::BatchDemuxed { batch, media, carry }, ctx);
                self.count_demuxed(batch);
            }
            DemuxerEvent::DemuxFailed { batch, reason, no_space } => {
                tracing::warn!(stream = self.id(), batch, reason, "demuxing failed");
                self.complain(&ChildId::Demuxer, format!("batch {batch}: {reason}"));
                self.condition.unreadable = Some(reason.clone());
                // What libraries report may have lost its cause on the way.
                let no_space = no_space || self.tree.space.is_disk_full();
                self.feed(Event::DemuxFailed { batch, detail: reason, no_space }, ctx);
            }
        }
    }

    fn link_said(&mut self, name: &Arc<str>, event: LinkEvent, ctx: &mut Context<Self>) {
        let Some(rendition) = self.rendition_index(name) else { return };
        let stray = |this: &Self, kind: &str| {
            this.metrics.stray_reply(name, kind);
        };
        match event {
            LinkEvent::Connected | LinkEvent::Disconnected { .. } => {
                let (connected, fault) = match event {
                    LinkEvent::Disconnected { reason } => (false, Some(reason)),
                    _ => (true, None),
                };
                tracing::info!(stream = self.id(), rendition = &**name, connected, fault, "processor link");
                self.metrics.set_connected(name, connected);
                if let Some(fault) = &fault {
                    self.complain(&ChildId::ProcessorLink(name.clone()), fault.clone());
                }
                if let Some(link) = self.condition.links.get_mut(name) {
                    link.connected = connected;
                    link.fault = fault;
                }
                self.feed(Event::LinkChanged { rendition, connected }, ctx);
            }
            LinkEvent::FragmentSent { batch } => {
                tracing::debug!(stream = self.id(), batch, rendition = &**name, "fragment sent");
                self.count_sent(batch, name);
            }
            LinkEvent::FragmentProcessed { batch, bytes, format, metadata } => {
                tracing::debug!(stream = self.id(), batch, rendition = &**name, bytes, "fragment processed");
                self.count_reply(batch, rendition, bytes);
                self.feed(Event::FragmentProcessed { batch, rendition, format, metadata }, ctx);
            }
            LinkEvent::FragmentFailed { batch, fault } => {
                self.complain(&ChildId::ProcessorLink(name.clone()), format!("batch {batch}: {fault}"));
                self.feed(Event::FragmentFailed { batch, rendition, fault }, ctx);
            }
            LinkEvent::UnmatchedReply => {
                tracing::warn!(stream = self.id(), rendition = &**name, "a reply matches no batch");
                stray(self, "unmatched");
            }
            LinkEvent::DuplicateReply { batch } => {
                tracing::warn!(stream = self.id(), batch, rendition = &**name, "a second reply for a batch");
                stray(self, "duplicate");
            }
        }
    }

    fn remuxer_said(&mut self, name: &Arc<str>, event: RemuxerEvent, ctx: &mut Context<Self>) {
        let Some(rendition) = self.rendition_index(name) else { return };
        match event {
            RemuxerEvent::BatchRemuxed { batch, audio_cuts, audio_init_len: _, output, fit } => {
                self.count_filled(batch, rendition);
                self.feed(Event::BatchRemuxed { batch, rendition, audio_cuts, output, fit }, ctx);
            }
            RemuxerEvent::RemuxFailed { batch, reason, no_space } => {
                tracing::warn!(stream = self.id(), batch, rendition = &**name, reason, "remuxing failed");
                self.complain(&ChildId::Remuxer(name.clone()), format!("batch {batch}: {reason}"));
                let no_space = no_space || self.tree.space.is_disk_full();
                self.feed(Event::RemuxFailed { batch, rendition, detail: reason, no_space }, ctx);
            }
        }
    }

    fn publisher_said(&mut self, name: &Arc<str>, event: PublisherEvent, ctx: &mut Context<Self>) {
        let stream = self.stream.settings.stream_id.clone();
        match event {
            PublisherEvent::OutputUp => {
                tracing::info!(stream = stream.as_str(), output = &**name, "output up");
                self.set_output(name, true, None);
            }
            PublisherEvent::OutputDown { reason } => {
                tracing::warn!(stream = stream.as_str(), output = &**name, reason, "output down");
                self.complain(&ChildId::Publisher(name.clone()), reason.clone());
                self.set_output(name, false, Some(reason));
            }
            PublisherEvent::BatchStarted { batch } => {
                if let Some(output) = self.condition.outputs.get_mut(name) {
                    output.on_air = Some(batch);
                }
            }
            PublisherEvent::BatchAired { batch, sent, missed, max_lateness_us, bytes } => {
                self.count_aired(name, batch, (sent, missed, bytes), max_lateness_us);
                let output = name.clone();
                self.feed(Event::BatchAired { batch, output, sent, missed, max_lateness_us, bytes }, ctx);
            }
            PublisherEvent::Finished => {
                self.set_output(name, false, None);
                self.output_finished(name, ctx);
            }
        }
    }

    fn set_output(&mut self, name: &Arc<str>, up: bool, fault: Option<String>) {
        self.metrics.set_output(name, up, fault.is_some());
        if let Some(output) = self.condition.outputs.get_mut(name) {
            output.up = up;
            output.fault = fault;
        }
    }
}
