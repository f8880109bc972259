//! ISO base media files (ISO/IEC 14496-12): fragmented MP4 out, fragmented and progressive MP4 in.
//!
//! | module | what |
//! | --- | --- |
//! | `init` | `ftyp` and `moov` of the files we write; RFC 6381 codec strings |
//! | `fragment` | a `moof` and an `mdat` as chunks for one vectored write |
//! | `boxes` | walking boxes with checked sizes and positions |
//! | `movie` | `moov` of the files we read: tracks, edit lists, defaults |
//! | `entry`, `avc`, `hevc`, `asc`, `gapless` | sample entries, `avcC`, `hvcC`, AudioSpecificConfig, iTunes' priming |
//! | `runs` | `moof`: track fragments to samples |
//! | `emsg` | event messages |
//! | `tables` | `stbl`: a progressive file's tables to samples |
//! | `file` | a whole foreign file |
//!
//! Samples are never copied: what is written refers to the caller's buffers, what is read is a slice of the input.

mod asc;
mod avc;
mod boxes;
mod emsg;
mod entry;
mod error;
mod file;
mod fragment;
mod gapless;
mod hevc;
mod init;
mod movie;
mod runs;
mod tables;

pub use asc::read_audio_specific_config;
pub use avc::{decoder_configuration, split_nals};
pub use emsg::{EventMessage, MessageTime, event_messages, put_event_message};
pub use error::{FourCc, Mp4Error};
pub use file::{File, read_file};
pub use fragment::{FIRST_TFDT_VALUE_OFFSET, Fragment, FragmentBuilder, tfdt_value_offset};
pub use init::{TrackConfig, codecs, init_segment};
pub use movie::{Movie, SampleDefaults, Track, TrackKind, read_init};
pub use runs::{ReadSample, ReadSegment, TrackFragment, read_fragment, read_segment};

/// Video timescale of the files we write.
pub const VIDEO_TIMESCALE: u32 = 90_000;
