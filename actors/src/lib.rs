//! The supervision tree, the ledger, the state and the links.
//!
//! | module | what |
//! | --- | --- |
//! | [`clock`] | the one place that asks for the time |
//! | [`settings`] | per-stream settings, stream ids, secret-free display of URLs |
//! | [`messages`] | what supervisor and children say to each other |
//! | [`requests`] | what others may ask of the registry |
//! | [`publisher`] | where a stream's result goes |
#![warn(missing_docs)]

pub mod clock;
pub mod messages;
pub mod publisher;
pub mod requests;
pub mod settings;
