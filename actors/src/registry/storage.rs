//! Measuring and removing a stream's files.

use std::fs::File;
use std::io::{self, Read};

use crate::files::{StreamFiles, entries, folder_size, rendition_file, unless_gone};
use crate::link::sniff::sniff;
use crate::log_files::LogFiles;
use crate::messages::AudioFormat;
use crate::requests::{AudioTrack, GetBatchAudio, LiveResource, RequestError, StorageView};
use crate::settings::StreamId;

/// Enough of a file to know its format by.
const HEAD_LEN: u64 = 1024;

pub(super) async fn measure(files: Vec<StreamFiles>) -> Result<StorageView, RequestError> {
    blocking(move || media_of(&files)).await
}

/// What a stream takes, and bytes of its own log.
pub(super) async fn measure_with_log(files: StreamFiles) -> Result<(StorageView, u64), RequestError> {
    blocking(move || Ok((media_of(std::slice::from_ref(&files))?, folder_size(files.logs())?))).await
}

fn media_of(files: &[StreamFiles]) -> io::Result<StorageView> {
    let mut view = StorageView::default();
    for files in files {
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
}

/// The file of a batch's sound, its type told from its first bytes.
pub(super) fn batch_audio(files: &StreamFiles, wanted: &GetBatchAudio) -> io::Result<Option<LiveResource>> {
    let name = match wanted.track {
        AudioTrack::Original => "audio.fmp4".to_owned(),
        AudioTrack::Processed => rendition_file("processed_audio", wanted.rendition.as_str()),
        AudioTrack::Fitted => rendition_file("fitted_audio", wanted.rendition.as_str()),
    };
    let path = files.batch(wanted.batch).join(name);
    let mut head = Vec::new();
    match File::open(&path) {
        Ok(file) => _ = file.take(HEAD_LEN).read_to_end(&mut head)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let content_type = match sniff(&head) {
        Some(AudioFormat::Mp4) => "audio/mp4",
        Some(AudioFormat::MpegTs) => "video/mp2t",
        Some(AudioFormat::Adts) => "audio/aac",
        Some(AudioFormat::Wav) => "audio/wav",
        Some(AudioFormat::Mp3) => "audio/mpeg",
        Some(AudioFormat::Ogg) => "audio/ogg",
        Some(AudioFormat::Flac) => "audio/flac",
        None => "application/octet-stream",
    };
    Ok(Some(LiveResource::File { path, content_type, patches: Vec::new() }))
}

/// Removes all files of a stream.
pub(super) async fn purge(
    files: StreamFiles,
    log_files: Option<LogFiles>,
    id: StreamId,
) -> Result<(), RequestError> {
    blocking(move || {
        if let Some(log_files) = log_files {
            log_files.forget(id);
        }
        for folder in [files.originals(), files.fragments()] {
            unless_gone(std::fs::remove_dir_all(folder))?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RequestError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| RequestError::Storage(error.to_string())),
        Err(error) => Err(RequestError::Storage(format!("work on the blocking pool ended: {error}"))),
    }
}
