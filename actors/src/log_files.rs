//! A log of each stream's own: `logs/{streamId}/processing.log` below the storage, one JSON object a line.
//!
//! One thread writes for all streams, so that no arbiter waits for a disk. What it cannot keep up with is dropped
//! and counted; a file that has grown to its length is set aside, and the oldest set aside goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::events::{LogLevel, LogLine};
use crate::files::StreamFiles;
use crate::requests::LogEntry;
use crate::settings::StreamId;

/// Name of the newest file; those set aside bear `.1` (the newer) and `.2` behind it.
const NAME: &str = "processing.log";
/// Files set aside.
const SET_ASIDE: u32 = 2;
/// Length at which a file is set aside.
const MAX_LEN: u64 = 4 * 1024 * 1024;
/// Lines that may wait for the disk.
const QUEUE: usize = 4096;
/// What is read at a time, from a file's end on, to answer for its last lines.
const PIECE: u64 = 256 * 1024;

/// The writer's end for those who log. Cloning shares it; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct LogFiles {
    queue: SyncSender<Job>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Line(Box<LogLine>),
    Forget(StreamId),
    /// Tell when everything before is written.
    Settle(SyncSender<()>),
}

impl LogFiles {
    /// Starts the writer for the logs below `storage`.
    pub fn start(storage: &Path) -> io::Result<Self> {
        Self::with_max_len(storage, MAX_LEN)
    }

    fn with_max_len(storage: &Path, max_len: u64) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let writer = Writer {
            storage: storage.to_owned(),
            max_len,
            dropped: dropped.clone(),
            failing: BTreeSet::new(),
        };
        std::thread::Builder::new().name("log-files".to_owned()).spawn(move || writer.run(&jobs))?;
        Ok(Self { queue, dropped })
    }

    /// Writes the line to its stream's log; one of no stream is left out. Never waits.
    pub fn write(&self, line: LogLine) {
        if line.stream_id.is_some() && self.queue.try_send(Job::Line(Box::new(line))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Removes a stream's log, whatever of it is still to be written too.
    pub fn forget(&self, stream: StreamId) {
        // A writer that is gone writes nothing that would have to be forgotten.
        _ = self.queue.send(Job::Forget(stream));
    }

    /// Waits until everything is written. Blocks.
    pub fn settle(&self) {
        let (done, settled) = sync_channel(1);
        if self.queue.send(Job::Settle(done)).is_ok() {
            _ = settled.recv();
        }
    }
}

struct Writer {
    storage: PathBuf,
    max_len: u64,
    dropped: Arc<AtomicU64>,
    /// Streams whose files cannot be written.
    failing: BTreeSet<StreamId>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut texts = BTreeMap::<StreamId, String>::new();
            for job in std::iter::once(first).chain(jobs.try_iter().take(QUEUE)) {
                match job {
                    Job::Line(line) => {
                        if let Some(stream) = &line.stream_id {
                            let text = texts.entry(stream.clone()).or_default();
                            text.push_str(&written(&line).to_string());
                            text.push('\n');
                        }
                    }
                    Job::Forget(stream) => {
                        texts.remove(&stream);
                        let files = StreamFiles::new(&self.storage, &stream);
                        let removed = std::fs::remove_dir_all(files.logs());
                        if let Err(error) = removed
                            && error.kind() != io::ErrorKind::NotFound
                        {
                            tracing::error!(%error, "the log files of {stream} cannot be removed");
                        }
                        self.failing.remove(&stream);
                    }
                    Job::Settle(done) => {
                        self.write_all(std::mem::take(&mut texts));
                        _ = done.send(());
                    }
                }
            }
            self.write_all(texts);
        }
    }

    fn write_all(&mut self, texts: BTreeMap<StreamId, String>) {
        for (stream, text) in texts {
            let files = StreamFiles::new(&self.storage, &stream);
            let written = append(files.logs(), &text, self.max_len);
            self.judge(&stream, written);
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(lines = dropped, "lines were logged faster than their files could be written");
        }
    }

    /// Says once that a stream's files cannot be written, and once that they can again. These lines are of no
    /// stream, so that they do not come back here.
    fn judge(&mut self, stream: &StreamId, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => {
                if self.failing.remove(stream) {
                    tracing::info!("the log files of {stream} can be written again");
                }
            }
            Err(error) => {
                if self.failing.insert(stream.clone()) {
                    tracing::error!(%error, "the log files of {stream} cannot be written");
                }
            }
        }
    }
}

