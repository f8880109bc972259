//! The hosted CI's workflow.

use crate::files::{entries, list, text, yaml};
use crate::kit::root;

const WORKFLOW: &str = ".github/workflows/ci.yml";

#[test]
fn ci_runs_what_the_repository_says() {
    let workflow = yaml(WORKFLOW);
    let steps = || entries(&workflow["jobs"]).flat_map(|(_, job)| list(&job["steps"]));
    let commands: Vec<&str> = steps().filter_map(|step| step["run"].as_str()).collect();
    assert!(commands.iter().any(|command| command.contains(".ci/run")), "{commands:?}");
    assert!(root().join(".ci/run").is_file());
    assert!(commands.iter().any(|command| command.contains("deploy/compose.yaml")), "{commands:?}");
    let srs = entries(&workflow["jobs"]).filter_map(|(_, job)| job["services"]["srs"]["image"].as_str());
    assert!(srs.into_iter().any(|image| image.starts_with("ossrs/srs:5")), "SRS is tested against");
    let builds = steps().filter_map(|step| step["with"]["file"].as_str());
    assert!(builds.into_iter().all(|file| root().join(file).is_file()));
}

#[test]
fn ci_is_given_no_more_than_it_needs() {
    let workflow = yaml(WORKFLOW);
    assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }));
    for (name, job) in entries(&workflow["jobs"]) {
        assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes <= 90), "{name} may hang");
        for step in list(&job["steps"]).filter_map(|step| step["uses"].as_str()) {
            let (_, version) = step.split_once('@').unwrap_or_else(|| panic!("{step} has no version"));
            assert!(!["main", "master", "latest"].contains(&version), "{step} may change at any time");
        }
    }
}

#[test]
fn the_toolchain_is_new_enough_wherever_it_is_named() {
    let manifest = text("Cargo.toml");
    let wanted = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    let minor = |version: &str| {
        version.split('.').nth(1).unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().unwrap()
    };
    for file in [WORKFLOW, "deploy/Dockerfile"] {
        let text = text(file);
        let images: Vec<&str> = text.split("rust:").skip(1).filter(|rest| rest.starts_with("1.")).collect();
        assert!(!images.is_empty(), "{file}");
        for image in images {
            let version = image.split('-').next().unwrap();
            assert!(minor(version) >= minor(wanted), "{file}: rust:{version} is older than {wanted}");
        }
    }
}
