//! A scripted source and the program on stage, and how a stream of it did.

use std::time::Duration;

use overdub_actors::clock;
use serde_json::{Value, json};

use crate::kit::content::{self, Content, Continuity, Shown};
use crate::kit::hls::Watch;
use crate::kit::live::LiveSource;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::{folder, wait};

/// What a step of a test may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How late a listing may be on a loaded machine, by a player's watch; players hold three target durations.
pub const STALL_S: f64 = 1.0;

/// The program, and what its outputs are judged by.
pub struct Scene {
    /// Everything on disk.
    pub folder: tempfile::TempDir,
    /// The program.
    pub overdub: Overdub,
    /// The fixture.
    pub content: Content,
    /// What streams have where nothing else is said: it echoes.
    pub processor: EchoProcessor,
}

impl Scene {
    /// Starts the program.
    pub async fn start() -> Self {
        let folder = folder();
        let content = Content::read(folder.path()).await.unwrap();
        let processor = EchoProcessor::start(folder.path(), Duration::ZERO).await.unwrap();
        let overdub = Overdub::start(folder.path()).await.unwrap();
        Self { folder, overdub, content, processor }
    }

    /// Puts a stream on air: batches of 2 s, HLS alone; `with` changes that.
    pub async fn stream(&self, id: &str, source: &LiveSource, with: Value) -> Watch {
        let mut stream = json!({
            "streamId": id, "sourceUrl": source.url(), "bufferDuration": 2, "delay": 2,
            "audioProcessorUrl": self.processor.url(), "srsRtmpUrl": null,
        });
        for (key, value) in with.as_object().unwrap() {
            stream[key] = value.clone();
        }
        self.overdub.create(&stream).await;
        Watch::start(&self.overdub.hls_url(id))
    }

    /// The segments of one playlist; empty where it was never there.
    pub fn shown(&self, source: &LiveSource, watch: &Watch, name: &str) -> Vec<Shown> {
        self.content.shown(source, name, &watch.recorded(name)).unwrap()
    }

    /// How the picture did; the watch must have seen no fault of the playlists.
    pub fn continuity(&self, source: &LiveSource, watch: &Watch) -> Continuity {
        assert_eq!(watch.seen().faults, Vec::<String>::new());
        let shown = self.shown(source, watch, "video");
        content::continuity(&shown).unwrap_or_else(|fault| panic!("{fault}: {shown:#?}"))
    }

    /// One figure of `/metrics`: the sum over series of this name whose labels contain all of `labels`.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.overdub.send("GET", "/metrics", b"").await.text();
        let series = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

/// Waits until the video playlist has listed so many segments.
pub async fn listed(watch: &Watch, count: usize) {
    let what = format!("HLS has listed {count} segments");
    wait::until(&what, LIMIT + Duration::from_secs(2 * count as u64), async || {
        (watch.recorded("video").entries.len() >= count).then_some(())
    })
    .await;
}

/// Waits until as much content as lasts `time` has come to be at the source.
pub async fn outage(source: &LiveSource, time: Duration) {
    let end = source.produced() + time.as_secs().div_ceil(2);
    wait::until("the outage has lasted", time + LIMIT, async || (source.produced() >= end).then_some(()))
        .await;
}

/// Name of the only audio playlist that is not the original's.
pub fn processed_name(watch: &Watch) -> String {
    let names: Vec<String> = watch.seen().playlists.into_keys().collect();
    let processed = names.iter().find(|name| !["video", "Original"].contains(&name.as_str()));
    processed.unwrap_or_else(|| panic!("no processed rendition among {names:?}")).clone()
}

/// Unix microseconds.
pub fn now_us() -> i64 {
    clock::now().0
}

/// Whether nothing has panicked and the program still runs.
pub fn assert_alive(overdub: &mut Overdub) {
    assert!(overdub.process.running(), "the program has ended");
    let log = overdub.process.log();
    assert!(!log.contains("panicked"), "{log}");
}
