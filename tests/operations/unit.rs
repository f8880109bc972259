//! The systemd unit, as far as it can be looked at without systemd running.

use std::collections::BTreeMap;
use std::process::Command;

use crate::files::{run, text};

const UNIT: &str = "deploy/overdub.service";

/// Settings by name; where one stands twice, the last.
fn settings() -> BTreeMap<String, String> {
    let unit = text(UNIT);
    let lines = unit.lines().filter(|line| !line.starts_with(['#', '[']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The unit as it would be installed here, in a folder of its own.
fn installed() -> tempfile::TempDir {
    let folder = crate::kit::folder();
    // systemd-analyze wants the program to be where the unit says.
    let unit = text(UNIT).replace("/usr/local/bin/overdub", env!("CARGO_BIN_EXE_overdub"));
    std::fs::write(folder.path().join("overdub.service"), unit).unwrap();
    folder
}

fn has_systemd_analyze() -> bool {
    let found = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no systemd-analyze");
    }
    found
}

#[test]
fn the_unit_is_well_formed() {
    if has_systemd_analyze() {
        let folder = installed();
        let printed =
            run(folder.path(), "systemd-analyze", &["verify", "--man=no", "./overdub.service"], b"");
        // What it does not know it leaves out and only says so.
        let faults: Vec<&str> = printed.lines().filter(|line| line.contains("overdub.service")).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn the_unit_lets_the_service_do_no_more_than_it_must() {
    if has_systemd_analyze() {
        let folder = installed();
        // Exposure of 10 is a service that may do everything, in tenths: 1.5 at most.
        let arguments = ["security", "--offline=yes", "--threshold=15", "--no-pager", "./overdub.service"];
        run(folder.path(), "systemd-analyze", &arguments, b"");
    }
}

#[test]
fn a_stop_leaves_time_to_drain() {
    let settings = settings();
    let seconds = |key: &str| settings[key].parse::<u64>().unwrap();
    let example = text("deploy/examples/systemd.toml");
    let grace = example.lines().find_map(|line| line.strip_prefix("shutdown_grace = ")).unwrap();
    // The program gives up draining 15 s after the grace.
    assert!(seconds("TimeoutStopSec") > grace.parse::<u64>().unwrap() + 15);
    assert_eq!(settings["KillSignal"], "SIGTERM");
    assert_eq!(settings["Restart"], "on-failure");
    assert!(settings["ExecReload"].contains("-HUP"), "a reload reads the configuration again");
}

#[test]
fn the_unit_and_its_example_speak_of_the_same_places() {
    let settings = settings();
    let example = text("deploy/examples/systemd.toml");
    assert!(settings["ExecStart"].ends_with("serve --config /etc/overdub/config.toml"));
    assert!(example.contains(&format!("path = \"/var/lib/{}\"", settings["StateDirectory"])));
    assert!(!settings.contains_key("User"), "DynamicUser makes one");
}
