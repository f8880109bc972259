//! A day's segments in minutes: segments of 0.2 s and batches of 2 s, over the wrap of the 33-bit clock. Memory,
//! threads and descriptors must stay as they are, nothing may drift, no file may be left behind.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use super::compare::quality;
use super::report::{self, heading};
use super::service::{Pace, Service};
use super::usage::Usage;
use super::world::{World, create, program, wait};
use super::{content, root};

/// Loops of 48 s before 2^33 ticks of 90 kHz: 1988.4 of them.
const FIRST_LOOP: u64 = 1986;
/// Files a stream may have: batches that are kept, on their way and listed, with six files each, and segments.
const FILES_A_STREAM: usize = 600;

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Streams
    #[arg(long, default_value_t = 20)]
    streams: u32,
    /// Minutes; 20 streams make a day's 43,200 segments of 2 s in seven
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Put the results into docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let world = World::start(&content::short(root())?, 40, FIRST_LOOP)?;
    let folder = world.folder.path().join("overdub");
    let service = Service::start(&program(), &folder)?;
    let pid = service.process.id();
    let pace = Pace { buffer_s: 2.0, delay_s: 3.0 };
    create(&service, &world.peers, &pace, 0, args.streams, Duration::from_secs(5))?;
    wait("settling", 60, || ());
    let (before, mut samples) = (service.scrape()?, vec![Usage::of(pid)]);
    wait("soaking", args.minutes * 60, || samples.push(Usage::of(pid)));
    let after = service.scrape()?;
    let quality = quality(&before, &after);
    let segments = after.sum("overdub_segments_total", "") - before.sum("overdub_segments_total", "");
    let delay = after.range("overdub_batch_delay_seconds");
    let quarter = |n: usize| {
        let part = &samples[samples.len() * n / 4..samples.len() * (n + 1) / 4];
        part.iter().map(|sample| sample.resident).sum::<u64>() as f64 / part.len() as f64
    };
    let growth = quarter(3) / quarter(1);
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let files = count_files(&folder.join("storage")) / args.streams as usize;
    let text = format!(
        "{}\n\n{} streams for {} min: {segments:.0} segments of 0.2 s. {}. Delay of the batches {:.3} to {:.3} s. \
         Resident memory of the last quarter {growth:.3} of the second's ({:.0} MiB); threads {} to {}, descriptors {} to {}; \
         {files} files a stream at the end.",
        heading(),
        args.streams,
        args.minutes,
        quality.line(),
        delay.0,
        delay.1,
        last.resident as f64 / f64::from(1 << 20),
        first.threads,
        last.threads,
        first.descriptors,
        last.descriptors,
    );
    println!("\n{text}");
    ensure!(quality.is_flawless(), "not flawless: {}", quality.line());
    ensure!(growth < 1.1, "memory grows: {growth:.3}");
    ensure!(last.descriptors < first.descriptors + 20, "descriptors grow");
    ensure!(last.threads < first.threads + 8, "threads grow");
    ensure!(files < FILES_A_STREAM, "files are left behind: {files} a stream");
    // What is added to the delay is what a segment that ends a batch lasts beyond it.
    ensure!((delay.1 - delay.0).abs() < 1.0, "the delay drifts: {delay:?}");
    if args.write {
        report::put("soak", &text)?;
    }
    Ok(())
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count_files(&entry.path()) } else { 1 }).sum()
}
