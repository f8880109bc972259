//! What FFmpeg's encoders make of known sound, through the fit, against the original's own decoding.

mod borders;
mod formats;
mod kit;
mod lengths;
mod turns;
