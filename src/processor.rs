//! `overdub processor`: the other end of the fragment protocol (design, section 6), for trying things out
//! and as an example to write one's own from.
//!
//! | module | what |
//! | --- | --- |
//! | `server` | HTTP: the Engine.IO endpoint and its refusals |
//! | `connection` | one client: packets in, jobs, packets out |
//! | `work` | what is done to the audio |
//! | `ffmpeg` | the child process that filters it |

mod connection;
mod ffmpeg;
mod server;
mod work;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use tokio::signal::unix::{SignalKind, signal};

use self::work::{Work, Worker};

/// Arguments of `overdub processor`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["echo", "af"])))]
pub struct ProcessorArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Port to listen on; 0 takes a free one and prints it
    #[arg(long, default_value_t = 5000)]
    pub port: u16,
    /// Send the same audio back
    #[arg(long)]
    pub echo: bool,
    /// Send the audio back through an FFmpeg audio filter, e.g. "loudnorm" or "aecho=0.8:0.9:500:0.3"
    #[arg(long, value_name = "FILTER")]
    pub af: Option<String>,
    /// Answer each fragment this many milliseconds later
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub delay_ms: u64,
}

/// Runs a processor until SIGINT or SIGTERM.
///
/// # Errors
/// The address is taken, or FFmpeg is missing or does not know the filter.
pub async fn run(args: ProcessorArgs) -> anyhow::Result<()> {
    let (address, server) = bind(args).await?;
    println!("processor listening on ws://{address}");
    let handle = server.handle();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // WebSockets do not end by themselves, so there is nothing to wait for.
        handle.stop(false).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = server => Ok(ended?),
        () = stop => Ok(()),
    }
}

/// Starts a processor that takes no notice of signals; it serves while the returned server is awaited.
///
/// # Errors
/// As [`run`].
pub async fn bind(args: ProcessorArgs) -> anyhow::Result<(SocketAddr, Server)> {
    let work = match args.af {
        Some(filter) => {
            ffmpeg::check(&filter).await?;
            Work::Filter(filter)
        }
        None => Work::Echo,
    };
    server::bind(&args.host, args.port, Worker::new(work, Duration::from_millis(args.delay_ms)))
}
