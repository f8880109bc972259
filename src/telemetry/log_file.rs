//! `log.file`, which can be opened again after somebody has moved it away.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// The open file; clones share it.
#[derive(Clone)]
pub struct LogFile {
    path: PathBuf,
    file: Arc<Mutex<Arc<File>>>,
}

impl LogFile {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = Arc::new(Mutex::new(Arc::new(open(path)?)));
        Ok(Self { path: path.to_owned(), file })
    }

    /// Goes on in what lies at the path now. The old file is kept where that cannot be opened.
    pub fn reopen(&self) -> io::Result<()> {
        let file = Arc::new(open(&self.path)?);
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Arc<File>;

    fn make_writer(&self) -> Arc<File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_left_alone_once_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let file = LogFile::open(&path).unwrap();
        let clone = file.clone();
        clone.make_writer().write_all(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        clone.make_writer().write_all(b"two\n").unwrap();
        file.reopen().unwrap();
        clone.make_writer().write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read(&moved).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(file.reopen().is_err());
        clone.make_writer().write_all(b"into what is gone\n").unwrap();
    }
}
