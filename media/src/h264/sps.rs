//! Sequence parameter sets (7.3.2.1.1), as far as needed.
//!
//! h264-reader's own reading also judges: a level too low for the size or the references, a reordering that the level
//! does not hold, a cut VUI. Encoders say such things, and every decoder plays what they wrote.

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use super::params::ParameterSetError;

/// Longest parameter set taken; with every scaling list and a full VUI they stay well below 1 KiB.
pub(super) const MAX_LEN: usize = 4096;

/// Largest width or height taken; level 6.2 ends at 16 880 (A.3.1).
const MAX_DIMENSION: u32 = 16_880;

/// profile_idc values with chroma_format_idc and what follows it.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Table E-1, from aspect_ratio_idc 1 on.
const ASPECT_RATIOS: [(u16, u16); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// What an SPS says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpsFields {
    /// seq_parameter_set_id.
    pub id: u8,
    /// Bits of frame_num.
    pub frame_num_bits: u32,
    /// Bits of pic_order_cnt_lsb, for pic_order_cnt_type 0.
    pub poc_lsb_bits: Option<u32>,
    /// pic_order_cnt_type is 1 and delta_pic_order_always_zero_flag is not set.
    pub poc_deltas: bool,
    /// frame_mbs_only_flag.
    pub frames_only: bool,
    /// separate_colour_plane_flag.
    pub separate_planes: bool,
    /// chroma_format_idc.
    pub chroma_format: u8,
    /// Bits of a luma and of a chroma sample.
    pub depths: [u8; 2],
    /// Displayed width in pixels.
    pub width: u16,
    /// Displayed height in pixels.
    pub height: u16,
    /// Width and height of a pixel, where they are told.
    pub pixel_aspect: Option<(u16, u16)>,
}

/// Reads a sequence parameter set's NAL unit.
pub fn parse(nal: &[u8]) -> Result<SpsFields, ParameterSetError> {
    const KIND: &str = "sequence parameter set";
    let unreadable = |cause: String| ParameterSetError::Unreadable { kind: KIND, cause };
    if nal.len() > MAX_LEN || nal.is_empty() {
        return Err(unreadable("its length is out of range".to_owned()));
    }
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(nal));
    let read = read(&mut bits).map_err(|cause| unreadable(format!("{cause:?}")))?;
    let (size, mut fields) = read.ok_or_else(|| unreadable("a field is out of range".to_owned()))?;
    let (width, height) = size;
    let side = |pixels: u32| u16::try_from(pixels).ok().filter(|_| (1..=MAX_DIMENSION).contains(&pixels));
    let (Some(shown_width), Some(shown_height)) = (side(width), side(height)) else {
        return Err(ParameterSetError::Size { width, height });
    };
    (fields.width, fields.height) = (shown_width, shown_height);
    // What explains the pictures may be damaged; they are decoded without it.
    fields.pixel_aspect = pixel_aspect(&mut bits).ok().flatten();
    Ok(fields)
}

/// Whether a NAL unit begins as the sequence parameter sets of annex A's profiles and levels do: what tells one from a
/// slice of MPEG-2 video.
#[must_use]
pub fn is_usual(nal: &[u8]) -> bool {
    let Some([header, profile, constraints, level]) = nal.first_chunk::<4>() else { return false };
    let levels = [9..=13, 20..=22, 30..=32, 40..=42, 50..=52, 60..=62];
    header & 0x60 != 0
        && (matches!(profile, 66 | 77 | 88) || HIGH_PROFILES.contains(profile))
        && constraints & 3 == 0
        && levels.iter().any(|of| of.contains(level))
}

/// Width and height that are shown.
type Size = (u32, u32);

