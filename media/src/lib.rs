//! Containers and codec headers: bytes in, bytes out.
//!
//! | module | what |
//! | --- | --- |
//! | [`time`] | the 90 kHz timeline and the 33-bit clock |
//! | [`sample`] | what every container carries: samples and codec configurations |
//! | [`counters`] | leniencies, counted by name |
//! | [`ts`] | MPEG-2 transport stream: packets, tables, PES |
//! | [`h264`] | access units and parameter sets out of Annex B |
//! | [`aac`] | frames out of ADTS, configuration, silence |
//! | [`assemble`] | a batch's segments to cuts of samples on the output timeline |
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
