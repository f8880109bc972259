//! Containers and codec headers: bytes in, bytes out.
//!
//! | module | what |
//! | --- | --- |
//! | [`hls`] | playlists: reading and writing |
//! | [`time`] | the 90 kHz timeline and the 33-bit clock |
//! | [`mp4`] | fragmented MP4 out; fragmented and progressive MP4 in |
//! | [`flv`] | bodies of FLV tags and RTMP media messages, FLV files |
//! | [`sample`] | what every container carries: samples and codec configurations |
//! | [`rtmp`] | RTMP's handshake, chunks, AMF0 and messages |
//!
//! Nothing here reads a file, opens a socket, asks for the time or logs: callers push bytes and get values.
#![warn(missing_docs)]

pub mod flv;
pub mod mp4;
pub mod hls;
pub mod rtmp;
pub mod sample;
pub mod time;
