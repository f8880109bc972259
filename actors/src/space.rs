//! Room for media: a quota, and a reserve of the disk that is left to what is already in flight.
//!
//! Taking in nothing new while there is still a little room keeps the state writable and lets batches that
//! are collected go on air; the segments wait in the source's window meanwhile.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// Room that is left to batches in flight and the state: this much, or a part of a small disk.
const RESERVE_BYTES: u64 = 128 << 20;
/// Files that are left to them, or a part of what a small disk takes.
const RESERVE_FILES: u64 = 200;
/// The part: an eighth.
const RESERVE_PART: u64 = 8;

/// Whether new segments may be stored.
#[derive(Debug, Default)]
pub struct Space {
    folder: PathBuf,
    /// Bytes that all streams together may take; 0 for no quota.
    quota_bytes: u64,
    refusal: RwLock<Option<String>>,
}

/// The disk as it is, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Free for this process.
    pub free: u64,
    /// All of it.
    pub size: u64,
    /// What is left to batches in flight and the state.
    pub reserve: u64,
    /// Files that can still be made, and how many of them are left to batches in flight and the state; none where
    /// the file system has no such limit.
    pub files: Option<(u64, u64)>,
}

impl Disk {
    /// Why nothing new may be stored, if it may not.
    fn shortage(&self) -> Option<String> {
        if self.free < self.reserve {
            return Some(format!(
                "disk full: {} MiB are free and {} MiB are kept for what is in flight; free some space",
                self.free >> 20,
                self.reserve >> 20
            ));
        }
        let (free, reserve) = self.files.filter(|(free, reserve)| free < reserve)?;
        Some(format!(
            "disk full: it takes {free} more files and {reserve} are kept for what is in flight; remove some"
        ))
    }
}

impl Space {
    /// The room below `folder`, the root of the storage; unknown, and so granted, until it is first measured.
    #[must_use]
    pub fn new(folder: PathBuf, quota_bytes: u64) -> Self {
        Self { folder, quota_bytes, refusal: RwLock::default() }
    }

    /// Why nothing new may be stored, if it may not.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.refusal.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the disk; to be called off the arbiters' threads.
    pub fn measure(&self) {
        // A disk that cannot be looked at shows its trouble when it is written to.
        let refusal = self.shortage().unwrap_or_default();
        *self.refusal.write().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// Whether the disk itself has no room; one system call.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.disk().is_ok_and(|disk| disk.shortage().is_some())
    }

    /// Bytes that all streams together may take; 0 for no quota.
    #[must_use]
    pub fn quota_bytes(&self) -> u64 {
        self.quota_bytes
    }

    /// Looks at the disk; one system call.
    pub fn disk(&self) -> io::Result<Disk> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        let size = disk.f_blocks.saturating_mul(disk.f_frsize);
        let reserve = RESERVE_BYTES.min(size / RESERVE_PART);
        let reserve_files = RESERVE_FILES.min(disk.f_files / RESERVE_PART);
        let files = (disk.f_files > 0).then_some((disk.f_favail, reserve_files));
        Ok(Disk { free: disk.f_bavail.saturating_mul(disk.f_frsize), size, reserve, files })
    }

    fn shortage(&self) -> io::Result<Option<String>> {
        if let Some(shortage) = self.disk()?.shortage() {
            return Ok(Some(shortage));
        }
        if self.quota_bytes == 0 {
            return Ok(None);
        }
        let used = bytes_below(&self.folder)?;
        Ok((used >= self.quota_bytes).then(|| {
            format!(
                "quota reached: {used} of storage.quota_bytes = {} are used; raise it or clean up",
                self.quota_bytes
            )
        }))
    }
}

/// Bytes of all files below a folder; what vanishes meanwhile counts nothing.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_for_bytes_or_for_files_refuses() {
        let roomy = Disk { free: 1000, size: 8000, reserve: 1000, files: Some((200, 200)) };
        assert_eq!(roomy.shortage(), None);
        assert_eq!(Disk { files: None, ..roomy }.shortage(), None);
        assert!(Disk { free: 999, ..roomy }.shortage().unwrap().contains("free some space"));
        assert!(Disk { files: Some((199, 200)), ..roomy }.shortage().unwrap().contains("199 more files"));
    }

    #[test]
    fn a_quota_refuses_what_is_new_until_something_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::new(folder.path().to_owned(), 100);
        space.measure();
        assert_eq!(space.refusal(), None);
        let file = folder.path().join("a/b");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, [0; 101]).unwrap();
        space.measure();
        assert!(space.refusal().unwrap().contains("101 of storage.quota_bytes = 100"));
        std::fs::remove_file(file).unwrap();
        space.measure();
        assert_eq!(space.refusal(), None);
    }
}
