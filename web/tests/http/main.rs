//! The whole web crate over real HTTP: a bound server, a fake registry, a client that sends bytes as given.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests by clippy")]

mod client;
mod events;
mod fake;
mod listener;
mod live;
mod outside;
mod page;
mod pipeline;
mod safety;
mod steering;
mod streams;
