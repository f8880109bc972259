//! Which variant and which audio of a multivariant playlist: pure, and each choice says why.

use overdub_media::hls::{MultivariantPlaylist, Rendition, RenditionKind, Variant};

use crate::settings::{SourceOptions, VariantChoice, VariantEnd, VariantLimits};

/// Longest that a name from the playlist is shown, characters.
const MAX_NAME: usize = 40;

/// What is taken of a multivariant playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    /// URIs of the variant chosen and of those that are its equals, for when it fails.
    pub variants: Vec<String>,
    /// The variant's media playlist's audio, where it lies in a playlist of its own.
    pub audio: Option<String>,
    /// Which variant, and why.
    pub variant_reason: String,
    /// Which audio, and why; none where the playlist lists no audio renditions for the variant.
    pub audio_reason: Option<String>,
}

/// Chooses; none where no variant is listed.
pub(super) fn select(playlist: &MultivariantPlaylist, options: &SourceOptions) -> Option<Selection> {
    let (variant, equals, variant_reason) = choose_variant(playlist, &options.variant)?;
    let audio = variant
        .audio_group
        .as_deref()
        .and_then(|group| choose_audio(playlist, group, options.audio_language.as_deref()));
    Some(Selection {
        variants: equals,
        audio: audio.as_ref().and_then(|(rendition, _)| rendition.uri.clone()),
        variant_reason,
        audio_reason: audio.map(|(_, reason)| reason),
    })
}

/// What the codecs say that a variant carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// Pictures that can be handled, or nothing was said.
    Video,
    /// Sound alone.
    AudioOnly,
    /// Pictures of a codec that cannot be handled.
    Unsupported,
}

/// RFC 6381 names of the video codecs that are copied.
const VIDEO: [&str; 4] = ["avc1", "avc3", "hvc1", "hev1"];
/// RFC 6381 names of other video codecs.
const OTHER_VIDEO: [&str; 10] =
    ["av01", "vp08", "vp09", "vp8", "vp9", "mp4v", "dvh1", "dvhe", "vvc1", "jxsm"];

fn carries(variant: &Variant) -> Carries {
    let names: Vec<&str> = variant
        .codecs
        .as_deref()
        .unwrap_or("")
        .split(',')
        .filter_map(|codec| codec.trim().split('.').next())
        .filter(|name| !name.is_empty())
        .collect();
    let has = |known: &[&str]| names.iter().any(|name| known.contains(name));
    if has(&VIDEO) || variant.resolution.is_some() && !has(&OTHER_VIDEO) || names.is_empty() {
        Carries::Video
    } else if has(&OTHER_VIDEO) {
        Carries::Unsupported
    } else {
        Carries::AudioOnly
    }
}

/// The variant, the URIs of all that are its equals (it first), and why.
fn choose_variant<'a>(
    playlist: &'a MultivariantPlaylist,
    choice: &VariantChoice,
) -> Option<(&'a Variant, Vec<String>, String)> {
    let all: Vec<&Variant> = playlist.variants.iter().collect();
    let with = |wanted: Carries| all.iter().copied().filter(move |v| carries(v) == wanted);
    // Sound alone, or pictures that cannot be handled, only where there is nothing else.
    let candidates: Vec<&Variant> = [Carries::Video, Carries::AudioOnly, Carries::Unsupported]
        .into_iter()
        .map(|wanted| with(wanted).collect::<Vec<_>>())
        .find(|found| !found.is_empty())?;
    let left_out = all.len() - candidates.len();
    let (chosen, mut why) = match choice {
        VariantChoice::End(VariantEnd::Highest) => (highest(&candidates)?, "the highest".to_owned()),
        VariantChoice::End(VariantEnd::Lowest) => (lowest(&candidates)?, "the lowest".to_owned()),
        VariantChoice::Within(limits) => {
            let fitting: Vec<&Variant> =
                candidates.iter().copied().filter(|variant| fits(variant, *limits)).collect();
            match highest(&fitting) {
                Some(variant) => (variant, format!("the highest within {}", named(*limits))),
                None => (lowest(&candidates)?, format!("the lowest, for none is within {}", named(*limits))),
            }
        }
    };
    why.push_str(&format!(" of {}", candidates.len()));
    if left_out > 0 {
        why.push_str(&format!(", {left_out} left out as audio only or of a codec that is not handled"));
    }
    let equal = |v: &&&Variant| {
        v.bandwidth == chosen.bandwidth
            && v.resolution == chosen.resolution
            && v.codecs == chosen.codecs
            && v.audio_group == chosen.audio_group
            && v.uri != chosen.uri
    };
    let equals = candidates.iter().filter(equal).map(|variant| variant.uri.clone());
    let uris = std::iter::once(chosen.uri.clone()).chain(equals).collect();
    Some((chosen, uris, format!("{}: {why}", described(chosen))))
}

