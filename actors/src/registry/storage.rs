//! Measuring and removing a stream's files.

use std::io;

use crate::files::{StreamFiles, entries, folder_size};
use crate::requests::{RequestError, StorageView};

pub(super) async fn measure(files: Vec<StreamFiles>) -> Result<StorageView, RequestError> {
    let work = move || -> io::Result<StorageView> {
        let mut view = StorageView::default();
        for files in &files {
            view.original_stream_size += folder_size(files.originals())?;
            for entry in entries(files.fragments())? {
                let name = entry.file_name().to_string_lossy().into_owned();
                let number = name.strip_prefix("batch-").and_then(|number| number.parse::<u64>().ok());
                view.processed_fragments_size += folder_size(&entry.path())?;
                if let Some(number) = number {
                    view.oldest_batch = Some(view.oldest_batch.map_or(number, |oldest| oldest.min(number)));
                    view.newest_batch = Some(view.newest_batch.map_or(number, |newest| newest.max(number)));
                }
            }
        }
        view.total_size = view.original_stream_size + view.processed_fragments_size;
        Ok(view)
    };
    blocking(work).await
}

/// Removes all files of a stream.
pub(super) async fn purge(files: StreamFiles) -> Result<(), RequestError> {
    blocking(move || {
        for folder in [files.originals(), files.fragments()] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RequestError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| RequestError::Storage(error.to_string())),
        Err(error) => Err(RequestError::Storage(format!("work on the blocking pool ended: {error}"))),
    }
}
