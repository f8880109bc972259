//! `ftyp` and `moov` of the files we write.

use std::fmt::Write;

use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{
    Audio, Avc1, Codec, Dinf, Dref, Encode, Esds, FourCC, Ftyp, Hdlr, Hvc1, Mdhd, Mdia, Minf, Moov, Mp4a,
    Mvex, Mvhd, Pasp, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
};

use super::VIDEO_TIMESCALE;
use super::avc::{avcc, pixel_aspect};
use super::error::Mp4Error;
use super::hevc::{self, hvcc};
use crate::sample::{AudioConfig, VideoCodec, VideoConfig};

/// What a track of ours holds.
#[derive(Debug, Clone, Copy)]
pub enum TrackConfig<'a> {
    /// H.264 or H.265; the track's timescale is 90000.
    Video(&'a VideoConfig),
    /// AAC; the track's timescale is the sample rate.
    Audio(&'a AudioConfig),
}

/// `ftyp` and `moov` of a fragmented file with these tracks (id, configuration), in this order.
///
/// # Errors
/// When there is no track, an id is 0 or comes twice, or a configuration cannot be written.
pub fn init_segment(tracks: &[(u32, TrackConfig<'_>)]) -> Result<Vec<u8>, Mp4Error> {
    for (index, (id, _)) in tracks.iter().enumerate() {
        if *id == 0 || *id == u32::MAX || tracks[..index].iter().any(|(earlier, _)| earlier == id) {
            return Err(Mp4Error::Track {
                track: *id,
                what: "track ids must differ and be neither 0 nor 2^32-1",
            });
        }
    }
    let Some(highest) = tracks.iter().map(|(id, _)| *id).max() else {
        return Err(Mp4Error::Config("a movie needs a track"));
    };
    // iso6: signed composition offsets and tfdt; cmfc: ISO/IEC 23000-19 7.2.
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"cmfc", b"mp41"].map(FourCC::new).to_vec(),
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: VIDEO_TIMESCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: highest + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: tracks
                .iter()
                .map(|(id, _)| Trex { track_id: *id, default_sample_description_index: 1, ..Trex::default() })
                .collect(),
        }),
        trak: tracks.iter().map(|(id, config)| trak(*id, *config)).collect::<Result<_, _>>()?,
        ..Moov::default()
    };
    let mut out = Vec::with_capacity(1024);
    ftyp.encode(&mut out)
        .and_then(|()| moov.encode(&mut out))
        .map_err(|e| Mp4Error::Encode(e.to_string()))?;
    Ok(out)
}

fn trak(id: u32, config: TrackConfig<'_>) -> Result<Trak, Mp4Error> {
    let mut tkhd = Tkhd { track_id: id, enabled: true, in_movie: true, ..Tkhd::default() };
    let mut minf =
        Minf { dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } }, ..Minf::default() };
    let (timescale, handler, name, codec) = match config {
        TrackConfig::Video(config) => {
            let pixel = pixel_aspect(config);
            // 8.3.2.3: the size on the screen, so stretched by the pixels' shape.
            let (across, down) = pixel.map_or((1, 1), |(w, h)| (u32::from(w), u32::from(h)));
            let shown = u16::try_from(u32::from(config.width) * across / down).unwrap_or(u16::MAX);
            (tkhd.width, tkhd.height) = (shown.into(), config.height.into());
            minf.vmhd = Some(Vmhd::default());
            (VIDEO_TIMESCALE, b"vide", "VideoHandler", video_entry(config, pixel)?)
        }
        TrackConfig::Audio(config) => {
            tkhd.volume = 1.into();
            // 8.3.2.3: tracks that stand for each other share a group; players list audio tracks by it.
            tkhd.alternate_group = 1;
            minf.smhd = Some(Smhd::default());
            (config.sample_rate, b"soun", "SoundHandler", mp4a(id, config)?)
        }
    };
    minf.stbl = Stbl { stsd: Stsd { codecs: vec![codec] }, stco: Some(Stco::default()), ..Stbl::default() };
    let mdhd = Mdhd { timescale, language: "und".to_owned(), ..Mdhd::default() };
    let hdlr = Hdlr { handler: FourCC::new(handler), name: name.to_owned() };
    Ok(Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() })
}

fn video_entry(config: &VideoConfig, pixel: Option<(u16, u16)>) -> Result<Codec, Mp4Error> {
    let visual =
        Visual { data_reference_index: 1, width: config.width, height: config.height, ..Visual::default() };
    // Browsers take the pixels' shape from here and not from the SPS.
    let pasp = pixel.map(|(w, h)| Pasp { h_spacing: u32::from(w), v_spacing: u32::from(h) });
    Ok(match config.codec {
        VideoCodec::H264 => Avc1 { visual, avcc: avcc(config)?, pasp, ..Avc1::default() }.into(),
        VideoCodec::H265 => Hvc1 { visual, hvcc: hvcc(config)?, pasp, ..Hvc1::default() }.into(),
    })
}

fn mp4a(id: u32, config: &AudioConfig) -> Result<Codec, Mp4Error> {
    if config.audio_specific_config.is_empty() || config.sample_rate == 0 {
        return Err(Mp4Error::Track {
            track: id,
            what: "AAC needs a sample rate and an AudioSpecificConfig",
        });
    }
    let audio = Audio {
        data_reference_index: 1,
        channel_count: u16::from(config.channels),
        sample_size: 16,
        // 12.2.3.2 has 16 bits for it. Where they do not do, 0; decoders go by the AudioSpecificConfig.
        sample_rate: u16::try_from(config.sample_rate).unwrap_or(0).into(),
    };
    let specific =
        DecoderSpecific { raw: config.audio_specific_config.to_vec(), ..DecoderSpecific::default() };
    let dec_config = DecoderConfig {
        object_type_indication: 0x40,
        stream_type: 5,
        dec_specific: Some(specific),
        ..DecoderConfig::default()
    };
    // ISO/IEC 14496-14 3.1.2: ES_ID is 0 in a file, the track id stands for it.
    let es_desc = EsDescriptor { dec_config, sl_config: SLConfig::default(), ..EsDescriptor::default() };
    Ok(Mp4a { audio, esds: Esds { es_desc }, btrt: None, taic: None }.into())
}

/// The codec as RFC 6381 writes it: `avc1.4d400c`, `hvc1.1.6.L93.90`, `mp4a.40.2`.
#[must_use]
pub fn codecs(config: TrackConfig<'_>) -> String {
    match config {
        TrackConfig::Video(config) if config.codec == VideoCodec::H265 => hevc::codec_string(config),
        TrackConfig::Video(config) => {
            let mut text = "avc1.".to_owned();
            let profile_and_level = config.sps.first().and_then(|sps| sps.get(1..4)).unwrap_or(&[0; 3]);
            for byte in profile_and_level {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text
        }
        // SBR that the configuration does not tell of is told here.
        TrackConfig::Audio(config) if config.sbr => "mp4a.40.5".to_owned(),
        TrackConfig::Audio(config) => format!("mp4a.40.{}", config.object_type),
    }
}
