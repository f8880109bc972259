//! Tables, and their place in docs/BENCHMARKS.md.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::sink::Delivered;
use super::usage::{self, Usage};
use super::{root, world};

/// What one party used.
#[derive(Debug, Clone)]
pub struct Column {
    /// What it is.
    pub name: &'static str,
    /// Over the whole measurement, all streams together.
    pub used: Usage,
}

/// Memory at one number of streams.
#[derive(Debug, Clone)]
pub struct Memory {
    /// How many.
    pub streams: u32,
    /// Resident bytes, the mean of a sample a second.
    pub resident: u64,
    /// CPU seconds a stream-minute meanwhile.
    pub cpu_s_per_minute: f64,
}

/// How well it went.
///
/// The names are those of the metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quality {
    pub batches: f64,
    pub fallbacks: f64,
    pub missed_samples: f64,
    pub clock_jumps: f64,
    pub restarts: f64,
    pub lost_segments: f64,
    /// Whose latest sample left more than 100 ms after its air time.
    pub late_batches: f64,
    pub lateness_p99_s: f64,
    pub lateness_max_s: f64,
    pub turnaround_p99_s: f64,
}

impl Quality {
    /// Nothing late, lost, missed or replaced.
    pub fn is_flawless(&self) -> bool {
        let faults = [
            self.fallbacks,
            self.missed_samples,
            self.clock_jumps,
            self.restarts,
            self.lost_segments,
            self.late_batches,
        ];
        self.batches > 0.0 && faults.iter().sum::<f64>() == 0.0
    }

    /// In words.
    pub fn line(&self) -> String {
        format!(
            "{} batches: {} fallbacks, {} samples missed, {} late by more than 100 ms (p99 within {} ms, all within {} ms), \
             {} clock jumps, {} segments lost, {} actors replaced; turnaround p99 within {} ms",
            self.batches,
            self.fallbacks,
            self.missed_samples,
            self.late_batches,
            self.lateness_p99_s * 1e3,
            self.lateness_max_s * 1e3,
            self.clock_jumps,
            self.lost_segments,
            self.restarts,
            self.turnaround_p99_s * 1e3,
        )
    }
}

/// All that a comparison found.
#[derive(Debug)]
pub struct Report {
    streams: u32,
    seconds: u64,
    source_bytes_s: f64,
    idle_resident: u64,
    /// The parties.
    pub columns: Vec<Column>,
    /// Memory over the number of streams.
    pub memory: Vec<Memory>,
    /// How well Overdub did.
    pub quality: Quality,
    /// Ascending.
    pub turnarounds_ms: Vec<i64>,
    /// What the sinks of Overdub and of its peers got meanwhile.
    pub delivered: [Delivered; 2],
}

impl Report {
    pub fn new(streams: u32, seconds: u64, source_bytes_s: f64, idle_resident: u64) -> Self {
        Self {
            streams,
            seconds,
            source_bytes_s,
            idle_resident,
            columns: Vec::new(),
            memory: Vec::new(),
            quality: Quality::default(),
            turnarounds_ms: Vec::new(),
            delivered: [Delivered::default(); 2],
        }
    }

    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", heading());
        let stream_s = f64::from(self.streams) * self.seconds as f64;
        let streams = f64::from(self.streams);
        let of = |name: &str| self.columns.iter().find(|column| column.name == name).map(|c| c.used);
        let (relay, floor) = (of("relay"), of("floor"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} streams of {:.2} Mbit/s at the same time through each, {} s measured; {:.1} MB arrived from Overdub over \
             {} connections, {:.1} MB from its peers over {}.\n",
            self.streams,
            self.source_bytes_s * 8e-6,
            self.seconds,
            self.delivered[0].bytes as f64 * 1e-6,
            self.delivered[0].open,
            self.delivered[1].bytes as f64 * 1e-6,
            self.delivered[1].open,
        );
        text.push_str("| a stream | CPU s a minute | of the relay's | of the floor's | resident MiB | bytes written a source byte | context switches a second | threads in all |\n");
        text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for Column { name, used } in &self.columns {
            let ratio = |other: Option<Usage>| {
                other.map_or("-".to_owned(), |other| format!("{:.2}", used.cpu_s / other.cpu_s))
            };
            let _ = writeln!(
                text,
                "| {name} | {:.3} | {} | {} | {:.2} | {:.2} | {:.1} | {} |",
                used.cpu_s * 60.0 / stream_s,
                ratio(relay),
                ratio(floor),
                used.resident as f64 / streams / f64::from(1 << 20),
                used.written as f64 / (self.source_bytes_s * stream_s),
                used.switches as f64 / stream_s,
                used.threads,
            );
        }
        self.write_quality(&mut text);
        self.write_memory(&mut text);
        text
    }

    fn write_quality(&self, text: &mut String) {
        let at = |quantile: f64| {
            let last = self.turnarounds_ms.len().saturating_sub(1);
            self.turnarounds_ms.get((last as f64 * quantile).round() as usize).copied().unwrap_or(0)
        };
        let _ = writeln!(
            text,
            "\nTurnaround of {} batches: p50 {} ms, p99 {} ms, max {} ms. {}.",
            self.turnarounds_ms.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            self.quality.line()
        );
    }

    fn write_memory(&self, text: &mut String) {
        if self.memory.len() < 2 {
            return;
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        text.push_str("\n| streams | resident MiB | a stream beyond idle | CPU s a stream-minute |\n| --- | --- | --- | --- |\n");
        let _ = writeln!(text, "| 0 | {:.1} | - | - |", mib(self.idle_resident));
        for memory in &self.memory {
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.2} | {:.3} |",
                memory.streams,
                mib(memory.resident),
                mib(memory.resident.saturating_sub(self.idle_resident)) / f64::from(memory.streams),
                memory.cpu_s_per_minute
            );
        }
        let _ = writeln!(text, "\nSlope: {:.2} MiB a stream.", self.slope() / f64::from(1 << 20));
    }

    /// Bytes a stream, by least squares over all numbers of streams.
    fn slope(&self) -> f64 {
        let points = self.memory.iter().map(|m| (f64::from(m.streams), m.resident as f64));
        let count = self.memory.len() as f64;
        let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (above, below) = points.fold((0.0, 0.0), |(above, below), (x, y)| {
            (above + (x - mean_x) * (y - mean_y), below + (x - mean_x).powi(2))
        });
        above / below
    }
}

/// When and on what.
pub fn heading() -> String {
    let now = overdub_actors::clock::rfc3339(overdub_actors::clock::now());
    let day = now.split('T').next().unwrap_or_default();
    format!(
        "{day}, {} UTC, {}; load {:.1} at the end.",
        &world::clock()[..5],
        usage::machine(),
        usage::load()
    )
}

/// Puts `text` between the markers of that name in docs/BENCHMARKS.md.
pub fn put(name: &str, text: &str) -> anyhow::Result<()> {
    let path = root().join("docs/BENCHMARKS.md");
    let old = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let (head, rest) = old.split_once(&begin).with_context(|| format!("{}: no {begin}", path.display()))?;
    let (_, tail) = rest.split_once(&end).with_context(|| format!("{}: no {end}", path.display()))?;
    std::fs::write(&path, format!("{head}{begin}\n{}\n{end}{tail}", text.trim_end()))?;
    println!("written to {}", path.display());
    Ok(())
}
