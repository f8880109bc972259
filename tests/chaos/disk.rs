//! A disk that is full, and state that is damaged.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::kit::content::Content;
use crate::kit::hls::Watch;
use crate::kit::live::LiveSource;
use crate::kit::overdub::Overdub;
use crate::kit::processor::EchoProcessor;
use crate::kit::{folder, wait};
use crate::scene::{LIMIT, STALL_S, Scene, assert_alive, listed, outage};
use crate::table::{Row, lasting};

/// A file system in memory; it goes away when dropped.
struct Memory(PathBuf);

impl Memory {
    fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Lazily: the program may still have files open when a test fails.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Writes zeros until there is no room, and then leaves so many bytes.
fn fill(path: &Path, left: u64) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    let len = file.metadata().unwrap().len();
    file.set_len(len - left).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_with_little_room_is_named_what_is_collected_still_airs_and_it_heals_when_space_returns() {
    // An eighth of the disk is kept for what is in flight; this is less.
    full(100, "disk full but for the reserve", 2 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_one_byte_left_is_named_and_heals_when_space_returns() {
    full(101, "disk full to the last byte", 0).await;
}

async fn full(order: u32, fault: &str, left: u64) {
    let time = lasting(6, 20);
    let mut row = Row::new(
        order,
        format!("{fault}, for {} s", time.as_secs()),
        "an error state that heals by itself; segments wait in the window, nothing is half written",
    );
    let folder = folder();
    let storage = folder.path().join("storage");
    let Some(memory) = Memory::mount(&storage, 48) else {
        return row.skipped("a tmpfs cannot be mounted here (that takes root)");
    };
    let content = Content::read(folder.path()).await.unwrap();
    let processor = EchoProcessor::start(folder.path(), std::time::Duration::ZERO).await.unwrap();
    let settings = [("OVERDUB__SUPERVISION__FAILED_RETRY", "10")];
    let overdub = Overdub::start_with(folder.path(), &settings).await.unwrap();
    let mut scene = Scene { folder, overdub, content, processor };
    let source = LiveSource::start(30).await.unwrap();
    let watch = scene.stream("s", &source, json!({})).await;
    listed(&watch, 3).await;
    let ballast = storage.join("ballast");
    fill(&ballast, left);
    let full_at = source.produced();
    let shown = scene
        .overdub
        .stream_until("s", "the full disk is named", LIMIT, |stream| {
            let reason = stream["reason"].as_str().unwrap_or_default().to_lowercase();
            reason.contains("disk full") || reason.contains("no space left")
        })
        .await;
    let state = shown["state"].as_str().unwrap_or_default();
    row.measured(format!("named after {} s as `{state}`", (source.produced() - full_at) * 2));
    outage(&source, time).await;
    fs::remove_file(&ballast).unwrap();
    let back = source.produced();
    wait::until("what came after is listed", LIMIT * 2, async || {
        let shown = scene.shown(&source, &watch, "video");
        shown.iter().any(|segment| segment.content >= Some(back as i64 + 2)).then_some(())
    })
    .await;
    let healed =
        scene.overdub.stream_until("s", "it runs", LIMIT, |stream| stream["state"] == "running").await;
    let found = scene.continuity(&source, &watch);
    row.measured(format!(
        "healed; {} segments, {} gaps, {} lost, longest pause {:.1} s",
        found.segments,
        found.gaps.len(),
        healed["source"]["lostSegments"],
        found.stall_s
    ));
    let missing: i64 = found.gaps.iter().map(|gap| gap.missing).sum();
    assert_eq!(missing, 0, "the source's window held everything: {found:?}");
    scene.overdub.stop("s").await;
    assert_eq!(scene.overdub.half_written(), Vec::<PathBuf>::new());
    assert_alive(&mut scene.overdub);
    scene.overdub.process.kill().await;
    drop(memory);
    row.held();
}

/// Files of the state folder that `wanted` names.
fn state_files(scene: &Scene, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![scene.overdub.storage.join("state")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())) {
                found.push(path);
            }
        }
    }
    found
}

