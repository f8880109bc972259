//! `renditions`: more than one processor and language a stream.

use overdub_actors::settings::{Fallback, OutputSettings, RenditionSettings, StreamId};
use serde_json::{Map, Value};

use super::fields::{Fields, shown, shown_text};
use super::{FALLBACKS, ID_FORM, urls};
use crate::settings::StreamDefaults;

/// Most renditions of a stream.
pub const MAX_RENDITIONS: usize = 32;
/// Most outputs of a rendition.
pub const MAX_OUTPUTS: usize = 16;
/// Name of the source's own audio in the HLS output; no rendition may take it.
const ORIGINAL: &str = "original";
/// What a language tag looks like.
const LANGUAGE_FORM: &str = "BCP 47 tag such as de, pt-BR or zh-Hant, at most 35 characters";

/// Reads `renditions` of the stream `id`, whose value is `list`; errors go to `fields`.
pub fn read(
    fields: &mut Fields,
    list: Value,
    id: &StreamId,
    defaults: &StreamDefaults,
    fallback: Fallback,
) -> Vec<RenditionSettings> {
    let Some(items) = objects(fields, "renditions", list, 1, MAX_RENDITIONS) else {
        return Vec::new();
    };
    let mut renditions: Vec<RenditionSettings> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let mut inner = Fields::within(&format!("renditions[{index}]"), item);
        let rendition = rendition(&mut inner, id, defaults, fallback);
        // Names end up in file names, and not every file system tells upper from lower case.
        let taken = renditions.iter().any(|earlier| earlier.name.eq_ignore_ascii_case(&rendition.name));
        if taken && !rendition.name.is_empty() {
            let message =
                format!("{} {:?} is taken by another rendition", inner.path("name"), rendition.name);
            inner.error("name", message, Some("unique within the stream".to_owned()));
        }
        for (number, output) in rendition.outputs.iter().enumerate() {
            let known = renditions.iter().flat_map(|earlier| &earlier.outputs);
            if known.chain(&rendition.outputs[..number]).any(|earlier| earlier.url() == output.url())
                && inner.is_clean()
            {
                let field = format!("outputs[{number}].url");
                let message = format!("{} is an output of this stream already", inner.path(&field));
                inner.error(&field, message, Some("unique within the stream".to_owned()));
            }
        }
        fields.absorb(inner.finish(""));
        renditions.push(rendition);
    }
    renditions
}

fn rendition(
    fields: &mut Fields,
    id: &StreamId,
    defaults: &StreamDefaults,
    fallback: Fallback,
) -> RenditionSettings {
    let name = name(fields);
    let language = match fields.take("language") {
        None | Some(Value::Null) => None,
        Some(value) => language(fields, "language", value),
    };
    let processor = fields.text("audioProcessorUrl").unwrap_or_else(|| defaults.audio_processor_url.clone());
    let audio_processor_url = fields.url("audioProcessorUrl", urls::processor(&processor));
    let fallback = fields.choice("fallback", &FALLBACKS, fallback);
    let outputs = match fields.take("outputs") {
        None => Vec::new(),
        Some(list) => outputs(fields, list, id),
    };
    RenditionSettings { name, language, audio_processor_url, fallback, outputs }
}

fn name(fields: &mut Fields) -> String {
    let Some(name) = fields.text("name") else {
        fields.missing("name", "the rendition's name", ID_FORM);
        return String::new();
    };
    if name.eq_ignore_ascii_case(ORIGINAL) {
        let message =
            format!("{} {name:?} is the source's own audio; take another name", fields.path("name"));
        fields.error("name", message, Some(ID_FORM.to_owned()));
        return String::new();
    }
    if StreamId::new(&name).is_err() {
        let message = format!("{} {} is not of the form {ID_FORM}", fields.path("name"), shown_text(&name));
        fields.error("name", message, Some(ID_FORM.to_owned()));
        return String::new();
    }
    name
}

/// RFC 5646 2.1, loosely: subtags of letters and digits, the first of 2 to 8 letters.
pub(super) fn language(fields: &mut Fields, field: &str, value: Value) -> Option<String> {
    let tag = fields.as_text(field, value)?;
    let mut subtags = tag.split('-');
    let primary_ok = subtags.next().is_some_and(|first| {
        (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic())
    });
    let rest_ok =
        subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric()));
    if primary_ok && rest_ok && tag.len() <= 35 {
        return Some(tag);
    }
    let message = format!("{} must be a {LANGUAGE_FORM}; got {}", fields.path(field), shown_text(&tag));
    fields.error(field, message, Some(LANGUAGE_FORM.to_owned()));
    None
}

/// What a body makes of a language, if it says so: another one, or with `null` none.
pub(super) fn language_change(fields: &mut Fields, field: &'static str) -> Option<Option<String>> {
    match fields.take(field)? {
        Value::Null => Some(None),
        value => Some(language(fields, field, value)),
    }
}

pub(super) fn outputs(fields: &mut Fields, list: Value, id: &StreamId) -> Vec<OutputSettings> {
    let Some(items) = objects(fields, "outputs", list, 0, MAX_OUTPUTS) else {
        return Vec::new();
    };
    let mut outputs = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let mut inner = Fields::within(&fields.path(&format!("outputs[{index}]")), item);
        if !matches!(inner.take("type"), Some(Value::String(kind)) if kind == "rtmp") {
            let message = format!("{} must be \"rtmp\"", inner.path("type"));
            inner.error("type", message, Some("rtmp".to_owned()));
        }
        let takes_h265 = inner.boolean("takesH265", false);
        match inner.text("url") {
            Some(text) => {
                let url = inner.url("url", urls::rtmp(&text, id));
                outputs.push(OutputSettings::Rtmp { url, takes_h265 });
            }
            None => inner.missing("url", "where the output goes", urls::RTMP_FORM),
        }
        fields.absorb(inner.finish(""));
    }
    outputs
}

/// `value` of `field` as `least` to `most` objects.
pub(super) fn objects(
    fields: &mut Fields,
    field: &str,
    value: Value,
    least: usize,
    most: usize,
) -> Option<Vec<Map<String, Value>>> {
    let allowed = format!("an array of {least} to {most} objects");
    let got = shown(&value);
    let items = match value {
        Value::Array(items) if (least..=most).contains(&items.len()) => items,
        _ => {
            let message = format!("{} must be {allowed}; got {got}", fields.path(field));
            fields.error(field, message, Some(allowed));
            return None;
        }
    };
    let mut maps = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Value::Object(map) => maps.push(map),
            other => {
                let field = format!("{field}[{index}]");
                let message = format!("{} must be an object; got {}", fields.path(&field), shown(&other));
                fields.error(&field, message, Some("object".to_owned()));
                return None;
            }
        }
    }
    Some(maps)
}
