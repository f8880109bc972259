//! The one thread that writes: transitions in the order they were given, and one flush for all who wait.
//!
//! While nobody waits, transitions of all streams are gathered for a moment and written as one: each write of its own
//! costs sled two calls, and pages that the next one writes again; a stream's header changes with each transition.
//!
//! sled's own asynchronous flushes block threads of the pool that has to write what they wait for: a few dozen
//! streams that flush at once lock it up for good. And applying a batch waits for a flush under way, which an
//! arbiter's thread must not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::StoreError;
use super::figures::StoreFigures;
use super::mirror::Mirror;
use super::trees::{Lender, Trees};
use crate::clock;
use crate::settings::StreamId;

/// How long transitions are gathered: much less than may be lost with a process that is killed.
const GATHER_US: i64 = 250_000;

/// Records by key; none for one that is removed.
pub(super) type Records = BTreeMap<String, Option<Vec<u8>>>;

/// Something to write, whole or not at all.
#[derive(Debug)]
pub(super) enum Write {
    /// A transition of a stream's ledger.
    Ledger(Records),
    /// A stream's record, JSON.
    Stream(Vec<u8>),
    /// Nothing of the stream is kept.
    Removal,
}

enum Request {
    Write(StreamId, u64, Write),
    Flush(oneshot::Sender<Result<(), StoreError>>),
    Barrier(Sender<()>),
}

/// What could not be written, by stream, until its supervisor asks.
type Faults = Arc<Mutex<BTreeMap<StreamId, String>>>;

