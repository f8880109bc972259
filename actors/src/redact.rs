//! Texts shown without the secrets that may stand in them.

use std::borrow::Cow;

use crate::settings::redact_url;

/// `text` with the secrets of every URL in it hidden, and every bearer token.
///
/// Errors of other libraries repeat URLs in words of their own, so what is shown to people passes through here.
#[must_use]
pub fn redact_text(text: &str) -> Cow<'_, str> {
    let urls = redact_urls(text);
    match redact_bearer(&urls) {
        Some(text) => Cow::Owned(text),
        None => urls,
    }
}

fn redact_urls(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme_at = rest[..at]
            .rfind(|c: char| !is_scheme(c))
            .map_or(0, |last| last + rest[last..].chars().next().map_or(1, char::len_utf8));
        let url = url_at(&rest[scheme_at..], at - scheme_at + "://".len());
        shown.push_str(&rest[..scheme_at]);
        if needs_no_redaction(url) {
            shown.push_str(url);
        } else {
            shown.push_str(&redact_url(url));
        }
        rest = &rest[scheme_at + url.len()..];
    }
    if shown.is_empty() && rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The URL that `text` begins with; `scheme_len` bytes of it are its scheme and `://`.
///
/// Brackets, quotes and bars may stand in a URL, also in its secrets: they end none, at most they are left out
/// at its end, with a sentence's own punctuation. A path that holds another URL ends before it.
fn url_at(text: &str, scheme_len: usize) -> &str {
    let text = text.find(ends_url).map_or(text, |end| &text[..end]);
    let path_end = text.find(['?', '#']).unwrap_or(text.len()).max(scheme_len);
    let another = text[scheme_len..path_end].find("://").map(|at| {
        let before = &text[scheme_len..scheme_len + at];
        scheme_len + before.trim_end_matches(is_scheme).len()
    });
    let text = another.map_or(text, |at| &text[..at]);
    let bare = text.trim_end_matches([',', '.', ';', ':', '!', '\'', '`', '(', ')', '}', '|', '\\']);
    &text[..bare.len().max(scheme_len)]
}

fn is_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>')
}

/// Most URLs in a log name a host and a path: they are shown as they stand.
fn needs_no_redaction(url: &str) -> bool {
    !url.contains(['@', '?', '#']) && !url.starts_with("rtmp")
}

fn redact_bearer(text: &str) -> Option<String> {
    const SCHEME: &str = "bearer ";
    let lower = text.to_ascii_lowercase();
    let mut shown = String::new();
    let mut done = 0;
    while let Some(found) = lower[done..].find(SCHEME) {
        let token_at = done + found + SCHEME.len();
        let len = text[token_at..].find(|c: char| !is_token(c)).unwrap_or(text.len() - token_at);
        shown.push_str(&text[done..token_at]);
        if len > 0 {
            shown.push_str("***");
        }
        done = token_at + len;
    }
    (done > 0).then(|| shown + &text[done..])
}

/// RFC 6750 2.1: b64token.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_of_urls_within_a_sentence_are_hidden_and_the_rest_stays() {
        for (text, shown) in [
            ("no URL here", "no URL here"),
            ("GET http://h/x.m3u8: 404, again", "GET http://h/x.m3u8: 404, again"),
            ("GET http://h/x.m3u8?token=s3cret: 404", "GET http://h/x.m3u8?token=***: 404"),
            (
                "to \"https://u:s3cret@h/x\" and rtmp://h/live/s3cret.",
                "to \"https://***:***@h/x\" and rtmp://h/live/***",
            ),
            ("(ws://a:s3cret@h:1/)", "(ws://***:***@h:1/)"),
            (
                "\u{1b}[2murl\u{1b}[0m=rtmps://h/a/s3cret\u{1b}[0m",
                "\u{1b}[2murl\u{1b}[0m=rtmps://h/a/***\u{1b}[0m",
            ),
            ("Authorization: Bearer s3cret== sent", "Authorization: Bearer *** sent"),
            ("odd :// and x://", "odd :// and x://"),
            ("ä://s3cret@h", "ä***"),
            ("http://u:s3'(cret)|`@h/x", "http://***:***@h/x"),
            ("'http://h/x?t=a)'s3cret', (http://h/y?t=a\\s3cret)", "'http://h/x?t=***', (http://h/y?t=***)"),
            ("http://a/x,(http://u:s3cret@h/y)", "http://a/x,(http://***:***@h/y)"),
            ("http://proxy/https://u:s3cret@h/y", "http://proxy/https://***:***@h/y"),
            ("http://h/x?to=http://u:s3cret@h/y", "http://h/x?to=***"),
            (r#"{\"url\":\"http://h/x?t=s3cret\"}"#, r#"{\"url\":\"http://h/x?t=***\"}"#),
        ] {
            assert_eq!(redact_text(text).trim_end_matches('.'), shown.trim_end_matches('.'), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_no_password_stays(before in ".{0,20}", secret in "[a-z]{12}['()|`,;]{0,2}[a-z]{12}", after in "[^a-z]{0,20}") {
            let text = format!("{before} https://user:{secret}@host/p {after}");
            let shown = redact_text(&text);
            prop_assert!(!shown.contains(&secret[..12]) && !shown.contains(&secret[secret.len() - 12..]), "{shown}");
        }

        #[test]
        fn text_without_urls_is_not_touched(text in "[a-zA-Z0-9 ,.:/]{0,60}") {
            prop_assume!(!text.contains("://") && !text.to_ascii_lowercase().contains("bearer "));
            prop_assert_eq!(redact_text(&text), text.as_str());
        }
    }
}