/// The first of the highest bandwidth; of the same pictures with several codecs of sound, those with AAC, which is not
/// transcoded.
fn highest<'a>(variants: &[&'a Variant]) -> Option<&'a Variant> {
    let highest = variants.iter().rev().max_by_key(|variant| variant.bandwidth).copied()?;
    let with_aac =
        |variant: &Variant| variant.codecs.as_deref().is_some_and(|codecs| codecs.contains("mp4a.40"));
    let same_pictures = variants.iter().copied().filter(|variant| variant.uri == highest.uri);
    let best = same_pictures.filter(|variant| with_aac(variant)).max_by_key(|variant| variant.bandwidth);
    Some(best.filter(|_| !with_aac(highest)).unwrap_or(highest))
}

/// The first of the lowest bandwidth.
fn lowest<'a>(variants: &[&'a Variant]) -> Option<&'a Variant> {
    variants.iter().min_by_key(|variant| variant.bandwidth).copied()
}

fn fits(variant: &Variant, limits: VariantLimits) -> bool {
    let height = variant.resolution.map(|(_, height)| height);
    limits.max_bandwidth.is_none_or(|most| variant.bandwidth <= most)
        && limits.max_height.is_none_or(|most| height.is_none_or(|height| height <= most))
}

fn named(limits: VariantLimits) -> String {
    let bandwidth = limits.max_bandwidth.map(|most| format!("{most} bit/s"));
    let height = limits.max_height.map(|most| format!("{most} lines"));
    bandwidth.into_iter().chain(height).collect::<Vec<_>>().join(" and ")
}

fn described(variant: &Variant) -> String {
    let size = variant.resolution.map_or(String::new(), |(width, height)| format!("{width}x{height}, "));
    let codecs = variant.codecs.as_deref().map_or(String::new(), |codecs| format!(" ({})", shown(codecs)));
    format!("{size}{} bit/s{codecs}", variant.bandwidth)
}

/// The rendition of an audio group, and why: the language asked for, else the default, else one that may be
/// chosen automatically, else the first.
fn choose_audio<'a>(
    playlist: &'a MultivariantPlaylist,
    group: &str,
    language: Option<&str>,
) -> Option<(&'a Rendition, String)> {
    let members: Vec<&Rendition> = playlist
        .renditions
        .iter()
        .filter(|rendition| rendition.kind == RenditionKind::Audio && rendition.group_id == group)
        .collect();
    let spoken = language.and_then(|wanted| by_language(&members, wanted));
    let missing = language.filter(|_| spoken.is_none());
    let (chosen, why) = if let Some(found) = spoken {
        (found, "the language asked for")
    } else if let Some(found) = members.iter().find(|rendition| rendition.default) {
        (*found, "the default")
    } else if let Some(found) = members.iter().find(|rendition| rendition.autoselect) {
        (*found, "the first that may be chosen automatically")
    } else {
        (*members.first()?, "the first")
    };
    let language = chosen.language.as_deref().map_or(String::new(), |tag| format!(" ({})", shown(tag)));
    let place = if chosen.uri.is_some() { "a playlist of its own" } else { "within the variant" };
    let mut reason = format!("{}{language}, {place}: {why} of {}", shown(&chosen.name), members.len());
    if let Some(missing) = missing {
        reason.push_str(&format!(", for there is none in {missing}"));
    }
    Some((chosen, reason))
}

/// RFC 4647 3.4, loosely: the tag itself, else one with the same primary subtag; the default among equals.
fn by_language<'a>(members: &[&'a Rendition], wanted: &str) -> Option<&'a Rendition> {
    let of = |fits: &dyn Fn(&str) -> bool| {
        let mut found = members.iter().filter(|r| r.language.as_deref().is_some_and(fits));
        let first = found.clone().next();
        found.find(|rendition| rendition.default).or(first).copied()
    };
    let primary = |tag: &str| tag.split('-').next().unwrap_or(tag).to_ascii_lowercase();
    of(&|tag| tag.eq_ignore_ascii_case(wanted)).or_else(|| of(&|tag| primary(tag) == primary(wanted)))
}

