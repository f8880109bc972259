//! MP4 against itself (round trips, damage) and against FFmpeg (packet by packet).
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "mp4/corpus.rs"]
mod corpus;
#[path = "mp4/damage.rs"]
mod damage;
#[path = "mp4/foreign.rs"]
mod foreign;
#[path = "mp4/rewritten.rs"]
mod rewritten;
#[path = "mp4/roundtrip.rs"]
mod roundtrip;
#[path = "mp4/support.rs"]
mod support;
