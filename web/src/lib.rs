//! HTTP API, HLS origin, health, metrics and the page.
//!
//! | module | what |
//! | --- | --- |
//! | [`mod@server`] | routes put together, the server bound and stopped |
//! | [`settings`] | what the server is configured with |
//! | [`registry`] | the one way to the streams: typed requests, each with a deadline |
//! | [`validate`] | bodies to settings, pure; every error names its field |
//! | [`problem`] | `application/problem+json` answers |
//! | [`live`] | the HLS origin: playlists, byte ranges, patches |
//! | `api` | the handlers below `/api` |
//! | `events` | the events socket |
//! | `docs` | the API's description, and the page that shows it |
//! | `auth`, `cors`, `limit`, `request_id` | middlewares |
//! | `health`, `metrics`, `page` | one small thing each |
//!
//! A handler checks what came, asks the registry, and maps the answer; it holds no state of its own.
#![warn(missing_docs)]

mod api;
mod auth;
mod cors;
mod docs;
mod events;
mod health;
mod limit;
pub mod live;
mod metrics;
mod page;
pub mod problem;
pub mod registry;
mod request_id;
pub mod server;
pub mod settings;
pub mod validate;

pub use registry::{Deadlines, Registry};
pub use server::{Bound, bind, configure, serve, server};
pub use settings::{SettingsCell, StreamDefaults, TokenHash, WebSettings};
pub use validate::defaults as validate_defaults;
