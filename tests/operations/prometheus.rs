//! Debian's `prometheus` with a copy of our configuration that does not take its time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::files::{list, yaml};
use crate::kit::process::Process;
use crate::kit::{free_port, http, wait};

/// How often the copy reads and evaluates.
const INTERVAL: &str = "1s";
/// How far back the copy's figures look, so that an alert clears within the test.
const WINDOW: &str = "12s";

/// A running Prometheus.
pub struct Prometheus {
    base: String,
    process: Process,
}

/// Our rules with short windows, and alerts that wait for one evaluation.
fn hastened(mut rules: Value) -> Value {
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            rule["expr"] = shortened(rule["expr"].as_str().unwrap()).into();
            if rule["for"].is_string() {
                rule["for"] = INTERVAL.into();
            }
        }
    }
    rules
}

/// An expression that looks back no further than [`WINDOW`].
pub fn shortened(expression: &str) -> String {
    let mut short = String::new();
    for (index, part) in expression.split('[').enumerate() {
        match part.split_once(']') {
            Some((_, rest)) if index > 0 => short.push_str(&format!("[{WINDOW}]{rest}")),
            _ => short.push_str(part),
        }
    }
    short
}

impl Prometheus {
    /// Starts one that reads the service at `base`.
    pub async fn start(folder: &Path, base: &str) -> Self {
        let folder = folder.join("prometheus");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, value: &Value| -> PathBuf {
            // YAML reads JSON.
            let path = folder.join(name);
            std::fs::write(&path, value.to_string()).unwrap();
            path
        };
        let mut configuration = yaml("grafana/prometheus.yml");
        configuration["global"] = json!({ "scrape_interval": INTERVAL, "evaluation_interval": INTERVAL });
        let configuration = write("prometheus.yml", &configuration);
        write("alerts.yml", &hastened(yaml("grafana/alerts.yml")));
        let mut targets = yaml("grafana/targets.yml");
        targets[0]["targets"] = json!([base.trim_start_matches("http://")]);
        write("targets.yml", &targets);

        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Process::start("prometheus", command, &folder.join("prometheus.log")).unwrap();
        let mut prometheus = Self { base: format!("http://127.0.0.1:{port}"), process };
        wait::until("prometheus is ready", Duration::from_secs(30), async || {
            assert!(prometheus.process.running(), "prometheus ended: {}", prometheus.process.log());
            let answer = http::get(&format!("{}/-/ready", prometheus.base)).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        prometheus
    }

    /// The samples that an expression gives now: their labels and values.
    pub async fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let mut url = url::Url::parse(&format!("{}/api/v1/query", self.base)).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let answer = http::get(url.as_str()).await.unwrap();
        assert_eq!(answer.status, 200, "{expression}: {}", answer.text());
        let samples = answer.json()["data"]["result"].take();
        list(&samples)
            .map(|sample| {
                let value = sample["value"][1].as_str().unwrap().parse().unwrap();
                (sample["metric"].clone(), value)
            })
            .collect()
    }

    /// Whether an expression gives a number now; `NaN` is none.
    pub async fn gives_data(&self, expression: &str) -> bool {
        self.query(expression).await.iter().any(|(_, value)| !value.is_nan())
    }

    /// The names of the alerts that fire now for a stream.
    pub async fn firing(&self, stream: &str) -> Vec<String> {
        let alerts = format!("ALERTS{{alertstate=\"firing\", stream=\"{stream}\"}}");
        let names = self.query(&alerts).await.into_iter();
        let mut names: Vec<String> =
            names.map(|(labels, _)| labels["alertname"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[test]
fn the_copy_of_the_rules_looks_back_no_further_than_the_test_lasts() {
    assert_eq!(shortened("rate(a[10m]) / b{c=\"d\"}"), "rate(a[12s]) / b{c=\"d\"}");
    assert_eq!(shortened("a / (b)"), "a / (b)");
}
