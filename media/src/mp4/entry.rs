//! Sample entries (ISO/IEC 14496-12 8.5.2): what a track's samples are.

use bytes::Bytes;

use super::asc;
use super::avc;
use super::boxes::BoxBody;
use super::error::Mp4Error;
use super::hevc;
use super::movie::TrackKind;
use crate::audio::{ForeignCodec, opus};

/// Descriptor tags of ISO/IEC 14496-1 7.2.2.1.
const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;

pub(super) struct Description {
    pub kind: TrackKind,
    pub nal_length_size: u8,
    /// How many sample entries there are; only the first is read.
    pub entries: u32,
    /// Audio that is not AAC but can become it.
    pub foreign: Option<ForeignCodec>,
    /// Channels of Opus.
    pub opus: Option<opus::Layout>,
}

/// Reads `stsd`. Codecs that are not ours, and encrypted ones, are [`TrackKind::Other`].
pub(super) fn read_stsd(mut stsd: BoxBody<'_>) -> Result<Description, Mp4Error> {
    stsd.full_header()?;
    let entries = stsd.u32()?;
    let Some(entry) = stsd.next_child()? else {
        return Err(stsd.invalid("it has no entry"));
    };
    let other = TrackKind::Other { fourcc: entry.name };
    let mut foreign = match &entry.name.0 {
        b".mp3" => Some(ForeignCodec::MpegLayer3),
        b"ac-3" => Some(ForeignCodec::Ac3),
        b"ec-3" => Some(ForeignCodec::EAc3),
        _ => None,
    };
    let mut opus = None;
    let (kind, nal_length_size) = match &entry.name.0 {
        // Dolby Vision's names for H.265 that others can decode too.
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => {
            let record = read_visual(entry)?;
            (TrackKind::Video(record.config), record.length_size)
        }
        b"mp4a" => {
            let sound = read_mp4a(entry)?;
            foreign = sound.as_ref().and_then(|sound| sound.as_ref().err().copied());
            (sound.and_then(Result::ok).unwrap_or(other), 4)
        }
        b"Opus" => {
            opus = read_opus(entry)?;
            foreign = opus.map(|_| ForeignCodec::Opus);
            (other, 4)
        }
        _ => (other, 4),
    };
    Ok(Description { kind, nal_length_size, entries, foreign, opus })
}

fn read_visual(mut entry: BoxBody<'_>) -> Result<avc::CodecRecord, Mp4Error> {
    // ISO/IEC 14496-12 12.1.3: 24 bytes, width, height, 50 bytes, boxes.
    entry.skip(24)?;
    let size = (entry.u16()?, entry.u16()?);
    entry.skip(50)?;
    if !entry.name.0.starts_with(b"avc") {
        return hevc::read_hvcc(entry.require(b"hvcC")?, size);
    }
    avc::read_avcc(entry.require(b"avcC")?, size)
}

/// Moves to the boxes of an AudioSampleEntry; gives its channel count.
fn skip_sound_fields(entry: &mut BoxBody<'_>) -> Result<u16, Mp4Error> {
    // ISO/IEC 14496-12 12.2.3; versions 1 and 2 are QuickTime's and have further fields.
    entry.skip(8)?;
    let version = entry.u16()?;
    entry.skip(6)?;
    let channels = entry.u16()?;
    entry.skip(10)?;
    match version {
        0 => {}
        1 => entry.skip(16)?,
        2 => entry.skip(36)?,
        _ => return Err(entry.invalid("its version is none of 0, 1 and 2")),
    }
    Ok(channels)
}

/// Channels of Opus; `None` where their layout is of a kind that is not known here.
fn read_opus(mut entry: BoxBody<'_>) -> Result<Option<opus::Layout>, Mp4Error> {
    skip_sound_fields(&mut entry)?;
    let mut dops = entry.require(b"dOps")?;
    let len = dops.left() as u64;
    Ok(opus::Layout::read_dops(dops.take(len)?))
}

/// AAC, or another codec that can become it; `None` where the entry is sound but holds neither.
fn read_mp4a(mut entry: BoxBody<'_>) -> Result<Option<Result<TrackKind, ForeignCodec>>, Mp4Error> {
    let channels = skip_sound_fields(&mut entry)?;
    let esds = match entry.find(b"esds")? {
        Some(esds) => Some(esds),
        // QuickTime wraps it.
        None => match entry.find(b"wave")? {
            Some(wave) => wave.find(b"esds")?,
            None => None,
        },
    };
    let Some(esds) = esds else {
        return Ok(None);
    };
    Ok(match read_esds(esds)? {
        Some(Ok(config)) => {
            asc::read_audio_specific_config(&config, channels).map(|config| Ok(TrackKind::Audio(config)))
        }
        Some(Err(foreign)) => Some(Err(foreign)),
        None => None,
    })
}

/// The AudioSpecificConfig in an `esds`, or the codec that it names instead; `None` when it holds another one or
/// nothing.
fn read_esds(mut esds: BoxBody<'_>) -> Result<Option<Result<Bytes, ForeignCodec>>, Mp4Error> {
    esds.full_header()?;
    let Some(mut es) = find_descriptor(esds, ES_DESCRIPTOR)? else {
        return Err(esds.invalid("it has no elementary stream descriptor"));
    };
    // ISO/IEC 14496-1 7.2.6.5.
    es.skip(2)?;
    let flags = es.u8()?;
    if flags & 0x80 != 0 {
        es.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let len = es.u8()?;
        es.skip(u64::from(len))?;
    }
    if flags & 0x20 != 0 {
        es.skip(2)?;
    }
    let Some(mut decoder) = find_descriptor(es, DECODER_CONFIG)? else {
        return Err(esds.invalid("it has no decoder configuration"));
    };
    // ISO/IEC 14496-1 table 5: 0x40 is MPEG-4 audio, 0x66 to 0x68 are MPEG-2 AAC. 0x69 and 0x6b are MPEG audio of
    // any layer: in MP4 it is layer III nearly always, and FFmpeg finds out.
    match decoder.u8()? {
        0x40 | 0x66..=0x68 => {}
        0x69 | 0x6b => return Ok(Some(Err(ForeignCodec::MpegLayer3))),
        0xa5 => return Ok(Some(Err(ForeignCodec::Ac3))),
        0xa6 => return Ok(Some(Err(ForeignCodec::EAc3))),
        _ => return Ok(None),
    }
    decoder.skip(12)?;
    let Some(mut specific) = find_descriptor(decoder, DECODER_SPECIFIC)? else {
        return Ok(None);
    };
    let len = specific.left() as u64;
    // Copied, because configurations outlive the segment they came in.
    Ok(Some(Ok(Bytes::copy_from_slice(specific.take(len)?))))
}

/// The next descriptor with this tag.
fn find_descriptor<'a>(mut body: BoxBody<'a>, tag: u8) -> Result<Option<BoxBody<'a>>, Mp4Error> {
    while body.left() > 0 {
        let found = body.u8()?;
        // ISO/IEC 14496-1 8.3.3: seven bits a byte, at most four bytes.
        let mut len: u32 = 0;
        for _ in 0..4 {
            let byte = body.u8()?;
            len = len << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut inner = body;
        body.skip(u64::from(len))?;
        if found == tag {
            inner.end = body.at;
            return Ok(Some(inner));
        }
    }
    Ok(None)
}
