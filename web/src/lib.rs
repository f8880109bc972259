//! HTTP API, HLS origin, metrics and the page.
#![warn(missing_docs)]
