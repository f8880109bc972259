//! `hvcC` (ISO/IEC 14496-15 8.3.3.1).

use bytes::Bytes;
use mp4_atom::{Atom, HvcCArray, Hvcc};

use super::avc::CodecRecord;
use super::boxes::BoxBody;
use super::error::Mp4Error;
use crate::h265::nal_type;
use crate::h265::params::parse_sps;
use crate::sample::{VideoCodec, VideoConfig};

/// Parameter sets of one kind that are taken.
const MAX_SETS: usize = 64;

pub(super) fn hvcc(config: &VideoConfig) -> Result<Hvcc, Mp4Error> {
    if config.vps.is_empty() || config.sps.is_empty() || config.pps.is_empty() {
        return Err(Mp4Error::Config("a VPS, an SPS and a PPS are needed"));
    }
    let Some(sps) = parse_sps(&config.sps[0]) else {
        return Err(Mp4Error::Config("the SPS is unreadable"));
    };
    let sets = || config.vps.iter().chain(&config.sps).chain(&config.pps);
    if sets().any(|set| set.is_empty() || set.len() > usize::from(u16::MAX)) {
        return Err(Mp4Error::Config("a parameter set must have 1 to 65535 bytes"));
    }
    if [&config.vps, &config.sps, &config.pps].iter().any(|sets| sets.len() > MAX_SETS) {
        return Err(Mp4Error::Config("too many parameter sets"));
    }
    let array = |nal_unit_type, sets: &[Bytes]| HvcCArray {
        completeness: true,
        nal_unit_type,
        nalus: sets.iter().map(|set| set.to_vec()).collect(),
    };
    Ok(Hvcc {
        general_profile_space: sps.profile >> 6,
        general_tier_flag: sps.profile & 0x20 != 0,
        general_profile_idc: sps.profile & 0x1f,
        general_profile_compatibility_flags: sps.compatibility.to_be_bytes(),
        general_constraint_indicator_flags: sps.constraints,
        general_level_idc: sps.level,
        chroma_format_idc: sps.chroma_format,
        bit_depth_luma_minus8: sps.luma_depth_minus8,
        bit_depth_chroma_minus8: sps.chroma_depth_minus8,
        num_temporal_layers: sps.temporal_layers,
        temporal_id_nested: sps.temporal_id_nested,
        length_size_minus_one: 3,
        arrays: vec![
            array(nal_type::VPS, &config.vps),
            array(nal_type::SPS, &config.sps),
            array(nal_type::PPS, &config.pps),
        ],
        ..Hvcc::new()
    })
}

/// The HEVCDecoderConfigurationRecord of a configuration.
pub(super) fn record(config: &VideoConfig) -> Result<Vec<u8>, Mp4Error> {
    let mut body = Vec::new();
    hvcc(config)?.encode_body(&mut body).map_err(|error| Mp4Error::Encode(error.to_string()))?;
    Ok(body)
}

/// Reads an `hvcC` body; `size` is the sample entry's, for an SPS that cannot be read.
pub(super) fn read_hvcc(mut body: BoxBody<'_>, size: (u16, u16)) -> Result<CodecRecord, Mp4Error> {
    // Drafts wrote version 0.
    if body.u8()? > 1 {
        return Err(body.invalid("its version is not 1"));
    }
    body.skip(20)?;
    let length_size = (body.u8()? & 3) + 1;
    if length_size == 3 {
        return Err(body.invalid("nal unit lengths of 3 bytes do not exist"));
    }
    let mut config = VideoConfig { codec: VideoCodec::H265, ..VideoConfig::default() };
    let arrays = body.u8()?;
    for _ in 0..arrays {
        let kind = body.u8()? & 0x3f;
        let count = body.u16()?;
        for _ in 0..count {
            let len = body.u16()?;
            let set = body.take(u64::from(len))?;
            let sets = match kind {
                nal_type::VPS => &mut config.vps,
                nal_type::SPS => &mut config.sps,
                nal_type::PPS => &mut config.pps,
                // Messages that hold for the whole stream; decoders do without.
                _ => continue,
            };
            if sets.len() < MAX_SETS {
                // Copied, because configurations outlive the segment they came in.
                sets.push(Bytes::copy_from_slice(set));
            }
        }
    }
    let shown = config.sps.first().and_then(|sps| parse_sps(sps)).map(|sps| (sps.width, sps.height));
    (config.width, config.height) = shown.unwrap_or(size);
    Ok(CodecRecord { config, length_size })
}

/// The codec as RFC 6381 and ISO/IEC 14496-15 E.3 write it: `hvc1.1.6.L93.90`.
pub(super) fn codec_string(config: &VideoConfig) -> String {
    let Some(sps) = config.sps.first().and_then(|sps| parse_sps(sps)) else { return "hvc1".to_owned() };
    let space = ["", "A", "B", "C"][usize::from(sps.profile >> 6)];
    let tier = if sps.profile & 0x20 != 0 { 'H' } else { 'L' };
    let mut text = format!(
        "hvc1.{space}{}.{:X}.{tier}{}",
        sps.profile & 0x1f,
        sps.compatibility.reverse_bits(),
        sps.level
    );
    let used = sps.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &sps.constraints[..used] {
        text.push_str(&format!(".{byte:X}"));
    }
    text
}
