//! `overdub serve` as it is measured: its process, its API, its metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::http::request;
use super::process::Process;

/// A running service.
pub struct Service {
    /// Its process.
    pub process: Process,
    address: SocketAddr,
}

/// Where a stream comes from and goes to.
#[derive(Debug, Clone, Copy)]
pub struct Peers {
    /// The live source.
    pub source: SocketAddr,
    /// The processor.
    pub processor: SocketAddr,
    /// The RTMP server.
    pub sink: SocketAddr,
}

/// Seconds of a batch and of the delay.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// `bufferDuration`.
    pub buffer_s: f64,
    /// `delay`.
    pub delay_s: f64,
}

impl Service {
    /// Starts `program serve` with its storage and its log in `folder`.
    pub fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--host", "127.0.0.1", "--port", "0", "--storage"])
            .arg(folder.join("storage"));
        // A folder of its own, so that no config.toml of the source tree is read.
        command.current_dir(folder).env("OVERDUB__SERVER__RATE_LIMIT", "0");
        let mut process = Process::start(command, Some(&folder.join("overdub.log")))?;
        let line = process.line_after("listening on http://")?;
        Ok(Self { process, address: line.parse().context("the service's address")? })
    }

    /// Creates stream `s{number}`, and starts it unless told otherwise.
    pub fn create(&self, number: u32, peers: &Peers, pace: &Pace, start: bool) -> anyhow::Result<()> {
        let Peers { source, processor, sink } = peers;
        let stream = json!({
            "streamId": format!("s{number}"),
            "sourceUrl": format!("http://{source}/{number}/index.m3u8"),
            "audioProcessorUrl": format!("ws://{processor}"),
            "srsRtmpUrl": format!("rtmp://{sink}/live/s{number}"),
            "bufferDuration": pace.buffer_s,
            "delay": pace.delay_s,
            "autostart": start,
        });
        request(self.address, "POST", "/api/streams", Some(&stream)).map(|_| ())
    }

    /// `GET` of JSON.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&request(self.address, "GET", path, None)?)?)
    }

    /// What the service counts.
    pub fn scrape(&self) -> anyhow::Result<Scrape> {
        Ok(Scrape::parse(&request(self.address, "GET", "/metrics", None)?))
    }

    /// Turnarounds in milliseconds, ascending, of the batches of streams 0 to `streams` that were complete at or
    /// after `from_ms` of the day (UTC): from complete to filled, without the time at the processor.
    pub fn turnarounds_ms(&self, streams: u32, from_ms: i64) -> anyhow::Result<Vec<i64>> {
        let mut all = Vec::new();
        for stream in 0..streams {
            let answer = self.get(&format!("/api/streams/s{stream}/batches?limit=100"))?;
            for batch in answer["batches"].as_array().into_iter().flatten() {
                let rendition = &batch["renditions"][0]["times"];
                let at = |times: &Value, name: &str| times[name].as_str().and_then(day_ms);
                let times = (
                    at(&batch["times"], "collected"),
                    at(rendition, "sent"),
                    at(rendition, "processed"),
                    at(rendition, "remuxed"),
                );
                if let (Some(collected), Some(sent), Some(processed), Some(remuxed)) = times
                    && passed_ms(from_ms, collected) < DAY_MS / 2
                {
                    all.push(passed_ms(collected, remuxed) - passed_ms(sent, processed));
                }
            }
        }
        all.sort_unstable();
        Ok(all)
    }
}

const DAY_MS: i64 = 86_400_000;

/// Milliseconds from one time of day to another, over midnight too.
fn passed_ms(from: i64, to: i64) -> i64 {
    (to - from).rem_euclid(DAY_MS)
}

/// `2026-01-31T12:00:00.250Z` to milliseconds of its day.
fn day_ms(text: &str) -> Option<i64> {
    let time = text.split_once('T')?.1.strip_suffix('Z')?;
    let mut parts = time.split([':', '.']).map(|part| part.parse::<i64>().ok());
    let mut next = || parts.next().flatten();
    Some(((next()? * 60 + next()?) * 60 + next()?) * 1000 + next()?)
}

/// Samples of `/metrics`: name with labels, value.
#[derive(Debug, Clone, Default)]
pub struct Scrape(Vec<(String, f64)>);

impl Scrape {
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect())
    }

    fn series<'a>(&'a self, name: &'a str, label: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(key, value)| {
            let labels = key.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('{'))?;
            labels.contains(label).then_some((labels, *value))
        })
    }

    /// Sum over all series of a metric that bear `label`, e.g. `state="running"`; an empty one is borne by all.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        self.series(name, label).map(|(_, value)| value).sum()
    }

    /// Lowest and highest value of a metric.
    pub fn range(&self, name: &str) -> (f64, f64) {
        self.series(name, "").fold((f64::MAX, f64::MIN), |(low, high), (_, v)| (low.min(v), high.max(v)))
    }

    /// A histogram over all series that bear `label`: by upper bound, how many were at or below it.
    pub fn buckets(&self, name: &str, label: &str) -> Vec<(f64, f64)> {
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for (labels, value) in self.series(&format!("{name}_bucket"), label) {
            let bound = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
            // Bits of positive floats sort as the floats do, infinity last.
            let bound: f64 = bound.parse().unwrap_or(f64::INFINITY);
            *sums.entry(bound.to_bits()).or_default() += value;
        }
        sums.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect()
    }
}

/// Observations between two scrapes.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    /// What was observed from one scrape to the next.
    pub fn between(before: &Scrape, after: &Scrape, name: &str, label: &str) -> Self {
        let earlier = before.buckets(name, label);
        let count = |bound: f64| earlier.iter().find(|(b, _)| *b == bound).map_or(0.0, |(_, count)| *count);
        Self(after.buckets(name, label).into_iter().map(|(bound, n)| (bound, n - count(bound))).collect())
    }

    /// How many there were.
    pub fn count(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// How many were above `bound`, which must be a bucket's.
    pub fn above(&self, bound: f64) -> f64 {
        let within = self.0.iter().find(|(b, _)| *b >= bound).map_or(0.0, |(_, count)| *count);
        self.count() - within
    }

    /// Upper bound of the bucket that the quantile lies in.
    pub fn quantile(&self, quantile: f64) -> f64 {
        let wanted = self.count() * quantile;
        self.0.iter().find(|(_, count)| *count >= wanted).map_or(0.0, |(bound, _)| *bound)
    }
}
