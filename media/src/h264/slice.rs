//! The head of a slice header (7.3.3): what tells one primary coded picture from the next.

use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use super::nal_type;
use super::params::{ParameterSets, PpsFields};
use super::sps::SpsFields;
use crate::nal::PictureOrder;

/// Bytes of a slice NAL unit that hold every field read here, emulation prevention included.
const HEAD_LEN: usize = 64;

/// Fields of 7.4.1.2.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHead {
    /// first_mb_in_slice.
    pub first_mb: u32,
    /// pic_parameter_set_id.
    pub pps_id: u8,
    /// The rest, where the parameter sets that lay it out are known.
    pub picture: Option<PictureId>,
}

/// What differs between the slices of two consecutive pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureId {
    frame_num: u32,
    /// bottom_field_flag of a field; `None` of a frame.
    field: Option<bool>,
    reference: bool,
    idr_pic_id: Option<u32>,
    poc: [i32; 2],
    redundant: bool,
    /// Bits of pic_order_cnt_lsb, which is the first of `poc` then.
    poc_lsb_bits: Option<u32>,
}

impl SliceHead {
    /// Reads the head of a slice's NAL unit; `None` where not even its first fields are readable.
    #[must_use]
    pub fn parse(nal: &[u8], sets: &ParameterSets) -> Option<Self> {
        let header = *nal.first()?;
        let head = &nal[..nal.len().min(HEAD_LEN)];
        let mut bits = BitReader::new(ByteReader::skipping_h264_header(head));
        let first_mb = bits.read_ue("first_mb_in_slice").ok()?;
        bits.read_ue("slice_type").ok()?;
        let pps_id = u8::try_from(bits.read_ue("pic_parameter_set_id").ok()?).ok()?;
        let picture =
            sets.fields(pps_id).and_then(|(sps, pps)| read_picture(&mut bits, header, sps, pps).ok());
        Some(Self { first_mb, pps_id, picture })
    }

    /// Its picture's place in the order of output, for pic_order_cnt_type 0. (With type 2 that is decoding order; type 1
    /// is hardly ever seen.)
    #[must_use]
    pub fn order(&self) -> Option<PictureOrder> {
        let picture = self.picture.as_ref()?;
        let (lsb, reference) = (picture.poc[0].cast_unsigned(), picture.reference);
        Some(PictureOrder { lsb, bits: picture.poc_lsb_bits?, reference })
    }

    /// Whether this slice begins another primary coded picture than the one that `previous` belongs to.
    #[must_use]
    pub fn begins_picture_after(&self, previous: &Self) -> bool {
        match (&self.picture, &previous.picture) {
            // 7.4.1.2.5: slices of redundant coded pictures follow those of their primary picture.
            (Some(this), _) if this.redundant => false,
            (Some(this), Some(before)) => {
                self.pps_id != previous.pps_id
                    || this.frame_num != before.frame_num
                    || this.field != before.field
                    || this.reference != before.reference
                    || this.idr_pic_id != before.idr_pic_id
                    || this.poc != before.poc
                    // Not of the clause, but two slices of one picture cannot both begin with its first
                    // macroblock; encoders exist that give every IDR picture the same idr_pic_id.
                    || self.first_mb == 0
            }
            _ => self.first_mb == 0,
        }
    }
}

fn read_picture(
    bits: &mut impl BitRead,
    nal_header: u8,
    sps: SpsFields,
    pps: PpsFields,
) -> Result<PictureId, BitReaderError> {
    if sps.separate_planes {
        bits.skip(2, "colour_plane_id")?;
    }
    let frame_num = bits.read_var(sps.frame_num_bits, "frame_num")?;
    let mut field = None;
    if !sps.frames_only && bits.read_bit("field_pic_flag")? {
        field = Some(bits.read_bit("bottom_field_flag")?);
    }
    let idr = nal_header & 0x1f == nal_type::IDR_SLICE;
    let idr_pic_id = if idr { Some(bits.read_ue("idr_pic_id")?) } else { None };
    let mut poc = [0; 2];
    if let Some(lsb_bits) = sps.poc_lsb_bits {
        poc[0] = bits.read_var::<u32>(lsb_bits, "pic_order_cnt_lsb")?.cast_signed();
        if pps.bottom_field_poc && field.is_none() {
            poc[1] = bits.read_se("delta_pic_order_cnt_bottom")?;
        }
    } else if sps.poc_deltas {
        poc[0] = bits.read_se("delta_pic_order_cnt[0]")?;
        if pps.bottom_field_poc && field.is_none() {
            poc[1] = bits.read_se("delta_pic_order_cnt[1]")?;
        }
    }
    let redundant = pps.redundant_pictures && bits.read_ue("redundant_pic_cnt")? > 0;
    let (reference, poc_lsb_bits) = (nal_header & 0x60 != 0, sps.poc_lsb_bits);
    Ok(PictureId { frame_num, field, reference, idr_pic_id, poc, redundant, poc_lsb_bits })
}
