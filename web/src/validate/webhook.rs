//! The body of `POST /api/webhooks`.

use overdub_actors::requests::AddWebhook;
use overdub_actors::settings::StreamId;
use overdub_actors::webhooks::HookEvent;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::fields::{FieldError, Fields, shown, shown_text};
use super::{ID_FORM, urls};

/// Longest secret, in bytes.
const MAX_SECRET_LEN: usize = 256;

/// What `POST /api/webhooks` takes, as described.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "the description of what `read` reads")]
pub struct WebhookBody {
    /// `http://` or `https://` URL that notices are posted to
    #[schema(max_length = 4096, example = "https://hooks.example/overdub")]
    url: String,
    /// What notices are signed with (HMAC-SHA256); unsigned without
    #[schema(min_length = 1, max_length = 256)]
    secret: Option<String>,
    /// Kinds of events; all without
    #[schema(inline, min_items = 1)]
    events: Option<Vec<EventName>>,
    /// The one stream to tell of; all without
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    stream_id: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "the description of HookEvent's names")]
enum EventName {
    #[schema(rename = "stream.state")]
    StreamState,
    #[schema(rename = "fallback.started")]
    FallbackStarted,
    #[schema(rename = "fallback.ended")]
    FallbackEnded,
    #[schema(rename = "output.up")]
    OutputUp,
    #[schema(rename = "output.down")]
    OutputDown,
}

/// Checks the body.
pub fn read(body: Map<String, Value>) -> Result<AddWebhook, Vec<FieldError>> {
    let mut fields = Fields::new(body);
    let url = match fields.text("url") {
        Some(text) => fields.url("url", urls::webhook(&text)),
        None => {
            fields.missing("url", "where notices are posted to", urls::WEBHOOK_FORM);
            String::new()
        }
    };
    let secret = match fields.take("secret") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let text = fields.as_text("secret", value);
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > MAX_SECRET_LEN) {
                let allowed = format!("1 to {MAX_SECRET_LEN} bytes");
                fields.error("secret", format!("secret must be {allowed} long"), Some(allowed));
            }
            text
        }
    };
    let events = match fields.take("events") {
        None | Some(Value::Null) => HookEvent::ALL.to_vec(),
        Some(value) => events(&mut fields, &value),
    };
    let stream_id = match fields.take("streamId") {
        None | Some(Value::Null) => None,
        Some(value) => stream_id(&mut fields, value),
    };
    fields.finish("")?;
    Ok(AddWebhook { url, secret, events, stream_id })
}

fn events(fields: &mut Fields, value: &Value) -> Vec<HookEvent> {
    let known = |name: &Value| HookEvent::ALL.into_iter().find(|event| name.as_str() == Some(event.name()));
    let mut events: Vec<HookEvent> = Vec::new();
    let wrong = match value.as_array() {
        Some(names) if !names.is_empty() => {
            for event in names.iter().filter_map(known) {
                if !events.contains(&event) {
                    events.push(event);
                }
            }
            names.iter().find(|name| known(name).is_none())
        }
        _ => Some(value),
    };
    if let Some(wrong) = wrong {
        let allowed = HookEvent::ALL.map(HookEvent::name).join(", ");
        let message = format!("events must be an array of {allowed}; got {}", shown(wrong));
        fields.error("events", message, Some(allowed));
    }
    events
}

fn stream_id(fields: &mut Fields, value: Value) -> Option<StreamId> {
    let text = fields.as_text("streamId", value)?;
    let id = StreamId::new(&text);
    if let Err(form) = &id {
        let message = format!("streamId {} is not an id; {form}", shown_text(&text));
        fields.error("streamId", message, Some(ID_FORM.to_owned()));
    }
    id.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(body: Value) -> Result<AddWebhook, Vec<FieldError>> {
        read(body.as_object().unwrap().clone())
    }

    #[test]
    fn a_webhook_needs_its_url_alone() {
        let wanted = read_json(json!({ "url": "https://h/x" })).unwrap();
        assert_eq!((wanted.events.len(), wanted.secret, wanted.stream_id), (5, None, None));
        let body = json!({ "url": "http://h:1/x", "secret": "s", "events": ["output.up", "output.up"], "streamId": "a" });
        let wanted = read_json(body).unwrap();
        assert_eq!(wanted.events, [HookEvent::OutputUp]);
        assert_eq!(wanted.stream_id.unwrap().as_str(), "a");
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (field, value) in [
            ("url", json!("ftp://h/x")),
            ("url", json!(5)),
            ("secret", json!("")),
            ("secret", json!("x".repeat(257))),
            ("events", json!([])),
            ("events", json!(["output.up", "test"])),
            ("events", json!("output.up")),
            ("streamId", json!("../x")),
            ("url2", json!("https://h/x")),
        ] {
            let mut body = json!({ "url": "https://h/x" });
            body[field] = value;
            let errors = read_json(body).err().unwrap();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!(errors[0].field, field);
        }
        assert_eq!(read_json(json!({})).err().unwrap()[0].field, "url");
    }
}
