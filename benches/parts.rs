//! What single parts cost: TS demultiplexing, fMP4 writing and reading, RTMP chunking (bytes a second), the ledger
//! (events a second).

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use overdub_actors::clock::UnixMicros;
use overdub_actors::ledger::{Event, Header, Ledger, LedgerPlan, OutputPlan, RenditionPlan};
use overdub_actors::messages::StoredSegment;
use overdub_actors::settings::Fallback;
use overdub_media::assemble::{Assembler, Carry, MediaCut};
use overdub_media::mp4::{self, FragmentBuilder, TrackConfig};
use overdub_media::rtmp::chunk::{ChunkReader, ChunkWriter, MessageHeader};
use overdub_media::sample::{AudioConfig, VideoConfig};

/// The fixture's segments; the bench's own where `make bench` has made them, which are five times as large.
fn segments() -> Vec<Bytes> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &str| -> Vec<Bytes> {
        let file = |number: usize| root.join(folder).join(format!("segment-{number}.ts"));
        (0..15).map_while(|number| std::fs::read(file(number)).ok()).map(Bytes::from).collect()
    };
    let large = read("target/bench/film");
    if large.is_empty() { read("fixtures/live") } else { large }
}

fn assemble(segments: &[Bytes]) -> (Vec<MediaCut>, VideoConfig, AudioConfig) {
    let mut assembler = Assembler::new(Carry::default(), false);
    let mut cuts = Vec::new();
    for segment in segments {
        cuts.extend(assembler.push_segment(segment).expect("the content is whole"));
    }
    let assembled = assembler.finish().expect("the content is whole");
    cuts.extend(assembled.cuts);
    (cuts, assembled.video.expect("video"), assembled.audio.expect("audio"))
}

fn media(criterion: &mut Criterion) {
    let segments = segments();
    let source_bytes: usize = segments.iter().map(Bytes::len).sum();
    let mut group = criterion.benchmark_group("media");
    group.sample_size(20).throughput(Throughput::Bytes(source_bytes as u64));
    group.bench_function("TS to samples", |bench| bench.iter(|| assemble(black_box(&segments))));

    let (cuts, video, audio) = assemble(&segments);
    let build = || -> Vec<_> {
        let fragment = |(index, cut): (usize, &MediaCut)| {
            FragmentBuilder::new(index as u32 + 1).video(1, &cut.video).audio(2, &cut.audio, 0).build()
        };
        cuts.iter().enumerate().map(|cut| fragment(cut).expect("samples that fit")).collect()
    };
    group.bench_function("samples to fMP4", |bench| bench.iter(build));

    let tracks = [(1, TrackConfig::Video(&video)), (2, TrackConfig::Audio(&audio))];
    let init = mp4::init_segment(&tracks).expect("a configuration that fits");
    let movie = mp4::read_init(&Bytes::from(init)).expect("our own init section");
    let files: Vec<Bytes> = build().iter().map(|fragment| fragment.to_vec().into()).collect();
    group.bench_function("fMP4 to samples", |bench| {
        bench.iter(|| {
            for file in &files {
                black_box(mp4::read_fragment(&movie, file).expect("our own fragment"));
            }
        });
    });
    group.finish();
    rtmp(criterion, &cuts);
}

fn rtmp(criterion: &mut Criterion, cuts: &[MediaCut]) {
    let pictures: Vec<Bytes> =
        cuts.iter().flat_map(|cut| &cut.video).map(|sample| sample.nals.concat().into()).collect();
    let bytes: usize = pictures.iter().map(Bytes::len).sum();
    let chunks = |size: u32| {
        let (mut writer, mut out) = (ChunkWriter::default(), Vec::new());
        writer.set_chunk_size(size, &mut out).expect("a size that fits");
        for (index, picture) in pictures.iter().enumerate() {
            let header =
                MessageHeader { chunk_stream: 6, type_id: 9, timestamp_ms: index as u32 * 40, stream_id: 1 };
            writer.message(header, std::slice::from_ref(picture), &mut out).expect("a picture that fits");
        }
        out
    };
    let mut group = criterion.benchmark_group("rtmp");
    group.sample_size(20).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("pictures to chunks of 64 KiB", |bench| bench.iter(|| chunks(65_536)));
    group.bench_function("pictures to chunks of 128 bytes", |bench| bench.iter(|| chunks(128)));
    let wire = chunks(65_536).concat();
    group.bench_function("chunks of 64 KiB to messages", |bench| {
        bench.iter(|| {
            let mut reader = ChunkReader::new(16 << 20);
            let mut input = bytes::BytesMut::from(&wire[..]);
            while let Some(message) = reader.read(&mut input).expect("our own chunks") {
                black_box(message);
            }
        });
    });
    group.finish();
}

/// Segments of 2 s into batches of 30 s, and the time that passes: what a stream's ledger sees most of.
fn ledger(criterion: &mut Criterion) {
    const SEGMENTS: u64 = 1500;
    let plan = LedgerPlan {
        buffer_us: 30_000_000,
        delay_us: 10_000_000,
        max_concurrent_batches: 3,
        keep_batches: Some(5),
        renditions: vec![RenditionPlan { name: "main".into(), fallback: Fallback::Original }],
        outputs: vec![OutputPlan { name: "main/rtmp-0".into(), rendition: Some(0) }],
    };
    let segment = |number: u64| StoredSegment {
        number,
        media_sequence: number,
        path: format!("segment-{number}.ts").into(),
        bytes: 500_000,
        duration_us: 2_000_000,
        discontinuity: false,
        program_date_time: None,
        backlog_us: 0,
        is_last: false,
        date_ranges: Vec::new(),
        date_ranges_dropped: 0,
        cue_tags: 0,
        audio: None,
    };
    let mut group = criterion.benchmark_group("ledger");
    group.sample_size(20).throughput(Throughput::Elements(2 * SEGMENTS));
    group.bench_function("segments and moments", |bench| {
        bench.iter(|| {
            let mut ledger = Ledger::new(plan.clone(), Header::default(), Vec::new());
            for number in 0..SEGMENTS {
                let now = UnixMicros(1_800_000_000_000_000 + number as i64 * 2_000_000);
                black_box(ledger.apply(Event::SegmentStored(segment(number)), now));
                black_box(ledger.apply(Event::TimePassed, now));
                black_box(ledger.take_changes());
            }
        });
    });
    group.finish();
}

criterion_group!(parts, media, ledger);
criterion_main!(parts);
