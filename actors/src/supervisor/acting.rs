//! The ledger's actions, as commands to children.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::StreamSupervisor;
use super::condition::dated;
use crate::clock;
use crate::files::rendition_file;
use crate::ledger::{Action, BatchRecord, Fill, Note, SkipReason};
use crate::messages::{
    AirClock, CancelFragment, ChildId, FinishOutput, FinishPlaylists, Fragment, FragmentMetadata, ListBatch,
    ListedRendition, PublishBatch, SendFragment,
};
use crate::remuxer::RemuxBatch;
use crate::settings::{MAIN_RENDITION, RenditionSettings};

impl StreamSupervisor {
    /// Stores what changed, waits for the disk where another party will see it, then acts.
    pub(super) fn carry_out(&mut self, actions: Vec<Action>, ctx: &mut Context<Self>) {
        let changes = self.ledger.take_changes();
        if let Err(error) = self.store.commit(&self.stream.settings.stream_id, &changes) {
            self.fail(format!("state cannot be stored: {error}"), ctx);
            return;
        }
        self.announce_batches(&changes.batches);
        self.queued.extend(actions);
        if !changes.flush {
            if self.flushes == 0 {
                self.act_queued(ctx);
            }
            return;
        }
        // A context polls the newest of what it waits for first: with one queue for all, the first flush that is
        // done has flushed every transition in it, and the actions keep their order.
        self.flushes += 1;
        let (store, id) = (self.store.clone(), self.stream.settings.stream_id.clone());
        let flush = async move { store.flush(&id).await };
        ctx.wait(flush.into_actor(self).map(|flushed, this, ctx| {
            this.flushes -= 1;
            if let Err(error) = flushed {
                this.queued.clear();
                this.fail(format!("state cannot be stored: {error}"), ctx);
                return;
            }
            this.act_queued(ctx);
            this.continue_drain(ctx);
        }));
    }

    fn act_queued(&mut self, ctx: &mut Context<Self>) {
        while let Some(action) = self.queued.pop_front() {
            self.act(action, ctx);
        }
    }

