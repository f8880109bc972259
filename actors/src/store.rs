//! The state on disk: stream settings and ledgers in sled.
//!
//! One tree holds the streams, one their ledgers (`{id}/header`, `{id}/batch/{number}`). Values are JSON, so
//! that a person can read what a machine left behind. A transition is one sled batch.

mod figures;
mod mirror;
mod recover;
mod trees;
mod webhooks;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use figures::StoreFigures;
use mirror::Mirror;
use trees::{Lender, Trees};
pub use webhooks::StoredWebhook;
use writer::{Records, Write, Writer};

use crate::ledger::{BatchRecord, Changes, Header};
use crate::settings::{StreamId, StreamSettings};

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// sled's own error.
    #[error("state database: {0}")]
    Database(#[from] sled::Error),
    /// A record that is not what it should be.
    #[error("state record {key} cannot be read: {source}")]
    Record {
        /// Its key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// What it counts could not be made.
    #[error("figures of the state: {0}")]
    Figures(#[from] prometheus::Error),
    /// It could not be written, and has not been opened again yet.
    #[error("state database: a write failed, and it could not be opened again yet")]
    Closed,
    /// The thread that writes could not.
    #[error("state cannot be written: {0}")]
    Writer(String),
    /// Another process has it open.
    #[error(
        "state is in use: another overdub runs with this storage; end it, or give this one a storage of its own"
    )]
    InUse,
    /// The folder could not be made or moved.
    #[error("state folder {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A stream as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredStream {
    /// Its settings.
    pub settings: StreamSettings,
    /// Whether it is wanted to run.
    pub desired_running: bool,
    /// Whether its source has ended and all has aired.
    #[serde(default)]
    pub ended: bool,
}

/// The state database. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    trees: Arc<Lender>,
    writer: Arc<Writer>,
}

impl Store {
    /// Opens or creates the database below `folder`. What of it is damaged is set aside, as little as will do: its
    /// settings, its snapshots, or all of it; streams that it has lost come back from their plain records. Whatever
    /// was done is returned as warnings to be said loudly.
    pub fn open(folder: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let mut warnings = Vec::new();
        let trees = recover::open(folder, &mut warnings)?;
        let mirror = Mirror::beside(folder);
        recover::lost_streams(&trees, &mirror, &mut warnings)?;
        let (trees, figures) = (Arc::new(Lender::new(folder, trees)), StoreFigures::new()?);
        let writer = Arc::new(Writer::start(trees.clone(), mirror, figures)?);
        Ok((Self { trees, writer }, warnings))
    }

    /// Lets the state's own figures be seen.
    pub fn register_metrics(&self, registry: &prometheus::Registry) -> Result<(), StoreError> {
        Ok(self.writer.figures().register(registry)?)
    }

    /// All stored streams. One that cannot be read is left out and reported beside the others.
    pub fn streams(&self) -> Result<(Vec<StoredStream>, Vec<StoreError>), StoreError> {
        self.writer.settle();
        let (mut streams, mut damaged) = (Vec::new(), Vec::new());
        self.trees.with(|trees| {
            for entry in trees.streams.iter() {
                let (key, value) = entry?;
                match decode(&key, &value) {
                    Ok(stream) => streams.push(stream),
                    Err(error) => damaged.push(error),
                }
            }
            Ok(())
        })?;
        Ok((streams, damaged))
    }

    /// Writes a stream; call [`Store::flush`] before acting on it.
    pub fn put_stream(&self, stream: &StoredStream) -> Result<(), StoreError> {
        let key = stream.settings.stream_id.as_str();
        self.writer.write(&stream.settings.stream_id, Write::Stream(encode(key, stream)?))
    }

    /// Forgets a stream and its ledger.
    pub fn remove_stream(&self, id: &StreamId) -> Result<(), StoreError> {
        self.writer.write(id, Write::Removal)
    }

    /// A stream's ledger; empty for a new one. Transitions that could not be stored are forgotten with this.
    pub fn ledger(&self, id: &StreamId) -> Result<(Header, Vec<BatchRecord>), StoreError> {
        self.writer.settle_for(id);
        self.trees.with(|trees| {
            let header = match trees.ledgers.get(header_key(id))? {
                Some(value) => decode(header_key(id).as_bytes(), &value)?,
                None => Header::default(),
            };
            let mut batches = Vec::new();
            for entry in trees.ledgers.scan_prefix(format!("{id}/batch/")) {
                let (key, value) = entry?;
                batches.push(decode(&key, &value)?);
            }
            Ok((header, batches))
        })
    }

    /// What can be read of a damaged ledger. Records that cannot are moved to the tree `damaged`, so that they
    /// neither mix with new ones nor are met again at each start. Without its header a ledger begins anew, but
    /// its numbers go on: all of its records are set aside.
    pub fn salvage_ledger(&self, id: &StreamId) -> Result<(Header, Vec<BatchRecord>), StoreError> {
        self.writer.settle();
        self.trees.with(|trees| salvage(trees, id))
    }

