//! Example configurations that the program itself accepts.

use std::process::Command;

use crate::files::{below, text};
use crate::kit::root;

#[test]
fn each_example_is_accepted_as_it_is() {
    let examples = below(&root().join("deploy/examples"), ".toml");
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let output = Command::new(env!("CARGO_BIN_EXE_overdub"))
            .args(["check-config", "--config"])
            .arg(&example)
            // Any token: a container listens on all addresses, and its token comes from the environment.
            .env("OVERDUB__AUTH__TOKENS", format!("[\"{}\"]", "0".repeat(64)))
            .output()
            .unwrap();
        let printed =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{}: {printed:?}", example.display());
    }
}

#[test]
fn a_container_without_a_token_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_overdub"))
        .args(["check-config", "--config"])
        .arg(root().join("deploy/examples/container.toml"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("auth.tokens"));
}

#[test]
fn health_tells_a_service_that_runs_from_none() {
    let output = Command::new(env!("CARGO_BIN_EXE_overdub"))
        .args(["health", "--port", &crate::kit::free_port().to_string()])
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.starts_with("error: http://127.0.0.1:"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_finds_a_service_that_runs() {
    let folder = crate::kit::folder();
    let overdub = crate::kit::overdub::Overdub::start(folder.path()).await.unwrap();
    let port = overdub.base.rsplit(':').next().unwrap().to_owned();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_overdub"));
    command.args(["health", "--port", &port]).current_dir(folder.path());
    let printed = crate::kit::process::output(&mut command).await.unwrap();
    assert!(String::from_utf8_lossy(&printed).contains("is well"));
}

#[test]
fn the_documentation_names_each_example() {
    let documentation = text("docs/DEPLOYMENT.md");
    for example in below(&root().join("deploy"), "").iter().filter_map(|path| path.file_name()?.to_str()) {
        assert!(documentation.contains(example), "docs/DEPLOYMENT.md does not name {example}");
    }
}
