//! The supervision tree, the ledger, the state and the links.
//!
//! | module | what |
//! | --- | --- |
//! | [`clock`] | the one place that asks for the time |
//! | [`settings`] | per-stream settings, stream ids, secret-free display of URLs |
//! | [`redact`] | texts shown without secrets |
//! | [`requests`] | what others may ask of the registry |
//! | [`registry`] | starts, stops, lists and restores streams |
//! | [`supervisor`] | one stream: its ledger, its children, its deadlines |
//! | [`ledger`] | the pure state machine that knows every batch of a stream |
//! | [`space`] | room for media: quota and reserve |
//! | [`store`] | the state on disk |
//! | [`messages`] | what supervisor and children say to each other |
//! | [`events`] | what happens, told to whoever listens |
//! | [`fetcher`] | the source's segments to disk |
//! | [`demuxer`] | a batch's segments to video and audio |
//! | [`link`] | the socket to one audio processor |
//! | [`remuxer`] | video beside audio fitted to its slot |
//! | [`publisher`] | the outputs: RTMP and HLS |
//! | [`live`] | the HLS output as the origin serves it |
//! | [`files`] | where files lie, and how they are written |
//! | [`log_files`] | a log of each stream's own |
//! | [`webhooks`] | what happens, posted to whoever wants to know |
//! | [`metrics`] | what is counted |
#![warn(missing_docs)]

pub mod clock;
pub mod demuxer;
pub mod events;
pub mod fetcher;
pub mod files;
pub mod ledger;
pub mod link;
pub mod live;
pub mod log_files;
pub mod messages;
pub mod metrics;
mod pool;
pub mod publisher;
pub mod redact;
pub mod registry;
pub mod remuxer;
pub mod requests;
pub mod settings;
pub mod space;
pub mod store;
pub mod supervisor;
pub mod webhooks;
