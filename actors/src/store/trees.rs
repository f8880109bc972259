//! The open database, which is opened again after it could not be written.
//!
//! sled takes nothing more once a write has failed, whatever becomes of the disk. All of its handles have to go
//! before its folder can be opened anew, so they are lent from here and nobody keeps one.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::StoreError;

/// sled's default cache of 1 GB would be most of what the process holds.
const CACHE_BYTES: u64 = 16 << 20;

/// The database and its trees.
#[derive(Debug)]
pub(super) struct Trees {
    pub db: sled::Db,
    pub streams: sled::Tree,
    pub ledgers: sled::Tree,
}

impl Trees {
    /// Opens or creates the database in `folder`.
    pub fn open(folder: &Path) -> Result<Self, sled::Error> {
        let db = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).open()?;
        let (streams, ledgers) = (db.open_tree("streams")?, db.open_tree("ledgers")?);
        Ok(Self { db, streams, ledgers })
    }
}

/// Trees on loan.
#[derive(Debug)]
pub(super) struct Lender {
    folder: PathBuf,
    /// None from a write that failed until the database could be opened again.
    trees: RwLock<Option<Trees>>,
}

impl Lender {
    pub fn new(folder: &Path, trees: Trees) -> Self {
        Self { folder: folder.to_owned(), trees: RwLock::new(Some(trees)) }
    }

    /// Does something with the trees.
    pub fn with<T>(&self, work: impl FnOnce(&Trees) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.read() {
            Some(trees) => work(trees),
            None => Err(StoreError::Closed),
        }
    }

    pub fn is_open(&self) -> bool {
        self.read().is_some()
    }

    /// Closes the database: what was written since the last flush may be lost, as in a crash.
    pub fn close(&self) {
        *self.trees.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Opens it again where it is closed.
    pub fn reopen(&self) -> Result<(), sled::Error> {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        if trees.is_none() {
            *trees = Some(Trees::open(&self.folder)?);
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Trees>> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner)
    }
}