/// Text from the playlist as it may stand in a status line.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use overdub_media::hls::{Playlist, read_playlist};

    const LADDER: &str = "#EXTM3U\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",URI=\"en.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Deutsch\",LANGUAGE=\"de-AT\",DEFAULT=YES,URI=\"de.m3u8\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Francais\",LANGUAGE=\"fr\"\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",NAME=\"Other\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"b.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,CODECS=\"avc1.4d401f,mp4a.40.2\",AUDIO=\"a\"\nlow.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=5000000,RESOLUTION=1920x1080,CODECS=\"avc1.4d401f,mp4a.40.2\",AUDIO=\"a\"\nhigh.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=5000000,RESOLUTION=1920x1080,CODECS=\"avc1.4d401f,mp4a.40.2\",AUDIO=\"a\"\nspare.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,CODECS=\"avc1.4d401f,mp4a.40.2\",AUDIO=\"a\"\nmid.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.5\",AUDIO=\"a\"\nsound.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=9000000,RESOLUTION=1920x1080,CODECS=\"av01.0.04M.08\",AUDIO=\"a\"\nav1.m3u8\n";

    fn chosen(text: &str, options: &SourceOptions) -> Selection {
        let Ok(Playlist::Multivariant(playlist)) = read_playlist(text.as_bytes()) else { panic!("{text}") };
        select(&playlist, options).expect("a variant")
    }

    fn variant(choice: VariantChoice) -> (String, String) {
        let selection = chosen(LADDER, &SourceOptions { variant: choice, ..SourceOptions::default() });
        (selection.variants[0].clone(), selection.variant_reason)
    }

    fn within(max_bandwidth: Option<u64>, max_height: Option<u32>) -> VariantChoice {
        VariantChoice::Within(VariantLimits { max_bandwidth, max_height })
    }

    #[test]
    fn the_variant_asked_for_is_taken_and_the_status_says_why() {
        let left_out = ", 2 left out as audio only or of a codec that is not handled";
        for (choice, uri, why) in [
            (VariantChoice::default(), "high.m3u8", "the highest of 4"),
            (VariantChoice::End(VariantEnd::Lowest), "low.m3u8", "the lowest of 4"),
            (within(Some(2_000_000), None), "mid.m3u8", "the highest within 2000000 bit/s of 4"),
            (within(None, Some(719)), "low.m3u8", "the highest within 719 lines of 4"),
            (within(Some(1), Some(9)), "low.m3u8", "the lowest, for none is within 1 bit/s and 9 lines of 4"),
        ] {
            let (taken, reason) = variant(choice);
            assert_eq!(taken, uri);
            assert!(reason.ends_with(&format!(": {why}{left_out}")), "{reason}");
        }
        let (_, reason) = variant(VariantChoice::End(VariantEnd::Lowest));
        assert!(reason.starts_with("640x360, 800000 bit/s (avc1.4d401f,mp4a.40.2): "), "{reason}");
    }

    #[test]
    fn of_the_same_pictures_those_with_aac_are_taken() {
        let offer = |bandwidth: u32, sound: &str, uri: &str| {
            format!(
                "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS=\"avc1.64001f,{sound}\",AUDIO=\"{sound}\"\n{uri}\n"
            )
        };
        let [aac, ac3, low] = [
            offer(5_000_000, "mp4a.40.2", "v"),
            offer(5_400_000, "ac-3", "v"),
            offer(900_000, "mp4a.40.2", "w"),
        ];
        let taken = |offers: &[&str]| {
            let text = format!("#EXTM3U\n{}", offers.concat());
            chosen(&text, &SourceOptions::default()).variant_reason
        };
        assert!(taken(&[&ac3, &low, &aac]).starts_with("5000000 bit/s (avc1.64001f,mp4a.40.2)"));
        assert!(taken(&[&ac3, &low]).starts_with("5400000 bit/s (avc1.64001f,ac-3)"));
    }

    #[test]
    fn equals_of_the_variant_stand_by_for_when_it_fails() {
        let selection = chosen(LADDER, &SourceOptions::default());
        assert_eq!(selection.variants, ["high.m3u8", "spare.m3u8"]);
    }

    #[test]
    fn audio_is_taken_by_language_else_by_default() {
        for (language, uri, why) in [
            (None, Some("de.m3u8"), "Deutsch (de-AT), a playlist of its own: the default of 3"),
            (Some("en"), Some("en.m3u8"), "English (en), a playlist of its own: the language asked for of 3"),
            (
                Some("de"),
                Some("de.m3u8"),
                "Deutsch (de-AT), a playlist of its own: the language asked for of 3",
            ),
            (Some("fr"), None, "Francais (fr), within the variant: the language asked for of 3"),
            (
                Some("ja"),
                Some("de.m3u8"),
                "Deutsch (de-AT), a playlist of its own: the default of 3, for there is none in ja",
            ),
        ] {
            let options =
                SourceOptions { audio_language: language.map(str::to_owned), ..SourceOptions::default() };
            let selection = chosen(LADDER, &options);
            assert_eq!(selection.audio.as_deref(), uri);
            assert_eq!(selection.audio_reason.as_deref(), Some(why));
        }
    }

    #[test]
    fn sound_alone_is_taken_where_there_is_nothing_else() {
        let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2,CODECS=\"mp4a.40.2\"\na\n#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"vp09.1\"\nb\n";
        assert_eq!(chosen(text, &SourceOptions::default()).variants, ["a"]);
        let unsaid = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2\na\n#EXT-X-STREAM-INF:BANDWIDTH=9\nb\n";
        let selection = chosen(unsaid, &SourceOptions::default());
        assert_eq!((selection.variants[0].as_str(), selection.audio_reason), ("b", None));
        assert_eq!(select(&MultivariantPlaylist::default(), &SourceOptions::default()), None);
    }
}
