//! Opening a database that may be damaged, and what to do about what it has lost.

use std::path::{Path, PathBuf};

use super::mirror::Mirror;
use super::trees::Trees;
use super::{StoreError, StoredStream, decode};
use crate::settings::StreamId;

/// sled's settings, which it writes anew where there are none.
const SETTINGS: &str = "conf";

/// Moves a part of the state away; gives where to, or none where that part is not there or is well.
type SetAside = fn(&Path) -> Result<Option<PathBuf>, StoreError>;

/// Opens the database, without what is damaged of it.
pub(super) fn open(folder: &Path, warnings: &mut Vec<String>) -> Result<Trees, StoreError> {
    let mut error = match Trees::open(folder) {
        Ok(trees) => return Ok(trees),
        Err(error) => error,
    };
    let steps: [(&str, SetAside); 3] = [
        ("settings of the database were", set_aside_settings),
        ("snapshots were", set_aside_snapshots),
        ("whole state was", set_aside_all),
    ];
    for (what, set_aside) in steps {
        // Anything else (no space, no permission) is no reason to put the state away.
        if !is_damage(folder, &error) {
            return Err(in_words(error));
        }
        let Some(backup) = set_aside(folder)? else { continue };
        warnings.push(format!(
            "state in {} is damaged ({error}): its {what} moved to {}",
            folder.display(),
            backup.display()
        ));
        error = match Trees::open(folder) {
            Ok(trees) => return Ok(trees),
            Err(error) => error,
        };
    }
    Err(in_words(error))
}

/// Settings that are whole and unsupported are another version's.
fn is_damage(folder: &Path, error: &sled::Error) -> bool {
    !is_lock(error) && (matches!(error, sled::Error::Corruption { .. }) || settings_are_damaged(folder))
}

/// sled's settings end in their CRC-32, of which it takes no more notice than a warning.
fn settings_are_damaged(folder: &Path) -> bool {
    match std::fs::read(folder.join(SETTINGS)) {
        Ok(settings) => match settings.split_last_chunk::<4>() {
            Some((text, sum)) => crc32fast::hash(text) != u32::from_le_bytes(*sum),
            None => !settings.is_empty(),
        },
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

fn is_lock(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("acquire lock"))
}

fn in_words(error: sled::Error) -> StoreError {
    if is_lock(&error) { StoreError::InUse } else { error.into() }
}

/// Streams that their plain records know and the database does not are put back; records that lack are written.
/// The records are a help: where they cannot be read or written, that is said, and the streams go on without.
pub(super) fn lost_streams(
    trees: &Trees,
    mirror: &Mirror,
    warnings: &mut Vec<String>,
) -> Result<(), StoreError> {
    let folder = mirror.folder().display();
    let records = match mirror.read() {
        Ok(records) => records,
        Err(error) => {
            warnings.push(format!("{folder}: the streams' plain records cannot be read: {error}"));
            return Ok(());
        }
    };
    let mut back = false;
    for (id, record) in &records {
        let key = id.as_str().as_bytes();
        let known = trees.streams.get(key)?;
        if known.is_some_and(|known| decode::<StoredStream>(key, &known).is_ok()) {
            if let Err(error) = record {
                warnings.push(format!("{folder}: the plain record of stream {id} cannot be read: {error}"));
            }
            continue;
        }
        let whole = record.as_deref().map_err(ToString::to_string).and_then(|record| {
            let stored = decode::<StoredStream>(key, record).map_err(|error| error.to_string());
            stored.map(|_| record)
        });
        match whole {
            Ok(record) => {
                trees.streams.insert(key, record)?;
                back = true;
                warnings.push(format!(
                    "the state had lost stream {id}: it is there again with its settings, and begins anew without what had aired"
                ));
            }
            Err(error) => warnings.push(format!("the state has lost stream {id}, and {error}")),
        }
    }
    for entry in trees.streams.iter() {
        let (key, record) = entry?;
        let id = std::str::from_utf8(&key).ok().and_then(|id| StreamId::new(id).ok());
        if let Some(id) = id.filter(|id| !records.contains_key(id))
            && let Err(error) = mirror.put(&id, &record)
        {
            warnings.push(format!("{folder}: the plain record of stream {id} cannot be written: {error}"));
        }
    }
    if back {
        trees.db.flush()?;
    }
    Ok(())
}

fn set_aside_settings(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !settings_are_damaged(folder) {
        return Ok(None);
    }
    let settings = folder.join(SETTINGS);
    let backup = free_sibling(folder, SETTINGS);
    std::fs::rename(settings, &backup)
        .map_err(|source| StoreError::Folder { path: backup.clone(), source })?;
    Ok(Some(backup))
}

fn set_aside_snapshots(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Folder { path, source }
    };
    let backup = free_sibling(folder, "snapshots");
    std::fs::create_dir_all(&backup).map_err(at(&backup))?;
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            let target = backup.join(entry.file_name());
            std::fs::rename(entry.path(), &target).map_err(at(&target))?;
        }
    }
    Ok(Some(backup))
}

fn set_aside_all(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let target = free_sibling(folder, "damaged");
    std::fs::rename(folder, &target).map_err(|source| StoreError::Folder { path: target.clone(), source })?;
    Ok(Some(target))
}

