//! EXT-X-DATERANGE (rfc8216bis 4.4.5.1).

use std::collections::HashMap;

use super::attributes::{AttributeList, attributes};
use super::{decimal, format_date_time, parse_date_time};

/// Attributes of one range that are kept.
const MAX_ATTRIBUTES: usize = 64;

/// A range of time with attributes: an ad break, a programme, anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DateRange {
    /// ID, unique in the playlist.
    pub id: String,
    /// START-DATE in Unix microseconds. Only the first tag of an ID needs one.
    pub start_us: Option<i64>,
    /// Everything else, in order: name, value, and whether the value is a quoted string.
    pub attributes: Vec<(String, String, bool)>,
}

impl DateRange {
    /// Of a tag's value; none without an ID.
    #[must_use]
    pub fn read(list: &str) -> Option<Self> {
        let mut range = Self::default();
        for attribute in attributes(list).take(MAX_ATTRIBUTES) {
            let value = attribute.value;
            match attribute.name {
                "ID" => value.clone_into(&mut range.id),
                "START-DATE" => range.start_us = parse_date_time(value),
                name => range.attributes.push((name.to_owned(), value.to_owned(), attribute.quoted)),
            }
        }
        (!range.id.is_empty()).then_some(range)
    }

    /// The value of an attribute beside ID and START-DATE.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, ..)| known == name).map(|(_, value, _)| value.as_str())
    }

    /// When it ends, in Unix microseconds, as END-DATE or DURATION say.
    #[must_use]
    pub fn end_us(&self) -> Option<i64> {
        let after = || {
            let duration = decimal::leading_micros(self.attribute("DURATION")?)?;
            Some(self.start_us?.saturating_add(duration))
        };
        self.attribute("END-DATE").and_then(parse_date_time).or_else(after)
    }

    /// Whether it bears a SCTE-35 message (rfc8216bis 4.4.5.1.1).
    #[must_use]
    pub fn is_scte35(&self) -> bool {
        ["SCTE35-CMD", "SCTE35-OUT", "SCTE35-IN"].iter().any(|name| self.attribute(name).is_some())
    }

    /// The tag's value.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut list = AttributeList::default();
        list.quoted("ID", &self.id);
        if let Some(start_us) = self.start_us {
            list.quoted("START-DATE", &format_date_time(start_us));
        }
        for (name, value, quoted) in &self.attributes {
            let name: String =
                name.chars().filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '-').collect();
            match quoted {
                true => list.quoted(&name, value),
                false => list.bare(&name, value),
            };
        }
        list.as_str().to_owned()
    }
}

/// The ranges with those of one ID put together, in the order of their first tags: a later tag adds attributes
/// (rfc8216bis 4.4.5.1), and in a later playlist it may say others.
#[must_use]
pub fn merge_date_ranges(ranges: impl IntoIterator<Item = DateRange>) -> Vec<DateRange> {
    let mut merged: Vec<DateRange> = Vec::new();
    let mut places = HashMap::new();
    for range in ranges {
        let Some(known) = places.get(&range.id).and_then(|place: &usize| merged.get_mut(*place)) else {
            places.insert(range.id.clone(), merged.len());
            merged.push(range);
            continue;
        };
        known.start_us = range.start_us.or(known.start_us);
        let attributes = &mut known.attributes;
        for attribute in range.attributes {
            match attributes.iter().position(|(name, ..)| *name == attribute.0) {
                Some(place) => attributes[place] = attribute,
                None if attributes.len() < MAX_ATTRIBUTES => attributes.push(attribute),
                None => {}
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_keeps_what_it_bears() {
        let list = r#"ID="ad-1",CLASS="break",START-DATE="2026-01-31T12:00:00.250Z",PLANNED-DURATION=30.5,SCTE35-OUT=0xFC30,X-NOTE="a, b""#;
        let range = DateRange::read(list).expect("a range");
        assert_eq!((range.id.as_str(), range.start_us), ("ad-1", Some(1_769_860_800_250_000)));
        assert_eq!(range.attribute("X-NOTE"), Some("a, b"));
        assert!(range.is_scte35());
        assert_eq!(
            range.to_text(),
            r#"ID="ad-1",START-DATE="2026-01-31T12:00:00.250Z",CLASS="break",PLANNED-DURATION=30.5,SCTE35-OUT=0xFC30,X-NOTE="a, b""#
        );
        assert_eq!(DateRange::read(&range.to_text()).as_ref().map(|again| &again.id), Some(&range.id));
    }

    #[test]
    fn tags_of_one_range_are_put_together() {
        let read = |list| DateRange::read(list).expect("a range");
        let ranges = [
            r#"ID="a",START-DATE="2026-01-31T12:00:00Z",PLANNED-DURATION=30"#,
            r#"ID="b",START-DATE="2026-01-31T12:00:01Z",END-DATE="2026-01-31T12:00:03Z""#,
            r#"ID="a",PLANNED-DURATION=20,DURATION=12.5"#,
        ];
        let merged = merge_date_ranges(ranges.map(read));
        let ids: Vec<&str> = merged.iter().map(|range| range.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(merged[0].attribute("PLANNED-DURATION"), Some("20"));
        let start = merged[0].start_us.expect("a start");
        assert_eq!(merged[0].end_us(), Some(start + 12_500_000));
        assert_eq!(merged[1].end_us(), Some(start + 3_000_000));
        assert_eq!(read(r#"ID="c",START-DATE="2026-01-31T12:00:00Z",DURATION=-1"#).end_us(), None);
    }

    #[test]
    fn a_range_without_an_id_is_none() {
        assert_eq!(DateRange::read("START-DATE=\"2026-01-31T12:00:00Z\""), None);
        assert_eq!(DateRange::read("ID=\"\",CLASS=\"x\""), None);
    }
}
