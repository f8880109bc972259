//! N streams beside N FFmpeg relays and the floor, in the same run; memory over N before and after.

use std::time::Duration;

use super::process::Process;
use super::report::{self, Column, Memory, Quality, Report};
use super::service::{Histogram, Pace, Scrape, Service};
use super::sink::Delivered;
use super::usage::Usage;
use super::world::{World, create, day_ms, program, wait};
use super::{content, relay, root, sink};

/// Time from the first segment to the air of a batch of 30 s, and a little more.
const SETTLE_S: u64 = 50;

#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Streams that are compared
    #[arg(long, default_value_t = 50)]
    streams: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Numbers of streams at which memory is measured; "" leaves it out
    #[arg(long, default_value = "10,50,100,200")]
    memory: String,
    /// What Overdub is compared with
    #[arg(long, default_value = "relay,floor")]
    peers: String,
    /// Seconds of a batch
    #[arg(long, default_value_t = 30.0)]
    buffer: f64,
    /// Put the tables into docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let media = content::full(root())?;
    let segments = content::load(&media)?;
    let bytes: usize = segments.iter().map(bytes::Bytes::len).sum();
    let source_bytes_s = bytes as f64 / (segments.len() as f64 * 2.0);
    let world = World::start(&media, 6, 0)?;
    let service = Service::start(&program(), &world.folder.path().join("overdub"))?;
    let pid = service.process.id();
    let pace = Pace { buffer_s: args.buffer, delay_s: 10.0 };
    wait("idle", 5, || ());
    let idle = Usage::of(pid);
    let mut report = Report::new(args.streams, args.seconds, source_bytes_s, idle.resident);

    let mut stages: Vec<u32> = args.memory.split(',').filter_map(|stage| stage.trim().parse().ok()).collect();
    stages.push(args.streams);
    stages.sort_unstable();
    stages.dedup();
    let mut running = 0;
    for stage in stages {
        let spread = Duration::from_secs_f64(args.buffer);
        create(&service, &world.peers, &pace, running, stage, spread)?;
        running = stage;
        wait("settling", SETTLE_S, || ());
        if stage == args.streams {
            measure(args, &world, &service, &mut report)?;
        }
        let mut samples = Vec::new();
        let before = Usage::of(pid);
        wait("memory", args.buffer as u64, || samples.push(Usage::of(pid).resident));
        let used = Usage::of(pid).since(&before);
        report.memory.push(Memory {
            streams: stage,
            resident: samples.iter().sum::<u64>() / samples.len().max(1) as u64,
            cpu_s_per_minute: used.cpu_s * 60.0 / args.buffer / f64::from(stage),
        });
    }
    let text = report.markdown();
    println!("\n{text}");
    if args.write {
        report::put("compare", &text)?;
    }
    Ok(())
}

fn measure(args: &Args, world: &World, service: &Service, report: &mut Report) -> anyhow::Result<()> {
    let has = |peer: &str| args.peers.split(',').any(|one| one.trim() == peer);
    let floor = has("floor").then(|| world.floor(args.streams)).transpose()?;
    let mut relays = Vec::new();
    for stream in 0..if has("relay") { args.streams } else { 0 } {
        relays.push(relay::start(world.peers.source, world.other_sink, stream)?);
        std::thread::sleep(Duration::from_secs(2) / args.streams);
    }
    wait("peers are settling", 20, || ());

    let ids = |processes: &[Process]| processes.iter().map(Process::id).collect::<Vec<_>>();
    let measured = [
        ("Overdub", vec![service.process.id()]),
        ("relay", ids(&relays)),
        ("floor", floor.iter().map(Process::id).collect()),
    ];
    let parts: Vec<_> = world.parts.iter().map(|(name, process)| (*name, vec![process.id()])).collect();
    let all: Vec<_> = measured.iter().chain(&parts).filter(|(_, pids)| !pids.is_empty()).collect();
    let sinks = [world.peers.sink, world.other_sink];
    let arrived = sinks.map(sink::ask);
    let (from_ms, scrape) = (day_ms(), service.scrape()?);
    let before: Vec<Usage> = all.iter().map(|(_, pids)| Usage::of_all(pids.iter().copied())).collect();
    wait("measuring", args.seconds, || ());
    let after = all.iter().map(|(_, pids)| Usage::of_all(pids.iter().copied()));
    report.columns = all
        .iter()
        .zip(&before)
        .zip(after)
        .map(|(((name, _), before), after)| Column { name, used: after.since(before) })
        .collect();
    report.quality = quality(&scrape, &service.scrape()?);
    report.turnarounds_ms = service.turnarounds_ms(args.streams, from_ms)?;
    let delivered = sinks.map(sink::ask);
    for ((report, before), after) in report.delivered.iter_mut().zip(arrived).zip(delivered) {
        let (before, after) = (before?, after?);
        *report = Delivered { open: after.open, bytes: after.bytes - before.bytes };
    }
    Ok(())
}

/// How well a service did from one scrape to the next.
pub fn quality(before: &Scrape, after: &Scrape) -> Quality {
    let grown = |name: &str| after.sum(name, "") - before.sum(name, "");
    let lateness = Histogram::between(before, after, "overdub_publish_lateness_seconds", "rtmp");
    Quality {
        batches: grown("overdub_batches_total"),
        fallbacks: grown("overdub_fallbacks_total"),
        missed_samples: grown("overdub_missed_samples_total"),
        clock_jumps: grown("overdub_clock_jumps_total"),
        restarts: grown("overdub_actor_restarts_total"),
        lost_segments: grown("overdub_lost_segments_total"),
        late_batches: lateness.above(0.1),
        lateness_p99_s: lateness.quantile(0.99),
        lateness_max_s: lateness.quantile(1.0),
        turnaround_p99_s: Histogram::between(before, after, "overdub_turnaround_seconds", "").quantile(0.99),
    }
}
