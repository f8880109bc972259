//! The link against peers of our own that misbehave on purpose, and against the official server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod faults;
mod kit;
mod official;
mod peer;
mod replies;
