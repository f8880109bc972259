//! The show goes on: each fault that a stream must outlive, made and measured from outside.
//!
//! `make test` runs all of them with short outages; `make chaos` (OVERDUB_CHAOS=long) with the long ones, and
//! prints a table of what was promised and what was measured.
//!
//! | module | faults |
//! | --- | --- |
//! | [`processor`] | a processor that dies, answers late, wrongly, twice or never, in other formats and lengths |
//! | [`rtmp`] | an RTMP server that dies, refuses, stops reading, or is reset on the way |
//! | [`source`] | a source that is away, begins again, freezes, or gives broken segments |
//! | [`service`] | the service killed at random moments; starts, stops and deletes against each other |
//! | [`rules`] | fallbacks by rendition, where to begin, falling behind, the grace of a stop |
//! | [`disk`] | a full disk, damaged state |
//! | [`scene`], [`table`] | what the tests share |

#![allow(clippy::unwrap_used, reason = "all of this is test code, which the lint knows by attribute only")]

#[path = "../support/kit.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of the kit")]
mod kit;

mod disk;
mod processor;
mod rtmp;
mod rules;
mod scene;
mod service;
mod source;
mod table;
