//! The command `overdub`.

mod processor;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(version, about)]
enum Command {
    /// Run an audio processor: a Socket.IO server that answers fragments.
    Processor(processor::ProcessorArgs),
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Processor(args) => processor::run(args).await,
    }
}
