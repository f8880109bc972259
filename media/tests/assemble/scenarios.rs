//! Epochs, jumps, holes and cuts, on small streams made here.

use bytes::Bytes;
use overdub_media::assemble::{AssembleError, Carry};

use crate::mux::{AUDIO_PID, Mux, VIDEO_PID, frame, frame_number, picture_nals, second_by_second};
use crate::support::{Batch, assemble};

fn first_times(batch: &Batch) -> (i64, i64) {
    (batch.video().next().unwrap().dts_90k, batch.audio().next().unwrap().time)
}

fn numbers(batch: &Batch) -> Vec<Option<u32>> {
    batch.audio().map(|sample| frame_number(&sample.data)).collect()
}

fn run(segments: &[Bytes]) -> Batch {
    assemble(segments, Carry::default(), false).unwrap()
}

#[test]
fn a_batch_goes_on_where_the_one_before_ended() {
    let whole = run(&[second_by_second(900_000, 2, 94, 0, 0), second_by_second(1_080_480, 2, 94, 50, 94)]);
    let first = run(&[second_by_second(900_000, 2, 94, 0, 0)]);
    let carry = first.end.carry.clone();
    let second = assemble(&[second_by_second(1_080_480, 2, 94, 50, 94)], carry, false).unwrap();
    assert_eq!(first_times(&first), (900_000, 480_000));
    assert_eq!(second.video().next().unwrap().dts_90k, 1_080_480);
    assert_eq!(numbers(&whole), (0..188).map(Some).collect::<Vec<_>>());
    assert_eq!([numbers(&first), numbers(&second)].concat(), numbers(&whole));
    assert_eq!(second.end.carry.epoch(), 0);
    // Doing it again gives the same.
    let again =
        assemble(&[second_by_second(1_080_480, 2, 94, 50, 94)], first.end.carry.clone(), false).unwrap();
    assert_eq!((again.cuts, again.end), (second.cuts, second.end));
}

