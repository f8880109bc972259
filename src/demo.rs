//! `overdub demo`: a looping live source, a processor that audibly changes the sound, and the result.

use actix_rt::task::JoinHandle;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Args;
use overdub_actors::events::EventHub;
use overdub_actors::log_files::LogFiles;
use overdub_actors::requests::CreateStream;
use overdub_actors::settings::{RenditionSettings, StreamId, StreamSettings};
use rust_embed::RustEmbed;

use crate::processor::{self, ProcessorArgs};
use crate::serve::{Service, signalled};
use crate::settings::Settings;
use crate::simulate_source::{self, SourceOptions, SourceSegment};
use crate::telemetry;

/// An echo that nobody can overhear, on top of a lowered voice.
const DEMO_FILTER: &str = "aecho=0.8:0.7:120|240:0.5|0.3,tremolo=f=6:d=0.6";
const DEMO_STREAM: &str = "demo";

/// Flags of the subcommand.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Port of the API, the page and the HLS output; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,
    /// FFmpeg audio filter that the processor applies
    #[arg(long, value_name = "FILTER", default_value = DEMO_FILTER)]
    pub af: String,
}

#[derive(RustEmbed)]
#[folder = "fixtures/live"]
struct Fixtures;

/// Runs the demo until SIGINT or SIGTERM.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let storage = tempfile::tempdir().context("a folder for the demo's files")?;
    let mut settings = Settings::default();
    settings.server.port = args.port;
    settings.storage.path = storage.path().to_owned();
    settings.supervision.shutdown_grace = 1;
    let events = EventHub::default();
    let log_files = LogFiles::start(storage.path()).context("the streams' logs")?;
    telemetry::init(&settings.log, events.clone(), Some(log_files.clone()))?;

    let options = SourceOptions { host: "127.0.0.1".to_owned(), port: 0, window: 6, repeat: true };
    let source = simulate_source::start(fixture_segments()?, &options).await?;
    let (processor_address, processor) = processor::bind(ProcessorArgs {
        host: "127.0.0.1".to_owned(),
        port: 0,
        echo: false,
        af: Some(args.af.clone()),
        delay_ms: 0,
    })
    .await?;
    let processor_handle = processor.handle();
    let processing: JoinHandle<_> = actix_rt::spawn(processor);

    let service = Service::start(&settings, events, log_files)
        .await
        .with_context(|| format!("the demo on port {} (--port takes another, 0 a free one)", args.port))?;
    let stream = StreamSettings {
        stream_id: StreamId::new(DEMO_STREAM).context("the demo's stream id")?,
        source_url: source.url(),
        buffer_duration: 6.0,
        delay: 4.0,
        max_concurrent_batches: 3,
        hls_output: true,
        start: settings.fetch.start,
        source: overdub_actors::settings::SourceOptions::default(),
        renditions: vec![RenditionSettings {
            name: "main".to_owned(),
            language: None,
            audio_processor_url: format!("ws://{processor_address}"),
            fallback: settings.stream.fallback,
            outputs: Vec::new(),
        }],
    };
    service.registry.send(CreateStream { settings: stream, start: true }).await??;
    let base = format!("http://{}", service.address);
    println!("source     {}", source.url());
    println!("processor  ws://{processor_address} ({})", args.af);
    println!("page       {base}/");
    println!("status     {base}/api/streams/{DEMO_STREAM}");
    println!("play       ffplay {base}/live/{DEMO_STREAM}/index.m3u8");
    println!("           (or any HLS player; sound tracks: main, Original; it begins in about 10 s)");
    println!("end        Ctrl-C");
    let served = service.until(signalled()?).await;
    processor_handle.stop(false).await;
    _ = processing.await;
    source.stop().await;
    served
}

/// The segments of `fixtures/live`, in the order of their numbers.
fn fixture_segments() -> anyhow::Result<Vec<SourceSegment>> {
    let mut segments = Vec::new();
    for number in 0.. {
        let name = format!("segment-{number}.ts");
        let Some(file) = Fixtures::get(&name) else { break };
        segments.push(SourceSegment { name, data: Bytes::from(file.data.into_owned()), duration_us: None });
    }
    ensure!(!segments.is_empty(), "the demo's media is missing from this binary");
    Ok(segments)
}
