//! `variant`, `audioLanguage` and `sourceHeaders`: what to take of the source, and what to say to its server.

use std::collections::BTreeMap;

use overdub_actors::settings::{
    MAX_HEADERS, SourceChange, SourceOptions, VariantChoice, VariantEnd, VariantLimits,
};
use serde_json::Value;

use super::fields::{Fields, shown};
use super::renditions::{language, language_change};

/// Longest value of a header, bytes.
pub const MAX_HEADER_LEN: usize = 4096;
/// What `variant` may be.
const VARIANT_FORM: &str = "highest, lowest, or {maxBandwidth, maxHeight}";
/// What `sourceHeaders` may be.
const HEADERS_FORM: &str = "an object of at most 32 names and texts";
/// Headers that are the connection's own, or the fetcher's.
const OWN: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads the three fields; errors go to `fields`.
pub fn read(fields: &mut Fields) -> SourceOptions {
    let variant = fields.take("variant").map(|value| variant(fields, value)).unwrap_or_default();
    let audio_language = match fields.take("audioLanguage") {
        None | Some(Value::Null) => None,
        Some(value) => language(fields, "audioLanguage", value),
    };
    let source_headers = fields.take("sourceHeaders").map(|value| headers(fields, value)).unwrap_or_default();
    SourceOptions { variant, audio_language, source_headers }
}

/// Reads what of the three is to be different: headers by name (RFC 7396), `null` for one that is to go.
pub fn read_change(fields: &mut Fields) -> SourceChange {
    let variant = fields.take("variant").map(|value| variant(fields, value));
    let audio_language = language_change(fields, "audioLanguage");
    let mut changed = BTreeMap::new();
    if let Some(mut value) = fields.take("sourceHeaders") {
        if let Value::Object(map) = &mut value {
            let gone: Vec<String> = map.iter().filter(|(_, v)| v.is_null()).map(|(k, _)| k.clone()).collect();
            map.retain(|_, value| !value.is_null());
            changed.extend(gone.into_iter().map(|name| (name, None)));
        }
        changed.extend(headers(fields, value).into_iter().map(|(name, value)| (name, Some(value))));
    }
    SourceChange { variant, audio_language, headers: changed }
}

fn variant(fields: &mut Fields, value: Value) -> VariantChoice {
    match value {
        Value::String(text) if text == "highest" => VariantChoice::End(VariantEnd::Highest),
        Value::String(text) if text == "lowest" => VariantChoice::End(VariantEnd::Lowest),
        Value::Object(map) => {
            let mut inner = Fields::within("variant", map);
            let max_bandwidth = inner.integer("maxBandwidth", 1..=1_000_000_000_000);
            let max_height = inner.integer("maxHeight", 1..=100_000);
            if max_bandwidth.is_none() && max_height.is_none() && inner.is_clean() {
                let message = "variant limits nothing; give maxBandwidth, maxHeight or both".to_owned();
                fields.error("variant", message, Some(VARIANT_FORM.to_owned()));
            }
            fields.absorb(inner.finish(""));
            let max_height = max_height.and_then(|height| u32::try_from(height).ok());
            VariantChoice::Within(VariantLimits { max_bandwidth, max_height })
        }
        other => {
            let message = format!("variant must be {VARIANT_FORM}; got {}", shown(&other));
            fields.error("variant", message, Some(VARIANT_FORM.to_owned()));
            VariantChoice::default()
        }
    }
}