#[test]
fn a_new_epoch_follows_on_without_overlap_and_keeps_the_offset_of_audio_and_video() {
    let first = run(&[second_by_second(900_000, 2, 96, 0, 0)]);
    let (video_end, audio_end) = (900_000 + 180_000, 480_000 + 96 * 1024);
    assert_eq!(first.end.carry.end_90k(), Some(900_000 + 96 * 1920));
    // The audio of the next epoch begins 50 ms after its video.
    let mut mux = Mux::av();
    for picture in 0..25 {
        mux.picture(5_000_000 + i64::from(picture) * 3600, 7200, picture == 0, picture);
    }
    mux.frames(5_000_000 + 4500, 0, 40);
    let second = assemble(&[mux.segment()], first.end.carry.clone(), true).unwrap();
    let (video, audio) = first_times(&second);
    assert_eq!(second.end.carry.epoch(), 1);
    assert_eq!(audio - video * 48 / 90, 2400);
    assert!(video >= video_end && audio >= audio_end);
    assert!(video == video_end || audio == audio_end, "one of them follows on at once");
    assert_eq!(numbers(&second), (0..40).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_loop_without_a_tag_moves_both_tracks_by_the_same() {
    // 2 s of video with 96 frames (2.048 s) of audio, played three times over.
    let segment = second_by_second(900_000, 2, 96, 0, 0);
    let batch = run(&[segment.clone(), segment.clone(), segment]);
    assert_eq!(batch.count("timestamp_jumps"), 2);
    let loops = 96 * 1920;
    let firsts: Vec<i64> =
        batch.video().filter(|sample| sample.sync).step_by(2).map(|sample| sample.dts_90k).collect();
    assert_eq!(firsts, [900_000, 900_000 + loops, 900_000 + 2 * loops]);
    // Every frame is there, and the audio has no gap.
    assert_eq!(numbers(&batch), (0..96).chain(0..96).chain(0..96).map(Some).collect::<Vec<_>>());
    assert!(batch.audio().all(|sample| sample.duration == 1024));
}

#[test]
fn a_loop_over_a_batch_border_does_the_same() {
    let segment = second_by_second(900_000, 2, 96, 0, 0);
    let whole = run(&[segment.clone(), segment.clone()]);
    let first = run(std::slice::from_ref(&segment));
    let second = assemble(&[segment], first.end.carry.clone(), false).unwrap();
    let times = |batch: &Batch| batch.video().map(|sample| sample.dts_90k).collect::<Vec<_>>();
    assert_eq!([times(&first), times(&second)].concat(), times(&whole));
    assert_eq!(second.end.carry.epoch(), 0);
}

#[test]
fn a_jump_forward_is_closed_for_both_tracks() {
    // Just over 10 s in one track, just under in the other.
    let mut mux = Mux::av();
    for second in 0..2i64 {
        let start = 900_000 + second * (90_000 + 899_000);
        for picture in 0..25 {
            mux.picture(start + picture * 3600, 0, picture == 0, (second * 25 + picture) as u32);
        }
        for frame in 0..46 {
            mux.frames(start - second * 4000 + frame * 1920, (second * 46 + frame) as u32, 1);
        }
    }
    let batch = run(&[mux.segment()]);
    assert_eq!(batch.count("timestamp_jumps"), 1);
    assert_eq!(batch.count("audio_silence_inserted"), 0);
    let last = batch.video().last().unwrap();
    assert!(last.dts_90k < 900_000 + 2 * 90_000 + 3600, "{}", last.dts_90k);
    let (video, audio) = (batch.video().nth(25).unwrap().dts_90k, batch.audio().nth(46).unwrap().time);
    let offset = audio * 90 / 48 - video;
    assert!((-4000 - 90..=-4000 + 90).contains(&offset), "{offset}");
}

#[test]
fn the_clock_may_wrap_inside_a_segment() {
    let start = (1 << 33) - 45_000;
    let batch = run(&[second_by_second(start, 2, 94, 0, 0)]);
    assert_eq!(batch.end.counters, []);
    assert_eq!(first_times(&batch).0, start);
    assert_eq!(batch.video().last().unwrap().dts_90k, start + 49 * 3600);
    assert_eq!(numbers(&batch).len(), 94);
}

#[test]
fn a_stream_that_begins_before_the_wrap_with_one_track_is_moved_by_whole_seconds() {
    let mut mux = Mux::av();
    mux.picture(900, 0, true, 0);
    mux.picture(4500, 0, false, 1);
    mux.picture(8100, 0, false, 2);
    mux.frames(-4500, 0, 4);
    let batch = run(&[mux.segment()]);
    assert_eq!(first_times(&batch), (90_900, 48_000 - 2400));
}

#[test]
fn a_lost_frame_becomes_silence() {
    let mut mux = Mux::av();
    for picture in 0..25 {
        mux.picture(90_000 + picture * 3600, 0, picture == 0, picture as u32);
    }
    mux.frames(90_000, 0, 4);
    mux.frames(90_000 + 5 * 1920, 5, 4);
    let batch = run(&[mux.segment()]);
    let expected = [0, 1, 2, 3].map(Some).into_iter().chain([None]).chain([5, 6, 7, 8].map(Some));
    assert_eq!(numbers(&batch), expected.collect::<Vec<_>>());
    assert_eq!(batch.count("audio_silence_inserted"), 1);
}

#[test]
fn audio_that_stops_goes_on_as_silence_and_comes_back_in_its_place() {
    let first = run(&[second_by_second(900_000, 2, 94, 0, 0)]);
    let second =
        assemble(&[second_by_second(1_080_000, 2, 0, 50, 0)], first.end.carry.clone(), false).unwrap();
    assert!(second.audio().count() > 90 && numbers(&second).iter().all(Option::is_none));
    let third =
        assemble(&[second_by_second(1_260_000, 2, 94, 100, 500)], second.end.carry.clone(), false).unwrap();
    let (video, _) = first_times(&third);
    // The first access unit closes up with the silence before it; from the second on all is where it was.
    let back: Vec<_> = third.audio().collect();
    assert_eq!(frame_number(&back[0].data), Some(500));
    assert!(video * 48 / 90 - back[0].time < 1024);
    assert_eq!(back[1].time, video * 48 / 90 + 1024);
    assert_eq!(numbers(&third).iter().flatten().count(), 94);
}

#[test]
fn cuts_begin_at_each_segment_and_after_six_seconds_inside_a_long_one() {
    let long = second_by_second(900_000, 14, 656, 0, 0);
    let short = second_by_second(900_000 + 14 * 90_000, 2, 94, 350, 656);
    let batch = run(&[long, short]);
    let pictures: Vec<usize> = batch.cuts.iter().map(|cut| cut.video.len()).collect();
    assert_eq!(pictures, [150, 150, 50, 50]);
    for pair in batch.cuts.windows(2) {
        let next = pair[1].video[0].pts_90k * 48 / 90;
        assert!(pair[0].audio.iter().all(|sample| sample.time < next));
        assert!(pair[1].audio[0].time >= next);
    }
}

/// 10 s in which one track stands whole before the other; the audio is 60 ms short.
fn not_interleaved(start: i64, audio_first: bool) -> Bytes {
    let mut mux = Mux::av();
    let audio = |mux: &mut Mux| (0..465).for_each(|at| mux.frames(start + i64::from(at) * 1920, at, 1));
    if audio_first {
        audio(&mut mux);
    }
    for picture in 0..250 {
        mux.picture(start + i64::from(picture) * 3600, 7200, picture % 25 == 0, picture);
    }
    if !audio_first {
        audio(&mut mux);
    }
    mux.segment()
}

#[test]
fn tracks_that_are_not_interleaved_stay_beside_each_other() {
    let interleaved = run(&[second_by_second(900_000, 10, 465, 0, 0)]);
    for audio_first in [true, false] {
        let first = run(&[not_interleaved(900_000, audio_first)]);
        assert_eq!(first.cuts, interleaved.cuts);
        assert_eq!(first.end.counters, []);
        // Into another epoch, whose tracks may not overlap the first's either.
        let next = assemble(&[not_interleaved(77_000, audio_first)], first.end.carry.clone(), true).unwrap();
        assert_eq!(next.end.counters, []);
        assert_eq!(first_times(&next), (900_000 + 900_000, (900_000 + 900_000) * 48 / 90));
    }
}

#[test]
fn a_batch_that_begins_inside_a_gop_keeps_its_pictures() {
    let first = run(&[second_by_second(900_000, 1, 47, 0, 0)]);
    let mut mux = Mux::av();
    for picture in 0..25 {
        mux.picture(990_000 + picture * 3600, 7200, picture == 10, 25 + picture as u32);
    }
    let second = assemble(&[mux.segment()], first.end.carry.clone(), false).unwrap();
    assert_eq!(second.video().count(), 25);
    assert_eq!(second.count("batch_begins_inside_gop"), 1);
    assert_eq!(second.cuts.len(), 2);
}

#[test]
fn a_length_that_is_too_short_for_its_picture_costs_nothing_of_it() {
    let clean = second_by_second(900_000, 1, 47, 0, 0);
    let mut short = clean.to_vec();
    for packet in short.chunks_mut(188) {
        let payload = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
        if packet[1] & 0x40 != 0
            && let Some([0, 0, 1, 0xe0..=0xef, high, low]) = packet.get_mut(payload..payload + 6)
        {
            (*high, *low) = (0, 14);
        }
    }
    let (expected, came) = (run(&[clean]), run(&[short.into()]));
    assert_eq!(came.cuts, expected.cuts);
    assert!(came.count("pes_bytes_beyond_length") > 0);
}

#[test]
fn repeated_packets_and_junk_change_nothing() {
    let clean = second_by_second(900_000, 1, 47, 0, 0);
    let mut dirty = Vec::new();
    for (index, packet) in clean.chunks(188).enumerate() {
        dirty.extend(packet);
        if index % 5 == 4 {
            dirty.extend(packet);
        }
        if index % 40 == 39 {
            dirty.extend(b"junk");
        }
    }
    let (clean, dirty) = (run(&[clean]), run(&[Bytes::from(dirty)]));
    assert_eq!(clean.cuts, dirty.cuts);
    assert!(dirty.count("ts_duplicate_packets") > 10 && dirty.count("ts_sync_losses") > 2);
    assert_eq!(dirty.count("ts_continuity_errors"), 0);
}

#[test]
fn pes_packets_and_access_units_go_on_over_segments() {
    let stream = second_by_second(900_000, 2, 94, 0, 0);
    let expected = run(std::slice::from_ref(&stream));
    let split = stream.len() / 188 / 2 * 188;
    let halves = run(&[stream.slice(..split), stream.slice(split..)]);
    assert_eq!(halves.video().collect::<Vec<_>>(), expected.video().collect::<Vec<_>>());
    assert_eq!(halves.audio().collect::<Vec<_>>(), expected.audio().collect::<Vec<_>>());
    assert_eq!(halves.end.carry, expected.end.carry);
}

#[test]
fn pictures_are_told_apart_without_delimiters_and_slices_kept_together() {
    let mut mux = Mux::av();
    let start_codes = |nals: &[Vec<u8>]| -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 1], nal.as_slice(), &[0, 0]].concat()).collect()
    };
    let idr = picture_nals(true, 1);
    // A second slice of the same picture: first_mb_in_slice is 1 (010) instead of 0 (1), the rest is the same.
    let bits: String = idr[3][1..].iter().map(|byte| format!("{byte:08b}")).collect();
    let bits = format!("010{}", &bits[1..bits.len() - 2]);
    let mut second_slice = vec![0x65];
    second_slice.extend((0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..][..8], 2).unwrap()));
    let next = picture_nals(false, 2).pop().unwrap();
    mux.pes(VIDEO_PID, 9000, None, &start_codes(&[idr.clone(), vec![second_slice.clone()]].concat()));
    mux.pes(VIDEO_PID, 12_600, None, &start_codes(std::slice::from_ref(&next)));
    let batch = run(&[mux.segment()]);
    let pictures: Vec<Vec<Vec<u8>>> =
        batch.video().map(|sample| sample.nals.iter().map(|nal| nal.to_vec()).collect()).collect();
    assert_eq!(pictures, [[idr, vec![second_slice]].concat(), vec![next]]);
}

