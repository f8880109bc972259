//! The fragment protocol (design, section 6) as Socket.IO events: what goes out, what comes back.
//!
//! Pure. A second dialect would stand beside this module: nothing else in the link knows an event's name
//! or the shape of its object.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::codec::{self, CodecError, Event, Placeholder};
use crate::messages::Fragment;

/// The event that carries a batch's audio to the processor.
pub const FRAGMENT_DATA: &str = "fragment:data";
/// The event that carries the processed audio back.
pub const FRAGMENT_PROCESSED: &str = "fragment:processed";
/// The event by which a processor says that it cannot.
pub const FRAGMENT_ERROR: &str = "fragment:error";

/// Longest `metadata` that is kept, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 4096;
/// Longest text of a processor that is kept, in bytes.
pub const MAX_ERROR_BYTES: usize = 500;
/// JSON values longer than this are not looked into: their tree could take thirty times their size.
const MAX_TREE_BYTES: usize = 64 * 1024;

/// The text message of `fragment:data`; the audio is its one attachment.
///
/// # Errors
/// None in practice: a fragment always has a JSON form.
pub fn encode_data(namespace: &str, fragment: &Fragment) -> Result<String, CodecError> {
    #[derive(Serialize)]
    struct Data<'a> {
        fragment: &'a Fragment,
        data: Placeholder,
    }
    codec::encode_event(namespace, FRAGMENT_DATA, &Data { fragment, data: Placeholder::new(0) }, 1)
}

/// By what a reply names the batch it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Key {
    /// `fragment.id`.
    pub id: Option<String>,
    /// `fragment.streamId`.
    pub stream_id: Option<String>,
    /// `fragment.batchNumber`, else `fragment.sequenceNumber`.
    pub batch: Option<u64>,
}

/// What a processor answered.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// `fragment:processed`.
    Processed {
        /// Which batch.
        key: Key,
        /// The bytes of `data`, or why there are none.
        audio: Result<Bytes, String>,
        /// `metadata` as JSON text of at most [`MAX_METADATA_BYTES`].
        metadata: Option<String>,
    },
    /// `fragment:error`.
    Failed {
        /// Which batch.
        key: Key,
        /// The processor's words, shortened.
        message: String,
    },
}

/// Reads an event of a processor; none where it is not about a fragment.
///
/// An object that is not what the protocol says gives a reply without a key, which matches nothing.
#[must_use]
pub fn decode_reply(event: &Event<'_>, attachments: &[Bytes]) -> Option<Reply> {
    let argument = event.argument.map_or("null", RawValue::get);
    match event.name.as_str() {
        FRAGMENT_PROCESSED => {
            let object: Processed<'_> = serde_json::from_str(argument).unwrap_or_default();
            Some(Reply::Processed {
                key: key(object.fragment),
                audio: audio(object.data, attachments),
                metadata: object.metadata.map(|json| shorten_json(json.get())),
            })
        }
        FRAGMENT_ERROR => {
            let object: Failed<'_> = serde_json::from_str(argument).unwrap_or_default();
            Some(Reply::Failed { key: key(object.fragment), message: error_message(&object) })
        }
        _ => None,
    }
}

#[derive(Default, Deserialize)]
struct Processed<'a> {
    #[serde(borrow, default)]
    fragment: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Failed<'a> {
    #[serde(borrow, default)]
    fragment: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

fn tree(json: Option<&RawValue>) -> Value {
    let json = json.map_or("null", RawValue::get);
    if json.len() > MAX_TREE_BYTES { Value::Null } else { serde_json::from_str(json).unwrap_or(Value::Null) }
}

fn key(fragment: Option<&RawValue>) -> Key {
    let fragment = tree(fragment);
    let text = |name: &str| fragment.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| match fragment.get(name)? {
        // Languages with one number type echo 7 as 7.0, others make texts of numbers.
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    Key {
        id: text("id"),
        stream_id: text("streamId"),
        batch: number("batchNumber").or_else(|| number("sequenceNumber")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be whole and in range"
)]
fn whole(number: f64) -> Option<u64> {
    // Beyond 2^53 a float names no one whole number.
    (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}

/// The bytes that `data` stands for: an attachment by its placeholder, or a base64 text. Where `data` is
/// neither but something is attached, as when it is wrapped in another object, the first attachment counts.
///
/// # Errors
/// What `data` is instead, for people to read.
pub fn audio(data: Option<&RawValue>, attachments: &[Bytes]) -> Result<Bytes, String> {
    #[derive(Deserialize)]
    struct Place {
        #[serde(rename = "_placeholder")]
        placeholder: bool,
        num: usize,
    }
    let json = data.map_or("null", RawValue::get);
    if json.starts_with('"') {
        return base64_audio(json);
    }
    if let Ok(Place { placeholder: true, num }) = serde_json::from_str(json) {
        let missing = || format!("data refers to attachment {num} of {}", attachments.len());
        return attachments.get(num).cloned().ok_or_else(missing);
    }
    match attachments.first() {
        Some(first) => Ok(first.clone()),
        None if json == "null" => Err("data is missing".to_owned()),
        None => Err("data is neither binary nor a base64 text".to_owned()),
    }
}

fn base64_audio(json: &str) -> Result<Bytes, String> {
    let text: String = serde_json::from_str(json).map_err(|_| "data is not valid json".to_owned())?;
    let digits = match text.split_once(";base64,") {
        Some((head, digits)) if head.starts_with("data:") => digits,
        _ => &text,
    };
    match BASE64_STANDARD.decode(digits) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(format!("data is a text of {} bytes that is not base64: {error}", text.len())),
    }
}

/// `json` when it is short enough, else its beginning in an object that says so: still JSON.
fn shorten_json(json: &str) -> String {
    if json.len() <= MAX_METADATA_BYTES {
        return json.to_owned();
    }
    let mut keep = MAX_METADATA_BYTES;
    loop {
        keep = keep * 7 / 8;
        // Escaping makes it longer again, by six times at worst.
        let short = serde_json::json!({ "shortened": shorten(json, keep) }).to_string();
        if short.len() <= MAX_METADATA_BYTES {
            return short;
        }
    }
}

/// At most `limit` bytes of `text`, on one line, without control characters.
#[must_use]
pub fn shorten(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut short: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        short.push('…');
    }
    short
}

fn error_message(object: &Failed<'_>) -> String {
    let error = match tree(object.error) {
        Value::String(text) => text,
        Value::Null => "no reason given".to_owned(),
        // An exception as some languages write it down.
        Value::Object(fields) if fields.get("message").is_some_and(Value::is_string) => {
            fields["message"].as_str().unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    };
    let code = match tree(object.code) {
        Value::Null => String::new(),
        Value::String(code) => format!(" ({code})"),
        code => format!(" ({code})"),
    };
    let details = match tree(object.details) {
        Value::Null => String::new(),
        Value::String(details) => format!(": {details}"),
        details => format!(": {details}"),
    };
    shorten(&format!("{error}{code}{details}"), MAX_ERROR_BYTES)
}

#[cfg(test)]
mod tests;
