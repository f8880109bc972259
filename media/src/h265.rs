//! H.265 (ISO/IEC 23008-2): NAL units, parameter sets, what tells pictures apart.
//!
//! | module | what |
//! | --- | --- |
//! | [`syntax`] | NAL units as [`crate::nal`] wants to know them |
//! | [`params`] | video, sequence and picture parameter sets |

pub mod params;
pub mod syntax;

pub use syntax::H265;

/// nal_unit_type values (table 7-1) that matter here.
pub mod nal_type {
    #![expect(missing_docs, reason = "the names are the standard's own")]
    pub const RADL_N: u8 = 6;
    pub const RASL_R: u8 = 9;
    pub const BLA_W_LP: u8 = 16;
    pub const IDR_W_RADL: u8 = 19;
    pub const IDR_N_LP: u8 = 20;
    pub const CRA: u8 = 21;
    pub const RSV_IRAP_VCL23: u8 = 23;
    pub const VPS: u8 = 32;
    pub const SPS: u8 = 33;
    pub const PPS: u8 = 34;
}

/// nal_unit_type of a NAL unit.
#[must_use]
pub fn kind_of(nal: &[u8]) -> Option<u8> {
    nal.first().map(|header| header >> 1 & 0x3f)
}