#[test]
fn equal_idr_pictures_without_delimiters_are_told_apart_and_keep_their_sei() {
    let mut expected = Vec::new();
    for _ in 0..3 {
        let idr = picture_nals(true, 1);
        let nals = [idr[1].clone(), idr[2].clone(), vec![6, 5, 1, 0x55, 0x80], idr[3].clone()];
        expected.push(nals[..].to_vec());
        // And one that nothing but its slice begins.
        expected.push(nals[3..].to_vec());
    }
    // A picture that an SEI begins.
    expected.push(vec![vec![6, 5, 1, 0x66, 0x80], picture_nals(true, 1).remove(3)]);
    let mut mux = Mux::av();
    for (index, nals) in expected.iter().enumerate() {
        let bytes: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 1], nal.as_slice()].concat()).collect();
        mux.pes(VIDEO_PID, 90_000 + index as i64 * 3600, None, &bytes);
    }
    let batch = run(&[mux.segment()]);
    let found: Vec<Vec<Vec<u8>>> =
        batch.video().map(|sample| sample.nals.iter().map(|nal| nal.to_vec()).collect()).collect();
    assert_eq!(found, expected);
    assert_eq!(batch.video().last().unwrap().pts_90k, 90_000 + 6 * 3600);
}

#[test]
fn a_changed_audio_codec_waits_for_the_next_batch() {
    let mut mux = Mux::av();
    for picture in 0..100 {
        mux.picture(90_000 + picture * 3600, 0, picture % 25 == 0, picture as u32);
    }
    mux.frames(90_000, 0, 4);
    let mono: Vec<u8> = (4..8)
        .flat_map(|number| {
            let mut frame = frame(number);
            frame[3] = frame[3] & 0x3f | 0x40;
            frame
        })
        .collect();
    mux.pes(AUDIO_PID, 90_000 + 4 * 1920, None, &mono);
    let batch = run(&[mux.segment()]);
    assert_eq!(batch.end.audio.as_ref().unwrap().channels, 2);
    assert_eq!(batch.count("audio_config_change_dropped"), 4);
    let mut mux = Mux::av();
    mux.picture(90_000 + 360_000, 0, true, 100);
    mux.pes(AUDIO_PID, 90_000 + 360_000, None, &mono);
    let next = assemble(&[mux.segment()], batch.end.carry.clone(), false).unwrap();
    assert_eq!(next.end.audio.as_ref().unwrap().channels, 1);
    assert_eq!(numbers(&next).into_iter().flatten().collect::<Vec<_>>(), [4, 5, 6, 7]);
}

