//! The many-streams benchmark: `make bench`, `make soak`.
//!
//! | module | what |
//! | --- | --- |
//! | [`compare`] | N streams beside N FFmpeg relays and the floor; memory over N |
//! | [`scale`] | hundreds of streams at once; what idle and stopped ones cost |
//! | [`soak`] | a day's segments in minutes, over the wrap of the 33-bit clock |
//! | [`world`] | the parts that are not measured: source, sinks, processor |
//! | [`service`], [`relay`], [`floor`] | what is measured |
//! | [`source`], [`sink`], [`serve`] | the lean peers |
//! | [`content`] | the media |
//! | [`usage`] | CPU, memory and more, from `/proc` |
//! | [`report`] | tables, and their place in docs/BENCHMARKS.md |
//!
//! The program starts itself again for its parts, so that the CPU of each is counted apart.

#![expect(
    clippy::disallowed_methods,
    reason = "measures real time, and its main thread has nothing to do but wait"
)]

mod compare;
mod content;
mod floor;
mod http;
mod process;
mod relay;
mod report;
#[path = "../../src/simulate_source/restamp.rs"]
#[allow(dead_code, reason = "its tests come along, and nobody runs them here")]
mod restamp;
mod scale;
mod serve;
mod service;
mod sink;
mod soak;
mod source;
mod usage;
mod world;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Options {
    /// Cargo says so to every benchmark
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Compare with relays and the floor (the default)
    Compare(compare::Args),
    /// Hundreds of streams at once, idle ones, stopped ones
    Scale(scale::Args),
    /// Run short segments for long
    Soak(soak::Args),
    #[command(hide = true)]
    Source { folder: PathBuf, window: u64, first_loop: u64 },
    #[command(hide = true)]
    Sink,
    #[command(hide = true)]
    Floor { source: SocketAddr, sink: SocketAddr, streams: u32, folder: PathBuf },
}

fn main() -> anyhow::Result<()> {
    let default = || Mode::Compare(compare::Args::parse_from(["compare"]));
    match Options::parse().mode.unwrap_or_else(default) {
        Mode::Compare(args) => compare::run(&args),
        Mode::Scale(args) => scale::run(&args),
        Mode::Soak(args) => soak::run(&args),
        Mode::Source { folder, window, first_loop } => {
            let segments = content::load(&folder)?;
            source::serve(listen()?, source::SourceOptions { segments, window, first_loop })
        }
        Mode::Sink => sink::serve(listen()?),
        Mode::Floor { source, sink, streams, folder } => {
            floor::run(&floor::FloorOptions { source, sink, streams, folder })
        }
    }
}

/// The root of the source tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Listens on a free port and says where.
fn listen() -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("listening {}", listener.local_addr()?);
    // Whoever started this part holds its standard input open for as long as it lives.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    Ok(listener)
}
