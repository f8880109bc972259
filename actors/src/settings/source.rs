//! What to take of a source that offers a choice, and what to say to its server.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most headers of a stream.
pub const MAX_HEADERS: usize = 32;

/// Which variant of a multivariant playlist is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum VariantChoice {
    /// One end of what is offered.
    End(VariantEnd),
    /// The highest within limits.
    Within(VariantLimits),
}

/// One end of what a multivariant playlist offers, by bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VariantEnd {
    /// The most bits a second.
    Highest,
    /// The fewest bits a second.
    Lowest,
}

/// What a variant may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VariantLimits {
    /// BANDWIDTH, bits a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bandwidth: Option<u64>,
    /// Height in RESOLUTION, pixels; variants that do not say theirs are taken to fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_height: Option<u32>,
}

impl Default for VariantChoice {
    fn default() -> Self {
        Self::End(VariantEnd::Highest)
    }
}

impl VariantChoice {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What to take of a source, and what to say to its server.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceOptions {
    /// Which variant of a multivariant playlist.
    #[serde(skip_serializing_if = "VariantChoice::is_default")]
    pub variant: VariantChoice,
    /// BCP 47 tag of the audio to take where there are several; the playlist's default where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_language: Option<String>,
    /// Headers that go with every request to the source's host. Secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_headers: BTreeMap<String, String>,
}

impl SourceOptions {
    /// The same with the headers' values hidden.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        for value in shown.source_headers.values_mut() {
            "***".clone_into(value);
        }
        shown
    }
}

impl fmt::Debug for SourceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOptions")
            .field("variant", &self.variant)
            .field("audio_language", &self.audio_language)
            .field("source_headers", &self.source_headers.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_and_writes_as_the_api_has_it() {
        for text in [
            "{}",
            r#"{"variant":"lowest","audioLanguage":"de"}"#,
            r#"{"variant":{"maxHeight":720}}"#,
            r#"{"variant":{"maxBandwidth":2000000,"maxHeight":720},"sourceHeaders":{"X-Key":"k"}}"#,
        ] {
            let options: SourceOptions = serde_json::from_str(text).expect(text);
            assert_eq!(serde_json::to_string(&options).expect(text), text);
        }
        assert!(serde_json::from_str::<SourceOptions>(r#"{"variant":"best"}"#).is_err());
        assert!(serde_json::from_str::<SourceOptions>(r#"{"variant":{"height":1}}"#).is_err());
    }

    #[test]
    fn headers_are_shown_by_name_alone() {
        let options = SourceOptions {
            source_headers: BTreeMap::from([("X-Key".to_owned(), "s3cret".to_owned())]),
            ..SourceOptions::default()
        };
        let shown = format!("{options:?} {}", serde_json::to_string(&options.redacted()).expect("JSON"));
        assert!(shown.contains("X-Key") && !shown.contains("s3cret"), "{shown}");
    }
}
