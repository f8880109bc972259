//! `overdub`: the command line.

mod simulate_source;

use clap::{Parser, Subcommand};

/// Live streams in, audio through external processors, back beside the untouched picture on a fixed delay
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve files as a live, sliding-window HLS stream
    SimulateSource(simulate_source::SimulateSourceArgs),
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::SimulateSource(args) => simulate_source::run(args).await,
    }
}
