//! The one thread that writes: transitions in the order they were given, and one flush for all who wait.
//!
//! sled's own asynchronous flushes block threads of the pool that has to write what they wait for: a few dozen
//! streams that flush at once lock it up for good. And applying a batch waits for a flush under way, which an
//! arbiter's thread must not.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::StoreError;
use super::figures::StoreFigures;
use crate::clock;
use crate::settings::StreamId;

/// Something to write, whole or not at all.
#[derive(Debug)]
pub(super) enum Write {
    /// A transition of a stream's ledger.
    Ledger(sled::Batch),
    /// A stream's record, JSON.
    Stream(Vec<u8>),
    /// Nothing of the stream is kept.
    Removal,
}

enum Request {
    Write(StreamId, Write),
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
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        db: sled::Db,
        streams: sled::Tree,
        ledgers: sled::Tree,
        figures: StoreFigures,
    ) -> Result<Self, StoreError> {
        let (requests, received) = channel();
        let faults = Faults::default();
        let work = Work { db, streams, ledgers, faults: faults.clone(), figures: figures.clone() };
        let thread = std::thread::Builder::new()
            .name("state-writer".to_owned())
            .spawn(move || work.run(&received))
            .map_err(|error| StoreError::Writer(error.to_string()))?;
        Ok(Self { requests: Some(requests), faults, figures, thread: Some(thread) })
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
        if let Some(fault) = lock(&self.faults).remove(id) {
            return Err(StoreError::Writer(fault));
        }
        self.request(Request::Write(id.clone(), write))
    }

    /// Waits until everything handed over is on disk.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let (done, waiting) = oneshot::channel();
        self.request(Request::Flush(done))?;
        waiting.await.unwrap_or_else(|_| Err(StoreError::Writer("its thread has ended".to_owned())))
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
    db: sled::Db,
    streams: sled::Tree,
    ledgers: sled::Tree,
    faults: Faults,
    figures: StoreFigures,
}

impl Work {
    fn run(&self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut waiting = Vec::new();
            let mut failed = None;
            // Whoever asked while the last flush was under way shares the next one.
            for request in std::iter::once(first).chain(requests.try_iter()) {
                self.figures.queued.dec();
                match request {
                    Request::Write(id, write) => {
                        self.figures.writes.inc();
                        if let Err(error) = self.apply(&id, write) {
                            self.figures.failures.inc();
                            let text = error.to_string();
                            tracing::error!(stream = %id, error = text, "state cannot be written");
                            lock(&self.faults).insert(id, text.clone());
                            failed = Some(text);
                        }
                    }
                    Request::Flush(done) => waiting.push(done),
                    Request::Barrier(done) => _ = done.send(()),
                }
            }
            if waiting.is_empty() {
                continue;
            }
            let begun = clock::now();
            let flushed = match self.db.flush() {
                Ok(_) => failed,
                Err(error) => {
                    self.figures.failures.inc();
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

    fn apply(&self, id: &StreamId, write: Write) -> Result<(), sled::Error> {
        match write {
            Write::Ledger(batch) => self.ledgers.apply_batch(batch),
            Write::Stream(record) => self.streams.insert(id.as_str(), record).map(|_| ()),
            Write::Removal => {
                self.streams.remove(id.as_str())?;
                let mut batch = sled::Batch::default();
                for key in self.ledgers.scan_prefix(format!("{id}/")).keys() {
                    batch.remove(key?);
                }
                self.ledgers.apply_batch(batch)
            }
        }
    }
}

fn lock(faults: &Faults) -> MutexGuard<'_, BTreeMap<StreamId, String>> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}
