//! A fetcher at work, and what it says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler};
use overdub_actors::fetcher::{FetchLimits, Fetcher, FetcherConfig, refusal};
use overdub_actors::messages::{ChildEvent, ChildId, FetcherEvent, Report, Reporter, StoredSegment};
use overdub_actors::settings::{SourceOptions, StartAt, StreamId};
use tokio::sync::mpsc;

/// Longest that a test waits for what it expects.
pub const PATIENCE: Duration = Duration::from_secs(20);

struct Collector(mpsc::UnboundedSender<Report>);

impl Actor for Collector {
    type Context = Context<Self>;
}

impl Handler<Report> for Collector {
    type Result = ();
    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        let _ = self.0.send(report);
    }
}

/// A fetcher at work, and what it says.
pub struct Run {
    reports: mpsc::UnboundedReceiver<Report>,
    pub task: actix_rt::task::JoinHandle<()>,
    directory: tempfile::TempDir,
    /// Everything said so far, `Alive` aside.
    pub said: Vec<FetcherEvent>,
    pub alive: usize,
}

/// Limits that end a test in time, and yet not before a busy machine answers.
pub fn limits() -> FetchLimits {
    FetchLimits {
        header_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(10),
        ..FetchLimits::default()
    }
}

/// Limits for servers that are meant to run into them.
pub fn hasty() -> FetchLimits {
    let second = Duration::from_secs(1);
    FetchLimits { header_timeout: second, idle_timeout: second, ..limits() }
}

pub fn config(url: &str) -> FetcherConfig {
    FetcherConfig {
        stream_id: StreamId::new("test").expect("an id"),
        source_url: url.parse().expect("a URL"),
        options: SourceOptions::default(),
        directory: PathBuf::new(),
        resume: None,
        lowest_number: 0,
        space: std::sync::Arc::default(),
        start: StartAt::Window,
        limits: limits(),
        refuses: refusal(true),
    }
}

impl Run {
    pub fn of(config: FetcherConfig) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = FetcherConfig { directory: directory.path().join("original_stream/test"), ..config };
        Self::within(config, directory)
    }

    pub fn within(config: FetcherConfig, directory: tempfile::TempDir) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let collector = Collector(sender).start();
        let reporter = Reporter {
            recipient: collector.recipient(),
            child: ChildId::Fetcher,
            generation: 3,
            mailbox: Default::default(),
        };
        let task = actix_rt::spawn(async move {
            let context = Context::new();
            // The address keeps the actor, as a supervisor's does.
            let _address = AsyncContext::<Fetcher>::address(&context);
            context.into_future(Fetcher::new(config, reporter)).await;
        });
        Self { reports, task, directory, said: Vec::new(), alive: 0 }
    }

    pub fn folder(&self) -> PathBuf {
        self.directory.path().join("original_stream/test")
    }

    pub fn files(&self) -> Vec<String> {
        files(&self.folder())
    }

    /// The next event.
    pub async fn next(&mut self) -> &FetcherEvent {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let report = tokio::time::timeout_at(deadline, self.reports.recv()).await;
            let Ok(Some(report)) = report else { panic!("nothing more was said after {:?}", self.said) };
            assert_eq!((&report.child, report.generation), (&ChildId::Fetcher, 3));
            match report.event {
                ChildEvent::Fetcher(event) => {
                    self.said.push(event);
                    return self.said.last().expect("just pushed");
                }
                ChildEvent::Alive => self.alive += 1,
                other => panic!("a fetcher does not say {other:?}"),
            }
        }
    }

    async fn until<T>(&mut self, mut wanted: impl FnMut(&FetcherEvent) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "not in {:?}", self.said);
        }
    }

    pub async fn stored(&mut self) -> StoredSegment {
        self.until(
            |event| if let FetcherEvent::SegmentStored(stored) = event { Some(stored.clone()) } else { None },
        )
        .await
    }

    pub async fn failed(&mut self) -> String {
        self.until(|event| {
            if let FetcherEvent::SourceFailed { reason } = event { Some(reason.clone()) } else { None }
        })
        .await
    }

    /// Which variant and which audio were chosen, and why.
    pub async fn chosen(&mut self) -> (String, Option<String>) {
        self.until(|event| match event {
            FetcherEvent::VariantChosen { variant, audio } => Some((variant.clone(), audio.clone())),
            _ => None,
        })
        .await
    }

    pub async fn lost(&mut self) -> (u64, i64, String) {
        self.until(|event| match event {
            FetcherEvent::SegmentLost { media_sequence, duration_us, reason } => {
                Some((*media_sequence, *duration_us, reason.clone()))
            }
            _ => None,
        })
        .await
    }

    pub async fn ended(&mut self) {
        self.until(|event| matches!(event, FetcherEvent::SourceEnded).then_some(())).await;
    }

    pub fn numbers_stored(&self) -> Vec<(u64, u64)> {
        let stored = |event: &FetcherEvent| match event {
            FetcherEvent::SegmentStored(stored) => Some((stored.media_sequence, stored.number)),
            _ => None,
        };
        self.said.iter().filter_map(stored).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
