//! Where a stream's files lie, and how they are written: under a temporary name, then renamed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::settings::{MAIN_RENDITION, StreamId};

/// Ending of temporary names.
const TEMPORARY: &str = ".tmp";

/// Files begun by this process.
static WRITERS: AtomicU64 = AtomicU64::new(0);

/// Slices of one vectored write; Linux takes 1024 at most.
const SLICES: usize = 512;

/// Whether a file could not be written because the disk, or what its user may have of it, is full.
pub(crate) fn is_for_want_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reads `len` bytes at `offset`, into memory that is not zeroed first; fewer are an error.
pub(crate) fn read_range(mut file: &File, offset: u64, len: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    file.seek(SeekFrom::Start(offset))?;
    let read = file.take(len).read_to_end(&mut bytes)?;
    if read as u64 == len { Ok(bytes.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Numbers of the batches and segments whose files are wanted.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    pub batches: BTreeSet<u64>,
    pub segments: BTreeSet<u64>,
}

/// The highest numbers that files bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewestFiles {
    /// Of a batch's folder.
    pub batch: Option<u64>,
    /// Of a segment's file.
    pub segment: Option<u64>,
}

/// The folders of one stream below the storage path (design, section 7).
#[derive(Debug, Clone)]
pub struct StreamFiles {
    stream: StreamId,
    originals: PathBuf,
    fragments: PathBuf,
    logs: PathBuf,
}

impl StreamFiles {
    /// The stream's folders below `storage`.
    #[must_use]
    pub fn new(storage: &Path, id: &StreamId) -> Self {
        Self {
            stream: id.clone(),
            originals: storage.join("original_stream").join(id.as_str()),
            fragments: storage.join("processed_fragments").join(id.as_str()),
            logs: storage.join("logs").join(id.as_str()),
        }
    }

    /// Whose they are.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.stream.as_str()
    }

    /// Folder of the source's segments.
    #[must_use]
    pub fn originals(&self) -> &Path {
        &self.originals
    }

    /// Folder of the batches' folders.
    #[must_use]
    pub fn fragments(&self) -> &Path {
        &self.fragments
    }

    /// Folder of the stream's own log.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Folder of one batch.
    #[must_use]
    pub fn batch(&self, number: u64) -> PathBuf {
        self.fragments.join(format!("batch-{number}"))
    }

    /// Makes the folders, and removes what a process that was killed left half written in those of the batches.
    /// (The fetcher does so in its own.)
    pub(crate) fn prepare(&self) -> io::Result<()> {
        for folder in [&self.originals, &self.fragments] {
            std::fs::create_dir_all(folder).map_err(at(folder))?;
        }
        for folder in entries(&self.fragments).map_err(at(&self.fragments))? {
            if !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            for file in entries(&folder.path()).map_err(at(&folder.path()))? {
                if file.file_name().to_string_lossy().ends_with(TEMPORARY) {
                    unless_gone(std::fs::remove_file(file.path())).map_err(at(&file.path()))?;
                }
            }
        }
        Ok(())
    }

    /// Removes batches and segments that are not known: those of a run whose state was lost, or that ended before
    /// they were a batch's. Returns how many.
    pub(crate) fn remove_unknown(&self, known: &KnownFiles) -> io::Result<u64> {
        let mut removed = 0;
        for (number, folder) in numbered(&self.fragments, "batch-")? {
            if !known.batches.contains(&number) {
                unless_gone(std::fs::remove_dir_all(&folder)).map_err(at(&folder))?;
                removed += 1;
            }
        }
        for (number, file) in numbered(&self.originals, "segment-")? {
            if !known.segments.contains(&number) {
                unless_gone(std::fs::remove_file(&file)).map_err(at(&file))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The highest numbers of batches and segments on disk.
    pub(crate) fn newest(&self) -> io::Result<NewestFiles> {
        let highest = |folder, prefix| {
            Ok::<_, io::Error>(numbered(folder, prefix)?.into_iter().map(|(number, _)| number).max())
        };
        Ok(NewestFiles {
            batch: highest(&self.fragments, "batch-")?,
            segment: highest(&self.originals, "segment-")?,
        })
    }

    /// Init section of an epoch's video; it outlives the batches.
    #[must_use]
    pub fn video_init(&self, epoch: u32) -> PathBuf {
        self.fragments.join("init").join(format!("epoch-{epoch}-video.mp4"))
    }

    /// Init section of an epoch's audio.
    #[must_use]
    pub fn audio_init(&self, epoch: u32) -> PathBuf {
        self.fragments.join("init").join(format!("epoch-{epoch}-audio.mp4"))
    }
}

/// Name of a batch's file that all renditions but `main` have with their own name in it.
#[must_use]
pub fn rendition_file(stem: &str, rendition: &str) -> String {
    if rendition == MAIN_RENDITION { format!("{stem}.fmp4") } else { format!("{stem}.{rendition}.fmp4") }
}

/// What of a folder is named with this prefix and a number; half of all numbers are beyond what is counted up to.
fn numbered(folder: &Path, prefix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let number = |entry: &std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let digits: String = name.strip_prefix(prefix)?.chars().take_while(char::is_ascii_digit).collect();
        Some((digits.parse::<i64>().ok()?.unsigned_abs(), entry.path()))
    };
    Ok(entries(folder).map_err(at(folder))?.iter().filter_map(number).collect())
}

/// Lets an error say which file it is about.
fn at(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

/// What removing came to; that it is gone already is as good.
pub(crate) fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What a folder holds; nothing where there is none.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Bytes of the files in a folder; files that vanish meanwhile count nothing.
pub(crate) fn folder_size(folder: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in entries(folder)? {
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => size += metadata.len(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size)
}

/// A file that bears its name only when it is complete.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    position: u64,
    finished: bool,
}

impl AtomicFile {
    /// Begins `target` under a temporary name beside it.
    pub fn create(target: PathBuf) -> io::Result<Self> {
        // Each writer has a name of its own: one that was given up as hung may still write beside its successor.
        let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
        let mut temporary = target.clone().into_os_string();
        temporary.push(format!(".{writer}{TEMPORARY}"));
        let temporary = PathBuf::from(temporary);
        let file = File::create(&temporary)?;
        Ok(Self { file, temporary, target, position: 0, finished: false })
    }

    /// Bytes written so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes all chunks without joining them.
    pub fn write_chunks(&mut self, chunks: &[Bytes]) -> io::Result<()> {
        for group in chunks.chunks(SLICES) {
            let mut slices: Vec<IoSlice<'_>> = group.iter().map(|chunk| IoSlice::new(chunk)).collect();
            let mut rest = slices.as_mut_slice();
            // An empty first slice would make write_vectored look like the end of the disk.
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match self.file.write_vectored(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        self.position += written as u64;
                        IoSlice::advance_slices(&mut rest, written);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Puts what is written on the disk itself, so that it outlives a loss of power.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> io::Result<()> {
        std::fs::rename(&self.temporary, &self.target)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.finished {
            // Whoever failed to write it has said so; what is left over is worth nothing.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_half_written_is_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let files = StreamFiles::new(folder.path(), &StreamId::new("a").unwrap());
        files.prepare().unwrap();
        for (number, name) in [(0, "video.fmp4.7.tmp"), (0, "video.fmp4"), (1, "audio.fmp4.tmp")] {
            std::fs::create_dir_all(files.batch(number)).unwrap();
            std::fs::write(files.batch(number).join(name), b"x").unwrap();
        }
        files.prepare().unwrap();
        assert_eq!(folder_size(&files.batch(0)).unwrap(), 1);
        assert_eq!(folder_size(&files.batch(1)).unwrap(), 0);
    }

    #[test]
    fn a_full_disk_and_a_users_quota_are_want_of_space() {
        let full =
            std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().write(&[0]).unwrap_err();
        assert!(is_for_want_of_space(&full));
        // EDQUOT, EIO.
        assert!(is_for_want_of_space(&io::Error::from_raw_os_error(122)));
        assert!(!is_for_want_of_space(&io::Error::from_raw_os_error(5)));
    }

    #[test]
    fn only_what_is_known_stays() {
        let root = tempfile::tempdir().unwrap();
        let files = StreamFiles::new(root.path(), &StreamId::new("a").unwrap());
        for batch in [1, 2, 12] {
            std::fs::create_dir_all(files.batch(batch)).unwrap();
            std::fs::write(files.batch(batch).join("video.fmp4"), [0]).unwrap();
        }
        std::fs::create_dir_all(files.originals()).unwrap();
        std::fs::create_dir_all(files.fragments().join("init")).unwrap();
        let absurd = format!("segment-{}.ts", u64::MAX);
        for name in ["segment-1.ts", "segment-2.ts", "segment-2.audio-7.ts", "segment-21.m4s", &absurd] {
            std::fs::write(files.originals().join(name), [0]).unwrap();
        }
        assert_eq!(files.newest().unwrap(), NewestFiles { batch: Some(12), segment: Some(21) });
        let known = KnownFiles { batches: [2].into(), segments: [2].into() };
        assert_eq!(files.remove_unknown(&known).unwrap(), 4);
        let left = |folder: &Path| {
            let entries = entries(folder).unwrap().into_iter();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(left(files.fragments()), ["batch-2", "init"]);
        assert_eq!(left(files.originals()), [absurd.as_str(), "segment-2.audio-7.ts", "segment-2.ts"]);
    }

    #[test]
    fn a_writer_that_was_given_up_does_not_spoil_its_successors_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.fmp4");
        let mut hung = AtomicFile::create(target.clone()).unwrap();
        hung.write_chunks(&[Bytes::from_static(b"ab")]).unwrap();
        let mut successor = AtomicFile::create(target.clone()).unwrap();
        successor.write_chunks(&[Bytes::from_static(b"abc")]).unwrap();
        hung.write_chunks(&[Bytes::from_static(b"XXXX")]).unwrap();
        drop(hung);
        successor.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"abc");
    }

    #[test]
    fn a_file_bears_its_name_only_when_complete() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.fmp4");
        let mut file = AtomicFile::create(target.clone()).unwrap();
        file.write_chunks(&[Bytes::new(), Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")])
            .unwrap();
        assert_eq!(file.position(), 3);
        assert!(!target.exists());
        file.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"abc");
        drop(AtomicFile::create(target).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
