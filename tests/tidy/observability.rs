//! What watches the agent speaks of metrics that exist, and every alert has its row for the person who is
//! woken. Refuses to judge expressions: `promtool` does, in `.ci/run observability`.

#[path = "log_lines.rs"]
mod log_lines;

use std::{collections::BTreeSet, fs};

use super::{report, root};

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Words that begin like a metric of ours.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("ephemerald_")).map(str::to_owned).collect()
}

#[test]
fn alerts_and_dashboard_use_documented_metrics_and_the_dashboard_shows_every_one() {
    let documented = metrics(&text("docs/metrics.md"));
    assert!(documented.len() > 20, "{documented:?}");
    let plain = |name: &String| {
        let base = name.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
        base.to_owned()
    };
    let mut wrong = Vec::new();
    for file in ["deploy/observability/alerts.yaml", "deploy/observability/dashboard.json"] {
        let used: BTreeSet<String> = metrics(&text(file)).iter().map(plain).collect();
        wrong.extend(
            used.difference(&documented).map(|name| format!("{file}: {name} is not in docs/metrics.md")),
        );
        if file.ends_with("json") {
            wrong.extend(documented.difference(&used).map(|name| format!("{file}: {name} is shown nowhere")));
        }
    }
    report(&wrong);
}

#[test]
fn every_alert_is_tried_by_promtool_and_explained_to_the_person_it_wakes() {
    let (rules, tried) =
        (text("deploy/observability/alerts.yaml"), text("deploy/observability/alerts_test.yaml"));
    let page = text("docs/operations.md");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let mut wrong = Vec::new();
    for alert in alerts {
        if !tried.contains(alert) {
            wrong.push(format!("alerts_test.yaml does not try {alert}"));
        }
        if !page.contains(&format!("| `{alert}` |")) {
            wrong.push(format!("docs/operations.md has no row for {alert}"));
        }
    }
    report(&wrong);
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&text("deploy/observability/dashboard.json")).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut cells = BTreeSet::new();
    for panel in panels {
        let place = &panel["gridPos"];
        let of = |key: &str| place[key].as_u64().unwrap();
        assert!(of("x") + of("w") <= 24, "{}: the grid has 24 columns", panel["title"]);
        for (x, y) in
            (of("x")..of("x") + of("w")).flat_map(|x| (of("y")..of("y") + of("h")).map(move |y| (x, y)))
        {
            assert!(cells.insert((x, y)), "{}: lies over another panel", panel["title"]);
        }
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}: shows nothing", panel["title"]);
    }
}
