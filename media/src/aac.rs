//! AAC (ISO/IEC 14496-3): frames out of ADTS, decoder configuration, silence.
//!
//! | module | what |
//! | --- | --- |
//! | [`adts`] | frames out of a pushed byte stream |
//! | [`config`] | AudioSpecificConfig |
//! | [`layout`] | channel layouts that an access unit describes itself |
//! | [`sbr`] | HE-AAC that only its access units tell of |
//! | [`silence`] | access units that decode to silence |
//! | [`window`] | what an access unit says of its window |

pub mod adts;
pub mod config;
pub mod layout;
pub mod sbr;
pub mod silence;
pub mod window;

pub use adts::{AdtsFrame, AdtsReader};
pub use config::{AacParams, UnsupportedAac};
pub use sbr::SbrDetector;
pub use silence::silent_access_unit;
pub use window::{Window, window};
