//! Changes of a stream's settings, and which of them a running stream can follow.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::source::MAX_HEADERS;
use super::{
    Fallback, OutputSettings, RenditionSettings, SourceOptions, StartAt, StreamSettings, VariantChoice,
    redact_url,
};

/// What is to be different; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SettingsChange {
    /// Another source.
    pub source_url: Option<String>,
    /// Another length of batches, seconds.
    pub buffer_duration: Option<f64>,
    /// Another delay, seconds.
    pub delay: Option<f64>,
    /// Another number of batches with one processor.
    pub max_concurrent_batches: Option<u32>,
    /// Whether the HLS output is published.
    pub hls_output: Option<bool>,
    /// Where the next start begins.
    pub start: Option<StartAt>,
    /// What is to be different of what is taken of the source, and said to its server.
    pub source: SourceChange,
    /// Another fallback of all renditions.
    pub fallback: Option<Fallback>,
    /// Changes of single renditions, after the one of all.
    pub renditions: Vec<RenditionChange>,
}

/// What is to be different of the source's options; what is `None` stays.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SourceChange {
    /// Another variant of a multivariant playlist.
    pub variant: Option<VariantChoice>,
    /// Another language of the audio, or the playlist's default.
    pub audio_language: Option<Option<String>>,
    /// Headers by name: their new value, or none any more. The others stay. Secret.
    pub headers: BTreeMap<String, Option<String>>,
}

impl fmt::Debug for SourceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceChange")
            .field("variant", &self.variant)
            .field("audio_language", &self.audio_language)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// What is to be different of one rendition; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RenditionChange {
    /// Which; `None` is the only one.
    pub name: Option<String>,
    /// Another language, or none any more.
    pub language: Option<Option<String>>,
    /// Another processor.
    pub audio_processor_url: Option<String>,
    /// Another fallback.
    pub fallback: Option<Fallback>,
    /// Other outputs beside HLS, all of them.
    pub outputs: Option<Vec<OutputSettings>>,
}

/// Why a change cannot be made of these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleChange {
    /// There is no such rendition.
    #[error("there is no rendition {name:?}; there are {known}")]
    UnknownRendition {
        /// The name given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The change does not say which rendition it is about.
    #[error("the stream has several renditions ({known}); say which by renditions: [{{name, …}}]")]
    Ambiguous {
        /// Those that there are.
        known: String,
    },
    /// Nothing would come out.
    #[error("the stream would have no output; set hlsOutput to true or give an RTMP URL")]
    NoOutput,
    /// More headers than a stream may have.
    #[error("the source would get {count} headers, and {MAX_HEADERS} is the most; set some to null")]
    TooManyHeaders {
        /// How many.
        count: usize,
    },
    /// Two outputs would go to the same place.
    #[error("two outputs would go to {url}")]
    SameOutput {
        /// The place, secrets hidden.
        url: String,
    },
}

/// One setting that differs, shown without secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The setting, e.g. `renditions[main].fallback`.
    pub field: String,
    /// What it was and what it is, secrets hidden.
    pub values: [Value; 2],
    /// Whether a running stream can follow.
    pub live: bool,
}

impl SettingsChange {
    /// The settings after the change.
    pub fn applied(&self, settings: &StreamSettings) -> Result<StreamSettings, ImpossibleChange> {
        let mut new = settings.clone();
        let known = || {
            let names: Vec<&str> = settings.renditions.iter().map(|r| r.name.as_str()).collect();
            names.join(", ")
        };
        set(&mut new.source_url, &self.source_url);
        set(&mut new.buffer_duration, &self.buffer_duration);
        set(&mut new.delay, &self.delay);
        set(&mut new.max_concurrent_batches, &self.max_concurrent_batches);
        set(&mut new.hls_output, &self.hls_output);
        set(&mut new.start, &self.start);
        self.source.apply(&mut new.source);
        let count = new.source.source_headers.len();
        if count > MAX_HEADERS {
            return Err(ImpossibleChange::TooManyHeaders { count });
        }
        for rendition in &mut new.renditions {
            set(&mut rendition.fallback, &self.fallback);
        }
        for change in &self.renditions {
            let rendition = match (&change.name, new.renditions.as_mut_slice()) {
                (None, [only]) => only,
                (None, _) => return Err(ImpossibleChange::Ambiguous { known: known() }),
                (Some(name), all) => match all.iter_mut().find(|rendition| rendition.name == *name) {
                    Some(rendition) => rendition,
                    None => {
                        return Err(ImpossibleChange::UnknownRendition {
                            name: name.clone(),
                            known: known(),
                        });
                    }
                },
            };
            change.apply(rendition);
        }
        let mut outputs: Vec<&OutputSettings> = new.renditions.iter().flat_map(|r| &r.outputs).collect();
        if outputs.is_empty() && !new.hls_output {
            return Err(ImpossibleChange::NoOutput);
        }
        outputs.sort_by_key(|output| output.url());
        if let Some([same, _]) = outputs.array_windows().find(|[one, other]| one.url() == other.url()) {
            return Err(ImpossibleChange::SameOutput { url: redact_url(same.url()) });
        }
        Ok(new)
    }
}

