//! NAL units of H.264 (7.3.1, 7.4.1.2.3).

use super::params::ParameterSets;
use super::slice::SliceHead;
use super::{nal_type, sei};
use crate::nal::{Kind, Nal, PictureOrder, Syntax};
use crate::sample::VideoConfig;

/// H.264, with the parameter sets in force.
#[derive(Debug, Default)]
pub struct H264 {
    sets: ParameterSets,
}

impl Syntax for H264 {
    type Slice = SliceHead;

    fn with_config(config: &VideoConfig) -> Self {
        Self { sets: ParameterSets::with_config(config) }
    }

    fn read(&self, nal: &[u8]) -> Option<Nal<SliceHead>> {
        let kind = nal.first()? & 0x1f;
        let recovery = if kind == nal_type::SEI { sei::recovery_frame_count(nal) } else { None };
        let is_slice = matches!(kind, nal_type::SLICE | nal_type::SLICE_PARTITION_A | nal_type::IDR_SLICE);
        Some(Nal {
            kind: match kind {
                _ if is_slice => Kind::Slice,
                6..=9 | 15..=18 => Kind::Head,
                nal_type::PREFIX => Kind::Prefix,
                _ => Kind::Other,
            },
            slice: if is_slice { SliceHead::parse(nal, &self.sets) } else { None },
            idr: kind == nal_type::IDR_SLICE,
            recovery_point: recovery == Some(0),
            gradual_refresh: recovery.is_some_and(|frames| frames > 0),
            parameter_set: matches!(kind, nal_type::SPS | nal_type::PPS),
        })
    }

    fn put_parameter_set(&mut self, nal: &[u8]) -> bool {
        match nal.first().map(|header| header & 0x1f) {
            Some(nal_type::SPS) => self.sets.put_sps(nal).is_ok(),
            _ => self.sets.put_pps(nal).is_ok(),
        }
    }

    fn is_first(slice: &SliceHead) -> bool {
        slice.first_mb == 0
    }

    fn begins_picture_after(slice: &SliceHead, previous: &SliceHead) -> bool {
        slice.begins_picture_after(previous)
    }

    fn order(slice: &SliceHead) -> Option<PictureOrder> {
        slice.order()
    }

    fn config(&self, slice: &SliceHead) -> Option<VideoConfig> {
        self.sets.config(slice.pps_id)
    }

    fn matches(&self, slice: &SliceHead, config: &VideoConfig) -> bool {
        self.sets.matches(slice.pps_id, config)
    }
}
