//! Other settings for a stream, at once where its run can follow.

use actix::{Context, Handler, Message};

use super::{Lifecycle, StreamSupervisor, ledger_plan, rtmp_outputs};
use crate::ledger::Event;
use crate::messages::ChildId;
use crate::requests::RequestError;
use crate::settings::{Difference, SettingsChange, StreamSettings, differences};
use crate::store::StoredStream;

/// Change the settings: of a running stream only those that its run can follow.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Difference>, RequestError>")]
pub struct ChangeRun {
    /// What is to be different.
    pub change: SettingsChange,
}

impl Handler<ChangeRun> for StreamSupervisor {
    type Result = Result<Vec<Difference>, RequestError>;

    fn handle(&mut self, command: ChangeRun, ctx: &mut Self::Context) -> Self::Result {
        let id = self.stream.settings.stream_id.clone();
        let old = self.stream.settings.clone();
        let new = command.change.applied(&old).map_err(RequestError::Impossible)?;
        let found = differences(&old, &new);
        let has_run = !matches!(self.lifecycle, Lifecycle::Stopped | Lifecycle::Ended);
        let restart: Vec<String> =
            found.iter().filter(|difference| !difference.live).map(|d| d.field.clone()).collect();
        if has_run && !restart.is_empty() {
            return Err(RequestError::NeedsRestart { id, fields: restart });
        }
        if found.is_empty() {
            return Ok(found);
        }
        let stream = StoredStream { settings: new, ..self.stream.clone() };
        self.store.put_stream(&stream).map_err(|error| RequestError::Storage(error.to_string()))?;
        self.stream = stream;
        for Difference { field, values: [was, is], .. } in &found {
            tracing::info!(stream = self.id(), field, %was, %is, "setting changed");
        }
        if has_run {
            self.follow(&old, ctx);
        } else {
            self.forget_gone(&old);
        }
        self.refresh_condition();
        Ok(found)
    }
}

impl StreamSupervisor {
    /// Forgets what was counted of renditions and outputs that settings of before had; the ledger does so itself.
    pub(super) fn forget_gone(&mut self, old: &StreamSettings) {
        let new = &self.stream.settings;
        if old.renditions != new.renditions || old.hls_output != new.hls_output {
            self.metrics.begin_anew();
            self.shown.keep(|name| new.renditions.iter().any(|rendition| rendition.name == name));
        }
    }

    /// Goes on under the settings of now, which differ from `old` only in what a run can follow.
    fn follow(&mut self, old: &StreamSettings, ctx: &mut Context<Self>) {
        self.ledger.retune(ledger_plan(self.settings(), &self.tree));
        let settings = self.stream.settings.clone();
        let links = settings.renditions.iter().zip(&old.renditions);
        let links = links.filter(|(new, old)| new.audio_processor_url != old.audio_processor_url);
        let mut moved: Vec<ChildId> =
            links.map(|(new, _)| ChildId::ProcessorLink(new.name.as_str().into())).collect();
        // It goes on with the segment that it is to fetch next.
        if settings.source != old.source && self.children.fetcher.is_some() {
            moved.push(ChildId::Fetcher);
        }
        let outputs = rtmp_outputs(&settings).zip(rtmp_outputs(old));
        moved.extend(
            outputs
                .filter(|((_, _, new), (_, _, old))| new != old)
                .map(|((_, name, _), _)| ChildId::Publisher(name)),
        );
        if matches!(self.lifecycle, Lifecycle::Running) {
            for child in moved {
                self.end_child(&child);
                self.disconnected(&child);
                self.spawn(&child, ctx);
                self.feed(Event::ChildReplaced(child), ctx);
            }
            self.feed(Event::TimePassed, ctx);
        }
    }
}
