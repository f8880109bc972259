//! End-to-end tests: the built program against real peers, judged by FFmpeg's eyes.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`kit_proof`] | that the kit sees what is there, and fails on what is doctored |

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

#[path = "../support/kit.rs"]
mod kit;
mod kit_proof;
