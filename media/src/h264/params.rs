//! Sequence and picture parameter sets, kept by id.

use std::collections::BTreeMap;

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use super::sps::{self, MAX_LEN, SpsFields};
use crate::sample::VideoConfig;

/// Why a parameter set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterSetError {
    /// Not readable as the syntax of 7.3.2.
    #[error("{kind} is unreadable: {cause}")]
    Unreadable {
        /// Which of them.
        kind: &'static str,
        /// What the reader said.
        cause: String,
    },
    /// The picture's size is 0 or beyond every level.
    #[error("picture size {width}x{height} is beyond every level")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// What a slice header's layout depends on, of a PPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PpsFields {
    /// pic_parameter_set_id.
    pub id: u8,
    /// seq_parameter_set_id.
    pub sps_id: u8,
    /// bottom_field_pic_order_in_frame_present_flag.
    pub bottom_field_poc: bool,
    /// redundant_pic_cnt_present_flag; taken as not set where slice groups hide it.
    pub redundant_pictures: bool,
}

/// The parameter sets in force.
#[derive(Debug, Default)]
pub struct ParameterSets {
    sps: BTreeMap<u8, (Bytes, SpsFields)>,
    pps: BTreeMap<u8, (Bytes, PpsFields)>,
}

impl ParameterSets {
    /// The sets that `config` names.
    #[must_use]
    pub fn with_config(config: &VideoConfig) -> Self {
        let mut sets = Self::default();
        for sps in &config.sps {
            // They were read before they became a configuration.
            let _ = sets.put_sps(sps);
        }
        for pps in &config.pps {
            let _ = sets.put_pps(pps);
        }
        sets
    }

    /// Takes a sequence parameter set's NAL unit in place of the one with its id.
    pub fn put_sps(&mut self, nal: &[u8]) -> Result<(), ParameterSetError> {
        if self.sps.values().any(|(known, _)| known == nal) {
            return Ok(());
        }
        let fields = sps::parse(nal)?;
        self.sps.insert(fields.id, (Bytes::copy_from_slice(nal), fields));
        Ok(())
    }

    /// Takes a picture parameter set's NAL unit in place of the one with its id.
    pub fn put_pps(&mut self, nal: &[u8]) -> Result<(), ParameterSetError> {
        if self.pps.values().any(|(known, _)| known == nal) {
            return Ok(());
        }
        let fields = parse_pps(nal)?;
        self.pps.insert(fields.id, (Bytes::copy_from_slice(nal), fields));
        Ok(())
    }

    /// Layout of the slice headers that name this PPS.
    #[must_use]
    pub fn fields(&self, pps_id: u8) -> Option<(SpsFields, PpsFields)> {
        let (_, pps) = self.pps.get(&pps_id)?;
        let (_, sps) = self.sps.get(&pps.sps_id)?;
        Some((*sps, *pps))
    }

    /// Configuration of pictures that name this PPS: its SPS, and every PPS of that.
    #[must_use]
    pub fn config(&self, pps_id: u8) -> Option<VideoConfig> {
        let sps_id = self.pps.get(&pps_id)?.1.sps_id;
        let (sps, fields) = self.sps.get(&sps_id)?;
        let pps = self.pps.values().filter(|(_, pps)| pps.sps_id == sps_id);
        Some(VideoConfig {
            sps: vec![sps.clone()],
            pps: pps.map(|(nal, _)| nal.clone()).collect(),
            width: fields.width,
            height: fields.height,
            ..VideoConfig::default()
        })
    }

    /// Whether `config` is what [`Self::config`] would give, without building it.
    #[must_use]
    pub fn matches(&self, pps_id: u8, config: &VideoConfig) -> bool {
        let Some((_, pps)) = self.pps.get(&pps_id) else { return false };
        let Some((sps, _)) = self.sps.get(&pps.sps_id) else { return false };
        let siblings = self.pps.values().filter(|(_, other)| other.sps_id == pps.sps_id);
        config.sps.len() == 1 && config.sps[0] == *sps && siblings.map(|(nal, _)| nal).eq(config.pps.iter())
    }
}

