//! The remuxer of one rendition: a batch's video beside audio fitted to its slot.

mod border;
mod convert;
mod extend;
pub(crate) mod ffmpeg;
mod fit;
mod output;
mod pcm;
mod priming;
mod received;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use bytes::Bytes;
use overdub_media::sample::AudioSample;
use tokio::sync::Semaphore;

use self::border::Borders;
use self::fit::{Replacement, Slot};
use self::received::Received;
use crate::clock::{self, UnixMicros};
use crate::files::{StreamFiles, rendition_file};
use crate::ledger::Fill;
use crate::messages::{AudioMedia, BatchMedia, Cut, FitReport, OutputFragment, RemuxerEvent, Reporter};

/// What is left of the time before a slot's air time for filling it with the fallback instead.
const FALLBACK_MARGIN_US: i64 = 200_000;
/// Longest that filling a slot that airs later, or has aired, may take.
const TIME_LIMIT: Duration = Duration::from_secs(40);
/// What of the time for processed audio is kept for writing it.
const WRITING: Duration = Duration::from_millis(100);
/// Batches whose processed audio is fitted at a time, which may take FFmpeg's time.
const FITTED_AT_ONCE: usize = 2;

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
    /// When the slot airs: what takes too long fails early enough for the fallback.
    pub ready_by: Option<UnixMicros>,
}

/// See the module.
#[derive(Debug)]
pub struct Remuxer {
    files: StreamFiles,
    rendition: Arc<str>,
    reporter: Reporter,
    /// Turns of batches with processed audio.
    fitting: Arc<Semaphore>,
    /// Turns of the others. A fallback is due at once, and never waits for what takes its time.
    copying: Arc<Semaphore>,
}

/// Why a slot could not be filled.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// Whether it was for want of room on the disk.
    no_space: bool,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, no_space: false }
    }
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
        Self {
            files,
            rendition,
            reporter,
            fitting: Arc::new(Semaphore::new(FITTED_AT_ONCE)),
            copying: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Actor for Remuxer {
    type Context = Context<Self>;
}

impl Handler<RemuxBatch> for Remuxer {
    type Result = ();

    fn handle(&mut self, command: RemuxBatch, ctx: &mut Self::Context) {
        let turns = if command.fill == Fill::Processed { &self.fitting } else { &self.copying };
        let work = in_turn(turns.clone(), self.files.clone(), self.rendition.clone(), command.clone());
        ctx.spawn(work.into_actor(self).map(move |outcome, this, _| {
            this.reporter.tell(match outcome {
                Ok(remuxed) => RemuxerEvent::BatchRemuxed {
                    batch: command.batch,
                    audio_cuts: remuxed.audio_cuts,
                    audio_init_len: remuxed.audio_init_len,
                    output: remuxed.output,
                    fit: remuxed.fit,
                },
                Err(Failure { reason, no_space }) => {
                    RemuxerEvent::RemuxFailed { batch: command.batch, reason, no_space }
                }
            });
        }));
    }
}

async fn in_turn(
    turns: Arc<Semaphore>,
    files: StreamFiles,
    rendition: Arc<str>,
    command: RemuxBatch,
) -> Result<Remuxed, Failure> {
    let limit = if command.fill == Fill::Processed { time_left(command.ready_by) } else { TIME_LIMIT };
    let turn = tokio::time::timeout(limit, turns.acquire());
    let _turn = turn.await.map_err(|_| "other batches took until the slot airs".to_owned())?;
    remux(files, rendition, command).await
}

async fn remux(files: StreamFiles, rendition: Arc<str>, command: RemuxBatch) -> Result<Remuxed, Failure> {
    let folder = files.batch(command.batch);
    let audio = command.media.audio.clone().filter(|_| command.fill != Fill::Nothing);
    let mut filled = None;
    if let Some(audio) = audio {
        let path = folder.join("audio.fmp4");
        let (samples, audio) =
            blocking(move || Ok::<_, String>((fit::read_slot(&path, &audio)?, audio))).await?;
        let mut processed = None;
        if command.fill == Fill::Processed {
            let path = folder.join(rendition_file("processed_audio", &rendition));
            let limit = time_left(command.ready_by);
            let by = tokio::time::Instant::now() + limit.saturating_sub(WRITING);
            let work = process(path, &samples, &audio, (files.stream(), command.batch, &rendition), by);
            let limited = tokio::time::timeout(limit, work).await;
            processed = Some(limited.unwrap_or_else(|_| Err("it took until the slot airs".to_owned()))?);
        }
        filled = Some((samples, audio, processed));
    }
    blocking(move || {
        let mut remuxed = Remuxed::default();
        let mut samples = Vec::new();
        if let Some((mut slot, audio, processed)) = filled {
            remuxed.fit = fit::fill_slot(&mut slot, &audio, command.fill, processed)?;
            let path = folder.join(rendition_file("fitted_audio", &rendition));
            let written = output::write_fitted(path, &audio, &slot)?;
            (remuxed.audio_cuts, remuxed.audio_init_len) = written;
            samples = slot;
        }
        if command.output_wanted {
            let path = folder.join(rendition_file("output", &rendition));
            remuxed.output = output::write_output(&folder, path, &command.media, &samples)?;
        }
        Ok(remuxed)
    })
    .await
}

fn time_left(ready_by: Option<UnixMicros>) -> Duration {
    ready_by.map_or(TIME_LIMIT, |at| {
        let left_us = at.micros_since(clock::now()).saturating_sub(FALLBACK_MARGIN_US).max(0);
        TIME_LIMIT.min(Duration::from_micros(left_us.unsigned_abs()))
    })
}

/// What a processor sent, with the slot's parameters, from the sound's first sample on. Whoever cannot be had
/// without the last touch by `by` goes without it.
async fn process(
    path: PathBuf,
    samples: &[AudioSample],
    audio: &AudioMedia,
    (stream, batch, rendition): (&str, u64, &str),
    by: tokio::time::Instant,
) -> Result<Replacement, String> {
    let (config, units) = (audio.config.clone(), audio.access_units);
    let (reply, first) = (path.clone(), samples.first().map(|sample| sample.data.clone()));
    let received =
        blocking(move || received::read(&reply, &Slot { config: &config, first: first.as_ref(), units }))
            .await?;
    let mut units = match received {
        Received::Same(units) => units,
        Received::Other(foreign) => {
            tracing::debug!(stream, batch, rendition, what = foreign.what, "converting processed audio");
            let units = convert::to_slot_parameters(&path, &foreign, audio).await?;
            return Ok(Replacement { units, converted: true, border_units: 0 });
        }
    };
    let goes_on = units.sound_samples > audio.duration;
    units.data.truncate(samples.len());
    let original: Vec<Bytes> = samples.iter().map(|sample| sample.data.clone()).collect();
    let borders = Borders::needed(&units.data, &original, goes_on);
    let smoothed = tokio::time::timeout_at(by, border::smooth(&mut units.data, borders, &audio.config));
    let smoothed = smoothed.await.unwrap_or_else(|_| Err("the reply came too late for it".to_owned()));
    let border_units = smoothed.unwrap_or_else(|error| {
        // The sound is there; at worst it clicks at the border.
        tracing::warn!(
            stream,
            batch,
            rendition,
            error,
            "the borders of the batch are left as the processor made them"
        );
        0
    });
    Ok(Replacement { units, converted: false, border_units })
}

async fn blocking<T: Send + 'static, E: From<String> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(format!("work on the blocking pool ended: {error}").into()),
    }
}

#[cfg(test)]
mod tests;
