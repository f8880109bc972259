//! A segment's file: written under a temporary name off the arbiter's thread, renamed when it is whole.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

/// Bytes gathered before they are written; a usual segment goes out in one call.
const GATHER_BYTES: usize = 1 << 20;

/// Pieces gathered before they are written; a server that sends single bytes cannot make them many.
const GATHER_PIECES: usize = 1024;

const TEMPORARY: &str = "tmp";

/// A segment's file that is not yet whole. Dropping it removes what was written.
pub(super) struct SegmentFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    bytes: u64,
    /// First bytes, to see what it is.
    head: Vec<u8>,
    /// Whether there is, or will be by a write under way, a temporary file to remove.
    temporary_exists: bool,
    /// Set when this is dropped, for a write that is still under way then.
    abandoned: Arc<AtomicBool>,
}

impl SegmentFile {
    /// `{directory}/segment-{number}.ts`; nothing is touched before there is something to write.
    pub(super) fn new(directory: &Path, number: u64) -> Self {
        let path = directory.join(format!("segment-{number}.ts"));
        let temporary = path.with_extension(format!("ts.{TEMPORARY}"));
        Self {
            path,
            temporary,
            file: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            bytes: 0,
            head: Vec::new(),
            temporary_exists: false,
            abandoned: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Where it will lie.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes taken so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Up to 16 of its first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Adds bytes to its end.
    pub(super) async fn push(&mut self, chunk: Bytes) -> io::Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let missing = 16usize.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        self.bytes += chunk.len() as u64;
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes < GATHER_BYTES && self.gathered.len() < GATHER_PIECES {
            return Ok(());
        }
        self.write(None).await
    }

    /// Writes what is left and gives it its name.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        self.write(Some(self.path.clone())).await?;
        self.temporary_exists = false;
        Ok(())
    }

    async fn write(&mut self, name: Option<PathBuf>) -> io::Result<()> {
        let (file, pieces) = (self.file.take(), std::mem::take(&mut self.gathered));
        self.gathered_bytes = 0;
        self.temporary_exists = true;
        let (temporary, abandoned) = (self.temporary.clone(), Arc::clone(&self.abandoned));
        let work = move || {
            let result = write_step(file, &temporary, &pieces, name.as_deref(), &abandoned);
            if result.is_err() || abandoned.load(Ordering::SeqCst) {
                // On a full disk every byte counts; and whoever dropped this could not remove it meanwhile.
                let _ = std::fs::remove_file(&temporary);
            }
            result
        };
        let file = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??;
        self.file = Some(file);
        Ok(())
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        // A write under way either sees this, or has ended: then its file is here to be removed.
        self.abandoned.store(true, Ordering::SeqCst);
        if self.temporary_exists {
            // One unlink; a task for it could outlive its successor's next try under the same name.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes `pieces`; gives the file its `name`, if that is its end and it is still wanted.
fn write_step(
    file: Option<File>,
    temporary: &Path,
    pieces: &[Bytes],
    name: Option<&Path>,
    abandoned: &AtomicBool,
) -> io::Result<File> {
    let mut file = match file {
        Some(file) => file,
        None => create(temporary)?,
    };
    write_all(&mut file, pieces)?;
    if let Some(name) = name
        && !abandoned.load(Ordering::SeqCst)
    {
        std::fs::rename(temporary, name)?;
    }
    Ok(file)
}

fn create(path: &Path) -> io::Result<File> {
    match File::create(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            File::create(path)
        }
        result => result,
    }
}

fn write_all(file: &mut File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes what an earlier run left half written; call it where files are not to be had yet and it does nothing.
pub(super) fn remove_temporary(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("segment-") && name.ends_with(&format!(".{TEMPORARY}")) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("a directory").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_bears_its_name_only_when_it_is_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let below = directory.path().join("new").join("stream");
        let mut file = SegmentFile::new(&below, 7);
        let piece = Bytes::from(vec![7; 700_000]);
        for _ in 0..3 {
            file.push(piece.clone()).await.expect("a write");
        }
        assert_eq!(names(&below), ["segment-7.ts.tmp"]);
        assert_eq!((file.bytes(), file.head()), (2_100_000, &[7; 16][..]));
        file.finish().await.expect("a rename");
        assert_eq!(names(&below), ["segment-7.ts"]);
        assert_eq!(std::fs::read(below.join("segment-7.ts")).expect("the file"), vec![7; 2_100_000]);
    }

    #[tokio::test]
    async fn a_file_that_is_dropped_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = SegmentFile::new(directory.path(), 7);
        for _ in 0..=GATHER_PIECES {
            file.push(Bytes::from_static(b"x")).await.expect("a write");
        }
        assert_eq!(names(directory.path()), ["segment-7.ts.tmp"]);
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn leftovers_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["segment-1.ts", "segment-2.ts.tmp", "other.tmp"] {
            std::fs::write(directory.path().join(name), b"x").expect("a file");
        }
        remove_temporary(directory.path());
        assert_eq!(names(directory.path()), ["other.tmp", "segment-1.ts"]);
        remove_temporary(&directory.path().join("missing"));
    }
}