/// Errors name headers, never their values: those are secret.
fn headers(fields: &mut Fields, value: Value) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let wrong = |fields: &mut Fields, what: &str| {
        fields.error("sourceHeaders", format!("sourceHeaders {what}"), Some(HEADERS_FORM.to_owned()));
    };
    let Value::Object(map) = value else {
        wrong(fields, "must be an object of names and texts");
        return headers;
    };
    if map.len() > MAX_HEADERS {
        wrong(fields, "has more than 32 names");
        return headers;
    }
    for (name, value) in map {
        // RFC 9110 5.6.2: a token.
        let is_token = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let Value::String(text) = value else {
            wrong(fields, "has a value that is not a text");
            continue;
        };
        if !is_token {
            wrong(fields, "has a name that is no header's");
        } else if OWN.contains(&name.to_ascii_lowercase().as_str()) {
            wrong(fields, &format!("cannot set {name}: the connection's own headers are set by the service"));
        } else if text.len() > MAX_HEADER_LEN || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            wrong(fields, &format!("has a value for {name} that is longer than 4096 or not printable ASCII"));
        } else if text == "***" {
            wrong(
                fields,
                &format!("has for {name} what is shown in place of a value; give the value itself"),
            );
        } else {
            headers.insert(name, text);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_body(body: Value) -> Result<SourceOptions, String> {
        let Value::Object(map) = body else { panic!("an object") };
        let mut fields = Fields::new(map);
        let options = read(&mut fields);
        fields.finish("").map(|()| options).map_err(|errors| errors[0].message.clone())
    }

    #[test]
    fn a_choice_is_read() {
        let options = read_body(json!({
            "variant": {"maxBandwidth": 2_000_000, "maxHeight": 720}, "audioLanguage": "de",
            "sourceHeaders": {"X-Key": "k"},
        }))
        .unwrap();
        let limits = VariantLimits { max_bandwidth: Some(2_000_000), max_height: Some(720) };
        assert_eq!(options.variant, VariantChoice::Within(limits));
        assert_eq!(options.audio_language.as_deref(), Some("de"));
        assert_eq!(options.source_headers["X-Key"], "k");
        assert_eq!(read_body(json!({})).unwrap(), SourceOptions::default());
        let lowest = read_body(json!({"variant": "lowest"})).unwrap().variant;
        assert_eq!(lowest, VariantChoice::End(VariantEnd::Lowest));
    }

    #[test]
    fn a_change_names_only_what_is_to_be_different() {
        let read_change = |body: Value| {
            let Value::Object(map) = body else { panic!("an object") };
            let mut fields = Fields::new(map);
            let change = read_change(&mut fields);
            fields.finish("").map(|()| change).map_err(|errors| errors[0].message.clone())
        };
        assert_eq!(read_change(json!({})).unwrap(), SourceChange::default());
        let headers = json!({"X-Key": "new", "X-Old": null});
        let change = read_change(json!({"audioLanguage": null, "sourceHeaders": headers})).unwrap();
        let headers = [("X-Key".to_owned(), Some("new".to_owned())), ("X-Old".to_owned(), None)].into();
        assert_eq!(change, SourceChange { variant: None, audio_language: Some(None), headers });
        assert!(
            read_change(json!({"sourceHeaders": {"Host": "x"}})).unwrap_err().contains("cannot set Host")
        );
        assert!(read_change(json!({"variant": "best"})).is_err());
    }

    #[test]
    fn what_cannot_be_is_refused_without_repeating_a_secret() {
        for (body, expected) in [
            (json!({"variant": "best"}), "variant must be highest"),
            (json!({"variant": {}}), "limits nothing"),
            (json!({"variant": {"maxHeight": 0}}), "variant.maxHeight must be an integer"),
            (json!({"variant": {"width": 1}}), "width"),
            (json!({"audioLanguage": "not a tag!"}), "audioLanguage"),
            (json!({"sourceHeaders": ["s3cret"]}), "must be an object"),
            (json!({"sourceHeaders": {"a b": "s3cret"}}), "no header's"),
            (json!({"sourceHeaders": {"Host": "s3cret"}}), "cannot set Host"),
            (json!({"sourceHeaders": {"X": "s3cret\r\nY: z"}}), "not printable"),
            (json!({"sourceHeaders": {"X": 7}}), "not a text"),
            (json!({"sourceHeaders": {"X": "***"}}), "in place of a value"),
        ] {
            let message = read_body(body).expect_err(expected);
            assert!(message.contains(expected) && !message.contains("s3cret"), "{message}");
        }
    }
}
