//! Video, sequence and picture parameter sets, kept by id (7.3.2).

use std::collections::BTreeMap;

use bytes::Bytes;
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use super::syntax::HEADER_LEN;
use super::{kind_of, nal_type};
use crate::sample::{VideoCodec, VideoConfig};

/// Longest parameter set taken.
const MAX_LEN: usize = 4096;

/// Largest width or height taken: level 6.2 ends at 16 888 (A.4.1).
const MAX_DIMENSION: u32 = 16_888;

/// What `hvcC` repeats of an SPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpsFields {
    /// sps_seq_parameter_set_id.
    pub id: u8,
    /// sps_video_parameter_set_id.
    pub vps_id: u8,
    /// sps_max_sub_layers_minus1 + 1.
    pub temporal_layers: u8,
    /// sps_temporal_id_nesting_flag.
    pub temporal_id_nested: bool,
    /// general_profile_space, general_tier_flag and general_profile_idc as one byte.
    pub profile: u8,
    /// general_profile_compatibility_flags.
    pub compatibility: u32,
    /// The six bytes of constraint flags.
    pub constraints: [u8; 6],
    /// general_level_idc.
    pub level: u8,
    /// chroma_format_idc.
    pub chroma_format: u8,
    /// Bits of a luma sample less 8.
    pub luma_depth_minus8: u8,
    /// Bits of a chroma sample less 8.
    pub chroma_depth_minus8: u8,
    /// separate_colour_plane_flag.
    pub separate_planes: bool,
    /// Bits of slice_pic_order_cnt_lsb.
    pub poc_lsb_bits: u32,
    /// Displayed width in pixels.
    pub width: u16,
    /// Displayed height in pixels.
    pub height: u16,
}

/// What a slice header's layout depends on, of a PPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PpsFields {
    /// pps_seq_parameter_set_id.
    sps_id: u8,
    /// output_flag_present_flag.
    output_flag: bool,
    /// num_extra_slice_header_bits.
    extra_bits: u32,
}

/// What the layout of a slice segment's header depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceLayout {
    /// num_extra_slice_header_bits.
    pub extra_bits: u32,
    /// output_flag_present_flag.
    pub output_flag: bool,
    /// separate_colour_plane_flag.
    pub separate_planes: bool,
    /// Bits of slice_pic_order_cnt_lsb.
    pub poc_lsb_bits: u32,
}

/// The parameter sets in force.
#[derive(Debug, Default)]
pub struct ParameterSets {
    vps: BTreeMap<u8, Bytes>,
    sps: BTreeMap<u8, (Bytes, SpsFields)>,
    pps: BTreeMap<u8, (Bytes, PpsFields)>,
}

impl ParameterSets {
    /// The sets that `config` names.
    #[must_use]
    pub fn with_config(config: &VideoConfig) -> Self {
        let mut sets = Self::default();
        for nal in config.vps.iter().chain(&config.sps).chain(&config.pps) {
            // They were read before they became a configuration.
            let _ = sets.put(nal);
        }
        sets
    }

    /// Takes a parameter set in place of the one with its id; `None` where it cannot be read.
    pub fn put(&mut self, nal: &[u8]) -> Option<()> {
        if nal.len() > MAX_LEN {
            return None;
        }
        match kind_of(nal)? {
            nal_type::VPS => {
                let id = nal.get(2)? >> 4;
                if self.vps.get(&id).is_none_or(|known| known != nal) {
                    self.vps.insert(id, Bytes::copy_from_slice(nal));
                }
            }
            nal_type::SPS => {
                if self.sps.values().any(|(known, _)| known == nal) {
                    return Some(());
                }
                let fields = parse_sps(nal)?;
                self.sps.insert(fields.id, (Bytes::copy_from_slice(nal), fields));
            }
            _ => {
                if self.pps.values().any(|(known, _)| known == nal) {
                    return Some(());
                }
                let mut bits = reader(nal);
                let id = u8::try_from(bits.read_ue("pps_pic_parameter_set_id").ok()?).ok()?;
                let sps_id = u8::try_from(bits.read_ue("pps_seq_parameter_set_id").ok()?).ok()?;
                if id > 63 || sps_id > 15 {
                    return None;
                }
                bits.skip(1, "dependent_slice_segments_enabled_flag").ok()?;
                let output_flag = bits.read_bit("output_flag_present_flag").ok()?;
                let extra_bits = bits.read_var(3, "num_extra_slice_header_bits").ok()?;
                let fields = PpsFields { sps_id, output_flag, extra_bits };
                self.pps.insert(id, (Bytes::copy_from_slice(nal), fields));
            }
        }
        Some(())
    }

