//! NAL units of H.265 (7.3.1, 7.4.2.4.4).

use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use super::params::{ParameterSets, SliceLayout};
use super::{kind_of, nal_type};
use crate::nal::{Kind, Nal, PictureOrder, Syntax};
use crate::sample::VideoConfig;

/// Bytes of a NAL unit's header.
pub(super) const HEADER_LEN: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");

/// Bytes of a slice that hold every field read here, emulation prevention included.
const HEAD_LEN: usize = 16;

/// H.265, with the parameter sets in force.
#[derive(Debug, Default)]
pub struct H265 {
    sets: ParameterSets,
}

/// The head of a slice segment header (7.3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHead {
    /// first_slice_segment_in_pic_flag.
    pub first: bool,
    /// slice_pic_parameter_set_id.
    pub pps_id: u8,
    /// Of the first slice, where the parameter sets that lay it out are known.
    pub order: Option<PictureOrder>,
}

impl SliceHead {
    fn parse(nal: &[u8], kind: u8, sets: &ParameterSets) -> Option<Self> {
        let head = &nal[..nal.len().min(HEAD_LEN)];
        let mut bits = BitReader::new(ByteReader::skipping_bytes(head, HEADER_LEN));
        let first = bits.read_bit("first_slice_segment_in_pic_flag").ok()?;
        if (nal_type::BLA_W_LP..=nal_type::RSV_IRAP_VCL23).contains(&kind) {
            bits.skip(1, "no_output_of_prior_pics_flag").ok()?;
        }
        let pps_id = u8::try_from(bits.read_ue("slice_pic_parameter_set_id").ok()?).ok()?;
        let layout = sets.slice_layout(pps_id).filter(|_| first);
        let temporal_id = (nal.get(1)? & 7).saturating_sub(1);
        let order = layout.and_then(|layout| read_order(&mut bits, kind, temporal_id, layout).ok());
        Some(Self { first, pps_id, order })
    }
}

/// 7.3.6.1 behind slice_pic_parameter_set_id, of a picture's first slice segment.
fn read_order(
    bits: &mut impl BitRead,
    kind: u8,
    temporal_id: u8,
    layout: SliceLayout,
) -> Result<PictureOrder, BitReaderError> {
    bits.skip(layout.extra_bits, "slice_reserved_flag")?;
    bits.read_ue("slice_type")?;
    if layout.output_flag {
        bits.skip(1, "pic_output_flag")?;
    }
    if layout.separate_planes {
        bits.skip(2, "colour_plane_id")?;
    }
    let idr = matches!(kind, nal_type::IDR_W_RADL | nal_type::IDR_N_LP);
    let lsb = if idr { 0 } else { bits.read_var(layout.poc_lsb_bits, "slice_pic_order_cnt_lsb")? };
    // 8.3.1: neither leading pictures nor those that no other of their layer refers to.
    let leading = (nal_type::RADL_N..=nal_type::RASL_R).contains(&kind);
    let referred = kind >= nal_type::BLA_W_LP || kind % 2 == 1;
    let reference = temporal_id == 0 && !leading && referred;
    Ok(PictureOrder { lsb, bits: layout.poc_lsb_bits, reference })
}

impl Syntax for H265 {
    type Slice = SliceHead;

    fn with_config(config: &VideoConfig) -> Self {
        Self { sets: ParameterSets::with_config(config) }
    }

    fn read(&self, nal: &[u8]) -> Option<Nal<SliceHead>> {
        let kind = kind_of(nal)?;
        let layer = (nal[0] & 1) << 5 | nal.get(1)? >> 3;
        // Enhancement layers belong to the picture they stand behind.
        let base = layer == 0;
        let is_slice = base && matches!(kind, 0..=9 | nal_type::BLA_W_LP..=nal_type::CRA);
        let slice = if is_slice { SliceHead::parse(nal, kind, &self.sets) } else { None };
        let meaning = match kind {
            _ if is_slice => Kind::Slice,
            // VPS, SPS, PPS, AUD, prefix SEI and what is reserved to stand there.
            32..=35 | 39 | 41..=44 | 48..=55 if base => Kind::Head,
            _ => Kind::Other,
        };
        Some(Nal {
            kind: meaning,
            slice,
            idr: is_slice && (nal_type::BLA_W_LP..=nal_type::IDR_N_LP).contains(&kind),
            recovery_point: is_slice && kind == nal_type::CRA,
            gradual_refresh: false,
            parameter_set: base && matches!(kind, nal_type::VPS..=nal_type::PPS),
        })
    }

    fn put_parameter_set(&mut self, nal: &[u8]) -> bool {
        self.sets.put(nal).is_some()
    }

    fn is_first(slice: &SliceHead) -> bool {
        slice.first
    }

    fn begins_picture_after(slice: &SliceHead, _: &SliceHead) -> bool {
        slice.first
    }

    fn order(slice: &SliceHead) -> Option<PictureOrder> {
        slice.order
    }

    fn config(&self, slice: &SliceHead) -> Option<VideoConfig> {
        self.sets.config(slice.pps_id)
    }

    fn matches(&self, slice: &SliceHead, config: &VideoConfig) -> bool {
        self.sets.matches(slice.pps_id, config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(nal: &[u8]) -> Nal<SliceHead> {
        H265::default().read(nal).unwrap()
    }

    #[test]
    fn slices_are_told_by_their_first_bit() {
        // IDR_W_RADL, first slice, no_output_of_prior_pics_flag 0, pps 0.
        let first = read(&[19 << 1, 1, 0b1010_0000]);
        assert!(first.idr && first.kind == Kind::Slice);
        assert_eq!(first.slice, Some(SliceHead { first: true, pps_id: 0, order: None }));
        let second = read(&[19 << 1, 1, 0b0001_0000, 0]);
        assert!(!H265::is_first(second.slice.as_ref().unwrap()));
        // TRAIL_R, first slice, pps 1.
        assert_eq!(
            read(&[1 << 1, 1, 0b1010_0000]).slice,
            Some(SliceHead { first: true, pps_id: 1, order: None })
        );
        assert!(read(&[21 << 1, 1, 0xff]).recovery_point);
    }

    #[test]
    fn other_layers_and_suffixes_belong_to_the_picture_before() {
        assert_eq!(read(&[35 << 1, 1, 0]).kind, Kind::Head);
        assert_eq!(read(&[40 << 1, 1, 0]).kind, Kind::Other);
        assert_eq!(read(&[1 << 1, 1 << 3 | 1, 0xff]).kind, Kind::Other);
        assert_eq!(H265::default().read(&[2]), None);
    }
}
