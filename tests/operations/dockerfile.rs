//! The Dockerfile, by the rules that hadolint has (their numbers stand beside them).

use std::collections::BTreeSet;
use std::process::Command;

use crate::files::text;
use crate::kit::{folder, root};

const DOCKERFILE: &str = "deploy/Dockerfile";

/// A name and what follows it.
type Instruction = (String, String);

/// One stage: the image it stands on, its own name, its instructions.
struct Stage {
    image: String,
    alias: String,
    own: Vec<Instruction>,
}

/// Instructions, lines joined and comments left out.
fn instructions() -> Vec<Instruction> {
    let text = text(DOCKERFILE);
    let bare: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = bare.join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    let split = lines.map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line}")));
    split
        .map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn stages() -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (name, rest) in instructions() {
        if name == "FROM" {
            let (image, alias) = rest.split_once(" AS ").unwrap_or_else(|| panic!("{rest} has no name"));
            stages.push(Stage { image: image.to_owned(), alias: alias.to_owned(), own: Vec::new() });
        } else {
            stages.last_mut().unwrap().own.push((name, rest));
        }
    }
    stages
}

#[test]
fn images_have_versions_and_stages_have_names() {
    let stages = stages();
    let aliases: BTreeSet<&str> = stages.iter().map(|stage| stage.alias.as_str()).collect();
    assert_eq!(aliases.len(), stages.len(), "DL3024");
    assert!(stages.len() >= 3, "what builds is not what runs");
    for image in stages.iter().map(|stage| &stage.image).filter(|image| !aliases.contains(image.as_str())) {
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("DL3006: {image}"));
        assert!(tag != "latest", "DL3007: {image}");
    }
}

#[test]
fn what_runs_is_not_root_and_tells_how_it_is() {
    let stages = stages();
    let last = stages.last().unwrap();
    let base = stages.iter().filter(|stage| stage.alias == last.image);
    let all: Vec<&Instruction> = base.chain([last]).flat_map(|stage| &stage.own).collect();
    let value = |wanted: &str| {
        all.iter().rev().find(|instruction| instruction.0 == wanted).map(|instruction| instruction.1.as_str())
    };
    let user = value("USER").expect("DL3002: a user");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 999)), "DL3002: {user}");
    let health = value("HEALTHCHECK").expect("a health check");
    assert!(health.contains("CMD [\"overdub\", \"health\""), "{health}");
    for wanted in ["ENTRYPOINT", "CMD"] {
        assert!(value(wanted).unwrap().starts_with('['), "DL3025: {wanted} is a list");
    }
    assert_eq!(value("STOPSIGNAL"), Some("SIGTERM"), "a stop drains");
    // What builds is not carried along.
    assert!(!stages.iter().any(|stage| ["build", "page"].contains(&stage.image.as_str())));
}

#[test]
fn each_instruction_is_as_it_should_be() {
    for Stage { alias, own, .. } in stages() {
        for (name, rest) in own {
            let line = format!("{alias}: {name} {rest}");
            assert!(!["ADD", "MAINTAINER"].contains(&name.as_str()), "DL3020, DL4000: {line}");
            if name == "WORKDIR" {
                assert!(rest.starts_with('/'), "DL3000: {line}");
            }
            if name != "RUN" {
                continue;
            }
            assert!(!rest.split_whitespace().any(|word| word == "sudo"), "DL3004: {line}");
            assert!(!rest.contains('|'), "DL4006: a pipe hides a failure: {line}");
            assert!(!rest.contains("apt-get upgrade"), "DL3005: {line}");
            if rest.contains("apt-get install") {
                assert!(rest.contains("apt-get update &&"), "DL3009: {line}");
                assert!(rest.contains("install -y --no-install-recommends"), "DL3014, DL3015: {line}");
                assert!(rest.contains("rm -rf /var/lib/apt/lists/*"), "DL3009: {line}");
            }
            if rest.contains("cargo build") {
                assert!(rest.contains("--locked") && rest.contains("--release"), "{line}");
            }
        }
    }
}

#[test]
fn what_is_copied_is_there_and_is_let_through() {
    let ignored = text(".dockerignore");
    let let_through: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut known: Vec<String> = Vec::new();
    for Stage { alias, own, .. } in stages() {
        for (_, rest) in own.iter().filter(|(name, _)| name == "COPY") {
            let mut words: Vec<&str> = rest.split(' ').collect();
            words.pop();
            if let Some(from) = words[0].strip_prefix("--from=") {
                assert!(known.iter().any(|stage| stage == from), "DL3022: {rest}");
                continue;
            }
            for source in words {
                assert!(root().join(source).exists(), "{alias}: {source} is not there");
                let passes =
                    let_through.iter().any(|path| source == *path || source.starts_with(&format!("{path}/")));
                assert!(passes, "{alias}: .dockerignore holds {source} back");
            }
        }
        known.push(alias);
    }
}

#[test]
fn what_is_copied_is_all_that_the_workspace_consists_of() {
    let folder = folder();
    let stages = stages();
    let build = stages.iter().find(|stage| stage.alias == "build").unwrap();
    for (_, rest) in build.own.iter().filter(|(name, rest)| name == "COPY" && !rest.starts_with("--from=")) {
        let words: Vec<&str> = rest.split(' ').collect();
        for source in &words[..words.len() - 1] {
            std::os::unix::fs::symlink(root().join(source), folder.path().join(source)).unwrap();
        }
    }
    // Cargo reads every manifest, and looks for each target's file, before it misses this one.
    let cargo = Command::new(env!("CARGO"))
        .args(["check", "--locked", "--offline", "--bin", "nosuch"])
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&cargo.stderr);
    assert!(said.contains("no bin target named `nosuch`"), "{said}");
}