    /// Hands over one transition of a stream's ledger, written whole or not at all. Fails if one before could not
    /// be written.
    pub fn commit(&self, id: &StreamId, changes: &Changes) -> Result<(), StoreError> {
        let mut records = Records::new();
        if let Some(header) = &changes.header {
            let key = header_key(id);
            let record = encode(&key, header)?;
            records.insert(key, Some(record));
        }
        for record in &changes.batches {
            let key = batch_key(id, record.number);
            let record = encode(&key, record)?;
            records.insert(key, Some(record));
        }
        records.extend(changes.forgotten.iter().map(|number| (batch_key(id, *number), None)));
        self.writer.write(id, Write::Ledger(records))
    }

    /// Waits until everything written is on disk.
    pub async fn flush_all(&self) -> Result<(), StoreError> {
        self.writer.flush_all().await
    }

    /// Waits until everything written of the stream is on disk.
    pub async fn flush(&self, id: &StreamId) -> Result<(), StoreError> {
        self.writer.flush(id).await
    }
}

fn salvage(trees: &Trees, id: &StreamId) -> Result<(Header, Vec<BatchRecord>), StoreError> {
    let header = match trees.ledgers.get(header_key(id))? {
        Some(value) => decode::<Header>(header_key(id).as_bytes(), &value),
        None => Ok(Header::default()),
    };
    let (mut batches, mut aside) = (Vec::new(), Vec::new());
    for entry in trees.ledgers.scan_prefix(format!("{id}/")) {
        let (key, value) = entry?;
        let is_header = *key == *header_key(id).as_bytes();
        match decode::<BatchRecord>(&key, &value) {
            Ok(batch) if !is_header => batches.push(batch),
            _ if is_header && header.is_ok() => continue,
            _ => {}
        }
        let kept = header.is_ok()
            && batches.last().is_some_and(|batch| *batch_key(id, batch.number).as_bytes() == *key);
        if !kept {
            aside.push((key, value));
        }
    }
    let damaged = trees.db.open_tree("damaged")?;
    for (key, value) in aside {
        damaged.insert(&key, value)?;
        trees.ledgers.remove(&key)?;
    }
    Ok(match header {
        Ok(header) => (header, batches),
        Err(_) => {
            let header = Header::following(&batches);
            let key = header_key(id);
            trees.ledgers.insert(&key, encode(&key, &header)?)?;
            (header, Vec::new())
        }
    })
}

fn header_key(id: &StreamId) -> String {
    format!("{id}/header")
}

fn batch_key(id: &StreamId, number: u64) -> String {
    // Twenty digits hold any u64, so keys sort by number.
    format!("{id}/batch/{number:020}")
}

fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Record { key: key.to_owned(), source })
}

fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value)
        .map_err(|source| StoreError::Record { key: String::from_utf8_lossy(key).into_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StreamId {
        StreamId::new(text).unwrap()
    }

    #[test]
    fn a_ledger_comes_back_in_order_of_batch_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let (store, warnings) = Store::open(&folder.path().join("state")).unwrap();
        assert!(warnings.is_empty());
        let header = Header { open_batch: 11, ..Header::default() };
        let batches = [9, 10, 2].map(record).to_vec();
        let changes = Changes { header: Some(header.clone()), batches, ..Changes::default() };
        store.commit(&id("a"), &changes).unwrap();
        store.commit(&id("a-b"), &Changes { batches: vec![record(7)], ..Changes::default() }).unwrap();
        let (read, batches) = store.ledger(&id("a")).unwrap();
        assert_eq!(read, header);
        assert_eq!(batches.iter().map(|b| b.number).collect::<Vec<_>>(), [2, 9, 10]);
        store.remove_stream(&id("a")).unwrap();
        assert_eq!(store.ledger(&id("a")).unwrap(), (Header::default(), vec![]));
        assert_eq!(store.ledger(&id("a-b")).unwrap().1.len(), 1);
    }

    #[tokio::test]
    async fn what_is_written_and_flushed_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        store.commit(&id("a"), &Changes { batches: vec![record(1)], ..Changes::default() }).unwrap();
        store.flush(&id("a")).await.unwrap();
        let figures = store.writer.figures();
        assert_eq!((figures.writes.get(), figures.failures.get(), figures.queued.get()), (1, 0, 0));
        assert_eq!(figures.flush.get_sample_count(), 1);
    }

    #[tokio::test]
    async fn hundreds_of_streams_flush_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        let transitions = (0..200).map(|stream| {
            let store = store.clone();
            async move {
                let id = id(&format!("s{stream}"));
                for number in 0..10 {
                    store.commit(&id, &Changes { batches: vec![record(number)], ..Changes::default() })?;
                    store.flush(&id).await?;
                }
                Ok::<_, StoreError>(store.ledger(&id)?.1.len())
            }
        });
        let all = futures_util::future::join_all(transitions);
        let counts = tokio::time::timeout(std::time::Duration::from_secs(60), all).await.unwrap();
        assert!(counts.into_iter().all(|count| count.unwrap() == 10));
    }

    #[test]
    fn damaged_state_is_set_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        {
            let (store, _) = Store::open(&state).unwrap();
            let changes = Changes { batches: (0..50).map(record).collect(), ..Changes::default() };
            store.commit(&id("a"), &changes).unwrap();
            store.writer.settle();
            store.trees.with(|trees| Ok(trees.db.flush()?)).unwrap();
        }
        // The newest snapshot is the one read; where none was written yet, a torn one takes its place.
        let snapshot = std::fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap."))
            .max()
            .unwrap_or_else(|| state.join("snap.0000000000000001"));
        std::fs::write(&snapshot, [0x5a; 64]).unwrap();
        let (store, warnings) = Store::open(&state).unwrap();
        assert!(!warnings.is_empty());
        assert!(folder.path().join("state.snapshots-0").exists());
        // Whatever could be recovered, the database takes writes again.
        store.commit(&id("b"), &Changes { batches: vec![record(1)], ..Changes::default() }).unwrap();
        assert_eq!(store.ledger(&id("b")).unwrap().1.len(), 1);
    }

    #[test]
    fn a_damaged_record_is_set_aside_once_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        let header = Header { open_batch: 3, ..Header::default() };
        let batches = (0..3).map(record).collect();
        store
            .commit(&id("a"), &Changes { header: Some(header.clone()), batches, ..Changes::default() })
            .unwrap();
        store.writer.settle();
        damage(&store, &batch_key(&id("a"), 1));
        assert!(matches!(store.ledger(&id("a")), Err(StoreError::Record { .. })));
        let (read, batches) = store.salvage_ledger(&id("a")).unwrap();
        assert_eq!((read, batches.iter().map(|b| b.number).collect::<Vec<_>>()), (header, vec![0, 2]));
        assert_eq!(store.ledger(&id("a")).unwrap().1.len(), 2);
    }

    #[test]
    fn a_ledger_without_its_header_begins_anew_with_numbers_that_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        let last = BatchRecord { hls_sequence: 40, hls_segments: 2, ..record(9) };
        store.commit(&id("a"), &Changes { batches: vec![record(8), last], ..Changes::default() }).unwrap();
        store.writer.settle();
        damage(&store, &header_key(&id("a")));
        let (header, batches) = store.salvage_ledger(&id("a")).unwrap();
        assert_eq!((header.open_batch, header.hls_sequence, batches.len()), (10, 42, 0));
        assert_eq!(store.ledger(&id("a")).unwrap(), (header, vec![]));
    }

    fn damage(store: &Store, key: &str) {
        store.trees.with(|trees| Ok(trees.ledgers.insert(key, b"{".as_slice())?)).unwrap();
    }

    #[tokio::test]
    async fn after_a_write_that_failed_everybody_is_told_once_and_what_was_flushed_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        let change = |number: u64| Changes { batches: vec![record(number)], ..Changes::default() };
        for name in ["a", "b"] {
            store.commit(&id(name), &change(1)).unwrap();
        }
        store.flush(&id("a")).await.unwrap();
        // As sled is after it could not write.
        store.trees.close();
        assert!(matches!(store.ledger(&id("a")), Err(StoreError::Closed)));
        store.commit(&id("a"), &change(2)).unwrap();
        assert!(store.flush(&id("a")).await.is_err(), "what was not written is not on disk");
        assert!(store.commit(&id("b"), &change(2)).is_err(), "b is told as well");
        // The lock of the one that is closed is given back by a thread of sled's own.
        let opened = async {
            while matches!(store.ledger(&id("a")), Err(StoreError::Closed)) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), opened).await.unwrap();
        for name in ["a", "b"] {
            assert_eq!(store.ledger(&id(name)).unwrap().1.len(), 1);
            store.commit(&id(name), &change(2)).unwrap();
        }
        store.flush(&id("b")).await.unwrap();
        assert_eq!(store.ledger(&id("b")).unwrap().1.len(), 2);
    }

    fn record(number: u64) -> BatchRecord {
        serde_json::from_value(serde_json::json!({
            "number": number, "segments": [], "discontinuity": false, "collected_at": 1, "demuxed_at": null,
            "demux_failures": 0, "media": null, "clock": null, "hls_sequence": 0, "hls_discontinuities": 0,
            "hls_segments": 0, "renditions": [], "aired": {}, "published_at": null, "cleaned_at": null, "skipped": null
        }))
        .unwrap()
    }
}
