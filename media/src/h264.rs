//! H.264 (ISO/IEC 14496-10): NAL units, parameter sets, what tells pictures apart.
//!
//! | module | what |
//! | --- | --- |
//! | [`syntax`] | NAL units as [`crate::nal`] wants to know them |
//! | [`params`] | sequence and picture parameter sets |
//! | [`mod@slice`] | the part of a slice header that tells pictures apart |
//! | [`sei`] | recovery points |
//! | [`sps`] | what a sequence parameter set says |

pub mod params;
pub mod sei;
pub mod slice;
pub mod sps;
pub mod syntax;

pub use syntax::H264;

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