/// `{folder}.{label}-{n}` with the lowest n that is free.
fn free_sibling(folder: &Path, label: &str) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (0_u32..)
        .map(|n| folder.with_file_name(format!("{name}.{label}-{n}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.with_extension(label))
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use crate::settings::{SourceOptions, StartAt, StreamId, StreamSettings};
    use crate::store::StoredStream;

    fn stream(id: &str) -> StoredStream {
        let settings = StreamSettings {
            stream_id: StreamId::new(id).unwrap(),
            source_url: "http://h/x.m3u8".to_owned(),
            buffer_duration: 30.0,
            delay: 10.0,
            max_concurrent_batches: 3,
            hls_output: true,
            start: StartAt::Live,
            source: SourceOptions::default(),
            renditions: Vec::new(),
        };
        StoredStream { settings, desired_running: true, ended: false }
    }

    /// A state with two streams, closed.
    async fn written(folder: &std::path::Path) -> std::path::PathBuf {
        let state = folder.join("state");
        let (store, warnings) = Store::open(&state).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        for id in ["a", "b"] {
            store.put_stream(&stream(id)).unwrap();
        }
        store.flush_all().await.unwrap();
        state
    }

    fn names(store: &Store) -> Vec<String> {
        let (streams, damaged) = store.streams().unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        streams.iter().map(|stream| stream.settings.stream_id.to_string()).collect()
    }

    #[tokio::test]
    async fn whatever_is_damaged_streams_are_there_again_and_it_is_said() {
        type Damage = fn(&std::path::Path);
        let cases: [(&str, Damage); 9] = [
            ("conf cut", |state| std::fs::write(state.join("conf"), "segment_si").unwrap()),
            ("conf of other bytes", |state| std::fs::write(state.join("conf"), [0xa5; 70]).unwrap()),
            ("conf with a digit changed", |state| {
                let text = std::fs::read(state.join("conf")).unwrap();
                let at = text.iter().position(u8::is_ascii_digit).unwrap();
                let digit = if text[at] == b'9' { b'1' } else { text[at] + 1 };
                let changed = [&text[..at], &[digit], &text[at + 1..]].concat();
                std::fs::write(state.join("conf"), changed).unwrap();
            }),
            ("conf with a bit flipped", |state| {
                let mut text = std::fs::read(state.join("conf")).unwrap();
                text[3] ^= 0x80;
                std::fs::write(state.join("conf"), text).unwrap();
            }),
            ("conf a folder", |state| {
                std::fs::remove_file(state.join("conf")).unwrap();
                std::fs::create_dir(state.join("conf")).unwrap();
            }),
            ("db empty", |state| std::fs::write(state.join("db"), []).unwrap()),
            ("db gone", |state| std::fs::remove_file(state.join("db")).unwrap()),
            ("db of other bytes", |state| {
                let len = std::fs::metadata(state.join("db")).unwrap().len() as usize;
                std::fs::write(state.join("db"), vec![0x5a; len]).unwrap();
            }),
            ("all of it gone", |state| std::fs::remove_dir_all(state).unwrap()),
        ];
        for (case, damage) in cases {
            let folder = tempfile::tempdir().unwrap();
            let state = written(folder.path()).await;
            damage(&state);
            let (store, warnings) = Store::open(&state).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(names(&store), ["a", "b"], "{case}");
            assert!(!warnings.is_empty(), "{case}: nothing is said");
            let kept = std::fs::read_dir(folder.path()).unwrap().flatten();
            let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("state.")).count();
            assert_eq!(kept, usize::from(case.starts_with("conf")), "{case}: what is damaged is kept");
            drop(store);
            let (store, warnings) = Store::open(&state).unwrap();
            assert_eq!((names(&store).len(), warnings), (2, vec![]), "{case}: all is well from then on");
        }
    }

    #[tokio::test]
    async fn what_was_deleted_stays_so_and_records_that_lack_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let state = written(folder.path()).await;
        let (store, _) = Store::open(&state).unwrap();
        store.remove_stream(&StreamId::new("a").unwrap()).unwrap();
        store.flush_all().await.unwrap();
        drop(store);
        std::fs::remove_dir_all(folder.path().join("streams")).unwrap();
        let (store, warnings) = Store::open(&state).unwrap();
        assert_eq!((names(&store), warnings), (vec!["b".to_owned()], vec![]));
        assert!(folder.path().join("streams/b.json").exists());
    }

    #[tokio::test]
    async fn plain_records_that_cannot_be_read_or_written_keep_nobody_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let state = written(folder.path()).await;
        let records = folder.path().join("streams");
        std::fs::remove_file(records.join("a.json")).unwrap();
        std::fs::create_dir(records.join("a.json")).unwrap();
        let (store, warnings) = Store::open(&state).unwrap();
        assert_eq!(names(&store), ["a", "b"]);
        assert!(matches!(warnings.as_slice(), [one] if one.contains("record of stream a cannot be read")));
        drop(store);
        std::fs::remove_dir_all(&records).unwrap();
        std::fs::write(&records, "no folder").unwrap();
        let (store, warnings) = Store::open(&state).unwrap();
        assert_eq!(names(&store), ["a", "b"]);
        assert!(matches!(warnings.as_slice(), [one] if one.contains("plain records cannot be read")));
        // What is there of a stream that the state has lost too is no stream: said, and the others go on.
        store.remove_stream(&StreamId::new("a").unwrap()).unwrap();
        store.flush_all().await.unwrap();
        drop(store);
        std::fs::remove_file(&records).unwrap();
        std::fs::create_dir_all(records.join("a.json")).unwrap();
        let (store, warnings) = Store::open(&state).unwrap();
        assert_eq!(names(&store), ["b"]);
        assert!(
            matches!(warnings.as_slice(), [one] if one.contains("has lost stream a, and")),
            "{warnings:?}"
        );
        assert!(records.join("b.json").exists());
    }

    #[tokio::test]
    async fn a_state_in_use_is_said_to_be_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = written(folder.path()).await;
        let (_store, warnings) = Store::open(&state).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let refused = Store::open(&state).err().unwrap().to_string();
        assert!(refused.contains("another overdub"), "{refused}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