fn backups(scene: &Scene) -> Vec<String> {
    let entries = fs::read_dir(&scene.overdub.storage).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(|name| name.starts_with("state.")).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_state_is_backed_up_said_loudly_and_never_a_crash_loop() {
    let mut row = Row::new(
        102,
        "state damaged: a snapshot, then its newest part lost, then all of it",
        "backed up, said loudly, never a crash loop; with a snapshot damaged nothing is forgotten, else the streams are there again",
    );
    let mut scene = Scene::start().await;
    let source = LiveSource::start(16).await.unwrap();
    let watch = scene.stream("s", &source, json!({})).await;
    listed(&watch, 3).await;
    // A snapshot is written when the state is opened.
    scene.overdub.process.kill().await;
    scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
    scene.overdub.process.signal("TERM").await;
    scene.overdub.process.ended(LIMIT).await;
    let snapshots = state_files(&scene, |name| name.starts_with("snap."));
    assert!(!snapshots.is_empty(), "no snapshot to damage");
    for path in &snapshots {
        fs::write(path, b"\xA5".repeat(fs::metadata(path).unwrap().len().max(64) as usize)).unwrap();
    }
    scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
    watch.follow(&scene.overdub.hls_url("s"));
    let before = watch.recorded("video").entries.len();
    listed(&watch, before + 2).await;
    assert!(scene.overdub.process.log().contains("ERROR"), "nothing was said of the snapshot");
    let found = scene.continuity(&source, &watch);
    row.measured(format!(
        "snapshot: backup `{}`, the stream goes on, {} gaps",
        backups(&scene).join("`, `"),
        found.gaps.len()
    ));
    assert_eq!(backups(&scene).len(), 1, "{:?}", backups(&scene));
    assert_eq!(found.gaps, [], "{found:?}");

    scene.overdub.process.signal("TERM").await;
    scene.overdub.process.ended(LIMIT).await;
    let state = scene.overdub.storage.join("state");
    let kept: Vec<_> =
        state_files(&scene, |_| true).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
    watch.follow(&scene.overdub.hls_url("s"));
    let before = watch.recorded("video").entries.len();
    listed(&watch, before + 6).await;
    scene.overdub.process.kill().await;
    fs::remove_dir_all(&state).unwrap();
    for (bytes, path) in kept {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
    wait::until("the loss is said", LIMIT, async || {
        scene.overdub.process.log().contains("the state has lost what it knew of batches").then_some(())
    })
    .await;
    let again = Watch::start(&scene.overdub.hls_url("s"));
    listed(&again, 2).await;
    let numbers = |watch: &Watch| {
        watch.recorded("video").entries.iter().map(|(entry, _, _)| entry.sequence).collect::<Vec<_>>()
    };
    let (first, last) = (numbers(&again)[0], *numbers(&watch).last().unwrap());
    assert!(first > last, "media sequence number {last} was aired, and {first} after it");
    row.measured("log without its newest part: said, and no number is used again");

    scene.overdub.process.kill().await;
    for path in state_files(&scene, |_| true) {
        fs::write(path, b"garbage\xff".repeat(9000)).unwrap();
    }
    for start in 0..3 {
        scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
        assert_eq!(scene.overdub.send("GET", "/readyz", b"").await.status, 200);
        let streams = scene.overdub.get("/api/streams").await["streams"].clone();
        assert_eq!(streams[0]["streamId"], "s", "start {start}: {streams}");
        // First without its settings, then without its snapshots; once each, however often it is started.
        let due = ["state.conf-0", "state.snapshots-0", "state.snapshots-1"];
        assert_eq!(backups(&scene), due, "start {start}");
        scene.overdub.process.kill().await;
    }
    let log = scene.overdub.process.log();
    assert!(log.matches("ERROR").count() >= 2, "{log}");
    scene.overdub = Overdub::start(scene.folder.path()).await.unwrap();
    let again = Watch::start(&scene.overdub.hls_url("s"));
    listed(&again, 2).await;
    let found = scene.continuity(&source, &again);
    let kept = backups(&scene).join("`, `");
    row.measured(format!("all: backups `{kept}`, three starts, the stream on air again by itself"));
    assert!(found.stall_s < STALL_S, "{found:?}");
    assert_alive(&mut scene.overdub);
    row.held();
}
