//! Files of the corpus, damaged: nothing panics, hangs, or grows beyond what went in.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use overdub_media::assemble::{Assembler, Carry, Input, Take, probe};
use overdub_media::foreign::ForeignReader;
use overdub_media::{flv, mp4, sniff};

use crate::support::corpus;

/// How long damage is done.
const FOR: Duration = Duration::from_secs(8);

/// Bytes of a file that are used.
const USED: usize = 96 << 10;

/// xorshift64*: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn media(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            media(&path, out);
        } else if path.extension().is_some_and(|e| ["ts", "mp4", "m4s", "aac", "mp3"].iter().any(|m| e == *m))
        {
            out.push(path);
        }
    }
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(12) {
        let at = random.below(bytes.len());
        let len = random.below(300).min(bytes.len().saturating_sub(at));
        match random.below(7) {
            0 => drop(bytes.drain(at..at + len)),
            1 => {
                let copy = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            2 => bytes[at..at + len].fill(random.next() as u8),
            3 => bytes.truncate(at.max(1)),
            4 if bytes.len() > 8 => {
                // A length or a count, perhaps.
                let at = random.below(bytes.len().min(4096) - 4);
                bytes[at..at + 4].copy_from_slice(&[0xff, 0x7f, 0, 1].map(|b: u8| b ^ random.next() as u8));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

fn survive(data: &Bytes, init: Option<&Bytes>, take: Take) {
    let input = Input { data, init, take };
    let _ = sniff::sniff(data);
    let _ = probe(&input);
    let mut carry = Carry::default();
    for discontinuity in [false, false, true] {
        let mut assembler = Assembler::new(carry.clone(), discontinuity);
        let mut reader = ForeignReader::new(assembler.foreign_carry());
        let _ = reader.push(&input);
        let transcode = reader.finish();
        let _ = assembler.push(&input);
        if let Some(transcode) = transcode {
            let fed: usize = transcode.stretches.iter().flat_map(|s| &s.stream).map(Bytes::len).sum();
            assert!(fed <= 4 * data.len() + 4096, "{fed} bytes of {}", data.len());
            for stretch in &transcode.stretches {
                let _ = assembler.push_transcoded(data, stretch);
            }
            assembler.set_foreign_carry(transcode.carry);
        }
        let mut cuts = assembler.take_cuts();
        let events = assembler.take_events();
        assert!(events.len() <= 600);
        if let Ok(end) = assembler.finish() {
            cuts.extend(end.cuts);
            let json = serde_json::to_string(&end.carry).unwrap();
            // Bytes are written as numbers.
            assert!(json.len() <= 5 * data.len() + (64 << 10), "a carry of {} bytes", json.len());
            carry = serde_json::from_str(&json).unwrap();
        }
        let units: usize = cuts.iter().map(|cut| cut.video.len() + cut.audio.len()).sum();
        // Silence fills holes of up to 150 s each.
        assert!(units <= data.len() + 400_000, "{units} units of {} bytes", data.len());
    }
    let _ = mp4::read_file(data);
    let _ = flv::read_tags(data);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the time it takes is bounded; nothing is decided by it")]
fn damaged_files_are_survived() {
    let Some(root) = corpus("") else { return };
    let mut files = Vec::new();
    media(&root, &mut files);
    files.sort();
    assert!(files.len() > 50);
    let begun = Instant::now();
    let mut random = Random(0x0ddb_a11d);
    let inits: Vec<Bytes> = files
        .iter()
        .filter(|path| path.to_str().unwrap().contains("init") || path.to_str().unwrap().contains("header"))
        .map(|path| Bytes::from(std::fs::read(path).unwrap()))
        .collect();
    let mut runs = 0;
    'rounds: for _ in 0..50 {
        for path in &files {
            if begun.elapsed() > FOR {
                break 'rounds;
            }
            let mut bytes = std::fs::read(path).unwrap();
            bytes.truncate(USED);
            let mut init = inits[random.below(inits.len())].to_vec();
            if path.parent().is_some_and(|folder| folder.join("init.mp4").exists()) {
                init = std::fs::read(path.with_file_name("init.mp4")).unwrap();
            }
            damage(&mut bytes, &mut random);
            if random.below(3) == 0 {
                damage(&mut init, &mut random);
            }
            let take = [Take::All, Take::All, Take::Video, Take::Audio][random.below(4)];
            survive(&Bytes::from(bytes), Some(&Bytes::from(init)), take);
            runs += 1;
        }
    }
    println!("{runs} damaged files in {:?}", begun.elapsed());
}