fn unreadable(kind: &'static str, cause: impl std::fmt::Debug) -> ParameterSetError {
    ParameterSetError::Unreadable { kind, cause: format!("{cause:?}") }
}

/// 7.3.2.2, as far as needed. (h264-reader's own reading multiplies a hostile SPS's dimensions unchecked and
/// allocates by the product.)
fn parse_pps(nal: &[u8]) -> Result<PpsFields, ParameterSetError> {
    const KIND: &str = "picture parameter set";
    if nal.len() > MAX_LEN {
        return Err(unreadable(KIND, "too long"));
    }
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(nal));
    read_pps(&mut bits)
        .map_err(|cause| unreadable(KIND, cause))?
        .ok_or_else(|| unreadable(KIND, "id out of range"))
}

fn read_pps(bits: &mut impl BitRead) -> Result<Option<PpsFields>, BitReaderError> {
    let id = bits.read_ue("pic_parameter_set_id")?;
    let sps_id = bits.read_ue("seq_parameter_set_id")?;
    let (Ok(id), Ok(sps_id @ 0..=31)) = (u8::try_from(id), u8::try_from(sps_id)) else { return Ok(None) };
    bits.skip(1, "entropy_coding_mode_flag")?;
    let bottom_field_poc = bits.read_bit("bottom_field_pic_order_in_frame_present_flag")?;
    let mut redundant_pictures = false;
    if bits.read_ue("num_slice_groups_minus1")? == 0 {
        bits.read_ue("num_ref_idx_l0_default_active_minus1")?;
        bits.read_ue("num_ref_idx_l1_default_active_minus1")?;
        bits.skip(3, "weighted_pred_flag, weighted_bipred_idc")?;
        for name in ["pic_init_qp_minus26", "pic_init_qs_minus26", "chroma_qp_index_offset"] {
            bits.read_se(name)?;
        }
        bits.skip(2, "deblocking_filter_control_present_flag, constrained_intra_pred_flag")?;
        redundant_pictures = bits.read_bit("redundant_pic_cnt_present_flag")?;
    }
    Ok(Some(PpsFields { id, sps_id, bottom_field_poc, redundant_pictures }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// x264, High 4:4:4, 1920x1088 cropped to 1920x1080, pic_order_cnt_type 0.
    pub const SPS: [u8; 27] = [
        0x67, 0xf4, 0x00, 0x28, 0x91, 0x9b, 0x28, 0x0f, 0x00, 0x44, 0xfc, 0x4e, 0x02, 0x20, 0x00, 0x00, 0x03,
        0x00, 0x20, 0x00, 0x00, 0x06, 0x41, 0xe3, 0x06, 0x32, 0xc0,
    ];
    pub const PPS: [u8; 6] = [0x68, 0xeb, 0xe3, 0xc4, 0x48, 0x44];

    #[test]
    fn the_size_is_the_cropped_one() {
        let mut sets = ParameterSets::default();
        sets.put_sps(&SPS).unwrap();
        sets.put_pps(&PPS).unwrap();
        let config = sets.config(0).unwrap();
        assert_eq!((config.width, config.height), (1920, 1080));
        assert!(sets.matches(0, &config));
        assert_eq!(ParameterSets::with_config(&config).config(0), Some(config));
    }

    #[test]
    fn a_hostile_parameter_set_is_an_error() {
        let mut sets = ParameterSets::default();
        assert!(sets.put_sps(&[0x67]).is_err());
        assert!(sets.put_sps(&[0x67, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(sets.put_sps(&[0x67; 5000]).is_err());
        // seq_parameter_set_id 40.
        assert!(sets.put_pps(&[0x68, 0x80 | 0x02, 0x90, 0xff]).is_err());
        assert_eq!(sets.config(0), None);
    }
}
