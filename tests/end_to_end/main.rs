//! End-to-end tests: the built program against real peers, judged by FFmpeg's eyes.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`kit_proof`] | that the kit sees what is there, and fails on what is doctored |
//! | [`exactness`] | two minutes come out unaltered, in order, on time, without a child process |
//! | [`timing`] | frames leave at their air time, by the receiver's watch |
//! | [`restart`] | after `kill -9` nothing is repeated and nothing missing |
//! | [`several`] | streams side by side; a running id is refused |
//! | [`bad_input`] | what is wrong outside is named, survived and healed |
//! | [`page`] | a newcomer makes, watches and stops a stream in a browser |
//! | [`enhanced`] | H.265 reaches a real RTMP server that takes it |
//! | [`events`] | what happens beside the pictures reaches HLS, or is counted |
//! | [`losses`] | a source or an RTMP server that goes away and comes back |
//! | [`sources`] | real media of many kinds come out whole, or are refused by name |
//! | [`stopping`] | stopping drains |

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

#[path = "../support/kit.rs"]
#[allow(dead_code, reason = "the chaos tests use the rest of the kit")]
mod kit;

mod bad_input;
mod enhanced;
mod events;
mod exactness;
mod kit_proof;
mod losses;
mod page;
mod restart;
mod several;
mod sources;
mod stopping;
mod timing;
