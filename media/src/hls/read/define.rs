//! EXT-X-DEFINE and `{$NAME}` (rfc8216bis 4.3): variables are put in before anything else is read.

use std::borrow::Cow;

use super::super::Variables;
use super::super::attributes::{attributes, find};
use super::{PlaylistError, tag_of};

/// Variables that one playlist may define.
pub const MAX_VARIABLES: usize = 256;

/// Largest text that variables may make of a playlist: each use may be longer than its name.
const MAX_EXPANDED: usize = 16 << 20;

/// Where a playlist stands: what its variables may come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The query of the playlist's own URI, decoded, for QUERYPARAM.
    pub query: &'a [(String, String)],
    /// The multivariant playlist's variables, for IMPORT.
    pub variables: &'a [(String, String)],
}

/// Puts variables in; a playlist that defines none is left as it is, braces and all.
pub(super) fn expand<'a>(
    text: Cow<'a, str>,
    surroundings: Surroundings<'_>,
) -> Result<(Cow<'a, str>, Variables), PlaylistError> {
    if !text.contains("#EXT-X-DEFINE") {
        return Ok((text, Variables::new()));
    }
    let mut variables = Variables::new();
    let mut expanded = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        let number = index + 1;
        if index > 0 {
            expanded.push('\n');
        }
        match tag_of(line.trim()) {
            Some(("-X-DEFINE", value)) => {
                define(value, surroundings, &mut variables).map_err(|reason| PlaylistError::Tag {
                    line: number,
                    tag: "EXT-X-DEFINE",
                    reason,
                })?;
                if variables.len() > MAX_VARIABLES {
                    return Err(PlaylistError::TooMany {
                        line: number,
                        limit: MAX_VARIABLES,
                        what: "variables",
                    });
                }
            }
            // A title is none of the places for variables.
            Some(("INF", _)) => expanded.push_str(line),
            tag if tag.is_some() || !line.trim_start().starts_with('#') => {
                substitute(line, &variables, &mut expanded).ok_or(PlaylistError::Tag {
                    line: number,
                    tag: "variable",
                    reason: "is used, but not defined before",
                })?;
            }
            _ => {}
        }
        if expanded.len() > MAX_EXPANDED {
            return Err(PlaylistError::TooMany { line: number, limit: MAX_EXPANDED, what: "bytes of text" });
        }
    }
    Ok((Cow::Owned(expanded), variables))
}

fn define(
    value: &str,
    surroundings: Surroundings<'_>,
    variables: &mut Variables,
) -> Result<(), &'static str> {
    let lookup = |known: &[(String, String)], name: &str| {
        known.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    };
    let (name, text) = if let Some(name) = find(value, "NAME") {
        // An empty value is a value.
        let text = attributes(value).find(|a| a.name == "VALUE").ok_or("has a NAME without a VALUE")?;
        (name, text.value.to_owned())
    } else if let Some(name) = find(value, "IMPORT") {
        (name, lookup(surroundings.variables, name).ok_or("imports what the multivariant playlist lacks")?)
    } else if let Some(name) = find(value, "QUERYPARAM") {
        (name, lookup(surroundings.query, name).ok_or("names a parameter that the playlist's URI lacks")?)
    } else {
        return Err("has neither NAME, IMPORT nor QUERYPARAM");
    };
    if variables.iter().any(|(known, _)| known == name) {
        return Err("defines a name twice");
    }
    // A decoded parameter must not end its line or its quotes.
    let text = text.chars().filter(|c| !c.is_control() && *c != '"').collect();
    variables.push((name.to_owned(), text));
    Ok(())
}

/// Appends `line` with its variables put in; none where one is not defined.
fn substitute(line: &str, variables: &[(String, String)], expanded: &mut String) -> Option<()> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{$") {
        let Some((name, behind)) = after.split_once('}') else { break };
        expanded.push_str(before);
        let (_, value) = variables.iter().find(|(known, _)| known == name)?;
        expanded.push_str(value);
        rest = behind;
    }
    expanded.push_str(rest);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn variables_come_from_the_playlist_the_multivariant_one_and_the_uri() {
        let (query, variables) = (pairs(&[("token", "a\"\n&b")]), pairs(&[("host", "http://h")]));
        let text = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-DEFINE:NAME=\"dir\",VALUE=\"d/e\"\n\
            #EXT-X-DEFINE:IMPORT=\"host\"\n#EXT-X-DEFINE:QUERYPARAM=\"token\"\n\
            #EXT-X-KEY:METHOD=AES-128,URI=\"{$host}/k?{$token}\"\n#EXTINF:4,\n{$host}/{$dir}/a.ts?t={$token}\n";
        let surroundings = Surroundings { query: &query, variables: &variables };
        let Ok(Playlist::Media(playlist)) = read_playlist_in(text, surroundings) else { panic!("unread") };
        assert_eq!(playlist.segments[0].uri, "http://h/d/e/a.ts?t=a&b");
        let key = playlist.segments[0].key.as_ref().and_then(|key| key.uri.as_deref());
        assert_eq!(key, Some("http://h/k?a&b"));
        let refused = read_playlist(text).expect_err("nothing to import").to_string();
        assert_eq!(refused, "line 4: EXT-X-DEFINE imports what the multivariant playlist lacks");
    }

    #[test]
    fn a_variable_that_is_not_defined_is_refused_and_braces_without_any_stay() {
        let titled = b"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n#EXTINF:4,a {$title}\nx{$a}\n";
        assert!(read_playlist(titled).is_ok(), "a title bears no variables");
        let text = b"#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n#EXTINF:4,\nx{$a}{$b}\n";
        let refused = read_playlist(text).expect_err("b is not defined").to_string();
        assert_eq!(refused, "line 4: variable is used, but not defined before");
        let Ok(Playlist::Media(playlist)) = read_playlist(b"#EXTM3U\n#EXTINF:4,\nx{$b}\n") else {
            panic!("braces are legal where nothing is defined")
        };
        assert_eq!(playlist.segments[0].uri, "x{$b}");
    }

    #[test]
    fn variables_cannot_make_a_small_playlist_large() {
        let long = "x".repeat(100_000);
        let uses = "#EXTINF:1,\n{$a}{$a}{$a}{$a}\n".repeat(1000);
        let text = format!("#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{long}\"\n{uses}");
        let refused = read_playlist(text.as_bytes());
        assert!(matches!(refused, Err(PlaylistError::TooMany { what: "bytes of text", .. })));
        let many = "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\n".repeat(2);
        let refused = read_playlist(format!("#EXTM3U\n{many}").as_bytes()).expect_err("twice").to_string();
        assert_eq!(refused, "line 3: EXT-X-DEFINE defines a name twice");
    }
}
