//! A stream's air clock as its API shows it, over time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use overdub_actors::clock;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::http;
use super::time::unix_micros;

/// Asks for a stream twice a second and keeps what matters of the answers; it ends when dropped.
pub struct AirLog {
    samples: Arc<Mutex<Vec<Sample>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Sample {
    at_us: i64,
    anchor_us: i64,
    lateness_ms: Vec<(String, f64)>,
}

impl AirLog {
    /// Watches stream `id` of the program at `base`.
    pub fn start(base: &str, id: &str) -> Self {
        let url = format!("{base}/api/streams/{id}");
        let samples = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&samples);
        let task = tokio::spawn(async move {
            loop {
                if let Some(sample) = http::get(&url).await.ok().and_then(|answer| sample(&answer.json())) {
                    sink.lock().unwrap().push(sample);
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        Self { samples, task }
    }

    /// How far the anchor has moved from its first value, microseconds, as it was at Unix time `at_us`.
    pub fn slew_us(&self, at_us: i64) -> i64 {
        let samples = self.samples.lock().unwrap();
        let Some(first) = samples.first() else { return 0 };
        let known = samples.iter().take_while(|sample| sample.at_us <= at_us).last().unwrap_or(first);
        known.anchor_us - first.anchor_us
    }

    /// The `maxLatenessMs` that outputs whose name contains `output` showed, each time that it changed: Unix
    /// microseconds and milliseconds.
    pub fn lateness_ms(&self, output: &str) -> Vec<(i64, f64)> {
        let samples = self.samples.lock().unwrap();
        let named = |sample: &Sample| {
            sample
                .lateness_ms
                .iter()
                .find(|(name, _)| name.contains(output))
                .map(|(_, ms)| (sample.at_us, *ms))
        };
        let mut all: Vec<(i64, f64)> = samples.iter().filter_map(named).collect();
        all.dedup_by_key(|(_, lateness)| *lateness);
        all
    }
}

impl Drop for AirLog {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn sample(stream: &Value) -> Option<Sample> {
    let outputs = stream["outputs"].as_array()?;
    let lateness =
        |output: &Value| Some((output["name"].as_str()?.to_owned(), output["maxLatenessMs"].as_f64()?));
    Some(Sample {
        at_us: clock::now().0,
        anchor_us: unix_micros(stream["anchor"].as_str()?),
        lateness_ms: outputs.iter().filter_map(lateness).collect(),
    })
}
