//! Dashboards that Grafana can show, of metrics that exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::files::{below, entries, json, list, text, yaml};
use crate::kit::root;
use crate::{metrics, promql};

/// The dashboards, by file name.
pub fn all() -> BTreeMap<String, Value> {
    let files = below(&root().join("grafana/dashboards"), ".json");
    let named = files.iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let dashboard = json(&format!("grafana/dashboards/{name}"));
        (name, dashboard)
    });
    named.collect()
}

/// Its panels, those within folded rows too.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    list(&dashboard["panels"])
        .flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
        .collect()
}

/// Panels that show something.
fn shown(dashboard: &Value) -> impl Iterator<Item = &Value> {
    panels(dashboard).into_iter().filter(|panel| panel["type"] != "row")
}

/// Every expression of a dashboard, with the panel that it is of.
pub fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let of_panel = |panel: &Value| -> Vec<(String, String)> {
        let title = panel["title"].as_str().unwrap().to_owned();
        list(&panel["targets"])
            .map(|target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
            .collect()
    };
    shown(dashboard).flat_map(of_panel).collect()
}

#[test]
fn each_dashboard_has_a_name_of_its_own_and_is_loaded() {
    let dashboards = all();
    assert!(dashboards.len() >= 2, "a fleet and a stream");
    let uids: BTreeSet<&str> = dashboards.values().map(|d| d["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), dashboards.len());
    for dashboard in dashboards.values() {
        assert!(dashboard["id"].is_null(), "Grafana gives the id");
        assert!(dashboard["schemaVersion"].as_u64() >= Some(36));
        assert!(!dashboard["title"].as_str().unwrap().is_empty());
        // A link to another dashboard leads to one that is there.
        let whole = dashboard.to_string();
        for link in whole.split("\"/d/").skip(1) {
            let uid = link.split(['?', '"', '/']).next().unwrap();
            assert!(uids.contains(uid), "a link leads to {uid}");
        }
        assert!(whole.contains("${page}/#/streams/"), "no link leads to the page");
    }
    let provider = yaml("grafana/provisioning/dashboards/overdub.yaml");
    assert_eq!(provider["providers"][0]["type"], "file");
    assert!(provider["providers"][0]["options"]["path"].is_string());
    let source = yaml("grafana/provisioning/datasources/prometheus.yaml");
    assert_eq!(source["datasources"][0]["type"], "prometheus");
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_lie_on_each_other() {
    for (name, dashboard) in all() {
        let ids: Vec<u64> = panels(&dashboard).iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: {ids:?}");
        let mut taken: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for panel in list(&dashboard["panels"]) {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24 && at("w") > 0 && at("h") > 0, "{name}: {panel:#}");
            for (x, y) in
                (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
            {
                let other = taken.insert((x, y), panel["id"].as_u64().unwrap());
                assert_eq!(other, None, "{name}: panel {} lies on another", panel["id"]);
            }
        }
    }
}

#[test]
fn each_panel_says_what_it_shows_in_which_unit_and_from_which_source() {
    for (name, dashboard) in all() {
        let mut titles = BTreeSet::new();
        for panel in shown(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(titles.insert(title.to_owned()), "{name}: two panels are called {title}");
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 5), "{name}: {title}");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            assert!(unit.is_some_and(|unit| !unit.is_empty()), "{name}: {title} has no unit");
            let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
            assert!(steps[0]["value"].is_null(), "{name}: {title}: the first threshold is the ground");
            assert!(list(&panel["targets"]).count() > 0, "{name}: {title} shows nothing");
            let mut references = BTreeSet::new();
            for target in list(&panel["targets"]) {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}: {title}");
                assert!(references.insert(target["refId"].as_str().unwrap()), "{name}: {title}");
            }
        }
    }
}

#[test]
fn each_metric_that_is_shown_exists() {
    let known = metrics::in_code();
    assert!(known.len() > 50, "{known:?}");
    for (name, dashboard) in all() {
        let variables = list(&dashboard["templating"]["list"]).filter_map(|v| v["query"]["query"].as_str());
        let annotations = list(&dashboard["annotations"]["list"]).filter_map(|a| a["expr"].as_str());
        let beside: Vec<(String, String)> =
            variables.chain(annotations).map(|expr| ("variables".to_owned(), expr.to_owned())).collect();
        for (title, expression) in expressions(&dashboard).into_iter().chain(beside) {
            for series in promql::metrics(&expression) {
                let base = promql::family(&series, |name| known.contains(name));
                let foreign = base.starts_with("process_") || ["ALERTS", "up"].contains(&base);
                assert!(foreign || known.contains(base), "{name}: {title} shows {base}, which there is not");
            }
        }
    }
}

#[test]
fn each_expression_follows_the_dashboards_variables() {
    for (name, dashboard) in all() {
        let variables: BTreeSet<&str> =
            list(&dashboard["templating"]["list"]).map(|v| v["name"].as_str().unwrap()).collect();
        for wanted in ["datasource", "instance", "page"] {
            assert!(variables.contains(wanted), "{name} has no variable {wanted}");
        }
        for (title, expression) in expressions(&dashboard) {
            for variable in expression.split('$').skip(1) {
                let end = variable
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(variable.len());
                let variable = &variable[..end];
                let given = variables.contains(variable) || variable == "__rate_interval";
                assert!(given, "{name}: {title} uses ${variable}");
            }
            let followed =
                if variables.contains("stream") { "stream=\"$stream\"" } else { "instance=~\"$instance\"" };
            let alerts = expression.contains("ALERTS");
            assert!(alerts || expression.contains(followed), "{name}: {title}: {expression}");
        }
    }
}

#[test]
fn the_states_that_are_coloured_are_those_of_the_code() {
    let code = text("actors/src/requests.rs");
    let (_, names) = code.split_once("pub fn name(self)").unwrap();
    let names: BTreeSet<&str> =
        names.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).take(8).collect();
    let resting = ["stopped", "ended"];
    for (file, dashboard) in all() {
        let mapped: BTreeSet<String> = panels(&dashboard)
            .iter()
            .flat_map(|panel| entries(&panel["fieldConfig"]["defaults"]["mappings"][0]["options"]))
            .map(|(_, value)| value["text"].as_str().unwrap().to_owned())
            .collect();
        for name in names.iter().filter(|name| !resting.contains(name)) {
            assert!(mapped.contains(*name), "{file}: {name} has no colour");
        }
    }
}
