//! The assembler against FFmpeg, packet by packet, over real transport streams.
//!
//! Needs `ffmpeg` and `ffprobe`, and the media corpus (`OVERDUB_CORPUS`, or `../shared/media` beside the
//! repository); what is missing is said and skipped.

mod corpus;
mod ffmpeg;
mod generated;
mod support;
