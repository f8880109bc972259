//! A whole file, of whatever layout: fragmented, progressive or both, `moov` first or last.

use bytes::Bytes;

use super::boxes::{BoxBody, SampleBudget};
use super::error::Mp4Error;
use super::movie::{Movie, read_moov};
use super::runs::{FragmentReader, TrackFragment};
use super::tables::read_tables;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its tracks.
    pub movie: Movie,
    /// The H.264 and AAC samples, one entry a track that has any, in the movie's order.
    pub tracks: Vec<TrackFragment>,
}

impl File {
    /// Samples of the track, none if it has none.
    #[must_use]
    pub fn samples(&self, track_id: u32) -> &[super::ReadSample] {
        self.tracks.iter().find(|track| track.track_id == track_id).map_or(&[], |track| &track.samples)
    }
}

/// Reads a whole file; samples are slices of `data`. Boxes that are not needed (`sidx`, `emsg`, `free`, ...)
/// are skipped.
///
/// # Errors
/// When there is no `moov`, a box is damaged or cut off, or a sample lies outside the file.
pub fn read_file(data: &Bytes) -> Result<File, Mp4Error> {
    let moov = BoxBody::top(data).require(b"moov")?;
    let found = read_moov(moov)?;
    let mut reader = FragmentReader::new(&found.movie, data, SampleBudget::for_input(data.len()));
    for (index, (track, stbl)) in found.movie.tracks.iter().zip(&found.tables).enumerate() {
        let samples = read_tables(*stbl, track, data, reader.budget())?;
        reader.begin(index, samples);
    }
    let mut top = BoxBody::top(data);
    while let Some(child) = top.next_child()? {
        if &child.name.0 == b"moof" {
            reader.moof(child)?;
        }
    }
    let tracks = reader.finish();
    Ok(File { movie: found.movie, tracks })
}
