//! The composed deployment: what it refers to is there, and what is told to one service fits the others.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::{entries, list, text, yaml};
use crate::kit::root;

const COMPOSE: &str = "deploy/compose.yaml";

fn services(compose: &Value) -> Vec<(&str, &Value)> {
    entries(&compose["services"]).map(|(name, service)| (name.as_str(), service)).collect()
}

#[test]
fn files_and_volumes_that_services_name_are_there() {
    let compose = yaml(COMPOSE);
    let volumes: BTreeSet<&str> = entries(&compose["volumes"]).map(|(name, _)| name.as_str()).collect();
    let folder = root().join("deploy");
    let mut used = BTreeSet::new();
    for (name, service) in services(&compose) {
        for volume in list(&service["volumes"]).map(|volume| volume.as_str().unwrap()) {
            let (source, rest) = volume.split_once(':').unwrap();
            if source.starts_with('.') {
                assert!(folder.join(source).exists(), "{name}: {source} is not there");
                assert!(rest.ends_with(":ro"), "{name} may change {source}");
            } else {
                assert!(volumes.contains(source), "{name}: volume {source} is not declared");
                used.insert(source);
            }
        }
        for other in list(&service["depends_on"]).map(|other| other.as_str().unwrap()) {
            assert!(compose["services"].get(other).is_some(), "{name} waits for {other}");
        }
        if let Some(build) = service.get("build") {
            let context = folder.join(build["context"].as_str().unwrap());
            assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
        }
    }
    assert_eq!(used, volumes, "each volume is used");
}

#[test]
fn images_have_versions_and_secrets_no_default() {
    let compose = yaml(COMPOSE);
    for (name, service) in services(&compose) {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image} has no version"));
        let is_ours = image.starts_with("overdub:");
        assert!(is_ours || tag != "latest", "{name}: {image}");
        for (key, value) in entries(&service["environment"]) {
            let value = value.as_str().unwrap();
            if ["TOKEN", "PASSWORD"].iter().any(|word| key.contains(word)) {
                assert!(value.contains(":?"), "{name}: {key} must be given");
            }
        }
    }
    let srs = compose["services"]["srs"]["image"].as_str().unwrap();
    let major = srs.rsplit(':').next().unwrap().trim_start_matches('v').split('.').next().unwrap();
    assert!(major.parse::<u32>().unwrap() >= 5, "{srs}");
}

#[test]
fn services_find_each_other() {
    let compose = yaml(COMPOSE);
    let names: BTreeSet<&str> = services(&compose).iter().map(|(name, _)| *name).collect();
    let container = text("deploy/examples/container.toml");
    for url in ["rtmp://", "ws://"] {
        let host = container.split(url).nth(1).unwrap().split(['/', ':']).next().unwrap();
        assert!(names.contains(host), "container.toml names {host}");
    }
    let targets = yaml("deploy/targets.yml");
    assert_eq!(targets[0]["targets"][0], "overdub:3000");
    let grafana = &compose["services"]["grafana"]["environment"];
    let url = grafana["PROMETHEUS_URL"].as_str().unwrap();
    assert!(names.contains(url.trim_start_matches("http://").split(':').next().unwrap()), "{url}");
    // What Prometheus's configuration names lies beside it.
    let mounted: Vec<&str> =
        list(&compose["services"]["prometheus"]["volumes"]).filter_map(Value::as_str).collect();
    let configuration = yaml("grafana/prometheus.yml");
    let rules = list(&configuration["rule_files"]);
    let targets = list(&configuration["scrape_configs"][0]["file_sd_configs"][0]["files"]);
    for file in rules.chain(targets).filter_map(Value::as_str) {
        let inside = format!(":/etc/prometheus/{file}:");
        assert!(mounted.iter().any(|volume| volume.contains(&inside)), "{file} is not mounted");
    }
    let provider = yaml("grafana/provisioning/dashboards/overdub.yaml");
    let dashboards = format!(":{}:", provider["providers"][0]["options"]["path"].as_str().unwrap());
    let mounted: Vec<&str> =
        list(&compose["services"]["grafana"]["volumes"]).filter_map(Value::as_str).collect();
    assert!(mounted.iter().any(|volume| volume.contains(&dashboards)), "{dashboards}");
}

#[test]
fn the_service_listens_to_this_machine_alone_and_may_do_little() {
    let compose = yaml(COMPOSE);
    for (name, service) in services(&compose) {
        let open: &[&str] = if name == "srs" { &["1935:1935", "8080:8080"] } else { &[] };
        for port in list(&service["ports"]).map(|port| port.as_str().unwrap()) {
            assert!(port.starts_with("127.0.0.1:") || open.contains(&port), "{name}: {port}");
        }
        if service["image"].as_str().is_some_and(|image| image.starts_with("overdub:")) {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        }
    }
    let grace = compose["services"]["overdub"]["stop_grace_period"].as_str().unwrap();
    // The default grace of 10 s, and 15 s until the program gives up draining.
    assert!(grace.trim_end_matches('s').parse::<u64>().unwrap() > 25, "{grace}");
}