/// The thread's handle; dropping it writes what is left and ends it.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<Sender<Request>>,
    faults: Faults,
    figures: StoreFigures,
    /// How often the database has been opened again.
    opened: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        trees: Arc<Lender>,
        mirror: Mirror,
        figures: StoreFigures,
    ) -> Result<Self, StoreError> {
        let (requests, received) = channel();
        let (faults, opened) = (Faults::default(), Arc::new(AtomicU64::new(0)));
        let work = Work {
            trees,
            mirror,
            writers: BTreeSet::new(),
            gathered: Records::new(),
            faults: faults.clone(),
            figures: figures.clone(),
            opened: opened.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("state-writer".to_owned())
            .spawn(move || {
                let mut work = work;
                work.run(&received);
            })
            .map_err(|error| StoreError::Writer(error.to_string()))?;
        Ok(Self { requests: Some(requests), faults, figures, opened, thread: Some(thread) })
    }

    fn request(&self, request: Request) -> Result<(), StoreError> {
        let gone = || StoreError::Writer("its thread has ended".to_owned());
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        self.figures.queued.inc();
        requests.send(request).map_err(|_| gone())
    }

    pub(super) fn figures(&self) -> &StoreFigures {
        &self.figures
    }

    /// Hands over a write. Fails with what could not be written of the stream before.
    pub(super) fn write(&self, id: &StreamId, write: Write) -> Result<(), StoreError> {
        // Before the faults: a failure that comes between the two makes the write one of the time before it.
        let opened = self.opened.load(Ordering::SeqCst);
        if let Some(fault) = lock(&self.faults).remove(id) {
            return Err(StoreError::Writer(fault));
        }
        self.request(Request::Write(id.clone(), opened, write))
    }

    /// Waits until everything handed over is on disk.
    pub(super) async fn flush_all(&self) -> Result<(), StoreError> {
        let (done, waiting) = oneshot::channel();
        self.request(Request::Flush(done))?;
        waiting.await.unwrap_or_else(|_| Err(StoreError::Writer("its thread has ended".to_owned())))
    }

    /// Waits until everything handed over of the stream is on disk.
    pub(super) async fn flush(&self, id: &StreamId) -> Result<(), StoreError> {
        self.flush_all().await?;
        // The flush may have been good because what could not be written was gone by then.
        lock(&self.faults).get(id).map_or(Ok(()), |fault| Err(StoreError::Writer(fault.clone())))
    }

    /// Waits until everything handed over can be read. The stream's faults count as told: its ledger is read again.
    pub(super) fn settle_for(&self, id: &StreamId) {
        self.settle();
        lock(&self.faults).remove(id);
    }

    /// Waits until everything handed over can be read.
    pub(super) fn settle(&self) {
        let (done, waiting) = channel();
        if self.request(Request::Barrier(done)).is_ok() {
            // An error means that the thread has ended: there is nothing to wait for.
            _ = waiting.recv();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

struct Work {
    trees: Arc<Lender>,
    mirror: Mirror,
    /// Streams that have written something.
    writers: BTreeSet<StreamId>,
    /// Transitions that are still to be written.
    gathered: Records,
    faults: Faults,
    figures: StoreFigures,
    opened: Arc<AtomicU64>,
}

impl Work {
    fn run(&mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            self.heal();
            let mut waiting = Vec::new();
            let mut failed = None;
            let until = clock::now().plus_micros(GATHER_US);
            let mut hurry = false;
            let mut next = Some(first);
            // Whoever asked while the last flush was under way shares the next one.
            while let Some(request) = next {
                self.figures.queued.dec();
                hurry |= !matches!(request, Request::Write(_, _, Write::Ledger(_)));
                match request {
                    Request::Write(_, opened, _) if opened != self.opened.load(Ordering::SeqCst) => {
                        // A transition from a state that is lost; its stream is told.
                    }
                    Request::Write(id, _, write) => {
                        self.figures.writes.inc();
                        self.writers.insert(id.clone());
                        let applied = self.apply(&id, write);
                        failed = self.judge(applied).or(failed);
                    }
                    Request::Flush(done) => waiting.push(done),
                    Request::Barrier(done) => {
                        let written = self.write_gathered();
                        failed = self.judge(written).or(failed);
                        _ = done.send(());
                    }
                }
                let left_us = if hurry { 0 } else { until.micros_since(clock::now()).max(0) };
                next = requests.recv_timeout(Duration::from_micros(left_us.unsigned_abs())).ok();
            }
            let written = self.write_gathered();
            failed = self.judge(written).or(failed);
            if waiting.is_empty() {
                continue;
            }
            let begun = clock::now();
            let flushed = match self.trees.with(|trees| Ok(trees.db.flush()?)) {
                Ok(_) => failed,
                Err(error) => {
                    self.figures.failures.inc();
                    self.fail_all(&error.to_string());
                    Some(error.to_string())
                }
            };
            self.figures.flush.observe(clock::now().micros_since(begun).max(0) as f64 / 1e6);
            for done in waiting {
                // Who no longer waits need not know.
                _ = done.send(flushed.clone().map_or(Ok(()), |text| Err(StoreError::Writer(text))));
            }
        }
    }

    /// Writes what was gathered, as one.
    fn write_gathered(&mut self) -> Result<(), StoreError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for (key, record) in std::mem::take(&mut self.gathered) {
            match record {
                Some(record) => batch.insert(key.as_bytes(), record),
                None => batch.remove(key.as_bytes()),
            }
        }
        self.trees.with(|trees| Ok(trees.ledgers.apply_batch(batch)?))
    }

    /// Closes the database where something could not be written; the reason.
    fn judge(&self, written: Result<(), StoreError>) -> Option<String> {
        let text = written.err()?.to_string();
        self.figures.failures.inc();
        tracing::error!(error = text, "state cannot be written");
        self.fail_all(&text);
        Some(text)
    }

    fn apply(&mut self, id: &StreamId, write: Write) -> Result<(), StoreError> {
        // A plain record must not bring back what was refused or removed: it comes last and goes first.
        match write {
            Write::Ledger(records) => {
                self.gathered.extend(records);
                Ok(())
            }
            Write::Stream(record) => {
                self.write_gathered()?;
                self.trees.with(|trees| Ok(trees.streams.insert(id.as_str(), record.as_slice())?))?;
                self.keep(id, self.mirror.put(id, &record));
                Ok(())
            }
            Write::Removal => {
                self.write_gathered()?;
                self.writers.remove(id);
                self.keep(id, self.mirror.remove(id));
                self.trees.with(|trees| Ok(remove(id, trees)?))
            }
        }
    }

    /// The plain record matters only where the database has lost the stream, so the stream goes on without.
    fn keep(&self, id: &StreamId, kept: std::io::Result<()>) {
        if let Err(error) = kept {
            let folder = self.mirror.folder().display();
            tracing::error!(stream = %id, %error, "{folder}: the stream's plain record cannot be kept");
        }
    }

    /// Closes the database after a failure. What had not been flushed is lost to every stream, so each is told at
    /// its next write, and reads its ledger again.
    fn fail_all(&self, text: &str) {
        self.trees.close();
        self.opened.fetch_add(1, Ordering::SeqCst);
        lock(&self.faults).extend(self.writers.iter().map(|id| (id.clone(), text.to_owned())));
    }

    /// Opens the database again after a failure, if it can be by now.
    fn heal(&self) {
        // Without a failure of ours there is nothing to heal.
        if self.opened.load(Ordering::SeqCst) == 0 || self.trees.is_open() {
            return;
        }
        match self.trees.reopen() {
            Ok(()) => tracing::info!("the state can be written again"),
            Err(error) => tracing::error!(%error, "the state cannot be opened again yet"),
        }
    }
}

fn remove(id: &StreamId, trees: &Trees) -> Result<(), sled::Error> {
    trees.streams.remove(id.as_str())?;
    let mut batch = sled::Batch::default();
    for key in trees.ledgers.scan_prefix(format!("{id}/")).keys() {
        batch.remove(key?);
    }
    trees.ledgers.apply_batch(batch)
}

fn lock(faults: &Faults) -> MutexGuard<'_, BTreeMap<StreamId, String>> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}