    fn act(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Demux(command) => {
                if let Some(demuxer) = &self.children.demuxer {
                    let complete = command.complete;
                    demuxer.do_send(command);
                    if complete {
                        self.owes(&ChildId::Demuxer);
                    }
                }
            }
            Action::Send { batch, rendition } => self.send(batch, rendition),
            Action::CancelSend { batch, rendition } => {
                let link = self.settings().renditions.get(rendition).map(|r| r.name.as_str());
                if let Some(link) = link.and_then(|name| self.children.links.get(name)) {
                    link.do_send(CancelFragment { batch });
                }
            }
            Action::Remux { batch, rendition, fill } => self.remux(batch, rendition, fill),
            Action::Publish { batch, output, clock } => self.publish(batch, output, clock),
            Action::EndOutputs => self.end_outputs(ctx),
            Action::Clean { batch, segments } => self.clean(batch, segments, None, ctx),
            Action::Note(note) => self.note(note),
        }
    }

    fn record(&self, batch: u64, rendition: usize) -> Option<(&BatchRecord, &RenditionSettings)> {
        Some((self.ledger.batches().get(&batch)?, self.settings().renditions.get(rendition)?))
    }

    fn send(&mut self, batch: u64, rendition: usize) {
        let Some((record, settings)) = self.record(batch, rendition) else { return };
        let Some(link) = self.children.links.get(settings.name.as_str()) else { return };
        let Some(audio) = record.media.as_ref().and_then(|media| media.audio.as_ref()) else { return };
        let (stream, name) = (self.id(), &settings.name);
        let id = if name == MAIN_RENDITION {
            format!("{stream}-{batch}")
        } else {
            format!("{stream}-{name}-{batch}")
        };
        let size = audio.init_len + audio.cuts.iter().map(|cut| cut.len).sum::<u64>();
        let folder = self.files.batch(batch);
        let fragment = Fragment {
            id,
            stream_id: stream.to_owned(),
            rendition: name.clone(),
            language: settings.language.clone(),
            sequence_number: batch,
            batch_number: batch,
            timestamp: record.collected_at.as_millis(),
            duration: audio.duration as f64 * 1000.0 / f64::from(audio.config.sample_rate.max(1)),
            codec: "aac".to_owned(),
            sample_rate: audio.config.sample_rate,
            channels: audio.config.channels,
            content_type: "audio/mp4".to_owned(),
            size,
            metadata: FragmentMetadata {
                file_name: "audio.fmp4".to_owned(),
                file_size: size,
                discontinuity: record.discontinuity || record.gap_us > 0,
            },
        };
        link.do_send(SendFragment {
            batch,
            fragment,
            audio_path: folder.join("audio.fmp4"),
            reply_path: folder.join(rendition_file("processed_audio", name)),
        });
    }

    fn remux(&mut self, batch: u64, rendition: usize, fill: Fill) {
        let Some((record, settings)) = self.record(batch, rendition) else { return };
        let Some(media) = record.media.clone().map(Arc::new) else { return };
        let name: Arc<str> = settings.name.as_str().into();
        let output_wanted = *name == *MAIN_RENDITION || !settings.outputs.is_empty();
        let ready_by = record.air_start();
        if let Some(remuxer) = self.children.remuxers.get(&name) {
            remuxer.do_send(RemuxBatch { batch, fill, media, output_wanted, ready_by });
            self.owes(&ChildId::Remuxer(name));
        }
    }

    fn publish(&mut self, batch: u64, output: usize, clock: AirClock) {
        let Some(plan) = self.ledger.plan().outputs.get(output).cloned() else { return };
        let Some(record) = self.ledger.batches().get(&batch) else { return };
        let Some(media) = record.media.clone().map(Arc::new) else { return };
        match plan.rendition {
            Some(rendition) => {
                let Some(own) = record.renditions.get(rendition) else { return };
                let Some(publisher) = self.children.rtmp.get(&plan.name) else { return };
                publisher.do_send(PublishBatch {
                    batch,
                    clock,
                    path: self.files.batch(batch).join(rendition_file("output", &own.name)),
                    fragments: own.output.clone(),
                    video: media.video.as_ref().map(|video| video.config.clone()),
                    audio: media
                        .audio
                        .as_ref()
                        .filter(|_| !own.audio_cuts.is_empty())
                        .map(|audio| audio.config.clone()),
                });
            }
            None => {
                let Some(publisher) = &self.children.hls else { return };
                let listed =
                    record.renditions.iter().zip(&self.settings().renditions).map(|(own, settings)| {
                        ListedRendition {
                            name: own.name.clone(),
                            language: settings.language.clone(),
                            cuts: own.audio_cuts.clone(),
                        }
                    });
                publisher.do_send(ListBatch {
                    batch,
                    clock,
                    media,
                    sequence: record.hls_sequence,
                    discontinuities: record.hls_discontinuities,
                    segments: record.hls_segments as usize,
                    target_duration_s: self.ledger.header().hls_target_s,
                    renditions: listed.collect(),
                });
            }
        }
    }

    /// Tells all outputs to end; returns how many will say that they have.
    pub(super) fn finish_outputs(&self, ended: bool) -> usize {
        for publisher in self.children.rtmp.values() {
            publisher.do_send(FinishOutput);
        }
        if let Some(publisher) = &self.children.hls {
            publisher.do_send(FinishPlaylists { ended });
        }
        self.children.rtmp.len() + usize::from(self.children.hls.is_some())
    }

    fn note(&mut self, note: Note) {
        self.shown.noted(&note, clock::now());
        self.notice_fallback(&note);
        let stream = self.stream.settings.stream_id.clone();
        let stream = stream.as_str();
        match note {
            Note::BatchCollected { batch, segments } => {
                tracing::info!(stream, batch, segments, "batch collected");
            }
            Note::FellBack { batch, rendition, reason } => {
                tracing::warn!(stream, batch, rendition = &*rendition, %reason, "fallback");
                self.metrics.fell_back(&rendition, &reason);
                self.condition.fallbacks.insert(rendition, reason.to_string());
            }
            Note::LateReply { batch, rendition, late_us } => {
                let late_ms = late_us / 1000;
                tracing::warn!(
                    stream,
                    batch,
                    rendition = &*rendition,
                    late_ms,
                    "a reply came after its deadline"
                );
                self.metrics.stray_reply(&rendition, "late");
            }
            Note::Processed { batch, rendition } => {
                tracing::debug!(stream, batch, rendition = &*rendition, "processed in time");
                self.count_processed(batch, &rendition);
                self.condition.fallbacks.remove(&rendition);
            }
            Note::BatchSkipped { batch, reason } => {
                match reason {
                    SkipReason::Stopped => tracing::info!(stream, batch, %reason, "batch skipped"),
                    SkipReason::Unreadable { .. } => tracing::error!(stream, batch, %reason, "batch skipped"),
                }
                self.metrics.skipped(&reason);
            }
            Note::GapBegan { batch } => {
                tracing::warn!(stream, batch, "media is lost: the timeline has a gap before this batch");
            }
            Note::ClockJumped { batch, by_us } => {
                let by_ms = by_us / 1000;
                tracing::warn!(stream, batch, by_ms, "the source came too late: the output waits for it");
                self.metrics.clock_jumped(by_us);
            }
            Note::BatchPublished { batch } => tracing::info!(stream, batch, "batch published"),
            Note::RolledBack { from, to } => {
                let text = format!(
                    "the state has lost what it knew of batches {from} to {}: the stream goes on after them, without what had not aired",
                    to - 1
                );
                tracing::error!(stream, "{text}");
                self.last_error = Some(dated("supervisor", text));
            }
        }
    }
}