/// All but the VUI, and the size that is shown; `None` where a field is out of its range.
fn read(bits: &mut impl BitRead) -> Result<Option<(Size, SpsFields)>, BitReaderError> {
    let profile = bits.read_var::<u8>(8, "profile_idc")?;
    bits.skip(16, "constraint flags, level_idc")?;
    let id = bits.read_ue("seq_parameter_set_id")?;
    let (mut chroma_format, mut separate_planes, mut depths) = (1, false, [8, 8]);
    if HIGH_PROFILES.contains(&profile) {
        chroma_format = bits.read_ue("chroma_format_idc")?;
        separate_planes = chroma_format == 3 && bits.read_bit("separate_colour_plane_flag")?;
        for depth in &mut depths {
            *depth = bits.read_ue("bit_depth_minus8")?.saturating_add(8);
        }
        bits.skip(1, "qpprime_y_zero_transform_bypass_flag")?;
        if bits.read_bit("seq_scaling_matrix_present_flag")? {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if bits.read_bit("seq_scaling_list_present_flag")? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_num_bits = bits.read_ue("log2_max_frame_num_minus4")?.saturating_add(4);
    let (mut poc_lsb_bits, mut poc_deltas) = (None, false);
    match bits.read_ue("pic_order_cnt_type")? {
        0 => poc_lsb_bits = Some(bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?.saturating_add(4)),
        1 => {
            poc_deltas = !bits.read_bit("delta_pic_order_always_zero_flag")?;
            bits.read_se("offset_for_non_ref_pic")?;
            bits.read_se("offset_for_top_to_bottom_field")?;
            for _ in 0..bits.read_ue("num_ref_frames_in_pic_order_cnt_cycle")?.min(255) {
                bits.read_se("offset_for_ref_frame")?;
            }
        }
        2 => {}
        _ => return Ok(None),
    }
    bits.read_ue("max_num_ref_frames")?;
    bits.skip(1, "gaps_in_frame_num_value_allowed_flag")?;
    let width = bits.read_ue("pic_width_in_mbs_minus1")?.saturating_add(1).saturating_mul(16);
    let height = bits.read_ue("pic_height_in_map_units_minus1")?.saturating_add(1).saturating_mul(16);
    let frames_only = bits.read_bit("frame_mbs_only_flag")?;
    if !frames_only {
        bits.skip(1, "mb_adaptive_frame_field_flag")?;
    }
    bits.skip(1, "direct_8x8_inference_flag")?;
    let mut crop = [0; 4];
    if bits.read_bit("frame_cropping_flag")? {
        for side in &mut crop {
            *side = bits.read_ue("frame_crop_offset")?;
        }
    }
    let fields_a_map_unit = if frames_only { 1 } else { 2 };
    let height = height.saturating_mul(fields_a_map_unit);
    // 7.4.2.1.1: CropUnitX and CropUnitY.
    let (across, down) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let shown = |size: u32, unit: u32, near: u32, far: u32| {
        let cut = near.checked_add(far).and_then(|cut| cut.checked_mul(unit));
        // A window that leaves nothing is none.
        cut.and_then(|cut| size.checked_sub(cut)).filter(|shown| *shown > 0).unwrap_or(size)
    };
    let size =
        (shown(width, across, crop[0], crop[1]), shown(height, down * fields_a_map_unit, crop[2], crop[3]));
    let in_range = id <= 31
        && chroma_format <= 3
        && depths.iter().all(|depth| *depth <= 14)
        && frame_num_bits <= 16
        && poc_lsb_bits.is_none_or(|bits| bits <= 16);
    Ok(in_range.then_some((
        size,
        SpsFields {
            id: id as u8,
            frame_num_bits,
            poc_lsb_bits,
            poc_deltas,
            frames_only,
            separate_planes,
            chroma_format: chroma_format as u8,
            depths: depths.map(|depth| depth as u8),
            width: 0,
            height: 0,
            pixel_aspect: None,
        },
    )))
}

/// 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut impl BitRead, len: usize) -> Result<(), BitReaderError> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..len {
        if next != 0 {
            next = (last + i64::from(bits.read_se("delta_scale")?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// The head of the VUI (E.1.1).
fn pixel_aspect(bits: &mut impl BitRead) -> Result<Option<(u16, u16)>, BitReaderError> {
    if !bits.read_bit("vui_parameters_present_flag")? || !bits.read_bit("aspect_ratio_info_present_flag")? {
        return Ok(None);
    }
    let told = match bits.read_var::<u8>(8, "aspect_ratio_idc")? {
        255 => Some((bits.read_var::<u16>(16, "sar_width")?, bits.read_var::<u16>(16, "sar_height")?)),
        idc => usize::from(idc).checked_sub(1).and_then(|index| ASPECT_RATIOS.get(index)).copied(),
    };
    Ok(told.filter(|(width, height)| *width > 0 && *height > 0))
}

#[cfg(test)]
mod tests {
    use super::super::params::tests::SPS;
    use super::*;

    #[test]
    fn what_an_encoder_says_is_read() {
        let fields = parse(&SPS).unwrap();
        assert_eq!(
            (fields.width, fields.height, fields.chroma_format, fields.depths),
            (1920, 1080, 3, [8, 8])
        );
        assert_eq!(
            (fields.frame_num_bits, fields.poc_lsb_bits, fields.pixel_aspect),
            (4, Some(6), Some((1, 1)))
        );
        // Every lower level, and any tail, is the same picture.
        let mut lying = SPS;
        lying[3] = 10;
        assert_eq!(parse(&lying), Ok(fields));
        for len in 15..SPS.len() {
            let cut = parse(&SPS[..len]).unwrap();
            assert_eq!((cut.width, cut.height), (1920, 1080), "{len}");
        }
        assert!(parse(&SPS[..6]).is_err());
        assert!(parse(&[]).is_err());
        assert!(is_usual(&SPS) && !is_usual(&[0x67, 1, 2, 3]));
    }
}
