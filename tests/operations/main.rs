//! What an operator is given: metrics, dashboards, alerts, and what to deploy with.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`metrics`] | `promtool` finds no fault with them, and the documentation names each |
//! | [`dashboards`] | well-formed, whole, and of metrics that exist |
//! | [`rules`] | alert rules pass `promtool`, and each has its tests |
//! | [`live`] | a real Prometheus reads a good and a bad stream: every expression gives data, alerts fire and clear |
//! | [`steering`] | a running service is told by SIGHUP and by its API, and tells of it to who listens |
//! | [`compose`], [`dockerfile`], [`unit`], [`workflow`], [`examples`] | what can be seen of files to deploy with |
//! | [`files`], [`promql`], [`prometheus`] | what the tests share |

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

#[path = "../support/kit.rs"]
#[allow(dead_code, reason = "the other tests use the rest of the kit")]
mod kit;
#[path = "../../web/tests/http/listener.rs"]
#[allow(dead_code, reason = "the tests of the API use the rest of it")]
mod listener;

mod compose;
mod dashboards;
mod dockerfile;
mod examples;
mod files;
mod live;
mod metrics;
mod prometheus;
mod promql;
mod rules;
mod steering;
mod unit;
mod workflow;
