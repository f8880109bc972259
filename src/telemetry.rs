//! Logs.

use std::fs::OpenOptions;
use std::io::IsTerminal as _;
use std::sync::Mutex;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::settings::{Log, LogFormat};

/// Begins to log as the settings say.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let mut filter: EnvFilter = log.level.parse().context("log.level")?;
    if !log.level.contains("actix_server") {
        // It tells of every listener and worker at info.
        filter = filter.add_directive("actix_server=warn".parse().context("log filter")?);
    }
    let to_file = !log.file.as_os_str().is_empty();
    // Escape sequences in a journal or a pipe only stand in the way.
    let colours = !to_file && std::io::stderr().is_terminal();
    let writer = if to_file {
        let file = OpenOptions::new().create(true).append(true).open(&log.file);
        BoxMakeWriter::new(Mutex::new(file.with_context(|| format!("log.file {}", log.file.display()))?))
    } else {
        BoxMakeWriter::new(std::io::stderr)
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours);
    match log.format {
        LogFormat::Pretty => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