fn written(line: &LogLine) -> Value {
    json!({
        "at": rfc3339(line.at),
        "level": line.level,
        "message": line.message,
        "fields": line.fields,
        "target": line.target,
    })
}

fn append(folder: &Path, text: &str, max_len: u64) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(NAME);
    let len = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if len > 0 && len + text.len() as u64 > max_len {
        for number in (0..SET_ASIDE).rev() {
            match std::fs::rename(numbered(folder, number), numbered(folder, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    // A disk that was full may have left half a line.
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    file.write_all(text.as_bytes())
}

fn numbered(folder: &Path, number: u32) -> PathBuf {
    match number {
        0 => folder.join(NAME),
        number => folder.join(format!("{NAME}.{number}")),
    }
}

/// The last `limit` lines as grave as `level`, the newest last. Blocks.
pub(crate) fn last_lines(folder: &Path, level: LogLevel, limit: usize) -> io::Result<Vec<LogEntry>> {
    let mut newest_first = Vec::new();
    for number in 0..=SET_ASIDE {
        let file = match File::open(numbered(folder, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        add_last_lines(&file, level, limit, &mut newest_first)?;
    }
    newest_first.reverse();
    Ok(newest_first)
}

/// Adds lines of a file, the newest first, until there are `limit`.
fn add_last_lines(
    mut file: &File,
    level: LogLevel,
    limit: usize,
    newest_first: &mut Vec<LogEntry>,
) -> io::Result<()> {
    let mut end = file.metadata()?.len();
    // The end of a line that begins before what has been read.
    let mut rest = Vec::new();
    while end > 0 && newest_first.len() < limit {
        let begin = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.take(end - begin).read_to_end(&mut bytes)?;
        bytes.append(&mut rest);
        end = begin;
        let whole = match bytes.iter().position(|byte| *byte == b'\n') {
            _ if begin == 0 => 0,
            Some(newline) => newline + 1,
            None => bytes.len(),
        };
        let lines = String::from_utf8_lossy(&bytes[whole..]);
        let entries = lines.lines().rev().filter_map(|line| entry(line, level));
        newest_first.extend(entries.take(limit - newest_first.len()));
        bytes.truncate(whole);
        rest = bytes;
    }
    Ok(())
}

/// A line as written; none where it is not grave enough, or cut.
fn entry(line: &str, most: LogLevel) -> Option<LogEntry> {
    let Value::Object(mut line) = serde_json::from_str(line).ok()? else { return None };
    let level = LogLevel::of_name(line.get("level")?.as_str()?).filter(|level| *level <= most)?;
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let fields = match line.remove("fields") {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    Some(LogEntry { at: text(line.remove("at")), level, message: text(line.remove("message")), fields })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMicros;

    fn id(text: &str) -> StreamId {
        StreamId::new(text).unwrap()
    }

    fn line(stream: &str, level: LogLevel, number: i64) -> LogLine {
        let mut fields = Map::new();
        fields.insert("batch".to_owned(), number.into());
        LogLine {
            at: UnixMicros(number * 1000),
            level,
            target: "overdub_actors".to_owned(),
            message: format!("line {number}"),
            stream_id: Some(id(stream)),
            fields,
        }
    }

    fn read(storage: &Path, stream: &str, level: LogLevel, limit: usize) -> Vec<String> {
        let files = StreamFiles::new(storage, &id(stream));
        let entries = last_lines(files.logs(), level, limit).unwrap();
        entries.into_iter().map(|entry| entry.message).collect()
    }

    #[test]
    fn each_stream_has_its_own_lines_and_the_last_ones_are_given() {
        let storage = tempfile::tempdir().unwrap();
        let files = LogFiles::start(storage.path()).unwrap();
        for number in 0..10 {
            let level = if number % 2 == 0 { LogLevel::Info } else { LogLevel::Error };
            files.write(line("a", level, number));
        }
        files.write(line("b", LogLevel::Warn, 99));
        files.write(LogLine { stream_id: None, ..line("a", LogLevel::Error, 100) });
        files.settle();
        assert_eq!(read(storage.path(), "a", LogLevel::Info, 3), ["line 7", "line 8", "line 9"]);
        assert_eq!(read(storage.path(), "a", LogLevel::Error, 2), ["line 7", "line 9"]);
        assert_eq!(read(storage.path(), "b", LogLevel::Debug, 5), ["line 99"]);
        assert_eq!(read(storage.path(), "c", LogLevel::Debug, 5), [""; 0]);
        let text = std::fs::read_to_string(storage.path().join("logs/b/processing.log")).unwrap();
        let value: Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(value["at"], "1970-01-01T00:00:00.099Z");
        assert_eq!((&value["level"], &value["fields"]["batch"]), (&json!("warn"), &json!(99)));
    }

    #[test]
    fn files_are_set_aside_at_their_length_and_the_oldest_goes() {
        let storage = tempfile::tempdir().unwrap();
        let files = LogFiles::with_max_len(storage.path(), 1000).unwrap();
        for number in 0..100 {
            files.write(line("a", LogLevel::Info, number));
            files.settle();
        }
        let folder = storage.path().join("logs/a");
        let mut lens: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| (entry.as_ref().unwrap().file_name(), entry.unwrap().metadata().unwrap().len()))
            .collect();
        lens.sort();
        assert_eq!(lens.len(), 3, "{lens:?}");
        assert!(lens.iter().all(|(_, len)| (1..=1000).contains(len)), "{lens:?}");
        let lines = read(storage.path(), "a", LogLevel::Info, 12);
        assert_eq!(lines, (88..100).map(|number| format!("line {number}")).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_error_is_found_however_far_back_and_though_the_newest_file_is_gone() {
        let storage = tempfile::tempdir().unwrap();
        let files = LogFiles::with_max_len(storage.path(), 2 * PIECE).unwrap();
        files.write(line("a", LogLevel::Error, 0));
        files.write(line("a", LogLevel::Error, 1));
        for number in 2..8000 {
            files.write(line("a", LogLevel::Info, number));
            if number % 100 == 0 {
                files.settle();
            }
        }
        files.settle();
        let newest = storage.path().join("logs/a/processing.log");
        assert!(std::fs::metadata(&newest).unwrap().len() > PIECE);
        assert_eq!(read(storage.path(), "a", LogLevel::Error, 5), ["line 0", "line 1"]);
        let all = read(storage.path(), "a", LogLevel::Info, 10_000);
        assert_eq!(all, (0..8000).map(|number| format!("line {number}")).collect::<Vec<_>>());
        std::fs::remove_file(newest).unwrap();
        assert_eq!(read(storage.path(), "a", LogLevel::Error, 1), ["line 1"]);
    }

    #[test]
    fn half_a_line_costs_no_other() {
        let storage = tempfile::tempdir().unwrap();
        let files = LogFiles::start(storage.path()).unwrap();
        let path = storage.path().join("logs/a/processing.log");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "{\"at\":\"1970-01-01T00:00:00.000Z\",\"mess").unwrap();
        files.write(line("a", LogLevel::Info, 1));
        files.write(line("a", LogLevel::Info, 2));
        files.settle();
        assert_eq!(read(storage.path(), "a", LogLevel::Info, 5), ["line 1", "line 2"]);
    }

    #[test]
    fn a_stream_that_is_forgotten_leaves_no_log_behind_though_lines_were_waiting() {
        let storage = tempfile::tempdir().unwrap();
        let files = LogFiles::start(storage.path()).unwrap();
        for number in 0..50 {
            files.write(line("a", LogLevel::Info, number));
            files.write(line("b", LogLevel::Info, number));
        }
        files.forget(id("a"));
        files.settle();
        assert!(!storage.path().join("logs/a").exists());
        assert_eq!(read(storage.path(), "b", LogLevel::Info, 100).len(), 50);
    }
}
