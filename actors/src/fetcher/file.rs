//! A segment's file: written under a temporary name off the arbiter's thread, renamed when it is whole.
//!
//! A segment of fMP4 has its init section at its head (some hundred bytes): so each file can be read, played and
//! removed by itself, whatever becomes of its neighbours.

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
    /// Its name without an ending, which its content decides.
    stem: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    bytes: u64,
    /// Bytes of the init section.
    init_bytes: u64,
    /// Whether that is MP4; it may be the tables of a transport stream (rfc8216bis 3.1.1).
    init_is_mp4: bool,
    /// First bytes behind the init section, to see what it is.
    head: Vec<u8>,
    /// Whether there is, or will be by a write under way, a temporary file to remove.
    temporary_exists: bool,
    /// Set when this is dropped, for a write that is still under way then.
    abandoned: Arc<AtomicBool>,
}

impl SegmentFile {
    /// `{directory}/{name}.ts`, or `.m4s` for fMP4; nothing is touched before there is something to write.
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        let stem = directory.join(name);
        let temporary = directory.join(format!("{name}.ts.{TEMPORARY}"));
        Self {
            stem,
            temporary,
            file: None,
            gathered: Vec::new(),
            gathered_bytes: 0,
            bytes: 0,
            init_bytes: 0,
            init_is_mp4: false,
            head: Vec::new(),
            temporary_exists: false,
            abandoned: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Where it will lie, by what it is.
    pub(super) fn path(&self) -> PathBuf {
        let ending = if self.init_is_mp4 || is_mp4(&self.head) { "m4s" } else { "ts" };
        let mut path = self.stem.clone().into_os_string();
        path.push(".");
        path.push(ending);
        path.into()
    }

    /// Bytes taken so far, those of the init section included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes taken so far behind the init section.
    pub(super) fn media_bytes(&self) -> u64 {
        self.bytes - self.init_bytes
    }

    /// Begins with an init section.
    pub(super) fn begin_with(&mut self, init: Bytes) {
        self.init_is_mp4 = is_mp4(&init);
        self.init_bytes += init.len() as u64;
        self.bytes += init.len() as u64;
        self.gathered_bytes += init.len();
        self.gathered.push(init);
    }

    /// Up to 16 of the first bytes behind the init section.
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
        self.write(Some(self.path())).await?;
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

/// ISO/IEC 14496-12 4.2: a box has its type behind its size; these are what a segment may begin with.
pub(super) fn is_mp4(head: &[u8]) -> bool {
    const FIRST: [&[u8]; 8] = [b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"prft", b"free"];
    head.get(4..8).is_some_and(|kind| FIRST.contains(&kind))
}

/// Whether a segment that begins so is MP4, a transport stream, or packed audio (rfc8216bis 3.1).
pub(super) fn is_media(head: &[u8]) -> bool {
    let is_mpeg_audio = matches!(head, [0xff, second, ..] if second & 0xe0 == 0xe0);
    is_mp4(head)
        || is_mpeg_audio
        || [&b"G"[..], b"ID3", b"\x0b\x77"].iter().any(|known| head.starts_with(known))
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
        let mut file = SegmentFile::new(&below, "segment-7");
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
        let mut file = SegmentFile::new(directory.path(), "segment-7");
        for _ in 0..=GATHER_PIECES {
            file.push(Bytes::from_static(b"x")).await.expect("a write");
        }
        assert_eq!(names(directory.path()), ["segment-7.ts.tmp"]);
        drop(file);
        assert!(names(directory.path()).is_empty());
    }

    #[tokio::test]
    async fn an_init_section_lies_at_the_head_and_is_not_taken_for_media() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut file = SegmentFile::new(directory.path(), "segment-7");
        file.begin_with(Bytes::from_static(b"\0\0\0\x08moov"));
        assert_eq!((file.media_bytes(), file.head()), (0, &[][..]));
        file.push(Bytes::from_static(b"\0\0\0\x08moof")).await.expect("memory");
        assert_eq!((file.media_bytes(), file.bytes()), (8, 16));
        let path = file.path();
        file.finish().await.expect("a rename");
        assert_eq!(names(directory.path()), ["segment-7.m4s"]);
        assert_eq!(std::fs::read(path).expect("the file"), b"\0\0\0\x08moov\0\0\0\x08moof");
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
