//! Containers and codec headers: bytes in, bytes out.
//!
//! | module | what |
//! | --- | --- |
//! | [`time`] | the 90 kHz timeline and the 33-bit clock |
//! | [`sample`] | what every container carries: samples and codec configurations |
//!
//! Nothing here reads a file, opens a socket, asks for the time or logs: callers push bytes and get values.
#![warn(missing_docs)]

pub mod aac;
pub mod assemble;
pub mod counters;
pub mod h264;
pub mod sample;
pub mod time;
pub mod ts;