    /// Layout of the slice segment headers that name this PPS.
    #[must_use]
    pub fn slice_layout(&self, pps_id: u8) -> Option<SliceLayout> {
        let (_, PpsFields { sps_id, output_flag, extra_bits }) = *self.pps.get(&pps_id).as_ref()?;
        let (_, sps) = self.sps.get(sps_id)?;
        Some(SliceLayout {
            extra_bits: *extra_bits,
            output_flag: *output_flag,
            separate_planes: sps.separate_planes,
            poc_lsb_bits: sps.poc_lsb_bits,
        })
    }

    /// Configuration of pictures that name this PPS: its SPS and VPS, and every PPS of that SPS.
    #[must_use]
    pub fn config(&self, pps_id: u8) -> Option<VideoConfig> {
        let sps_id = self.pps.get(&pps_id)?.1.sps_id;
        let (sps, fields) = self.sps.get(&sps_id)?;
        let vps = self.vps.get(&fields.vps_id)?;
        Some(VideoConfig {
            codec: VideoCodec::H265,
            vps: vec![vps.clone()],
            sps: vec![sps.clone()],
            pps: self.of_sps(sps_id).cloned().collect(),
            width: fields.width,
            height: fields.height,
        })
    }

    /// Whether `config` is what [`Self::config`] would give, without building it.
    #[must_use]
    pub fn matches(&self, pps_id: u8, config: &VideoConfig) -> bool {
        let Some((_, PpsFields { sps_id, .. })) = self.pps.get(&pps_id) else { return false };
        let Some((sps, fields)) = self.sps.get(sps_id) else { return false };
        config.codec == VideoCodec::H265
            && config.sps.iter().eq([sps])
            && config.vps.iter().eq(self.vps.get(&fields.vps_id))
            && self.of_sps(*sps_id).eq(&config.pps)
    }

    fn of_sps(&self, sps_id: u8) -> impl Iterator<Item = &Bytes> {
        self.pps.values().filter(move |(_, of)| of.sps_id == sps_id).map(|(nal, _)| nal)
    }
}

fn reader(nal: &[u8]) -> BitReader<ByteReader<&[u8]>> {
    BitReader::new(ByteReader::skipping_bytes(nal, HEADER_LEN))
}

/// Reads a sequence parameter set's NAL unit; `None` where it is unreadable or its size is beyond every level.
#[must_use]
pub fn parse_sps(nal: &[u8]) -> Option<SpsFields> {
    if nal.len() > MAX_LEN || nal.len() < 3 {
        return None;
    }
    read_sps(&mut reader(nal)).ok().flatten()
}

