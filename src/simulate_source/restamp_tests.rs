use super::*;

const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;

/// A transport packet whose payload is `payload`, stuffed by its adaptation field, with a PCR if given.
fn packet(pid: u16, counter: u8, start: bool, pcr: Option<u64>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x47, (pid >> 8) as u8 | if start { 0x40 } else { 0 }, pid as u8, 0x30 | counter];
    let field = PACKET - 5 - payload.len();
    bytes.push(field as u8);
    if field > 0 {
        bytes.push(if pcr.is_some() { 0x10 } else { 0 });
        if let Some(base) = pcr {
            let mut pcr = [0, 0, 0, 0, 0x7E, 0x55];
            write_pcr_base(&mut pcr, base);
            bytes.extend(pcr);
        }
        bytes.resize(PACKET - payload.len(), 0xFF);
    }
    bytes.extend(payload);
    assert_eq!(bytes.len(), PACKET);
    bytes
}

fn pes(stream_id: u8, pts: u64, dts: Option<u64>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, stream_id, 0, 0, 0x80];
    match dts {
        None => {
            bytes.extend([0x80, 5]);
            bytes.extend(stamp_bytes([0x21, 0, 1, 0, 1], pts));
        }
        Some(dts) => {
            bytes.extend([0xC0, 10]);
            bytes.extend(stamp_bytes([0x31, 0, 1, 0, 1], pts));
            bytes.extend(stamp_bytes([0x11, 0, 1, 0, 1], dts));
        }
    }
    bytes.extend([0xAA; 20]);
    bytes
}

/// A segment of `pictures` from decode time `dts` on, 3600 ticks apart, counters going on from `counter`.
fn segment(dts: u64, pictures: u64, counter: u8) -> Vec<u8> {
    (0..pictures)
        .flat_map(|i| {
            let dts = (dts + i * 3600) & CLOCK_MASK;
            packet(
                VIDEO,
                (counter + i as u8) & 15,
                true,
                Some(dts),
                &pes(0xE0, (dts + 7200) & CLOCK_MASK, Some(dts)),
            )
        })
        .collect()
}

fn decode_times(segment: &[u8]) -> Vec<u64> {
    stamps_of(segment).into_iter().map(|stamp| stamp.dts).collect()
}

#[test]
fn a_stamp_keeps_its_prefix_and_markers() {
    // PTS 0x1_2345_6789 with prefix 0010: 0010 100 1 | 10001101 | 0001010 1 | 11001111 | 0001001 1
    let raw = [0x29, 0x8D, 0x15, 0xCF, 0x13];
    assert_eq!(stamp_value(raw), 0x1_2345_6789);
    assert_eq!(stamp_bytes(raw, 0x1_2345_6789), raw);
    assert_eq!(stamp_value(stamp_bytes(raw, CLOCK_MASK)), CLOCK_MASK);
    assert_eq!(stamp_bytes(raw, 0), [0x21, 0, 0x01, 0, 0x01]);
}

#[test]
fn a_loop_is_as_long_as_its_pictures_and_its_segments_share_it() {
    let (a, b) = (segment(1000, 3, 0), segment(1000 + 3 * 3600, 2, 3));
    let shape = LoopShape::measure([a.as_slice(), &b]).unwrap();
    assert_eq!(shape.duration_90k, 5 * 3600);
    assert_eq!(shape.segment_durations_90k, [3 * 3600, 2 * 3600]);
}

#[test]
fn the_next_loop_goes_on_where_the_last_ended() {
    let looped = segment(1000, 5, 3);
    let shape = LoopShape::measure([looped.as_slice()]).unwrap();
    let stream: Vec<u8> = (0..8).flat_map(|number| restamp(&looped, &shape.shift(number))).collect();
    assert_eq!(
        stream,
        segment(1000, 40, 3),
        "times and counters of eight loops are those of one long segment"
    );
}

#[test]
fn the_first_loop_is_untouched() {
    let looped = segment(77, 5, 9);
    let shape = LoopShape::measure([looped.as_slice()]).unwrap();
    assert_eq!(restamp(&looped, &shape.shift(0)), looped);
}

#[test]
fn the_33_bit_clock_wraps_within_a_loop_and_between_loops() {
    let start = CLOCK_MASK - 2 * 3600;
    let looped = segment(start, 5, 0);
    let shape = LoopShape::measure([looped.as_slice()]).unwrap();
    assert_eq!(shape.duration_90k, 5 * 3600);
    let next = restamp(&looped, &shape.shift(1));
    assert_eq!(decode_times(&next)[0], (start + 5 * 3600) & CLOCK_MASK);
    // After as many loops as the clock's period holds, the value is small again and still masked.
    let many = restamp(&looped, &shape.shift((1 << 33) / (5 * 3600) + 1));
    assert!(decode_times(&many).iter().all(|dts| *dts <= CLOCK_MASK));
}

#[test]
fn a_header_across_two_packets_is_moved_whole() {
    let header = pes(0xC0, 90_000, Some(80_000));
    let mut split = packet(AUDIO, 0, true, None, &header[..11]);
    split.extend(packet(AUDIO, 1, false, None, &header[11..]));
    let shift = Shift { ticks_90k: 4000, counters: BTreeMap::from([(AUDIO, 2)]) };
    let moved_header = pes(0xC0, 94_000, Some(84_000));
    let mut expected = packet(AUDIO, 2, true, None, &moved_header[..11]);
    expected.extend(packet(AUDIO, 3, false, None, &moved_header[11..]));
    assert_eq!(restamp(&split, &shift), expected);
}

#[test]
fn psi_and_private_payloads_stay_as_they_are() {
    let mut table = packet(0, 7, true, None, &[0, 0, 1, 0xE0, 0, 0, 0x80]);
    table.extend(packet(0x20, 0, true, None, &pes(0xBF, 5, None)));
    assert_eq!(restamp(&table, &Shift { ticks_90k: 99, counters: BTreeMap::new() }), table);
}

#[test]
fn a_jump_within_the_loop_is_refused() {
    let (a, b) = (segment(0, 2, 0), segment(90_000 * 60, 2, 2));
    let error = LoopShape::measure([a.as_slice(), &b]).unwrap_err();
    assert_eq!(error, NotLoopable::Jump { segment: 1, pid: VIDEO, step_90k: 90_000 * 60 - 3600 });
    assert_eq!(LoopShape::measure([b"<!DOCTYPE html>".as_slice()]).unwrap_err(), NotLoopable::NoTimestamps);
}

#[test]
fn garbage_is_neither_changed_nor_fatal() {
    let mut bytes: Vec<u8> = (0..2000u32).map(|i| ((i * 7919) >> 3) as u8).collect();
    bytes.extend([0x47; 400]);
    bytes.extend([0x47, 0x40, 0x00, 0x30, 0xFF, 0x18]);
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        let _ = LoopShape::measure([cut]);
        assert_eq!(restamp(cut, &Shift::default()), cut);
    }
}
