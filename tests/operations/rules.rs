//! Alert rules, looked at by `promtool`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::{list, run, text, yaml};
use crate::kit::root;
use crate::{metrics, promql};

const RULES: &str = "grafana/alerts.yml";

/// The recording rules' names and the alerts' names with their expressions.
pub struct Rules {
    pub recorded: Vec<(String, String)>,
    pub alerts: Vec<(String, String)>,
}

/// Reads a file of rules.
pub fn read(rules: &Value) -> Rules {
    let named = |key: &str| -> Vec<(String, String)> {
        let rules = list(&rules["groups"]).flat_map(|group| list(&group["rules"]));
        let named = rules.filter_map(|rule| {
            Some((rule[key].as_str()?.to_owned(), rule["expr"].as_str().unwrap().to_owned()))
        });
        named.collect()
    };
    Rules { recorded: named("record"), alerts: named("alert") }
}

#[test]
fn promtool_finds_no_fault_with_rules_and_configuration() {
    let folder = root().join("grafana");
    run(&folder, "promtool", &["check", "rules", "alerts.yml"], b"");
    run(&folder, "promtool", &["check", "config", "prometheus.yml"], b"");
}

#[test]
fn alerts_fire_when_they_should_and_clear() {
    run(&root().join("grafana"), "promtool", &["test", "rules", "alerts_test.yml"], b"");
}

#[test]
fn each_alert_is_tested_both_firing_and_not() {
    let rules = read(&yaml(RULES));
    let tests = yaml("grafana/alerts_test.yml");
    let checks: Vec<&Value> = list(&tests["tests"]).flat_map(|test| list(&test["alert_rule_test"])).collect();
    for (alert, _) in &rules.alerts {
        let own = || checks.iter().filter(|check| check["alertname"] == *alert.as_str());
        let fires = |check: &&&Value| list(&check["exp_alerts"]).count() > 0;
        assert!(own().any(|check| fires(&check)), "{alert} is never seen to fire");
        assert!(own().any(|check| !fires(&check)), "{alert} is never seen not to fire");
    }
}

#[test]
fn what_an_operator_must_be_woken_for_is_alerted_on() {
    let rules = read(&yaml(RULES));
    let alerts: BTreeSet<&str> = rules.alerts.iter().map(|(name, _)| name.as_str()).collect();
    for wanted in [
        "OverdubDown",
        "OverdubSourceDown",
        "OverdubFallbackRate",
        "OverdubOutputDown",
        "OverdubDelayBreached",
        "OverdubDiskFull",
        "OverdubRestartStorm",
    ] {
        assert!(alerts.contains(wanted), "{wanted} is missing");
    }
    for group in list(&yaml(RULES)["groups"]) {
        for rule in list(&group["rules"]).filter(|rule| rule["alert"].is_string()) {
            let severity = rule["labels"]["severity"].as_str().unwrap();
            assert!(["critical", "warning"].contains(&severity), "{rule:#}");
            for key in ["summary", "description"] {
                assert!(rule["annotations"][key].is_string(), "{rule:#}");
            }
        }
    }
}

#[test]
fn each_rule_reads_what_exists() {
    let rules = read(&yaml(RULES));
    let known = metrics::in_code();
    let recorded: BTreeSet<&str> = rules.recorded.iter().map(|(name, _)| name.as_str()).collect();
    for (rule, expression) in rules.recorded.iter().chain(&rules.alerts) {
        for series in promql::metrics(expression) {
            let base = promql::family(&series, |name| known.contains(name));
            let given = known.contains(base) || recorded.contains(base) || base == "up";
            assert!(given, "{rule} reads {base}, which there is not");
        }
    }
    for (_, expression) in &rules.alerts {
        promql::figure(expression);
    }
    // Whoever looks an alert up finds it.
    let documentation = text("docs/METRICS.md");
    for (alert, _) in &rules.alerts {
        assert!(documentation.contains(&format!("`{alert}`")), "docs/METRICS.md does not name {alert}");
    }
}
