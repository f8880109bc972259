//! Streams made by FFmpeg on the fly.
