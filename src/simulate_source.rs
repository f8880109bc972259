//! `overdub simulate-source DIR`: files as a live, sliding-window HLS stream at the pace of the wall clock.
//!
//! | module | what |
//! | --- | --- |
//! | [`load`] | segments from a folder |
//! | [`restamp`] | moves timestamps and counters, so that a loop is one unbroken stream |
//! | [`schedule`] | which segments the playlist lists at a moment |

pub mod load;
pub mod restamp;
pub mod schedule;

use std::net::SocketAddr;
use std::path::PathBuf;

use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use bytes::Bytes;
use overdub_actors::clock::{self, UnixMicros};

use restamp::LoopShape;
use schedule::Schedule;

/// Path of the media playlist.
pub const PLAYLIST_PATH: &str = "/index.m3u8";

/// Flags of the subcommand.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulateSourceArgs {
    /// Folder with MPEG-TS segments and, if it is there, the playlist that gives their order
    pub dir: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Segments that the playlist lists
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub window: u16,
    /// Begin again after the last segment, timestamps going on (the default)
    #[arg(long = "loop", conflicts_with = "once")]
    pub repeat: bool,
    /// End the stream after the last segment (EXT-X-ENDLIST)
    #[arg(long)]
    pub once: bool,
}

/// One segment to serve.
#[derive(Debug, Clone)]
pub struct SourceSegment {
    /// What it is called where it comes from; only shown.
    pub name: String,
    /// MPEG-TS, whole packets.
    pub data: Bytes,
    /// EXTINF in microseconds; measured from the timestamps where there is none.
    pub duration_us: Option<i64>,
}

/// How a source is served.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Segments that the playlist lists.
    pub window: usize,
    /// Whether the segments come over and over, timestamps going on, or once and then ENDLIST.
    pub repeat: bool,
}

/// A source that is being served; dropping it leaves it running.
#[derive(Debug)]
pub struct LiveSource {
    /// Where it listens.
    pub address: SocketAddr,
    handle: actix_web::dev::ServerHandle,
    served: actix_web::rt::task::JoinHandle<std::io::Result<()>>,
}

impl LiveSource {
    /// URL of the playlist.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PLAYLIST_PATH}", self.address)
    }

    /// Ends the server without waiting for open connections.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        // The server's own result says nothing that matters once it was told to stop.
        let _ = self.served.await;
    }

    /// Waits until the server ends by itself, which only a fault makes it do.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.served).await.context("the source's server ended")?.context("the source's server failed")
    }
}

struct Live {
    segments: Vec<SourceSegment>,
    shape: LoopShape,
    schedule: Schedule,
    on_air: UnixMicros,
}

impl Live {
    fn new(segments: Vec<SourceSegment>, window: usize, repeat: bool) -> anyhow::Result<Self> {
        let shape =
            LoopShape::measure(segments.iter().map(|segment| &segment.data[..])).with_context(|| {
                let name = |segment: Option<&SourceSegment>| segment.map_or("", |s| &s.name).to_owned();
                let (first, last) = (name(segments.first()), name(segments.last()));
                format!("{first} to {last} cannot be served as one stream")
            })?;
        let durations = durations_us(&segments, &shape);
        let schedule = Schedule::new(&durations, window, repeat).context("a segment has no duration")?;
        let on_air = clock::now().plus_micros(-schedule.head_start_us());
        Ok(Self { segments, shape, schedule, on_air })
    }

    fn elapsed_us(&self) -> i64 {
        clock::now().micros_since(self.on_air)
    }

    fn playlist(&self) -> String {
        self.schedule.playlist(self.elapsed_us(), self.on_air)
    }

    fn segment(&self, sequence: u64) -> Option<Bytes> {
        if !self.schedule.servable(self.elapsed_us()).contains(&sequence) {
            return None;
        }
        let position = self.schedule.position(sequence)?;
        let data = &self.segments.get(position.index)?.data;
        Some(match position.loop_number {
            0 => data.clone(),
            number => restamp::restamp(data, &self.shape.shift(number)).into(),
        })
    }
}

/// Durations as the playlist gave them, else as measured. The last gives way, so that a loop takes exactly as
/// long by the wall clock as by its timestamps, or the two would drift apart.
fn durations_us(segments: &[SourceSegment], shape: &LoopShape) -> Vec<i64> {
    let micros = |ticks_90k: i64| ticks_90k * 100 / 9;
    let mut durations: Vec<i64> = segments
        .iter()
        .zip(&shape.segment_durations_90k)
        .map(|(segment, measured)| segment.duration_us.unwrap_or(micros(*measured)))
        .collect();
    if let Some((last, before)) = durations.split_last_mut() {
        let rest = micros(shape.duration_90k) - before.iter().sum::<i64>();
        if rest > 0 {
            *last = rest;
        }
    }
    durations
}

/// Serves `segments` as a live stream at [`PLAYLIST_PATH`]. Must be called within an actix or tokio runtime.
pub async fn start(segments: Vec<SourceSegment>, options: &SourceOptions) -> anyhow::Result<LiveSource> {
    let live = web::Data::new(Live::new(segments, options.window, options.repeat)?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(live.clone())
            .route(PLAYLIST_PATH, web::get().to(playlist))
            .route("/segment-{sequence}.ts", web::get().to(segment))
    })
    .workers(1)
    .disable_signals()
    .bind((options.host.as_str(), options.port))
    .with_context(|| format!("{}:{} cannot be listened on", options.host, options.port))?;
    let address = server.addrs().first().copied().context("the server has no address")?;
    let server = server.run();
    let handle = server.handle();
    Ok(LiveSource { address, handle, served: actix_web::rt::spawn(server) })
}

/// Runs the subcommand until it is interrupted.
pub async fn run(args: SimulateSourceArgs) -> anyhow::Result<()> {
    let SimulateSourceArgs { dir, host, port, window, once, .. } = args;
    let segments = tokio::task::spawn_blocking(move || load::load(&dir)).await??;
    let count = segments.len();
    let options = SourceOptions { host, port, window: window.into(), repeat: !once };
    let mut source = start(segments, &options).await?;
    println!("serving {count} segments as {}", source.url());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
        ended = source.ended() => return ended,
    }
    source.stop().await;
    Ok(())
}

async fn playlist(live: web::Data<Live>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/vnd.apple.mpegurl")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .body(live.playlist())
}

async fn segment(live: web::Data<Live>, sequence: web::Path<u64>) -> HttpResponse {
    match live.segment(*sequence) {
        Some(data) => HttpResponse::Ok()
            .content_type("video/mp2t")
            .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
            .body(data),
        None => HttpResponse::NotFound().finish(),
    }
}

#[cfg(test)]
#[path = "simulate_source/tests.rs"]
mod tests;
