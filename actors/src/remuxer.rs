//! The remuxer of one rendition: a batch's video beside audio fitted to its slot.

mod convert;
mod fit;
mod output;
mod received;

use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use crate::clock::UnixMicros;
use crate::files::{StreamFiles, rendition_file};
use crate::ledger::Fill;
use crate::messages::{BatchMedia, Cut, FitReport, OutputFragment, RemuxerEvent, Reporter};

/// Command: fill this batch's slot.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct RemuxBatch {
    /// The batch's number.
    pub batch: u64,
    /// With what.
    pub fill: Fill,
    /// What demuxing made of the batch.
    pub media: Arc<BatchMedia>,
    /// Whether the output file is wanted as well.
    pub output_wanted: bool,
    /// When the slot goes on air. A conversion that would not be done by then is given up.
    pub ready_by: Option<UnixMicros>,
}

/// See the module.
#[derive(Debug)]
pub struct Remuxer {
    files: StreamFiles,
    rendition: Arc<str>,
    reporter: Reporter,
}

/// A filled slot.
#[derive(Debug, Default)]
struct Remuxed {
    audio_cuts: Vec<Cut>,
    audio_init_len: u64,
    output: Vec<OutputFragment>,
    fit: FitReport,
}

impl Remuxer {
    /// The remuxer of one rendition of the stream whose files these are.
    #[must_use]
    pub fn new(files: StreamFiles, rendition: Arc<str>, reporter: Reporter) -> Self {
        Self { files, rendition, reporter }
    }
}

impl Actor for Remuxer {
    type Context = Context<Self>;
}

impl Handler<RemuxBatch> for Remuxer {
    type Result = ();

    fn handle(&mut self, command: RemuxBatch, ctx: &mut Self::Context) {
        let work = remux(self.files.clone(), self.rendition.clone(), command.clone());
        ctx.wait(work.into_actor(self).map(move |outcome, this, _| {
            this.reporter.tell(match outcome {
                Ok(remuxed) => RemuxerEvent::BatchRemuxed {
                    batch: command.batch,
                    audio_cuts: remuxed.audio_cuts,
                    audio_init_len: remuxed.audio_init_len,
                    output: remuxed.output,
                    fit: remuxed.fit,
                },
                Err(reason) => RemuxerEvent::RemuxFailed { batch: command.batch, reason },
            });
        }));
    }
}

async fn remux(files: StreamFiles, rendition: Arc<str>, command: RemuxBatch) -> Result<Remuxed, String> {
    let folder = files.batch(command.batch);
    let processed = folder.join(rendition_file("processed_audio", &rendition));
    let converted = folder.join(rendition_file("converted_audio", &rendition));
    let mut source = None;
    if let (Fill::Processed, Some(audio)) = (command.fill, &command.media.audio) {
        let (config, path) = (audio.config.clone(), processed.clone());
        let received = blocking(move || received::read(&path, &config)).await?;
        source = Some(match received {
            received::Received::Same(units) => (units, false),
            received::Received::Other(why) => {
                tracing::debug!(
                    batch = command.batch,
                    rendition = &*rendition,
                    why,
                    "converting processed audio"
                );
                convert::to_slot_parameters(&processed, &converted, audio, command.ready_by).await?;
                let config = audio.config.clone();
                let units = blocking(move || {
                    let read = received::read(&converted, &config);
                    // Only the fitted audio is kept.
                    let _ = std::fs::remove_file(&converted);
                    read
                })
                .await?;
                match units {
                    received::Received::Same(units) => (units, true),
                    received::Received::Other(why) => {
                        return Err(format!("converted audio still differs: {why}"));
                    }
                }
            }
        });
    }
    blocking(move || {
        let mut remuxed = Remuxed::default();
        let mut samples = Vec::new();
        if let Some(audio) = &command.media.audio
            && command.fill != Fill::Nothing
        {
            let fitted = fit::fill_slot(&folder, audio, command.fill, source)?;
            let path = folder.join(rendition_file("fitted_audio", &rendition));
            let written = output::write_fitted(path, audio, &fitted.samples)?;
            (remuxed.audio_cuts, remuxed.audio_init_len) = written;
            remuxed.fit = fitted.report;
            samples = fitted.samples;
        }
        if command.output_wanted {
            let path = folder.join(rendition_file("output", &rendition));
            remuxed.output = output::write_output(&folder, path, &command.media, &samples)?;
        }
        Ok(remuxed)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(format!("work on the blocking pool ended: {error}")),
    }
}
