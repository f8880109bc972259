//! What PromQL expressions name, by the shape of the words.

use std::collections::BTreeSet;

/// Endings that a histogram's series have beyond its name.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The metrics that an expression reads: ours, the process's, Prometheus's own, and recorded ones.
pub fn metrics(expression: &str) -> BTreeSet<String> {
    // Words within quotes are values of labels.
    let bare: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = bare.split(|c: char| !(c.is_ascii_alphanumeric() || "_:$".contains(c)));
    let known = |word: &&str| {
        ["overdub_", "process_", "overdub:"].iter().any(|start| word.starts_with(start))
            || ["up", "ALERTS"].contains(word)
    };
    words.filter(known).map(str::to_owned).collect()
}

/// A histogram's name where the series is one of a histogram.
pub fn family(series: &str, is_histogram: impl Fn(&str) -> bool) -> &str {
    let base = OF_HISTOGRAMS.iter().find_map(|ending| series.strip_suffix(ending));
    base.filter(|base| is_histogram(base)).unwrap_or(series)
}

/// An alert's figure without the comparison that makes it an alert: `a > 1` is `a`.
pub fn figure(alert: &str) -> &str {
    let (figure, bound) = alert.rsplit_once(['<', '>']).unwrap_or_else(|| panic!("{alert} compares nothing"));
    assert!(bound.trim().parse::<f64>().is_ok(), "{alert} is to compare with one number");
    figure.trim()
}

#[test]
fn names_within_quotes_are_no_metrics() {
    let expression =
        "sum by (le) (rate(overdub_a_seconds_bucket{state=\"overdub_b\"}[$__rate_interval])) / up";
    assert_eq!(metrics(expression).into_iter().collect::<Vec<_>>(), ["overdub_a_seconds_bucket", "up"]);
    assert_eq!(family("overdub_a_seconds_bucket", |name| name == "overdub_a_seconds"), "overdub_a_seconds");
    assert_eq!(family("overdub_b_count", |_| false), "overdub_b_count");
    assert_eq!(figure("overdub:x:y > 0.5"), "overdub:x:y");
}
