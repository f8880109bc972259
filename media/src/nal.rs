//! Byte streams of NAL units (Annex B of H.264 and of H.265): what both codecs have in common.
//!
//! | module | what |
//! | --- | --- |
//! | [`annexb`] | start codes |
//! | [`access_unit`] | access units out of a pushed byte stream |

pub mod access_unit;
pub mod annexb;

use crate::sample::VideoConfig;

pub use access_unit::{AccessUnit, AccessUnits};

/// What a NAL unit means to the picture it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A slice of a primary coded picture.
    Slice,
    /// Begins an access unit where it follows a slice: delimiter, parameter set, message.
    Head,
    /// Explains the slice behind it.
    Prefix,
    /// Anything else: belongs to the access unit it stands in.
    Other,
}

/// A NAL unit as far as pictures are told apart by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nal<T> {
    /// What it means.
    pub kind: Kind,
    /// The head of a slice that could be read.
    pub slice: Option<T>,
    /// A slice of an IDR or BLA picture.
    pub idr: bool,
    /// Marks its picture as one that decoding can start at, though later ones may need what came before.
    pub recovery_point: bool,
    /// Marks its picture as one from which on decoding converges to the right pictures, some time later.
    pub gradual_refresh: bool,
    /// A parameter set.
    pub parameter_set: bool,
}

/// What a slice says of its picture's place in the order of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureOrder {
    /// Least significant bits of PicOrderCnt.
    pub lsb: u32,
    /// How many bits those are.
    pub bits: u32,
    /// Whether other pictures' orders are told beside this one's.
    pub reference: bool,
}

/// A codec's syntax, with the parameter sets in force.
pub trait Syntax: std::fmt::Debug + Default {
    /// The head of a slice.
    type Slice: std::fmt::Debug + Clone + PartialEq + Eq;

    /// With the parameter sets that `config` names.
    fn with_config(config: &VideoConfig) -> Self;
    /// Reads a NAL unit (without start code); `None` where it has no whole header.
    fn read(&self, nal: &[u8]) -> Option<Nal<Self::Slice>>;
    /// Takes a parameter set in place of the one with its id; false where it cannot be read.
    fn put_parameter_set(&mut self, nal: &[u8]) -> bool;
    /// Whether the slice is the first of its picture.
    fn is_first(slice: &Self::Slice) -> bool;
    /// Whether `slice` begins another picture than the one that `previous` belongs to.
    fn begins_picture_after(slice: &Self::Slice, previous: &Self::Slice) -> bool;
    /// What the slice says of its picture's place in the order of output, where that differs from decoding order.
    fn order(slice: &Self::Slice) -> Option<PictureOrder>;
    /// Configuration of the slice's picture, where its parameter sets are there.
    fn config(&self, slice: &Self::Slice) -> Option<VideoConfig>;
    /// Whether `config` is what [`Self::config`] would give, without building it.
    fn matches(&self, slice: &Self::Slice, config: &VideoConfig) -> bool;
}
