//! One JSON object read field by field; errors are gathered, not thrown.

use std::ops::RangeInclusive;

use overdub_actors::settings::{StreamId, redact_url};
use serde::Serialize;
use serde_json::{Map, Value};

use super::ID_FORM;
use super::urls::WrongUrl;

/// At most so many errors are told at once.
const MAX_ERRORS: usize = 32;
/// Longest part of a value that an error repeats, in characters.
const SHOWN_CHARS: usize = 64;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldError {
    /// The field, e.g. `renditions[1].name`.
    pub field: String,
    /// What is wrong, what came (without secrets) and what to do.
    pub message: String,
    /// The allowed range or form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

/// A reader of one object. Each getter takes its field out; what is left at the end is unknown.
///
/// After an error a getter returns a stand-in, so that the rest is checked too; [`Fields::finish`] then
/// keeps the stand-ins from being used.
#[derive(Debug)]
pub struct Fields {
    prefix: String,
    map: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// A reader of the object `map`.
    #[must_use]
    pub fn new(map: Map<String, Value>) -> Self {
        Self { prefix: String::new(), map, known: Vec::new(), errors: Vec::new() }
    }

    /// A reader of the object `map` that stands at `path` of a larger one, e.g. `renditions[0]`.
    #[must_use]
    pub fn within(path: &str, map: Map<String, Value>) -> Self {
        Self { prefix: format!("{path}."), ..Self::new(map) }
    }

    /// Whether nothing wrong was found so far.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// Full name of `field` in the whole body.
    #[must_use]
    pub fn path(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// Notes an error of `field`.
    pub fn error(&mut self, field: &str, message: String, allowed: Option<String>) {
        let field = self.path(field);
        self.errors.push(FieldError { field, message, allowed });
    }

    /// Takes over the errors of an inner object.
    pub fn absorb(&mut self, result: Result<(), Vec<FieldError>>) {
        self.errors.extend(result.err().unwrap_or_default());
    }

    /// Notes that `field` is missing, unless something is known to be wrong with it already.
    pub fn missing(&mut self, field: &str, what: &str, allowed: &str) {
        let path = self.path(field);
        if self.errors.iter().all(|error| error.field != path) {
            self.error(field, format!("{path} is missing; give {what}"), Some(allowed.to_owned()));
        }
    }

    /// Whether the field is there and has not been taken.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// The field's value as it came; `None` when absent.
    pub fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.map.remove(field)
    }

    /// A text; `None` when absent or (noted) not a text.
    pub fn text(&mut self, field: &'static str) -> Option<String> {
        let value = self.take(field)?;
        self.as_text(field, value)
    }

    /// `value` of `field` as a text.
    pub fn as_text(&mut self, field: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            other => {
                let message = format!("{} must be a string; got {}", self.path(field), shown(&other));
                self.error(field, message, Some("string".to_owned()));
                None
            }
        }
    }

    /// The required `streamId`.
    pub fn stream_id(&mut self) -> StreamId {
        let stand_in = || StreamId::new("id").expect("`id` is an id");
        let Some(text) = self.text("streamId") else {
            self.missing("streamId", "the stream's id", ID_FORM);
            return stand_in();
        };
        StreamId::new(&text).unwrap_or_else(|form| {
            let message = format!("streamId {} is not an id; {form}", shown_text(&text));
            self.error("streamId", message, Some(ID_FORM.to_owned()));
            stand_in()
        })
    }

    /// The URL, or (noted) an empty text.
    pub fn url(&mut self, field: &str, url: Result<String, WrongUrl>) -> String {
        url.unwrap_or_else(|wrong| {
            self.wrong_url(field, &wrong);
            String::new()
        })
    }

    /// Notes what is wrong with the URL in `field`.
    pub fn wrong_url(&mut self, field: &str, wrong: &WrongUrl) {
        let message = format!("{} {wrong}", self.path(field));
        self.error(field, message, Some(wrong.allowed.to_owned()));
    }

    /// A number within `range`, or the default.
    pub fn number(
        &mut self,
        field: &'static str,
        unit: &str,
        range: RangeInclusive<f64>,
        default: f64,
    ) -> f64 {
        let Some(value) = self.take(field) else {
            return default;
        };
        match value.as_f64().filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                self.not_a_number(field, unit, &range, &shown(&value));
                default
            }
        }
    }

    /// Notes an error if `number` is not within `range`; NaN never is.
    pub fn check_number(&mut self, field: &str, unit: &str, range: &RangeInclusive<f64>, number: f64) {
        if !range.contains(&number) {
            self.not_a_number(field, unit, range, &format!("{number:?}"));
        }
    }

    fn not_a_number(&mut self, field: &str, unit: &str, range: &RangeInclusive<f64>, got: &str) {
        let allowed = format!("{} to {}", range.start(), range.end());
        let message = format!("{} must be a number of {unit} from {allowed}; got {got}", self.path(field));
        self.error(field, message, Some(allowed));
    }

    /// An integer within `range` (`3.0` is one); `None` when absent or (noted) something else.
    pub fn integer(&mut self, field: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(field)?;
        let integer = value.as_u64().or_else(|| match value.as_f64() {
            // Below 2^53 every integer is exact in an f64.
            Some(number) if number.fract() == 0.0 && (0.0..9.0e15).contains(&number) => Some(number as u64),
            _ => None,
        });
        if let Some(integer) = integer.filter(|integer| range.contains(integer)) {
            return Some(integer);
        }
        let allowed = format!("{} to {}", range.start(), range.end());
        let message =
            format!("{} must be an integer from {allowed}; got {}", self.path(field), shown(&value));
        self.error(field, message, Some(allowed));
        None
    }

    /// `true` or `false`, or the default.
    pub fn boolean(&mut self, field: &'static str, default: bool) -> bool {
        match self.take(field) {
            None => default,
            Some(Value::Bool(value)) => value,
            Some(other) => {
                let message = format!("{} must be true or false; got {}", self.path(field), shown(&other));
                self.error(field, message, Some("true, false".to_owned()));
                default
            }
        }
    }

    /// One of the named values, or the default.
    pub fn choice<T: Copy>(&mut self, field: &'static str, choices: &[(&str, T)], default: T) -> T {
        let Some(value) = self.take(field) else {
            return default;
        };
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| value.as_str() == Some(name)) {
            return *chosen;
        }
        let allowed = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let message = format!("{} must be one of {allowed}; got {}", self.path(field), shown(&value));
        self.error(field, message, Some(allowed));
        default
    }

    /// All errors, unknown fields among them; `hint` says where to read on about those.
    pub fn finish(mut self, hint: &str) -> Result<(), Vec<FieldError>> {
        let allowed = self.known.join(", ");
        for name in std::mem::take(&mut self.map).keys().take(MAX_ERRORS) {
            let meant = self.known.iter().find(|known| plain(known) == plain(name));
            let advice = match meant {
                Some(known) => format!("did you mean {known}?"),
                None if hint.is_empty() => format!("known are {allowed}"),
                None => format!("known are {allowed}; {hint}"),
            };
            let shown_name = clipped(name);
            let message = format!("{} is not a known field; {advice}", self.path(&shown_name));
            self.error(&shown_name, message, Some(allowed.clone()));
        }
        self.errors.truncate(MAX_ERRORS);
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// A field's name without what people vary: case, underscores and hyphens.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// `value` as an error may repeat it: short, and without secrets.
#[must_use]
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => clipped(&number.to_string()),
        Value::String(text) => shown_text(text),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// `text` in quotes as an error may repeat it. What could be a URL in the wrong place is redacted.
#[must_use]
pub fn shown_text(text: &str) -> String {
    if text.contains("://") || text.contains('@') {
        return format!("{:?}", clipped(&redact_url(text)));
    }
    format!("{:?}", clipped(text))
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