#[test]
fn a_program_map_that_changes_is_followed() {
    let first = second_by_second(900_000, 1, 47, 0, 0);
    let mut mux = Mux::default();
    mux.tables(&[(0x1b, VIDEO_PID), (0x0f, 0x201)]);
    for picture in 0..25 {
        mux.picture(990_000 + picture * 3600, 7200, picture == 0, 25 + picture as u32);
    }
    let audio: Vec<u8> = (47..94).flat_map(frame).collect();
    mux.pes(0x201, 900_000 + 47 * 1920, None, &audio);
    let batch = run(&[first, mux.segment()]);
    assert_eq!(numbers(&batch), (0..94).map(Some).collect::<Vec<_>>());
    assert_eq!(batch.count("pmt_changes"), 1);
    let mut mux = Mux::default();
    mux.tables(&[(0x1b, VIDEO_PID), (0x81, 0x201)]);
    let error = assemble(&[mux.segment()], batch.end.carry.clone(), false).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, AssembleError::UnsupportedCodec { place, .. } if place == "stream_type 0x81, PID 0x201"),
        "{error}"
    );
}

/// Fifty pictures, each with its NAL unit of what it is: IDR, message of a recovery point, or neither.
fn entered(kind: impl Fn(u32) -> (bool, Option<&'static [u8]>)) -> Batch {
    let mut mux = Mux::av();
    for picture in 0..50 {
        let (idr, sei) = kind(picture);
        let mut nals = picture_nals(true, picture);
        let mut slice = nals.pop().unwrap();
        slice[0] = if idr { 0x65 } else { 0x41 };
        if !idr && sei.is_none() {
            nals.truncate(1);
        }
        nals.extend(sei.map(<[u8]>::to_vec));
        nals.push(slice);
        let payload: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 0, 1], nal.as_slice()].concat()).collect();
        mux.pes(VIDEO_PID, 90_000 + i64::from(picture) * 3600, None, &payload);
    }
    run(&[mux.segment()])
}

