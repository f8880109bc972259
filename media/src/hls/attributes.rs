//! Attribute lists (rfc8216bis 4.2), read leniently and rewritten strictly.

/// One attribute as it stands: the name, and the value without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub value: &'a str,
    /// Whether the value stood in quotes.
    pub quoted: bool,
}

/// Reads `NAME=VALUE,NAME="VALUE",...`.
///
/// Spaces around names, a quote that is never closed and empty elements are overlooked, as players do.
pub(super) fn attributes(list: &str) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                return None;
            }
            let Some(end) = rest.find(['=', ',']) else {
                rest = "";
                return None;
            };
            let (name, after) = rest.split_at(end);
            let Some(after) = after.strip_prefix('=') else {
                // A name without a value.
                rest = after;
                continue;
            };
            let name = name.trim();
            let value;
            let is_quoted = after.trim_start().starts_with('"');
            if let Some(quoted) = after.trim_start().strip_prefix('"') {
                match quoted.split_once('"') {
                    Some((inside, behind)) => {
                        value = inside;
                        rest = behind.find(',').map_or("", |comma| &behind[comma..]);
                    }
                    None => {
                        value = quoted;
                        rest = "";
                    }
                }
            } else {
                let (bare, behind) = after.split_at(after.find(',').unwrap_or(after.len()));
                value = bare.trim();
                rest = behind;
            }
            return Some(Attribute { name, value, quoted: is_quoted });
        }
    })
}

/// The value of the first attribute called `name` that is not empty.
pub(super) fn find<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    attributes(list).find(|a| a.name.eq_ignore_ascii_case(name) && !a.value.is_empty()).map(|a| a.value)
}

/// Builds an attribute list that any parser reads: nothing can leave its quotes or its line.
#[derive(Debug, Default)]
pub(super) struct AttributeList(String);

impl AttributeList {
    /// Adds `name=value`; the value must be one of the specification's own words or a number.
    pub(super) fn bare(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.separate();
        self.0.push_str(name);
        self.0.push('=');
        let value = value.to_string();
        self.0.extend(value.chars().filter(|c| !matches!(c, ',' | '"') && !c.is_control()));
        self
    }

    /// Adds `name="value"` as text for people: a quote becomes an apostrophe, a control character a space.
    pub(super) fn quoted(&mut self, name: &str, value: &str) -> &mut Self {
        self.separate();
        self.0.push_str(name);
        self.0.push_str("=\"");
        self.0.extend(value.chars().map(|c| match c {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        }));
        self.0.push('"');
        self
    }

    /// Adds a list of attributes given as values that may be missing.
    pub(super) fn quoted_if(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.quoted(name, value);
        }
        self
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
    }

    /// The list.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &str) -> Vec<(&str, &str)> {
        attributes(list).map(|a| (a.name, a.value)).collect()
    }

    #[test]
    fn commas_within_quotes_separate_nothing() {
        assert_eq!(
            pairs(r#"CODECS="avc1.4d401f,mp4a.40.2",BANDWIDTH=1, X = "y" ,,Z"#),
            [("CODECS", "avc1.4d401f,mp4a.40.2"), ("BANDWIDTH", "1"), ("X", "y")]
        );
    }

    #[test]
    fn a_quote_that_never_closes_takes_the_rest() {
        assert_eq!(pairs(r#"A=1,URI="a,b"#), [("A", "1"), ("URI", "a,b")]);
        assert_eq!(pairs(r#"URI="#), [("URI", "")]);
        assert_eq!(pairs("=,=\"\",\""), [("", ""), ("", "")]);
    }

    #[test]
    fn written_values_stay_within_their_quotes() {
        let mut list = AttributeList::default();
        list.quoted("NAME", "a\",URI=\"x\"\r\n#EXT-X-ENDLIST").bare("N", "1,B=2\n");
        assert_eq!(pairs(list.as_str()), [("NAME", "a',URI='x'  #EXT-X-ENDLIST"), ("N", "1B=2")]);
    }
}
