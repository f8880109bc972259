//! MPEG-2 transport stream (ISO/IEC 13818-1) demultiplexing: pushed bytes in, PES headers and payload out.
//!
//! | module | what |
//! | --- | --- |
//! | [`packet`] | one 188-byte packet |
//! | [`framer`] | finding packets in bytes; resync after junk |
//! | [`psi`] | sections, PAT, PMT |
//! | [`pes`] | PES headers |
//! | [`demuxer`] | all of them together |
//! | [`marks`] | which PES an elementary stream's byte came in |
//!
//! Payload is handed out as slices of the caller's bytes; who gathers it makes the one copy.

pub mod demuxer;
pub mod framer;
pub mod marks;
pub mod packet;
pub mod pes;
pub mod psi;

pub use demuxer::{Demuxer, Sink};
pub use pes::{PesHeader, Timestamps};
pub use psi::{Codec, ElementaryStream, Program};
