//! Logs.
//!
//! | file | what |
//! | --- | --- |
//! | `redacting` | no secret leaves through a log |
//! | `lines` | lines of the service's own modules, as values for listeners |

mod lines;
mod redacting;

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::sync::Mutex;

use anyhow::Context as _;
use overdub_actors::events::EventHub;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::settings::{Log, LogFormat};
use redacting::Redacting;

/// Begins to log as the settings say, and to tell `events` of lines that somebody listens to.
pub fn init(log: &Log, events: EventHub) -> anyhow::Result<()> {
    let to_file = !log.file.as_os_str().is_empty();
    // Escape sequences in a journal or a pipe only stand in the way.
    let colours = !to_file && std::io::stderr().is_terminal();
    let writer = if to_file {
        let file = OpenOptions::new().create(true).append(true).open(&log.file);
        let file = file.with_context(|| format!("log.file {}", log.file.display()))?;
        BoxMakeWriter::new(Redacting(Mutex::new(file)))
    } else {
        BoxMakeWriter::new(Redacting(std::io::stderr))
    };
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match log.format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter(&log.level)?))
        .with(lines::layer(events))
        .try_init()
        .context("log")
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let filter: EnvFilter = level.parse().context("log.level")?;
    if level.contains("actix_server") {
        return Ok(filter);
    }
    // It tells of every listener and worker at info.
    Ok(filter.add_directive("actix_server=warn".parse().context("log filter")?))
}
