//! The parts that are not measured: a source, sinks, a processor; each a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;

use super::process::Process;
use super::service::{Pace, Peers, Service};
use super::{root, usage};

/// The program that is measured: this build's, or that of `OVERDUB_BENCH_PROGRAM`, to compare with another.
pub fn program() -> PathBuf {
    std::env::var_os("OVERDUB_BENCH_PROGRAM")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_overdub")), PathBuf::from)
}

/// The parts, and a folder that goes away with them.
pub struct World {
    /// Where the parts are.
    pub peers: Peers,
    /// Sink of the relays and the floor.
    pub other_sink: SocketAddr,
    /// For everything that is written.
    pub folder: TempDir,
    /// Processes by what they are.
    pub parts: Vec<(&'static str, Process)>,
}

/// A part of this program: its process and where it listens.
fn part(arguments: &[&str]) -> anyhow::Result<(Process, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    let mut process = Process::start(command, None)?;
    let address = process.line_after("listening ")?.parse().context("a part's address")?;
    Ok((process, address))
}

impl World {
    /// Starts all parts; the source serves the segments in `content`.
    pub fn start(content: &Path, window: u64, first_loop: u64) -> anyhow::Result<Self> {
        let folder = content.to_str().context("a path that is no text")?;
        let (source, source_at) = part(&["source", folder, &window.to_string(), &first_loop.to_string()])?;
        let (sink, sink_at) = part(&["sink"])?;
        let (other, other_sink) = part(&["sink"])?;
        let mut command = Command::new(program());
        command.args(["processor", "--echo", "--port", "0"]).env("RUST_LOG", "warn");
        let mut processor = Process::start(command, None)?;
        let processor_at = processor
            .line_after("processor listening on ws://")?
            .parse()
            .context("the processor's address")?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(bench_folder()?)?;
        Ok(Self {
            peers: Peers { source: source_at, processor: processor_at, sink: sink_at },
            other_sink,
            folder,
            parts: vec![
                ("source", source),
                ("sink", sink),
                ("sink of the peers", other),
                ("processor", processor),
            ],
        })
    }

    /// Starts the floor for so many streams.
    pub fn floor(&self, streams: u32) -> anyhow::Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        let (source, sink) = (self.peers.source.to_string(), self.other_sink.to_string());
        command.args(["floor", &source, &sink, &streams.to_string()]).arg(self.folder.path().join("floor"));
        Process::start(command, Some(&self.folder.path().join("floor.log")))
    }
}

/// `target/bench`, on the same disk as everything else that is built.
pub fn bench_folder() -> anyhow::Result<PathBuf> {
    let folder = root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Creates streams `from` to `to`, one after the other over `over`.
pub fn create(
    service: &Service,
    peers: &Peers,
    pace: &Pace,
    from: u32,
    to: u32,
    over: Duration,
) -> anyhow::Result<()> {
    let began = Instant::now();
    for (done, number) in (from..to).enumerate() {
        service.create(number, peers, pace, true)?;
        let due = over.mul_f64((done + 1) as f64 / f64::from(to - from));
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    println!("{}: {to} streams", clock());
    Ok(())
}

/// Waits, and says every ten seconds how it goes; calls `each` every second.
pub fn wait(what: &str, seconds: u64, mut each: impl FnMut()) {
    let began = Instant::now();
    for second in 1..=seconds {
        std::thread::sleep(Duration::from_secs(second).saturating_sub(began.elapsed()));
        each();
        if second % 10 == 0 || second == seconds {
            println!("{}: {what}, {second} of {seconds} s, load {:.1}", clock(), usage::load());
        }
    }
}

/// Milliseconds of the day, UTC.
pub fn day_ms() -> i64 {
    overdub_actors::clock::now().as_millis().rem_euclid(86_400_000)
}

/// The time of day, UTC.
pub fn clock() -> String {
    let seconds = day_ms() / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
