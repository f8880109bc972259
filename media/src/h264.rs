//! H.264 (ISO/IEC 14496-10) from Annex B byte streams: NAL units, access units, parameter sets.
//!
//! | module | what |
//! | --- | --- |
//! | [`annexb`] | start codes |
//! | [`access_unit`] | access units out of a pushed byte stream |
//! | [`params`] | sequence and picture parameter sets |
//! | [`mod@slice`] | the part of a slice header that tells pictures apart |
//! | [`sei`] | recovery points |

pub mod access_unit;
pub mod annexb;
pub mod params;
pub mod sei;
pub mod slice;

pub use access_unit::{AccessUnit, AccessUnits};

/// nal_unit_type values (table 7-1) that matter here.
pub mod nal_type {
    #![expect(missing_docs, reason = "the names are the standard's own")]
    pub const SLICE: u8 = 1;
    pub const SLICE_PARTITION_A: u8 = 2;
    pub const IDR_SLICE: u8 = 5;
    pub const SEI: u8 = 6;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const AUD: u8 = 9;
    pub const PREFIX: u8 = 14;
}
