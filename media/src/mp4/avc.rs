//! `avcC` (ISO/IEC 14496-15 5.3.3.1) and samples in AVC format, which is H.265's too.

use bytes::Bytes;
use mp4_atom::{Atom, Avcc, AvccExt};

use super::boxes::BoxBody;
use super::error::Mp4Error;
use crate::h264::sps;
use crate::sample::{VideoCodec, VideoConfig};

/// Largest count of sequence parameter sets that `avcC` can hold (5 bits).
const MAX_SPS: usize = 31;

/// The decoder configuration record of a configuration, with 4-byte NAL unit lengths: the body of `avcC` or
/// `hvcC`, and of a sequence header.
///
/// # Errors
/// When a parameter set is missing, too short or too long, or there are too many.
pub fn decoder_configuration(config: &VideoConfig) -> Result<Vec<u8>, Mp4Error> {
    if config.codec == VideoCodec::H265 {
        return super::hevc::record(config);
    }
    let mut body = Vec::new();
    avcc(config)?.encode_body(&mut body).map_err(|error| Mp4Error::Encode(error.to_string()))?;
    Ok(body)
}

pub(super) fn avcc(config: &VideoConfig) -> Result<Avcc, Mp4Error> {
    let (Some(sps), Some(_)) = (config.sps.first(), config.pps.first()) else {
        return Err(Mp4Error::Config("an SPS and a PPS are needed"));
    };
    let [_, profile, constraints, level, ..] = **sps else {
        return Err(Mp4Error::Config("the SPS is too short"));
    };
    if config.sps.len() > MAX_SPS || config.pps.len() > usize::from(u8::MAX) {
        return Err(Mp4Error::Config("too many parameter sets"));
    }
    if config.sps.iter().chain(&config.pps).any(|set| set.is_empty() || set.len() > usize::from(u16::MAX)) {
        return Err(Mp4Error::Config("a parameter set must have 1 to 65535 bytes"));
    }
    // ISO/IEC 14496-15 5.3.3.1.2 asks for these fields from profile 100 on. Where the SPS cannot be read
    // they are what nearly every stream has: 4:2:0 with 8 bits.
    let ext = (!matches!(profile, 66 | 77 | 88)).then(|| match sps::parse(sps) {
        Ok(sps) => AvccExt {
            chroma_format: sps.chroma_format,
            bit_depth_luma: sps.depths[0],
            bit_depth_chroma: sps.depths[1],
            sequence_parameter_sets_ext: Vec::new(),
        },
        Err(_) => AvccExt::default(),
    });
    Ok(Avcc {
        configuration_version: 1,
        avc_profile_indication: profile,
        profile_compatibility: constraints,
        avc_level_indication: level,
        length_size: 4,
        sequence_parameter_sets: config.sps.iter().map(|set| set.to_vec()).collect(),
        picture_parameter_sets: config.pps.iter().map(|set| set.to_vec()).collect(),
        ext,
    })
}

/// Width and height of a pixel, where the SPS says that they differ.
pub(super) fn pixel_aspect(config: &VideoConfig) -> Option<(u16, u16)> {
    if config.codec != VideoCodec::H264 {
        return None;
    }
    sps::parse(config.sps.first()?).ok()?.pixel_aspect.filter(|(width, height)| width != height)
}

/// What `avcC` or `hvcC` says.
pub(super) struct CodecRecord {
    pub config: VideoConfig,
    /// Bytes of each NAL unit's length field: 1, 2 or 4.
    pub length_size: u8,
}

/// Reads an `avcC` body; `size` is the sample entry's, for an SPS that cannot be read.
pub(super) fn read_avcc(mut body: BoxBody<'_>, size: (u16, u16)) -> Result<CodecRecord, Mp4Error> {
    if body.u8()? != 1 {
        return Err(body.invalid("its version is not 1"));
    }
    body.skip(3)?;
    let length_size = (body.u8()? & 3) + 1;
    if length_size == 3 {
        return Err(body.invalid("nal unit lengths of 3 bytes do not exist"));
    }
    let sps_count = body.u8()? & 31;
    let sps = parameter_sets(&mut body, sps_count)?;
    let pps_count = body.u8()?;
    let pps = parameter_sets(&mut body, pps_count)?;
    let shown = sps.first().and_then(|sps| sps::parse(sps).ok());
    let (width, height) = shown.map_or(size, |sps| (sps.width, sps.height));
    Ok(CodecRecord { config: VideoConfig { sps, pps, width, height, ..VideoConfig::default() }, length_size })
}

fn parameter_sets(body: &mut BoxBody<'_>, count: u8) -> Result<Vec<Bytes>, Mp4Error> {
    (0..count)
        .map(|_| {
            let len = body.u16()?;
            let set = body.take(u64::from(len))?;
            // Configurations outlive the segment they came in: a slice would keep all of it in memory.
            Ok(Bytes::copy_from_slice(set))
        })
        .collect()
}

/// The NAL units of a sample in AVC format, as slices of it. Empty units are left out.
///
/// # Errors
/// When a unit claims more bytes than are left, or `length_size` is none of 1, 2 and 4.
pub fn split_nals(sample: &Bytes, length_size: u8) -> Result<Vec<Bytes>, Mp4Error> {
    if !matches!(length_size, 1 | 2 | 4) {
        return Err(Mp4Error::Config("nal unit lengths have 1, 2 or 4 bytes"));
    }
    let width = usize::from(length_size);
    let mut nals = Vec::new();
    let mut at = 0;
    while at < sample.len() {
        let rest = &sample[at..];
        let Some(field) = rest.get(..width) else {
            return Err(Mp4Error::Nal { at, size: u64::from(length_size), left: rest.len() });
        };
        let size = field.iter().fold(0u32, |size, byte| size << 8 | u32::from(*byte));
        let left = rest.len() - width;
        let Some(len) = usize::try_from(size).ok().filter(|len| *len <= left) else {
            return Err(Mp4Error::Nal { at, size: u64::from(size), left });
        };
        let begin = at + width;
        if len > 0 {
            nals.push(sample.slice(begin..begin + len));
        }
        at = begin + len;
    }
    Ok(nals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sps_without_a_byte_is_none() {
        let config = VideoConfig { sps: vec![Bytes::new()], ..VideoConfig::default() };
        assert_eq!(pixel_aspect(&config), None);
    }
}
