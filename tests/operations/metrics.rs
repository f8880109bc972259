//! Metrics by Prometheus's rules, and their documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use crate::files::{below, run, text};
use crate::kit::overdub::Overdub;
use crate::kit::{folder, root, wait};
use crate::promql;

/// Names of metrics that the code makes.
pub fn in_code() -> BTreeSet<String> {
    let folders = ["actors/src", "web/src", "src"];
    let files = folders.iter().flat_map(|folder| below(&root().join(folder), ".rs"));
    let mut names = BTreeSet::new();
    for file in files.filter(|file| !file.ends_with("tests.rs")) {
        let source = std::fs::read_to_string(file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        // A whole literal; what goes on with `{` is a series in a test.
        let begun = code.split("\"overdub_").skip(1).filter_map(|rest| rest.split_once('"'));
        let is_name = |rest: &str| rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_crate = |rest: &str| ["actors", "web", "media"].contains(&rest);
        let literals = begun.map(|(rest, _)| rest).filter(|rest| is_name(rest) && !is_crate(rest));
        names.extend(literals.map(|rest| format!("overdub_{rest}")));
    }
    names
}

/// A line of the documentation's table.
#[derive(Debug, PartialEq)]
struct Documented {
    kind: String,
    labels: BTreeSet<String>,
}

fn documented() -> BTreeMap<String, Documented> {
    let mut all = BTreeMap::new();
    for line in text("docs/METRICS.md").lines().filter(|line| line.starts_with("| `overdub_")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, _] = cells.as_slice() else { panic!("{line}") };
        assert!(meaning.len() > 5, "{line}");
        let labels =
            labels.split(", ").filter(|label| *label != "-").map(|label| label.trim_matches('`').to_owned());
        let line = Documented { kind: (*kind).to_owned(), labels: labels.collect() };
        let name = name.trim_matches('`').to_owned();
        assert!(all.insert(name.clone(), line).is_none(), "{name} is there twice");
    }
    all
}

#[test]
fn each_metric_is_documented_and_nothing_else() {
    let documented: BTreeSet<String> = documented().into_keys().collect();
    let code = in_code();
    let missing: Vec<&String> = code.difference(&documented).collect();
    assert!(missing.is_empty(), "not in docs/METRICS.md: {missing:?}");
    let made_up: Vec<&String> = documented.difference(&code).collect();
    assert!(made_up.is_empty(), "not in the code: {made_up:?}");
}

/// What a scrape gives: by metric its kind, and the labels of its series.
fn scraped(text: &str) -> BTreeMap<String, Documented> {
    let mut all: BTreeMap<String, Documented> = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE overdub_")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let fresh = Documented { kind: kind.to_owned(), labels: BTreeSet::new() };
        all.insert(format!("overdub_{name}"), fresh);
    }
    let names: BTreeSet<String> =
        all.iter().filter(|(_, line)| line.kind == "histogram").map(|(name, _)| name.clone()).collect();
    for line in text.lines().filter(|line| line.starts_with("overdub_")) {
        let (name, labels) = match line.split_once('{') {
            Some((name, rest)) => (name, rest.rsplit_once('}').unwrap().0),
            None => (line.split_once(' ').unwrap().0, ""),
        };
        let entry = all.get_mut(promql::family(name, |base| names.contains(base))).unwrap();
        // Values hold no quotes: ids and names of the code.
        let keys = labels.split('"').step_by(2).map(|key| key.trim_matches([',', '=']).to_owned());
        entry.labels.extend(keys.filter(|key| !key.is_empty() && key != "le"));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_no_fault_and_what_is_shown_is_as_documented() {
    let folder = folder();
    let overdub = Overdub::start(folder.path()).await.unwrap();
    // Nothing of it is there; its series are, from the start.
    overdub
        .create(&json!({
            "streamId": "s", "sourceUrl": "http://127.0.0.1:9/none.m3u8",
            "audioProcessorUrl": "ws://127.0.0.1:9", "srsRtmpUrl": "rtmp://127.0.0.1:9/live/s",
        }))
        .await;
    let limit = Duration::from_secs(20);
    let text = wait::until("a stream, its storage and the threads are counted", limit, async || {
        let text = overdub.send("GET", "/metrics", b"").await.text();
        let wanted = [
            "overdub_storage_bytes{kind=\"log\"",
            "overdub_arbiter_lag_seconds_count{",
            "overdub_processor_connected{",
            "overdub_http_requests_total{",
        ];
        wanted.iter().all(|name| text.contains(&format!("\n{name}"))).then_some(text)
    })
    .await;
    run(root(), "promtool", &["check", "metrics"], text.as_bytes());
    let documented = documented();
    let mut shown = 0;
    for (name, scraped) in scraped(&text) {
        let known = documented.get(&name).unwrap_or_else(|| panic!("{name} is not documented"));
        assert_eq!(*known, scraped, "{name}");
        shown += 1;
    }
    // What has no meaningful 0 comes with its first value.
    assert!(shown + 15 > documented.len(), "{shown} of {}", documented.len());
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
}
