//! Containers and codec headers: bytes in, bytes out.
//!
//! | module | what |
//! | --- | --- |
//! | [`time`] | the 90 kHz timeline and the 33-bit clock |
//! | [`sample`] | what every container carries: samples and codec configurations |
//! | [`ts`] | MPEG-TS to elementary streams |
//! | [`nal`] | byte streams of H.264 and H.265 to access units |
//! | [`h264`], [`h265`] | their NAL units and parameter sets |
//! | [`aac`] | ADTS to access units; silence |
//! | [`audio`] | frames of codecs that must be transcoded |
//! | [`foreign`] | audio for a transcoder, and its output's place |
//! | [`id3`] | tags in packed audio and timed metadata |
//! | [`language`] | languages of audio |
//! | [`sniff`] | which container bytes are |
//! | [`assemble`] | a batch's segments to samples on the output timeline |
//! | [`mp4`] | fragmented MP4 out; fragmented and progressive MP4 in |
//! | [`flv`] | bodies of FLV tags and RTMP media messages, FLV files |
//! | [`rtmp`] | RTMP's handshake, chunks, AMF0 and messages |
//! | [`hls`] | playlists: reading and writing |
//!
//! Nothing here reads a file, opens a socket, asks for the time or logs: callers push bytes and get values.
#![warn(missing_docs)]

pub mod aac;
pub mod assemble;
pub mod audio;
pub mod counters;
pub mod flv;
pub mod foreign;
pub mod h264;
pub mod h265;
pub mod hls;
pub mod id3;
pub mod language;
pub mod mp4;
pub mod nal;
pub mod rtmp;
pub mod sample;
pub mod sniff;
pub mod time;
pub mod ts;
