//! Who may know whom: `media` knows nobody, `actors` knows `media`, `web` knows `actors`, the binary knows all.
//!
//! Read from `cargo metadata`, so a dependency that slips in fails here and not in a review.

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const OURS: [&str; 4] = ["overdub", "overdub-media", "overdub-actors", "overdub-web"];

/// Crates that bring a runtime, a socket or a database; none may come near `media`, however far down.
const IMPURE: [&str; 10] =
    ["tokio", "actix", "actix-rt", "actix-web", "actix-http", "awc", "mio", "socket2", "sled", "rustls"];

/// Crates that `media` may not use itself, though parsers that it stands on log or know calendars.
const INDIRECT: [&str; 4] = ["chrono", "log", "time", "tracing"];

/// What `media` may not touch of the standard library.
const IMPURE_PATHS: [&str; 6] =
    ["std::fs", "std::net", "std::process", "std::thread", "std::time::Instant", "std::time::SystemTime"];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Ours that each of ours depends on: for its own code (and build), and for its tests.
fn edges(metadata: &Value) -> BTreeMap<&str, [BTreeSet<&str>; 2]> {
    let ours = array(&metadata["packages"]).filter(|package| OURS.contains(&text(&package["name"])));
    ours.map(|package| {
        let to_ours = |of_tests: bool| {
            array(&package["dependencies"])
                .filter(|dependency| (dependency["kind"].as_str() == Some("dev")) == of_tests)
                .map(|dependency| text(&dependency["name"]))
                .filter(|name| OURS.contains(name))
                .collect()
        };
        (text(&package["name"]), [to_ours(false), to_ours(true)])
    })
    .collect()
}

/// Names of all crates that `name`'s own code is built with, however far down.
fn closure<'a>(metadata: &'a Value, name: &str) -> BTreeSet<&'a str> {
    let names: BTreeMap<&str, &str> =
        array(&metadata["packages"]).map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let nodes: BTreeMap<&str, &Value> =
        array(&metadata["resolve"]["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let mut waiting: Vec<&str> = names.iter().filter(|(_, n)| **n == name).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        for dependency in array(&nodes[id]["deps"]) {
            let built_in = array(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
            if built_in && seen.insert(text(&dependency["pkg"])) {
                waiting.push(text(&dependency["pkg"]));
            }
        }
    }
    seen.into_iter().map(|id| names[id]).collect()
}

#[test]
fn our_crates_know_each_other_only_as_the_design_says() {
    let metadata = metadata();
    let edges = edges(&metadata);
    let allowed: [(&str, &[&str]); 4] = [
        ("overdub", &["overdub-actors", "overdub-media", "overdub-web"]),
        ("overdub-actors", &["overdub-media"]),
        ("overdub-media", &[]),
        ("overdub-web", &["overdub-actors"]),
    ];
    for (name, allowed) in allowed {
        let [own, of_tests] = &edges[name];
        assert_eq!(*own, allowed.iter().copied().collect(), "what {name} depends on");
        assert!(of_tests.is_subset(own), "{name}'s tests know no more than {name}: {of_tests:?}");
    }
    let members = array(&metadata["workspace_members"]).count();
    assert_eq!(members, OURS.len(), "a new crate needs its place in the design, and here");
}

#[test]
fn media_is_pure() {
    let metadata = metadata();
    let closure = closure(&metadata, "overdub-media");
    assert!(closure.contains("bytes"), "the closure is empty, so nothing is checked: {closure:?}");
    let impure: Vec<&&str> = closure.iter().filter(|name| IMPURE.contains(name)).collect();
    assert!(impure.is_empty(), "overdub-media is built with {impure:?}");
    let media = array(&metadata["packages"]).find(|package| package["name"] == "overdub-media").unwrap();
    let own = array(&media["dependencies"]).filter(|dependency| dependency["kind"].is_null());
    let indirect: Vec<&str> = own.map(|d| text(&d["name"])).filter(|name| INDIRECT.contains(name)).collect();
    assert!(indirect.is_empty(), "overdub-media uses {indirect:?}");
}

#[test]
fn media_touches_no_file_socket_process_thread_or_clock() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("media/src")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // A file of unit tests may do what its module may not.
        if name == "tests.rs"
            || name.ends_with("_tests.rs")
            || file.components().any(|c| c.as_os_str() == "tests")
        {
            continue;
        }
        let source = std::fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        for path in IMPURE_PATHS {
            assert!(!code.contains(path), "{} uses {path}", file.display());
        }
    }
}
