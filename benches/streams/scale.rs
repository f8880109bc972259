//! Hundreds of streams at once: how they start, how they run, how they come back after a restart; what streams
//! cost that wait for their source or are stopped.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::compare::quality;
use super::report::{self, heading};
use super::service::{Pace, Service};
use super::usage::Usage;
use super::world::{World, create, program, wait};
use super::{content, root};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Streams
    #[arg(long, default_value_t = 300)]
    streams: u32,
    /// Seconds within which they are created
    #[arg(long, default_value_t = 30)]
    start: u64,
    /// Seconds that they are watched for
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Put the results into docs/BENCHMARKS.md
    #[arg(long)]
    write: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let world = World::start(&content::full(root())?, 6, 0)?;
    let folder = world.folder.path().join("overdub");
    let pace = Pace { buffer_s: 30.0, delay_s: 10.0 };
    let mut text = format!("{}\n\n", heading());
    let service = Service::start(&program(), &folder)?;
    let n = f64::from(args.streams);

    let before = service.scrape()?;
    create(&service, &world.peers, &pace, 0, args.streams, Duration::from_secs(args.start))?;
    wait("the start", 50, || ());
    let started = service.scrape()?;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "- {} streams created within {} s. {}.",
        args.streams,
        args.start,
        quality(&before, &started).line()
    );
    let (from, mut most) = (Usage::of(service.process.id()), 0);
    wait("running", args.seconds, || most = most.max(Usage::of(service.process.id()).resident));
    let used = Usage::of(service.process.id()).since(&from);
    let _ = writeln!(
        text,
        "- {} streams for {} s: {:.3} CPU s a stream-minute, {:.0} MiB resident at most ({:.2} a stream), {} threads, {} descriptors. {}.",
        args.streams,
        args.seconds,
        used.cpu_s * 60.0 / n / args.seconds as f64,
        most as f64 / f64::from(1 << 20),
        most as f64 / n / f64::from(1 << 20),
        used.threads,
        used.descriptors,
        quality(&started, &service.scrape()?).line()
    );

    drop(service);
    let began = Instant::now();
    let service = Service::start(&program(), &folder)?;
    let answered = began.elapsed();
    service.get("/api/streams")?;
    let before = service.scrape()?;
    wait("after kill -9 and a start", 100, || ());
    let _ = writeln!(
        text,
        "- After `kill -9` and a start: listening within {} ms, first list of streams within {} ms. In 100 s: {}.",
        answered.as_millis(),
        began.elapsed().as_millis() - 100_000,
        quality(&before, &service.scrape()?).line()
    );
    drop(service);
    idle(&world, &pace, &mut text)?;
    println!("\n{text}");
    if args.write {
        report::put("scale", &text)?;
    }
    Ok(())
}

/// Streams whose source does not answer, and stopped ones.
fn idle(world: &World, pace: &Pace, text: &mut String) -> anyhow::Result<()> {
    const WAITING: u32 = 100;
    const STOPPED: u32 = 950;
    const SECONDS: u64 = 60;
    let cost = |service: &Service, what: &str| {
        let before = Usage::of(service.process.id());
        wait(what, SECONDS, || ());
        Usage::of(service.process.id()).since(&before)
    };
    // A port that nobody listens on any more.
    let nobody = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let peers = super::service::Peers { source: nobody, ..world.peers };
    let service = Service::start(&program(), &world.folder.path().join("waiting"))?;
    let empty = cost(&service, "nothing");
    create(&service, &peers, pace, 0, WAITING, Duration::from_secs(10))?;
    wait("settling", 20, || ());
    let waiting = cost(&service, "waiting streams");
    let percent = |cpu_s: f64| cpu_s * 100.0 / SECONDS as f64;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "- {WAITING} streams whose source refuses connections: {:.4} % of a core each, {:.2} MiB each beyond an empty service ({:.3} % of a core, {:.0} MiB).",
        percent(waiting.cpu_s - empty.cpu_s) / f64::from(WAITING),
        waiting.resident.saturating_sub(empty.resident) as f64 / f64::from(WAITING) / f64::from(1 << 20),
        percent(empty.cpu_s),
        empty.resident as f64 / f64::from(1 << 20),
    );
    drop(service);

    let service = Service::start(&program(), &world.folder.path().join("stopped"))?;
    for number in 0..STOPPED {
        service.create(number, &world.peers, pace, false)?;
    }
    wait("settling", 5, || ());
    let stopped = cost(&service, "stopped streams");
    let _ = writeln!(
        text,
        "- {STOPPED} stopped streams: {:.3} % of a core in all, {:.3} MiB each.",
        percent(stopped.cpu_s),
        stopped.resident.saturating_sub(empty.resident) as f64 / f64::from(STOPPED) / f64::from(1 << 20),
    );
    create(&service, &world.peers, pace, STOPPED, STOPPED + 50, Duration::from_secs(30))?;
    wait("settling", 50, || ());
    let running = cost(&service, "50 running streams beside them");
    let _ = writeln!(
        text,
        "- 50 running streams beside them: {:.3} CPU s a stream-minute.",
        running.cpu_s * 60.0 / 50.0 / SECONDS as f64
    );
    Ok(())
}