impl SourceChange {
    fn apply(&self, options: &mut SourceOptions) {
        set(&mut options.variant, &self.variant);
        set(&mut options.audio_language, &self.audio_language);
        for (name, value) in &self.headers {
            // RFC 9110 5.1: names differ by more than case.
            options.source_headers.retain(|old, _| !old.eq_ignore_ascii_case(name));
            if let Some(value) = value {
                options.source_headers.insert(name.clone(), value.clone());
            }
        }
    }
}

impl RenditionChange {
    fn apply(&self, rendition: &mut RenditionSettings) {
        set(&mut rendition.language, &self.language);
        set(&mut rendition.audio_processor_url, &self.audio_processor_url);
        set(&mut rendition.fallback, &self.fallback);
        set(&mut rendition.outputs, &self.outputs);
    }
}

fn set<T: Clone>(value: &mut T, new: &Option<T>) {
    if let Some(new) = new {
        value.clone_from(new);
    }
}

/// What differs between two settings of one stream with the same renditions.
///
/// A running stream follows what takes effect with its next command or request: how many batches a processor has,
/// the fallback, what the source's server is told, and where a processor or an output is, whose link is opened
/// anew. Its clock is set once, so that what moves it, and what changes the shape of its outputs, needs a new run.
#[must_use]
pub fn differences(old: &StreamSettings, new: &StreamSettings) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |field: &str, old: Value, new: Value, differs: bool, live: bool| {
        if differs {
            found.push(Difference { field: field.to_owned(), values: [old, new], live });
        }
    };
    macro_rules! plain {
        ($field:literal, $member:ident, $live:literal) => {
            compare($field, json!(old.$member), json!(new.$member), old.$member != new.$member, $live)
        };
    }
    let url = |url: &str| json!(redact_url(url));
    compare("sourceUrl", url(&old.source_url), url(&new.source_url), old.source_url != new.source_url, false);
    plain!("bufferDuration", buffer_duration, false);
    plain!("delay", delay, false);
    plain!("maxConcurrentBatches", max_concurrent_batches, true);
    plain!("hlsOutput", hls_output, false);
    plain!("start", start, true);
    let [was, is] = [&old.source, &new.source];
    compare("variant", json!(was.variant), json!(is.variant), was.variant != is.variant, false);
    let languages = [&was.audio_language, &is.audio_language];
    compare("audioLanguage", json!(languages[0]), json!(languages[1]), languages[0] != languages[1], false);
    let shown = [was.redacted().source_headers, is.redacted().source_headers].map(|headers| json!(headers));
    let [shown_old, shown_new] = shown;
    compare("sourceHeaders", shown_old, shown_new, was.source_headers != is.source_headers, true);
    for (old, new) in old.renditions.iter().zip(&new.renditions) {
        let field = |name: &str| format!("renditions[{}].{name}", old.name);
        compare(
            &field("language"),
            json!(old.language),
            json!(new.language),
            old.language != new.language,
            false,
        );
        let processors = [&old.audio_processor_url, &new.audio_processor_url];
        let shown = processors.map(|processor| url(processor));
        let [shown_old, shown_new] = shown;
        compare(&field("audioProcessorUrl"), shown_old, shown_new, processors[0] != processors[1], true);
        compare(
            &field("fallback"),
            json!(old.fallback),
            json!(new.fallback),
            old.fallback != new.fallback,
            true,
        );
        let shown = |outputs: &[OutputSettings]| {
            outputs.iter().map(|output| json!(output.redacted())).collect::<Value>()
        };
        compare(
            &field("outputs"),
            shown(&old.outputs),
            shown(&new.outputs),
            old.outputs != new.outputs,
            old.outputs.len() == new.outputs.len(),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{StreamId, VariantEnd};

    fn settings() -> StreamSettings {
        let rendition = |name: &str| RenditionSettings {
            name: name.to_owned(),
            language: None,
            audio_processor_url: "ws://u:hunter2@h".to_owned(),
            fallback: Fallback::Original,
            outputs: vec![OutputSettings::rtmp(format!("rtmp://h/live/{name}-hunter2"))],
        };
        StreamSettings {
            stream_id: StreamId::new("a").unwrap(),
            source_url: "http://h/x?k=hunter2".to_owned(),
            buffer_duration: 30.0,
            delay: 10.0,
            max_concurrent_batches: 3,
            hls_output: true,
            start: StartAt::Live,
            source: SourceOptions {
                source_headers: [("X-Key", "hunter2"), ("X-Other", "hunter2")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                ..SourceOptions::default()
            },
            renditions: vec![rendition("main"), rendition("de")],
        }
    }

    fn fields(change: &SettingsChange) -> Vec<(String, bool)> {
        let (old, new) = (settings(), change.applied(&settings()).unwrap());
        let found = differences(&old, &new);
        assert!(!format!("{:?}", found).contains("hunter2"));
        found.into_iter().map(|difference| (difference.field, difference.live)).collect()
    }

    #[test]
    fn what_differs_is_named_and_whether_a_running_stream_can_follow() {
        let change = SettingsChange {
            source_url: Some("http://h/x?k=other".to_owned()),
            delay: Some(20.0),
            buffer_duration: Some(30.0),
            max_concurrent_batches: Some(4),
            fallback: Some(Fallback::Silence),
            renditions: vec![
                RenditionChange {
                    name: Some("de".to_owned()),
                    fallback: Some(Fallback::Drop),
                    audio_processor_url: Some("ws://other".to_owned()),
                    outputs: Some(vec![]),
                    ..RenditionChange::default()
                },
                RenditionChange {
                    name: Some("main".to_owned()),
                    outputs: Some(vec![OutputSettings::rtmp("rtmp://h/live/new".to_owned())]),
                    language: Some(Some("en".to_owned())),
                    ..RenditionChange::default()
                },
            ],
            ..SettingsChange::default()
        };
        let expected = [
            ("sourceUrl", false),
            ("delay", false),
            ("maxConcurrentBatches", true),
            ("renditions[main].language", false),
            ("renditions[main].fallback", true),
            ("renditions[main].outputs", true),
            ("renditions[de].audioProcessorUrl", true),
            ("renditions[de].fallback", true),
            ("renditions[de].outputs", false),
        ];
        assert_eq!(fields(&change), expected.map(|(field, live)| (field.to_owned(), live)));
        assert_eq!(change.applied(&settings()).unwrap().renditions[1].fallback, Fallback::Drop);
        assert_eq!(fields(&SettingsChange::default()), []);
    }

    #[test]
    fn headers_change_one_by_one_and_the_others_stay() {
        let headers = [("x-key", Some("hunter2-new")), ("X-Other", None), ("X-None", None)];
        let source = SourceChange {
            variant: Some(VariantChoice::End(VariantEnd::Lowest)),
            audio_language: Some(Some("de".to_owned())),
            headers: headers.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).into(),
        };
        assert!(!format!("{source:?}").contains("hunter2"));
        let change = SettingsChange { source, ..SettingsChange::default() };
        let expected = [("variant", false), ("audioLanguage", false), ("sourceHeaders", true)];
        assert_eq!(fields(&change), expected.map(|(field, live)| (field.to_owned(), live)));
        let new = change.applied(&settings()).unwrap().source;
        assert_eq!(new.source_headers, [("x-key".to_owned(), "hunter2-new".to_owned())].into());

        let many = (0..MAX_HEADERS).map(|n| (format!("X-{n}"), Some("v".to_owned()))).collect();
        let source = SourceChange { headers: many, ..SourceChange::default() };
        let refused = SettingsChange { source, ..SettingsChange::default() }.applied(&settings());
        assert_eq!(refused, Err(ImpossibleChange::TooManyHeaders { count: MAX_HEADERS + 2 }));
    }

    #[test]
    fn impossible_changes_are_refused_with_what_there_is() {
        let with = |renditions: Vec<RenditionChange>, hls_output| SettingsChange {
            renditions,
            hls_output,
            ..SettingsChange::default()
        };
        let named = |name: Option<&str>, outputs| RenditionChange {
            name: name.map(str::to_owned),
            outputs,
            ..RenditionChange::default()
        };
        let refusal = |change: SettingsChange| change.applied(&settings()).unwrap_err().to_string();
        assert!(refusal(with(vec![named(Some("fr"), None)], None)).contains("there are main, de"));
        assert!(refusal(with(vec![named(None, None)], None)).contains("several renditions (main, de)"));
        let none = vec![named(Some("main"), Some(vec![])), named(Some("de"), Some(vec![]))];
        assert_eq!(refusal(with(none, Some(false))), ImpossibleChange::NoOutput.to_string());
        let same = Some(vec![OutputSettings::rtmp("rtmp://h/live/de-hunter2".to_owned())]);
        assert!(refusal(with(vec![named(Some("main"), same)], None)).ends_with("rtmp://h/live/***"));
    }
}
