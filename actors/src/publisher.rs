//! Where a stream's result goes.
//!
//! | module | what |
//! | --- | --- |
//! | [`rtmp`] | one RTMP push: connection, pacing, reconnection |

pub mod rtmp;
