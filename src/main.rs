//! `overdub`: the command line.

mod demo;
mod health;
mod process_metrics;
mod processor;
mod reload;
mod serve;
mod settings;
mod simulate_source;
mod telemetry;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use overdub_actors::events::EventHub;

/// Live streams in, audio through external processors, back beside the untouched picture on a fixed delay
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(settings::SettingsArgs),
    /// Show it at work: a looping source, a processor that changes the sound, the result to play
    Demo(demo::DemoArgs),
    /// Run an audio processor: a Socket.IO server that answers fragments
    Processor(processor::ProcessorArgs),
    /// Serve files as a live, sliding-window HLS stream
    SimulateSource(simulate_source::SimulateSourceArgs),
    /// Read the configuration as `serve` would, and show it or say what is wrong with it
    CheckConfig(settings::SettingsArgs),
    /// Ask the service that runs with this configuration whether it is well
    Health(settings::SettingsArgs),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line for people; where in the code it came from helps nobody who mistyped a setting.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[actix_web::main]
async fn run(command: Command) -> anyhow::Result<()> {
    // Building any TLS client panics without a provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("a TLS provider is installed already");
    }
    match command {
        Command::Serve(args) => serve::run(&args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Processor(args) => {
            telemetry::init(&settings::Log::default(), EventHub::default(), None)?;
            processor::run(args).await
        }
        Command::SimulateSource(args) => {
            telemetry::init(&settings::Log::default(), EventHub::default(), None)?;
            simulate_source::run(args).await
        }
        Command::Health(args) => health::run(&args).await,
        Command::CheckConfig(args) => {
            let settings = settings::Settings::load(&args).context("the configuration is not valid")?;
            println!("{}\n\nvalid; {}", settings.shown()?, args.source());
            Ok(())
        }
    }
}
