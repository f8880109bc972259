//! AMF0, the encoding of values in commands and metadata ("Action Message Format -- AMF 0", clauses as `AMF0 n.n`).

use std::ops::ControlFlow;

/// Deepest nesting that is read; what is deeper comes from no real peer.
pub const MAX_DEPTH: usize = 16;

/// Most values that one text of AMF0 may hold.
pub const MAX_VALUES: usize = 4096;

mod marker {
    pub const NUMBER: u8 = 0x00;
    pub const BOOLEAN: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const OBJECT: u8 = 0x03;
    pub const NULL: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const ECMA_ARRAY: u8 = 0x08;
    pub const OBJECT_END: u8 = 0x09;
    pub const STRICT_ARRAY: u8 = 0x0A;
    pub const DATE: u8 = 0x0B;
    pub const LONG_STRING: u8 = 0x0C;
    pub const UNSUPPORTED: u8 = 0x0D;
    pub const XML_DOCUMENT: u8 = 0x0F;
    pub const TYPED_OBJECT: u8 = 0x10;
}

/// One AMF0 value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A double.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text; longer than 65,535 bytes it is written as a long string.
    String(String),
    /// Named values in their order; typed objects are read as this, without their class.
    Object(Vec<(String, Value)>),
    /// Nothing.
    Null,
    /// Not even nothing.
    Undefined,
    /// Named values in their order, announced as an associative array.
    EcmaArray(Vec<(String, Value)>),
    /// Values in order.
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970-01-01 UTC.
    Date(f64),
}

/// Why bytes are not AMF0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// The bytes end within a value.
    #[error("amf0 byte {at}: value is cut off")]
    Truncated {
        /// Byte position at which more was needed.
        at: usize,
    },
    /// A marker that has no meaning here.
    #[error("amf0 byte {at}: marker {marker:#04x} is not supported")]
    Marker {
        /// Byte position of the marker.
        at: usize,
        /// The marker.
        marker: u8,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("amf0 byte {at}: nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Byte position of the value that is too deep.
        at: usize,
    },
    /// More than [`MAX_VALUES`] values.
    #[error("amf0 byte {at}: more than {MAX_VALUES} values")]
    TooMany {
        /// Byte position of the first value too many.
        at: usize,
    },
}

impl Value {
    /// Shorthand for a text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// Shorthand for an object.
    #[must_use]
    pub fn object<'a>(properties: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// The property of this name, if this is an object or an associative array that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => {
                properties.iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Appends the encoded value. A property name longer than 65,535 bytes, which AMF0 cannot express, is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(marker::NUMBER);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Boolean(value) => out.extend_from_slice(&[marker::BOOLEAN, u8::from(*value)]),
            Self::String(text) => match u16::try_from(text.len()) {
                Ok(len) => {
                    out.push(marker::STRING);
                    out.extend_from_slice(&len.to_be_bytes());
                    out.extend_from_slice(text.as_bytes());
                }
                Err(_) => {
                    out.push(marker::LONG_STRING);
                    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    out.extend_from_slice(&len.to_be_bytes());
                    out.extend_from_slice(&text.as_bytes()[..len as usize]);
                }
            },
            Self::Object(properties) => {
                out.push(marker::OBJECT);
                encode_properties(properties, out);
            }
            Self::Null => out.push(marker::NULL),
            Self::Undefined => out.push(marker::UNDEFINED),
            Self::EcmaArray(properties) => {
                out.push(marker::ECMA_ARRAY);
                out.extend_from_slice(&u32::try_from(properties.len()).unwrap_or(u32::MAX).to_be_bytes());
                encode_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.push(marker::STRICT_ARRAY);
                out.extend_from_slice(&u32::try_from(values.len()).unwrap_or(u32::MAX).to_be_bytes());
                for value in values {
                    value.encode(out);
                }
            }
            Self::Date(millis) => {
                out.push(marker::DATE);
                out.extend_from_slice(&millis.to_be_bytes());
                // AMF0 2.13: the time zone is reserved and zero.
                out.extend_from_slice(&[0, 0]);
            }
        }
    }
}

fn encode_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        let mut end = name.len().min(usize::from(u16::MAX));
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        out.extend_from_slice(&(end as u16).to_be_bytes());
        out.extend_from_slice(&name.as_bytes()[..end]);
        value.encode(out);
    }
    // AMF0 2.11: an object ends with an empty name and the end marker.
    out.extend_from_slice(&[0, 0, marker::OBJECT_END]);
}

/// Encodes values one after the other.
#[must_use]
pub fn encode_all(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    for value in values {
        value.encode(&mut out);
    }
    out
}

