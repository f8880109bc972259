//! Logs.
//!
//! | file | what |
//! | --- | --- |
//! | `log_file` | `log.file`, opened again when it is told to |
//! | `redacting` | no secret leaves through a log |
//! | `lines` | lines of the service's own modules, as values for listeners |

mod lines;
mod log_file;
mod redacting;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use overdub_actors::events::EventHub;
use overdub_actors::log_files::LogFiles;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::settings::{Log, LogFormat};
use log_file::LogFile;
use redacting::Redacting;

/// What of the log can be changed while it is written.
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    file: Option<LogFile>,
}

impl Telemetry {
    /// Logs what `level` says from now on.
    pub fn set_level(&self, level: &str) -> anyhow::Result<()> {
        self.filter.reload(filter(level)?).context("log.level")
    }

    /// Opens `log.file` again: it may have been moved away.
    pub fn reopen_file(&self) -> std::io::Result<()> {
        self.file.as_ref().map_or(Ok(()), LogFile::reopen)
    }
}

/// Begins to log as the settings say, to tell `events` of lines that somebody listens to, and to give lines of
/// streams to `files`.
pub fn init(log: &Log, events: EventHub, files: Option<LogFiles>) -> anyhow::Result<Telemetry> {
    let file = Some(&log.file).filter(|path| !path.as_os_str().is_empty());
    let file = file.map(|path| LogFile::open(path)).transpose();
    let file = file.with_context(|| format!("log.file {}", log.file.display()))?;
    // Escape sequences in a journal or a pipe only stand in the way.
    let colours = file.is_none() && std::io::stderr().is_terminal();
    let writer = match &file {
        Some(file) => BoxMakeWriter::new(Redacting(file.clone())),
        None => BoxMakeWriter::new(Redacting(std::io::stderr)),
    };
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = match log.format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter(&log.level)?);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(lines::layer(events, files))
        .try_init()
        .context("log")?;
    Ok(Telemetry { filter: handle, file })
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let filter: EnvFilter = level.parse().context("log.level")?;
    if level.contains("actix_server") {
        return Ok(filter);
    }
    // It tells of every listener and worker at info.
    Ok(filter.add_directive("actix_server=warn".parse().context("log filter")?))
}
