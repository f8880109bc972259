//! The supervision tree, the ledger, the state and the links.
//!
//! | module | what |
//! | --- | --- |
//! | [`clock`] | the one place that asks for the time |
//! | [`link`] | the socket to one audio processor |
//! | [`fetcher`] | polls the source, lays its segments on disk |
//! | [`settings`] | per-stream settings, stream ids, secret-free display of URLs |
//! | [`ledger`] | the pure state machine that knows every batch of a stream |
//! | [`store`] | the state on disk |
//! | [`messages`] | what supervisor and children say to each other |
//! | [`requests`] | what others may ask of the registry |
//! | [`publisher`] | where a stream's result goes |
#![warn(missing_docs)]

pub mod clock;
pub mod ledger;
pub mod link;
pub mod fetcher;
pub mod messages;
pub mod publisher;
pub mod requests;
pub mod settings;
pub mod store;