/// Decodes values until `bytes` ends.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    let mut decoder = Decoder { bytes, at: 0, values: 0 };
    let mut values = Vec::new();
    while decoder.at < bytes.len() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Decoder<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Amf0Error> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(Amf0Error::Truncated { at: self.bytes.len() })?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn short_text(&mut self) -> Result<String, Amf0Error> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn long_text(&mut self) -> Result<String, Amf0Error> {
        let len = u32::from_be_bytes(self.array()?) as usize;
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let at = self.at;
        if depth > MAX_DEPTH {
            return Err(Amf0Error::TooDeep { at });
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Amf0Error::TooMany { at });
        }
        let [kind] = self.array()?;
        Ok(match kind {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>()? != [0]),
            marker::STRING => Value::String(self.short_text()?),
            marker::LONG_STRING | marker::XML_DOCUMENT => Value::String(self.long_text()?),
            marker::OBJECT => Value::Object(self.properties(depth)?),
            marker::TYPED_OBJECT => {
                self.short_text()?;
                Value::Object(self.properties(depth)?)
            }
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
            marker::ECMA_ARRAY => {
                // AMF0 2.10: the count is a hint (many peers write 0); the end marker ends it.
                self.take(4)?;
                Value::EcmaArray(self.properties(depth)?)
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::StrictArray(values)
            }
            marker::DATE => {
                let millis = f64::from_be_bytes(self.array()?);
                self.take(2)?;
                Value::Date(millis)
            }
            marker => return Err(Amf0Error::Marker { at, marker }),
        })
    }

    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut properties = Vec::new();
        while let ControlFlow::Continue(property) = self.property(depth)? {
            properties.push(property);
        }
        Ok(properties)
    }

    fn property(&mut self, depth: usize) -> Result<ControlFlow<(), (String, Value)>, Amf0Error> {
        let name = self.short_text()?;
        if name.is_empty() && self.bytes.get(self.at) == Some(&marker::OBJECT_END) {
            self.at += 1;
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue((name, self.value(depth + 1)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_filter("NaN differs from itself", |n| !n.is_nan()).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,40}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            any::<i32>().prop_map(|millis| Value::Date(f64::from(millis))),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let properties = proptest::collection::vec((".{0,12}", inner.clone()), 0..6);
            prop_oneof![
                properties.clone().prop_map(Value::Object),
                properties.prop_map(Value::EcmaArray),
                proptest::collection::vec(inner, 0..6).prop_map(Value::StrictArray),
            ]
        })
    }

    #[test]
    fn a_command_is_encoded_as_the_specification_shows() {
        let bytes = encode_all(&[
            Value::text("connect"),
            Value::Number(1.0),
            Value::object([("app", Value::text("live")), ("fpad", Value::Boolean(false))]),
        ]);
        let expected = b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\
            \x03\x00\x03app\x02\x00\x04live\x00\x04fpad\x01\x00\x00\x00\x09";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn long_texts_take_the_long_form() {
        let text = "x".repeat(70_000);
        let bytes = encode_all(&[Value::text(text.clone())]);
        assert_eq!(bytes[..5], [0x0C, 0, 1, 0x11, 0x70]);
        assert_eq!(decode_all(&bytes), Ok(vec![Value::String(text)]));
    }

    #[test]
    fn a_name_too_long_is_cut_between_characters() {
        let value = Value::Object(vec![("ä".repeat(40_000), Value::Null)]);
        let decoded = decode_all(&encode_all(&[value])).unwrap();
        assert_eq!(decoded, [Value::Object(vec![("ä".repeat(32_767), Value::Null)])]);
    }

    #[test]
    fn nesting_and_number_of_values_are_bounded() {
        let deep: Vec<u8> = [0x0A, 0, 0, 0, 1].repeat(MAX_DEPTH + 2);
        assert_eq!(decode_all(&deep), Err(Amf0Error::TooDeep { at: 5 * (MAX_DEPTH + 1) }));
        let many = [0x05].repeat(MAX_VALUES + 1);
        assert_eq!(decode_all(&many), Err(Amf0Error::TooMany { at: MAX_VALUES }));
        // A count that the bytes do not hold allocates nothing.
        assert_eq!(decode_all(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF]), Err(Amf0Error::Truncated { at: 5 }));
    }

    #[test]
    fn rare_markers_are_read_or_named() {
        assert_eq!(
            decode_all(b"\x10\x00\x01C\x00\x01a\x05\x00\x00\x09"),
            Ok(vec![Value::Object(vec![("a".into(), Value::Null)])])
        );
        assert_eq!(decode_all(&[0x05, 0x11]), Err(Amf0Error::Marker { at: 1, marker: 0x11 }));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_equal(values in proptest::collection::vec(any_value(), 0..5)) {
            prop_assert_eq!(decode_all(&encode_all(&values)), Ok(values));
        }

        #[test]
        fn changed_bytes_never_panic(
            values in proptest::collection::vec(any_value(), 1..4),
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode_all(&values);
            for (index, value) in changes {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            let _ = decode_all(&bytes);
        }
    }
}
