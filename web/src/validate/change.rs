//! The body of `PATCH /api/streams/{id}`: any of the settings, each by the rules of a start.

use overdub_actors::settings::{OutputSettings, RenditionChange, SettingsChange, StreamId};
use serde_json::{Map, Value};

use super::fields::{FieldError, Fields};
use super::renditions::{MAX_RENDITIONS, language_change, objects, outputs};
use super::{BUFFER_DURATION_S, DELAY_S, FALLBACKS, ID_FORM, MAX_CONCURRENT_BATCHES, STARTS, source, urls};
use overdub_actors::settings::{Fallback, StartAt};

/// Checks the body of a change of the stream `id`.
pub fn read(body: Map<String, Value>, id: &StreamId) -> Result<SettingsChange, Vec<FieldError>> {
    let mut fields = Fields::new(body);
    let source_url = fields.text("sourceUrl").map(|text| fields.url("sourceUrl", urls::source(&text)));
    let buffer_duration = number(&mut fields, "bufferDuration", BUFFER_DURATION_S);
    let delay = number(&mut fields, "delay", DELAY_S);
    let max_concurrent_batches = fields
        .integer("maxConcurrentBatches", MAX_CONCURRENT_BATCHES)
        .and_then(|batches| u32::try_from(batches).ok());
    let hls_output = fields.has("hlsOutput").then(|| fields.boolean("hlsOutput", true));
    let start = fields.has("start").then(|| fields.choice("start", &STARTS, StartAt::Live));
    let source = source::read_change(&mut fields);
    let fallback = fallback(&mut fields);
    // What the plain fields say is said of the only rendition.
    let plain = RenditionChange {
        audio_processor_url: processor(&mut fields),
        outputs: plain_output(&mut fields, id),
        ..RenditionChange::default()
    };
    let mut renditions = Vec::new();
    if plain != RenditionChange::default() {
        renditions.push(plain);
    }
    if let Some(list) = fields.take("renditions") {
        for (index, item) in
            objects(&mut fields, "renditions", list, 1, MAX_RENDITIONS).into_iter().flatten().enumerate()
        {
            let mut inner = Fields::within(&format!("renditions[{index}]"), item);
            renditions.push(rendition(&mut inner, id));
            fields.absorb(inner.finish(""));
        }
    }
    fields.finish("")?;
    Ok(SettingsChange {
        source_url,
        buffer_duration,
        delay,
        max_concurrent_batches,
        hls_output,
        start,
        source,
        fallback,
        renditions,
    })
}

fn rendition(fields: &mut Fields, id: &StreamId) -> RenditionChange {
    let name = fields.text("name");
    if name.is_none() {
        fields.missing("name", "the name of a rendition of this stream", ID_FORM);
    }
    RenditionChange {
        name: Some(name.unwrap_or_default()),
        language: language_change(fields, "language"),
        audio_processor_url: processor(fields),
        fallback: fallback(fields),
        outputs: fields.take("outputs").map(|list| outputs(fields, list, id)),
    }
}

fn number(fields: &mut Fields, field: &'static str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
    fields.has(field).then(|| fields.number(field, "seconds", range, 0.0))
}

fn fallback(fields: &mut Fields) -> Option<Fallback> {
    fields.has("fallback").then(|| fields.choice("fallback", &FALLBACKS, Fallback::Original))
}

fn processor(fields: &mut Fields) -> Option<String> {
    let text = fields.text("audioProcessorUrl")?;
    Some(fields.url("audioProcessorUrl", urls::processor(&text)))
}

/// An explicit null or empty text asks for no RTMP output.
fn plain_output(fields: &mut Fields, id: &StreamId) -> Option<Vec<OutputSettings>> {
    let target = match fields.take("srsRtmpUrl")? {
        Value::Null => String::new(),
        value => fields.as_text("srsRtmpUrl", value)?,
    };
    if target.is_empty() {
        return Some(Vec::new());
    }
    Some(vec![OutputSettings::rtmp(fields.url("srsRtmpUrl", urls::rtmp(&target, id)))])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(body: Value) -> Result<SettingsChange, Vec<FieldError>> {
        read(body.as_object().unwrap().clone(), &StreamId::new("news").unwrap())
    }

    #[test]
    fn only_what_is_there_changes() {
        assert_eq!(read_json(json!({})).unwrap(), SettingsChange::default());
        let change =
            read_json(json!({ "delay": 20, "fallback": "drop", "srsRtmpUrl": "rtmp://h/live/{streamId}" }));
        let rtmp = OutputSettings::rtmp("rtmp://h/live/news".to_owned());
        let expected = SettingsChange {
            delay: Some(20.0),
            fallback: Some(Fallback::Drop),
            renditions: vec![RenditionChange { outputs: Some(vec![rtmp]), ..RenditionChange::default() }],
            ..SettingsChange::default()
        };
        assert_eq!(change.unwrap(), expected);
        let change =
            read_json(json!({ "renditions": [{ "name": "de", "language": null, "outputs": [] }] })).unwrap();
        let expected = RenditionChange {
            name: Some("de".to_owned()),
            language: Some(None),
            outputs: Some(vec![]),
            ..RenditionChange::default()
        };
        assert_eq!(change.renditions, [expected]);
    }

    #[test]
    fn every_wrong_field_is_named_and_no_secret_repeated() {
        for (body, field) in [
            (json!({ "delay": 301 }), "delay"),
            (json!({ "bufferDuration": "x" }), "bufferDuration"),
            (json!({ "maxConcurrentBatches": 0 }), "maxConcurrentBatches"),
            (json!({ "hlsOutput": 1 }), "hlsOutput"),
            (json!({ "fallback": "loud" }), "fallback"),
            (json!({ "start": "end" }), "start"),
            (json!({ "sourceUrl": "ftp://u:hunter2@h" }), "sourceUrl"),
            (json!({ "audioProcessorUrl": "hunter2" }), "audioProcessorUrl"),
            (json!({ "srsRtmpUrl": "http://h/live?k=hunter2" }), "srsRtmpUrl"),
            (json!({ "streamId": "other" }), "streamId"),
            (json!({ "audioLanguage": "de!" }), "audioLanguage"),
            (json!({ "sourceHeaders": { "X": "hunter2\n" } }), "sourceHeaders"),
            (json!({ "renditions": [{}] }), "renditions[0].name"),
            (json!({ "renditions": [{ "name": "de", "fallback": 1 }] }), "renditions[0].fallback"),
            (json!({ "renditions": {} }), "renditions"),
        ] {
            let errors = read_json(body.clone()).unwrap_err();
            assert_eq!(errors[0].field, field, "{body}: {errors:?}");
            assert!(!format!("{errors:?}").contains("hunter2"));
        }
    }
}
