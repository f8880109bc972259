//! Reads the segments that are to be served from a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;

use super::SourceSegment;

/// All segments are held in memory; what is larger than this is no test source.
const MAX_TOTAL_BYTES: u64 = 1 << 30;
const MAX_PLAYLIST_BYTES: u64 = 4 << 20;

/// The segments of `dir`: those that its playlist lists, else all `*.ts` by name (numbers by value).
pub fn load(dir: &Path) -> anyhow::Result<Vec<SourceSegment>> {
    let entries = std::fs::read_dir(dir)
        .with_context(|| format!("{} cannot be read", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()?;
    let with_extension = |extension: &str| {
        let mut found: Vec<&PathBuf> =
            entries.iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
        found.sort_by_cached_key(|path| natural_key(path));
        found
    };
    let playlist = with_extension("m3u8").into_iter().find(|path| media_playlist(path));
    let listed = match playlist {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("{} is not text", path.display()))?;
            parse(&text).with_context(|| path.display().to_string())?
        }
        None => with_extension("ts")
            .into_iter()
            .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), None)))
            .collect(),
    };
    ensure!(!listed.is_empty(), "{} holds neither a playlist with segments nor *.ts files", dir.display());
    let mut total = 0u64;
    let mut segments = Vec::with_capacity(listed.len());
    for (name, duration_us) in listed {
        let path = dir.join(&name);
        let size =
            std::fs::metadata(&path).with_context(|| format!("{} cannot be read", path.display()))?.len();
        total = total.saturating_add(size);
        ensure!(
            total <= MAX_TOTAL_BYTES,
            "the segments of {} are larger than {MAX_TOTAL_BYTES} bytes",
            dir.display()
        );
        let data = std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        segments.push(SourceSegment { name, data: Bytes::from(data), duration_us });
    }
    Ok(segments)
}

/// Whether the file is a media playlist, as opposed to a multivariant one that lies beside it.
fn media_playlist(path: &Path) -> bool {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_PLAYLIST_BYTES);
    small && std::fs::read_to_string(path).is_ok_and(|text| text.contains("#EXTINF"))
}

/// File names and EXTINF durations of a media playlist whose segments lie beside it.
fn parse(text: &str) -> anyhow::Result<Vec<(String, Option<i64>)>> {
    let mut segments = Vec::new();
    let mut duration_us = None;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if let Some(value) = line.strip_prefix("#EXTINF:") {
            let seconds = value.split(',').next().unwrap_or_default().trim();
            let seconds: f64 =
                seconds.parse().with_context(|| format!("line {}: EXTINF is not a number", index + 1))?;
            ensure!(seconds > 0.0 && seconds < 3600.0, "line {}: EXTINF is out of range", index + 1);
            duration_us = Some((seconds * 1e6).round() as i64);
        } else if line.starts_with("#EXT-X-BYTERANGE") || line.starts_with("#EXT-X-MAP") {
            bail!("line {}: only whole MPEG-TS files can be served", index + 1);
        } else if !line.is_empty() && !line.starts_with('#') {
            ensure!(
                !line.contains(['/', '\\']) && line != "..",
                "line {}: the segment does not lie beside its playlist",
                index + 1
            );
            segments.push((line.to_owned(), duration_us.take()));
        }
    }
    Ok(segments)
}

/// Sorts `segment-2` before `segment-10`: runs of digits count by value.
fn natural_key(path: &Path) -> Vec<(String, u64)> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut key = vec![(String::new(), 0u64)];
    let mut in_digits = false;
    for character in name.chars() {
        let digit = character.to_digit(10);
        if digit.is_none() && in_digits {
            key.push((String::new(), 0));
        }
        in_digits = digit.is_some();
        if let Some((text, number)) = key.last_mut() {
            match digit {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(u64::from(digit)),
                None => text.push(character),
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_playlist_gives_order_and_durations() {
        let segments = parse("#EXTM3U\n#EXTINF:2.5,title\nb.ts\n#EXTINF:2\na.ts\nc.ts\n").unwrap();
        assert_eq!(
            segments,
            [
                ("b.ts".to_owned(), Some(2_500_000)),
                ("a.ts".to_owned(), Some(2_000_000)),
                ("c.ts".to_owned(), None)
            ]
        );
    }

    #[test]
    fn a_playlist_reaches_no_other_folder() {
        for text in ["#EXTINF:2,\n../secret.ts\n", "#EXTINF:2,\n/etc/passwd\n", "#EXTINF:2,\n..\n"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("#EXTINF:nan,\na.ts\n").is_err());
        assert!(parse("#EXT-X-BYTERANGE:1@0\na.ts\n").is_err());
    }

    #[test]
    fn numbers_in_names_count_by_value() {
        let mut names = ["s10.ts", "s9.ts", "s1.ts", "a99.ts"].map(PathBuf::from);
        names.sort_by_cached_key(|path| natural_key(path));
        assert_eq!(names, ["a99.ts", "s1.ts", "s9.ts", "s10.ts"].map(PathBuf::from));
    }

    #[test]
    fn a_folder_without_playlist_is_read_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for (name, data) in [("x10.ts", "ten"), ("x9.ts", "nine"), ("notes.txt", "-")] {
            std::fs::write(dir.path().join(name), data).unwrap();
        }
        let segments = load(dir.path()).unwrap();
        let names: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(names, ["x9.ts", "x10.ts"]);
        assert_eq!(segments[0].data, "nine");
        assert_eq!(segments[0].duration_us, None);
    }

    #[test]
    fn an_empty_folder_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let message = load(dir.path()).unwrap_err().to_string();
        assert!(message.contains("neither a playlist"), "{message}");
    }
}
