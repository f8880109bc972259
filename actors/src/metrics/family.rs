//! Metrics declared in one line each.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Bounds of what should take milliseconds.
pub(super) const SECONDS_SHORT: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Bounds of what may take as long as a delay.
pub(super) const SECONDS_LONG: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Bounds of the time that is left; what is below the first aired late.
pub(super) const SECONDS_ROOM: &[f64] = &[0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];

/// One metric, with or without labels.
pub(super) trait Family: Collector + Clone + Sized + 'static {
    /// Makes it; only histograms have bounds.
    fn make(opts: Opts, labels: &[&str], bounds: &[f64]) -> prometheus::Result<Self>;

    /// Removes one series.
    fn remove(&self, labels: &[&str]);
}

macro_rules! family_with_labels {
    ($($kind:ty),*) => {$(
        impl Family for $kind {
            fn make(opts: Opts, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
                Self::new(opts, labels)
            }

            fn remove(&self, labels: &[&str]) {
                // One that is not there any more need not be removed.
                _ = self.remove_label_values(labels);
            }
        }
    )*};
}
family_with_labels!(CounterVec, GaugeVec, IntCounterVec, IntGaugeVec);

impl Family for HistogramVec {
    fn make(opts: Opts, labels: &[&str], bounds: &[f64]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts { common_opts: opts, buckets: bounds.to_vec() }, labels)
    }

    fn remove(&self, labels: &[&str]) {
        _ = self.remove_label_values(labels);
    }
}

macro_rules! family_without_labels {
    ($($kind:ty),*) => {$(
        impl Family for $kind {
            fn make(opts: Opts, _: &[&str], _: &[f64]) -> prometheus::Result<Self> {
                Self::with_opts(opts)
            }

            fn remove(&self, _: &[&str]) {}
        }
    )*};
}
family_without_labels!(IntGauge);

/// A struct of metrics: field, kind, name, labels, bounds of a histogram, help.
macro_rules! families {
    (
        $(#[$doc:meta])*
        pub struct $all:ident;
        $($field:ident: $kind:ty = $name:literal [$($label:literal),*] $($bounds:ident)? $help:literal;)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $all {
            $(#[doc = $help] pub $field: $kind),*
        }

        impl $all {
            /// Makes the metrics and registers them.
            pub fn new(registry: &Registry) -> prometheus::Result<Self> {
                Ok(Self {
                    $($field: family::register(registry, $name, &[$($label),*], None::<&[f64]>$(.or(Some($bounds)))?, $help)?),*
                })
            }

            /// Forgets a deleted stream's series.
            pub fn forget(&self, stream: &str) {
                $(family::forget_stream(&self.$field, stream);)*
            }
        }
    };
}
pub(super) use families;

pub(super) fn register<F: Family>(
    registry: &Registry,
    name: &str,
    labels: &[&str],
    bounds: Option<&[f64]>,
    help: &str,
) -> prometheus::Result<F> {
    let family = F::make(Opts::new(name, help), labels, bounds.unwrap_or_default())?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Removes every series of `stream`.
pub(super) fn forget_stream<F: Family>(family: &F, stream: &str) {
    let declared: Vec<String> =
        family.desc().first().map(|desc| desc.variable_labels.clone()).unwrap_or_default();
    if !declared.iter().any(|name| name == "stream") {
        return;
    }
    for series in family.collect().iter().flat_map(|collected| collected.get_metric()) {
        // Values are given in the order in which the labels were declared, which is not the one they are shown in.
        let value = |name: &String| {
            series.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
        };
        if value(&"stream".to_owned()) == stream {
            let values: Vec<&str> = declared.iter().map(value).collect();
            family.remove(&values);
        }
    }
}
