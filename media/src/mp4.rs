//! ISO base media files (ISO/IEC 14496-12): fragmented MP4 out, fragmented and progressive MP4 in.
//!
//! | module | what |
//! | --- | --- |
//! | `init` | `ftyp` and `moov` of the files we write; RFC 6381 codec strings |
//! | `fragment` | a `moof` and an `mdat` as chunks for one vectored write |
//! | `boxes` | walking boxes with checked sizes and positions |
//! | `movie` | `moov` of the files we read: tracks, edit lists, defaults |
//! | `entry`, `avc`, `asc`, `gapless` | sample entries, `avcC`, AudioSpecificConfig, iTunes' priming |
//! | `runs` | `moof`: track fragments to samples |
//! | `tables` | `stbl`: a progressive file's tables to samples |
//! | `file` | a whole foreign file |
//!
//! Samples are never copied: what is written refers to the caller's buffers, what is read is a slice of the input.

mod asc;
mod avc;
mod boxes;
mod entry;
mod error;
mod file;
mod fragment;
mod gapless;
mod init;
mod movie;
mod runs;
mod tables;

pub use avc::{decoder_configuration, split_nals};
pub use error::{FourCc, Mp4Error};
pub use file::{File, read_file};
pub use fragment::{FIRST_TFDT_VALUE_OFFSET, Fragment, FragmentBuilder, tfdt_value_offset};
pub use init::{TrackConfig, codecs, init_segment};
pub use movie::{Movie, SampleDefaults, Track, TrackKind, read_init};
pub use runs::{ReadSample, TrackFragment, read_fragment};

/// Video timescale of the files we write.
pub const VIDEO_TIMESCALE: u32 = 90_000;