/// Recovery points with recovery_frame_cnt 0 and 1.
const RECOVERY: &[u8] = &[6, 6, 1, 0xc4, 0x80];
const REFRESH: &[u8] = &[6, 6, 1, 0x44, 0x80];

#[test]
fn a_source_without_idr_pictures_begins_at_a_recovery_point() {
    let batch = entered(|picture| (false, (picture % 25 == 5).then_some(RECOVERY)));
    assert_eq!(batch.video().count(), 45);
    assert_eq!(batch.video().filter(|sample| sample.sync).count(), 2);
}

#[test]
fn an_idr_picture_further_on_does_not_close_the_gop_before_it() {
    let batch = entered(|picture| (picture == 30, (picture == 5).then_some(RECOVERY)));
    assert_eq!(batch.video().count(), 45);
    assert_eq!(batch.video().filter(|sample| sample.sync).count(), 2);
}

#[test]
fn intra_refresh_is_entered_where_it_begins() {
    let batch = entered(|picture| (false, (picture % 10 == 5).then_some(REFRESH)));
    assert_eq!(batch.video().count(), 45);
    assert_eq!(batch.video().filter(|sample| sample.sync).count(), 5);
    // Not where there is better.
    let batch = entered(|picture| (picture == 20, (picture % 10 == 5).then_some(REFRESH)));
    assert_eq!(batch.video().count(), 30);
    assert_eq!(batch.video().filter(|sample| sample.sync).count(), 1);
}
