//! `overdub serve`: the tree and the web, started and stopped.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr};
use anyhow::Context as _;
use overdub_actors::events::EventHub;
use overdub_actors::log_files::LogFiles;
use overdub_actors::metrics::Metrics;
use overdub_actors::registry::StreamRegistry;
use overdub_actors::requests::Shutdown;
use overdub_actors::space::Space;
use overdub_actors::store::{Store, StoreError};
use overdub_actors::supervisor::TreeSettings;
use overdub_web::{Deadlines, Registry, SettingsCell, WebSettings};
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::{Settings, SettingsArgs};
use crate::{process_metrics, reload, telemetry};

/// Folder of the state below the storage path.
const STATE: &str = "state";

/// How often a state that another process holds is tried, and how long between.
const LOCK_TRIES: u32 = 40;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// What a drain may take beyond its grace.
const DRAIN_MARGIN: Duration = Duration::from_secs(15);

/// A running service.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// What of its settings can be changed while it serves.
    pub settings: SettingsCell,
    /// The tree's root.
    pub registry: Addr<StreamRegistry>,
    events: EventHub,
    log_files: LogFiles,
    server: actix_web::dev::Server,
    /// What stopping may take.
    drain: Duration,
}

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn run(args: &SettingsArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args)?;
    let events = EventHub::default();
    let log_files = LogFiles::start(&settings.storage.path).context("the streams' logs")?;
    let telemetry = telemetry::init(&settings.log, events.clone(), Some(log_files.clone()))?;
    let service = Service::start(&settings, events, log_files).await?;
    println!("listening on http://{}", service.address);
    actix_rt::spawn(reload::on_hangup(args.clone(), settings, service.settings.clone(), telemetry));
    service.until(signalled()?).await
}

/// Resolves at the first SIGTERM or SIGINT.
pub fn signalled() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping: streams are drained");
    })
}

impl Service {
    /// Opens the state, restores the streams and binds the server. What happens is told to `events`, and
    /// `log_files` keep what is logged of streams.
    pub async fn start(settings: &Settings, events: EventHub, log_files: LogFiles) -> anyhow::Result<Self> {
        let storage = &settings.storage.path;
        std::fs::create_dir_all(storage)
            .with_context(|| format!("storage.path {} cannot be made", storage.display()))?;
        let state = storage.join(STATE);
        let opened = open_unlocked(&state).await;
        let (store, warnings) =
            opened.with_context(|| format!("state in {} cannot be opened", state.display()))?;
        for warning in warnings {
            tracing::error!("{warning}");
        }
        let metrics_registry = prometheus::Registry::new();
        let metrics = Metrics::new(&metrics_registry).context("metrics")?;
        store.register_metrics(&metrics_registry).context("metrics of the state")?;
        process_metrics::register(&metrics_registry).context("metrics of the process")?;

        let supervision = &settings.supervision;
        let grace = Duration::from_secs(supervision.shutdown_grace);
        let tree = TreeSettings {
            storage: storage.clone(),
            keep_batches: settings.storage.auto_cleanup.then_some(settings.storage.keep_batches),
            space: Arc::new(Space::new(storage.clone(), settings.storage.quota_bytes)),
            allow_private: settings.fetch.allow_private,
            max_restarts: usize::try_from(supervision.max_restarts).unwrap_or(usize::MAX),
            restart_window: Duration::from_secs(supervision.restart_window),
            failed_retry: Duration::from_secs(supervision.failed_retry),
            shutdown_grace: grace,
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let web = WebSettings {
            host: settings.server.host.clone(),
            port: settings.server.port,
            workers: threads.min(2),
            events: events.clone(),
            metrics: metrics_registry,
            ..WebSettings::default()
        };
        let web = SettingsCell::from(reload::web_settings(settings, web));
        let at = || format!("server.host {} and server.port {}", settings.server.host, settings.server.port);
        let bound = overdub_web::bind(&web.get()).with_context(at)?;
        let registry = StreamRegistry::new(tree, store, metrics, threads);
        let registry = registry.with_events(events.clone()).with_log_files(log_files.clone()).start();
        let deadlines = Deadlines { drain: grace + DRAIN_MARGIN, ..Deadlines::default() };
        let handle = Registry::new(&registry).with_deadlines(deadlines);
        let (server, address) = overdub_web::server(handle, web.clone(), bound).with_context(at)?;
        tracing::info!(%address, "listening");
        Ok(Self { address, settings: web, registry, events, log_files, server, drain: grace + DRAIN_MARGIN })
    }

    /// Serves until `stop` resolves; then drains the streams while the API still answers, and ends.
    pub async fn until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let mut server = std::pin::pin!(self.server);
        tokio::select! {
            ended = &mut server => return ended.context("the HTTP server ended"),
            () = stop => {}
        }
        let drain = async {
            let drained = tokio::time::timeout(self.drain, self.registry.send(Shutdown)).await;
            self.events.close("the service is shutting down");
            handle.stop(true).await;
            drained
        };
        let (drained, served) = tokio::join!(drain, server);
        match drained {
            Ok(drained) => drained.context("the registry was gone before its streams were drained")?,
            Err(_) => {
                // Returning would wait for whatever holds the drain up; the state on disk is whole all the same.
                tracing::error!(
                    seconds = self.drain.as_secs(),
                    "streams did not drain in time: ending without them"
                );
                std::process::exit(1);
            }
        }
        served.context("the HTTP server ended")?;
        tracing::info!("stopped");
        self.log_files.settle();
        Ok(())
    }
}

/// Waits a little for a state in use: who has just been killed holds it until the system has taken all of it apart.
async fn open_unlocked(state: &Path) -> Result<(Store, Vec<String>), StoreError> {
    for _ in 1..LOCK_TRIES {
        match Store::open(state) {
            Err(StoreError::InUse) => tokio::time::sleep(LOCK_WAIT).await,
            opened => return opened,
        }
    }
    Store::open(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_that_is_let_go_of_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join(STATE);
        let (held, _) = Store::open(&state).unwrap();
        let let_go = async {
            tokio::time::sleep(LOCK_WAIT * 3).await;
            drop(held);
        };
        let (opened, ()) = tokio::join!(open_unlocked(&state), let_go);
        opened.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_that_stays_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join(STATE);
        let _held = Store::open(&state).unwrap();
        assert!(matches!(open_unlocked(&state).await, Err(StoreError::InUse)));
    }
}
