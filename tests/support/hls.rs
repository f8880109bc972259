//! Watches an HLS output live, as a player would but oftener, and keeps everything that it lists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use overdub_actors::clock;
use tokio::task::JoinHandle;
use url::Url;

use super::{Result, http, time};

/// How often each playlist is asked for; listing times are known to this.
pub const POLL: Duration = Duration::from_millis(40);

/// A byte range: offset and length.
pub type Range = (u64, u64);

/// One listed segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its media sequence number.
    pub sequence: u64,
    /// Path of its resource.
    pub path: String,
    /// Where in the resource it lies.
    pub range: Option<Range>,
    /// EXTINF.
    pub duration_s: f64,
    /// EXT-X-PROGRAM-DATE-TIME, Unix microseconds.
    pub date_time_us: Option<i64>,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// Its init section.
    pub map: Option<(String, Option<Range>)>,
}

/// A media playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Playlist {
    /// EXT-X-TARGETDURATION.
    pub target_duration_s: u64,
    /// Whether EXT-X-ENDLIST is there.
    pub ended: bool,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u64,
    /// The segments.
    pub entries: Vec<Entry>,
}

/// One media playlist's history.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Every entry ever listed, with the Unix microseconds at which it was first seen, and its bytes.
    pub entries: Vec<(Entry, i64, Vec<u8>)>,
    /// Init sections by address.
    pub inits: BTreeMap<String, Vec<u8>>,
    /// The newest playlist.
    pub newest: Playlist,
}

impl Recorded {
    /// Writes init section and segments as one file; other segments than those of `sequences` stay out.
    pub fn write_some(&self, path: &Path, sequences: std::ops::RangeInclusive<u64>) -> Result<PathBuf> {
        let mut some = self.clone();
        some.entries.retain(|(entry, _, _)| sequences.contains(&entry.sequence));
        some.write(path)
    }

    /// Writes init section and segments as one file.
    pub fn write(&self, path: &Path) -> Result<PathBuf> {
        let mut bytes: Vec<u8> = self.inits.values().flatten().copied().collect();
        if self.inits.len() > 1 {
            return Err(format!("{} init sections", self.inits.len()).into());
        }
        self.entries.iter().for_each(|(_, _, data)| bytes.extend(data));
        std::fs::write(path, bytes)?;
        Ok(path.to_owned())
    }
}

/// Everything seen: media playlists by name (`video`, or the audio rendition's NAME; `source` where the URL is
/// a media playlist itself), and what was wrong.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// By name.
    pub playlists: BTreeMap<String, Recorded>,
    /// Every breach of the protocol: an entry that changed, a number that went back, a segment that could
    /// not be had.
    pub faults: Vec<String>,
}

