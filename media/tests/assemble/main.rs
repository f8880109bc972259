//! The assembler: small streams made here, hostile bytes, and FFmpeg as an oracle over real transport streams,
//! packet by packet.
//!
//! The last needs `ffmpeg` and `ffprobe`, and the media corpus (`OVERDUB_CORPUS`, or `../shared/media` beside the
//! repository); what is missing is said and skipped.

#![expect(clippy::unwrap_used, reason = "all of this is tests and their kit")]

mod cases;
mod containers;
mod corpus;
mod ffmpeg;
mod foreign;
mod foreign_changes;
mod gaps;
mod generated;
mod hostile;
mod mux;
mod programs;
mod scenarios;
mod smoke;
mod sources;
mod support;
mod table;
mod times;