/// 7.3.2.2.1, as far as needed.
fn read_sps(bits: &mut impl BitRead) -> Result<Option<SpsFields>, BitReaderError> {
    let vps_id = bits.read_var::<u8>(4, "sps_video_parameter_set_id")?;
    let sub_layers = bits.read_var::<u8>(3, "sps_max_sub_layers_minus1")?;
    let temporal_id_nested = bits.read_bit("sps_temporal_id_nesting_flag")?;
    // 7.3.3: profile_tier_level.
    let profile = bits.read_var::<u8>(8, "general_profile")?;
    let compatibility = bits.read_var::<u32>(32, "general_profile_compatibility_flags")?;
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.read_var::<u8>(8, "general_constraint_flags")?;
    }
    let level = bits.read_var::<u8>(8, "general_level_idc")?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        let profile = bits.read_bit("sub_layer_profile_present_flag")?;
        present.push((profile, bits.read_bit("sub_layer_level_present_flag")?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - u32::from(sub_layers)), "reserved_zero_2bits")?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 }, "sub_layer")?;
    }
    let id = bits.read_ue("sps_seq_parameter_set_id")?;
    let chroma_format = bits.read_ue("chroma_format_idc")?;
    let separate_planes = chroma_format == 3 && bits.read_bit("separate_colour_plane_flag")?;
    let width = bits.read_ue("pic_width_in_luma_samples")?;
    let height = bits.read_ue("pic_height_in_luma_samples")?;
    let mut window = [0; 4];
    if bits.read_bit("conformance_window_flag")? {
        for side in &mut window {
            *side = bits.read_ue("conf_win_offset")?;
        }
    }
    let luma_depth = bits.read_ue("bit_depth_luma_minus8")?;
    let chroma_depth = bits.read_ue("bit_depth_chroma_minus8")?;
    let poc_lsb_bits = bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?.saturating_add(4);
    // Table 6-1: units of the window.
    let (across, down) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let shown = |size: u32, unit: u32, near: u32, far: u32| {
        let cut = near.checked_add(far)?.checked_mul(unit)?;
        let pixels = size.checked_sub(cut).filter(|pixels| (1..=MAX_DIMENSION).contains(pixels))?;
        u16::try_from(pixels).ok()
    };
    let (Some(width), Some(height)) =
        (shown(width, across, window[0], window[1]), shown(height, down, window[2], window[3]))
    else {
        return Ok(None);
    };
    if id > 15
        || chroma_format > 3
        || luma_depth > 8
        || chroma_depth > 8
        || sub_layers > 6
        || poc_lsb_bits > 16
    {
        return Ok(None);
    }
    Ok(Some(SpsFields {
        id: id as u8,
        vps_id,
        temporal_layers: sub_layers + 1,
        temporal_id_nested,
        profile,
        compatibility,
        constraints,
        level,
        chroma_format: chroma_format as u8,
        luma_depth_minus8: luma_depth as u8,
        chroma_depth_minus8: chroma_depth as u8,
        separate_planes,
        poc_lsb_bits,
        width,
        height,
    }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub const VPS: [u8; 25] = [
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x03, 0x00, 0x5d, 0x99, 0x8a, 0x02, 0x40,
    ];
    /// x265, Main, level 3.1, 720x1280.
    pub const SPS: [u8; 45] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
        0x5d, 0xa0, 0x05, 0xa2, 0x00, 0x50, 0x16, 0x59, 0x98, 0xa9, 0x24, 0xca, 0xb0, 0x16, 0xa0, 0x20, 0x20,
        0x20, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0f, 0x04,
    ];
    pub const PPS: [u8; 8] = [0x44, 0x01, 0xc1, 0x73, 0x12, 0x25, 0x18, 0x90];

    #[test]
    fn what_a_decoder_is_told_comes_from_the_sets() {
        let fields = parse_sps(&SPS).unwrap();
        assert_eq!((fields.width, fields.height, fields.level, fields.profile), (720, 1280, 93, 1));
        assert_eq!((fields.compatibility, fields.constraints), (0x6000_0000, [0x90, 0, 0, 0, 0, 0]));
        assert_eq!((fields.temporal_layers, fields.temporal_id_nested, fields.chroma_format), (1, true, 1));
        let mut sets = ParameterSets::default();
        for nal in [&VPS[..], &SPS, &PPS] {
            sets.put(nal).unwrap();
        }
        let config = sets.config(0).unwrap();
        assert!(sets.matches(0, &config));
        assert_eq!(ParameterSets::with_config(&config).config(0), Some(config.clone()));
        assert!(!sets.matches(0, &VideoConfig { vps: Vec::new(), ..config }));
        assert_eq!(sets.config(1), None);
        let layout =
            SliceLayout { extra_bits: 0, output_flag: false, separate_planes: false, poc_lsb_bits: 8 };
        assert_eq!(sets.slice_layout(0), Some(layout));
    }

    #[test]
    fn a_hostile_parameter_set_is_refused() {
        for len in 0..SPS.len() {
            let _ = parse_sps(&SPS[..len]);
        }
        assert_eq!(parse_sps(&[0x42, 1, 0xff, 0xff, 0xff, 0xff]), None);
        let mut sets = ParameterSets::default();
        assert_eq!(sets.put(&[0x42; 5000]), None);
        assert_eq!(sets.put(&[0x44, 1]), None);
        assert_eq!(sets.put(&[0x40, 1]), None);
    }
}
