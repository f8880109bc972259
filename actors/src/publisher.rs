//! Where a stream's result goes.
//!
//! | module | what |
//! | --- | --- |
//! | [`hls`] | the HLS playlists |
//! | [`rtmp`] | one RTMP push: connection, pacing, reconnection |

pub mod hls;
pub mod rtmp;
