//! Where a stream's files lie, and how they are written: under a temporary name, then renamed.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::settings::{MAIN_RENDITION, StreamId};

/// Slices of one vectored write; Linux takes 1024 at most.
const SLICES: usize = 512;

/// The folders of one stream below the storage path (design, section 7).
#[derive(Debug, Clone)]
pub struct StreamFiles {
    originals: PathBuf,
    fragments: PathBuf,
}

impl StreamFiles {
    /// The stream's folders below `storage`.
    #[must_use]
    pub fn new(storage: &Path, id: &StreamId) -> Self {
        Self {
            originals: storage.join("original_stream").join(id.as_str()),
            fragments: storage.join("processed_fragments").join(id.as_str()),
        }
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

    /// Folder of one batch.
    #[must_use]
    pub fn batch(&self, number: u64) -> PathBuf {
        self.fragments.join(format!("batch-{number}"))
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
        let mut temporary = target.clone().into_os_string();
        temporary.push(".tmp");
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