/// The watcher; it ends when dropped.
pub struct Watch {
    url: Arc<Mutex<String>>,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches the playlist at `url`, and those that it names, from whenever it is there.
    pub fn start(url: &str) -> Self {
        let url = Arc::new(Mutex::new(url.to_owned()));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (address, sink) = (Arc::clone(&url), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                let url = address.lock().unwrap().clone();
                round(&url, &sink).await;
                tokio::time::sleep(POLL).await;
            }
        });
        Self { url, seen, task }
    }

    /// Goes on at another address: the same output of a restarted program.
    pub fn follow(&self, url: &str) {
        *self.url.lock().unwrap() = url.to_owned();
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// One playlist's history; empty where it was never there.
    pub fn recorded(&self, name: &str) -> Recorded {
        self.seen.lock().unwrap().playlists.get(name).cloned().unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn round(url: &str, seen: &Mutex<Seen>) {
    // No answer, or none yet, is what a restart and a start look like.
    let Ok(answer) = http::get(url).await else { return };
    if answer.status != 200 {
        return;
    }
    let Ok(base) = Url::parse(url) else { return };
    let text = answer.text();
    let named = if text.contains("#EXTINF") {
        vec![("source".to_owned(), url.to_owned())]
    } else {
        media_playlists(&text)
    };
    for (name, uri) in named {
        let Ok(url) = base.join(&uri) else {
            seen.lock().unwrap().faults.push(format!("{name}: '{uri}' is no address"));
            continue;
        };
        if let Err(fault) = look(&name, &url, seen).await {
            seen.lock().unwrap().faults.push(format!("{name}: {fault}"));
        }
    }
}

async fn look(name: &str, url: &Url, seen: &Mutex<Seen>) -> Result<()> {
    let Ok(answer) = http::get(url.as_str()).await else { return Ok(()) };
    let at = clock::now().0;
    if answer.status != 200 {
        return Ok(());
    }
    let playlist = parse(&answer.text(), url)?;
    let known = seen.lock().unwrap().playlists.entry(name.to_owned()).or_default().clone_without_data();
    let mut faults = Vec::new();
    let first = |playlist: &Playlist| playlist.entries.first().map(|entry| entry.sequence);
    if first(&playlist) < first(&known.newest) {
        faults.push(format!(
            "media sequence goes back from {:?} to {:?}",
            first(&known.newest),
            first(&playlist)
        ));
    }
    let mut next = known.entries.last().map(|(entry, _, _)| entry.sequence + 1);
    for entry in &playlist.entries {
        if let Some((before, _, _)) =
            known.entries.iter().find(|(before, _, _)| before.sequence == entry.sequence)
        {
            if before != entry {
                faults.push(format!("an entry changed: {before:?} became {entry:?}"));
            }
            continue;
        }
        if next.is_some_and(|next| next != entry.sequence) {
            faults.push(format!("{} follows where {next:?} is due", entry.sequence));
        }
        next = Some(entry.sequence + 1);
        if let Some((path, range)) = &entry.map {
            let key = format!("{path} {range:?}");
            if !seen.lock().unwrap().playlists[name].inits.contains_key(&key) {
                let Some(init) = bytes(url, path, *range).await? else { break };
                record(seen, name, |recorded| _ = recorded.inits.insert(key, init));
            }
        }
        // Without its bytes an entry counts as not seen, and the next round tries again.
        let data = match bytes(url, &entry.path, entry.range).await {
            Ok(Some(data)) => data,
            Ok(None) => break,
            Err(error) => {
                faults.push(format!("segment {} cannot be had: {error}", entry.sequence));
                break;
            }
        };
        let entry = entry.clone();
        record(seen, name, |recorded| recorded.entries.push((entry, at, data)));
    }
    record(seen, name, |recorded| recorded.newest = playlist);
    seen.lock().unwrap().faults.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    Ok(())
}

fn record(seen: &Mutex<Seen>, name: &str, change: impl FnOnce(&mut Recorded)) {
    change(seen.lock().unwrap().playlists.entry(name.to_owned()).or_default());
}

impl Recorded {
    fn clone_without_data(&self) -> Self {
        let entries = self.entries.iter().map(|(entry, at, _)| (entry.clone(), *at, Vec::new())).collect();
        Self { entries, inits: BTreeMap::new(), newest: self.newest.clone() }
    }
}

/// What lies there; none where the service was killed behind the playlist. One failure is a fault already.
async fn bytes(base: &Url, path: &str, range: Option<Range>) -> Result<Option<Vec<u8>>> {
    let error = match fetch(base, path, range).await {
        Ok(data) => return Ok(Some(data)),
        Err(error) => error,
    };
    let gone =
        fetch(base, path, range).await.err().is_some_and(|again| again.to_string().contains("refused"));
    if gone { Ok(None) } else { Err(error) }
}

async fn fetch(base: &Url, path: &str, range: Option<Range>) -> Result<Vec<u8>> {
    let url = base.join(path)?;
    let (answer, status, length) = match range {
        Some((offset, length)) => (http::get_range(url.as_str(), offset, length).await?, 206, Some(length)),
        None => (http::get(url.as_str()).await?, 200, None),
    };
    if answer.status != status || length.is_some_and(|length| length != answer.body.len() as u64) {
        return Err(format!("{url} {range:?}: status {}, {} bytes", answer.status, answer.body.len()).into());
    }
    Ok(answer.body)
}

/// Names and URIs of a multivariant playlist's media playlists.
pub fn media_playlists(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut variant = false;
    for line in text.lines().map(str::trim) {
        if let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:") {
            let attributes = attribute_list(attributes);
            if let (Some(name), Some(uri)) = (attributes.get("NAME"), attributes.get("URI")) {
                found.push((name.clone(), uri.clone()));
            }
        } else if line.starts_with("#EXT-X-STREAM-INF:") {
            variant = true;
        } else if variant && !line.is_empty() && !line.starts_with('#') {
            found.push(("video".to_owned(), line.to_owned()));
            variant = false;
        }
    }
    found
}

/// An attribute list (RFC 8216 4.2).
fn attribute_list(text: &str) -> BTreeMap<String, String> {
    let mut quoted = false;
    let parts = text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    parts
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// Reads a media playlist; paths are made absolute.
pub fn parse(text: &str, url: &Url) -> Result<Playlist> {
    if !text.starts_with("#EXTM3U") {
        return Err("no #EXTM3U".into());
    }
    let absolute = |uri: &str| url.join(uri).map(|url| url.path().to_owned());
    let mut playlist = Playlist::default();
    let (mut sequence, mut duration_s, mut discontinuity) = (0u64, None, false);
    let (mut date_time_us, mut map, mut range): (_, _, Option<(u64, Option<u64>)>) = (None, None, None);
    for line in text.lines().map(str::trim) {
        let value = |name: &str| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        if let Some(value) = value("#EXT-X-MEDIA-SEQUENCE") {
            sequence = value.parse()?;
        } else if let Some(value) = value("#EXT-X-TARGETDURATION") {
            playlist.target_duration_s = value.parse()?;
        } else if let Some(value) = value("#EXT-X-DISCONTINUITY-SEQUENCE") {
            playlist.discontinuity_sequence = value.parse()?;
        } else if let Some(value) = value("#EXTINF") {
            duration_s = Some(value.split(',').next().unwrap_or_default().parse()?);
        } else if let Some(value) = value("#EXT-X-PROGRAM-DATE-TIME") {
            date_time_us = Some(time::unix_micros(value));
        } else if let Some(value) = value("#EXT-X-BYTERANGE") {
            range = Some(byte_range(value)?);
        } else if let Some(value) = value("#EXT-X-MAP") {
            let attributes = attribute_list(value);
            let range = attributes.get("BYTERANGE").map(|range| byte_range(range)).transpose()?;
            let range = range.map(|(length, offset)| (offset.unwrap_or(0), length));
            map = Some((absolute(attributes.get("URI").ok_or("EXT-X-MAP without URI")?)?, range));
        } else if line == "#EXT-X-DISCONTINUITY" {
            discontinuity = true;
        } else if line == "#EXT-X-ENDLIST" {
            playlist.ended = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            let path = absolute(line)?;
            let before = playlist.entries.last().filter(|before: &&Entry| before.path == path);
            let range = match range.take() {
                None => None,
                Some((length, Some(offset))) => Some((offset, length)),
                // RFC 8216 4.3.2.2: without an offset the range begins where the last one of the resource ended.
                Some((length, None)) => {
                    let (offset, before) = before.and_then(|before| before.range).ok_or("no range before")?;
                    Some((offset + before, length))
                }
            };
            playlist.entries.push(Entry {
                sequence,
                path,
                range,
                duration_s: duration_s.take().ok_or("a segment without EXTINF")?,
                date_time_us: date_time_us.take(),
                discontinuity: std::mem::take(&mut discontinuity),
                map: map.clone(),
            });
            sequence += 1;
        }
    }
    Ok(playlist)
}

/// `length[@offset]` as length and offset.
fn byte_range(text: &str) -> Result<(u64, Option<u64>)> {
    let (length, offset) =
        text.split_once('@').map_or((text, None), |(length, offset)| (length, Some(offset)));
    Ok((length.parse()?, offset.map(str::parse).transpose()?))
}

#[test]
fn playlists_are_read_with_ranges_maps_and_dates() {
    let url = Url::parse("http://h/live/a/video.m3u8").unwrap();
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:7\n\
        #EXT-X-MAP:URI=\"init,0.mp4\",BYTERANGE=\"100@0\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:01.000Z\n\
        #EXTINF:6.00000,\n#EXT-X-BYTERANGE:50@10\nb/0.mp4\n#EXT-X-DISCONTINUITY\n#EXTINF:5.5,\n\
        #EXT-X-BYTERANGE:20\nb/0.mp4\n#EXT-X-ENDLIST\n";
    let playlist = parse(text, &url).unwrap();
    assert!(playlist.ended);
    let [first, second] = playlist.entries.as_slice() else { panic!("{playlist:?}") };
    assert_eq!((first.sequence, first.range, first.date_time_us), (7, Some((10, 50)), Some(1_000_000)));
    assert_eq!(first.path, "/live/a/b/0.mp4");
    assert_eq!(first.map, Some(("/live/a/init,0.mp4".to_owned(), Some((0, 100)))));
    assert_eq!((second.sequence, second.range, second.discontinuity), (8, Some((60, 20)), true));
    let multivariant = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"main, dubbed\",URI=\"m.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\",AUDIO=\"a\"\nvideo.m3u8\n";
    let names = media_playlists(multivariant);
    assert_eq!(
        names,
        [("main, dubbed", "m.m3u8"), ("video", "video.m3u8")].map(|(n, u)| (n.into(), u.into()))
    );
}
