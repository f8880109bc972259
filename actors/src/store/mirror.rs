//! Each stream's record once more, as a plain file: what is wanted must not be lost with the database.
//!
//! A database takes damage to its log for the end of what was written, and opens with less in it and no word of that.
//! The ledgers are too busy to be written twice, but a stream without one begins anew; one that is forgotten does not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::files::{AtomicFile, entries, unless_gone};
use crate::settings::StreamId;

/// Ending of the records' names.
const ENDING: &str = ".json";

/// The folder of the records.
#[derive(Debug, Clone)]
pub(super) struct Mirror {
    folder: PathBuf,
}

impl Mirror {
    /// Beside the database in `state`.
    pub fn beside(state: &Path) -> Self {
        Self { folder: state.with_file_name("streams") }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a stream's record, whole or not at all.
    pub fn put(&self, id: &StreamId, record: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut file = AtomicFile::create(self.path(id))?;
        file.write_chunks(&[Bytes::copy_from_slice(record)])?;
        file.sync()?;
        file.finish()
    }

    /// Forgets a stream.
    pub fn remove(&self, id: &StreamId) -> io::Result<()> {
        unless_gone(std::fs::remove_file(self.path(id)))
    }

    /// All records, by stream, each as far as it can be read.
    pub fn read(&self) -> io::Result<BTreeMap<StreamId, io::Result<Vec<u8>>>> {
        let mut records = BTreeMap::new();
        for entry in entries(&self.folder)? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.strip_suffix(ENDING).and_then(|id| StreamId::new(id).ok());
            if let Some(id) = id {
                records.insert(id, std::fs::read(entry.path()));
            }
        }
        Ok(records)
    }

    fn path(&self, id: &StreamId) -> PathBuf {
        self.folder.join(format!("{id}{ENDING}"))
    }
}
