//! The kinds of URL: source, processor and RTMP of a stream, and a webhook's.

use std::fmt;

use overdub_actors::settings::{StreamId, redact_url};
use url::Url;

/// Longest URL, in bytes.
pub const MAX_URL_LEN: usize = 4096;
/// What a source URL looks like.
pub const SOURCE_FORM: &str = "http:// or https:// URL with a host, at most 4096 bytes";
/// What a processor URL looks like.
pub const PROCESSOR_FORM: &str = "ws://, wss://, http:// or https:// URL with a host, at most 4096 bytes";
/// What a webhook's URL looks like.
pub const WEBHOOK_FORM: &str = SOURCE_FORM;
/// What an RTMP URL looks like.
pub const RTMP_FORM: &str =
    "rtmp:// or rtmps:// URL with host, application and stream key, at most 4096 bytes";

/// Why a text is not the URL that is wanted. Shown, it bears no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongUrl {
    reason: String,
    /// What the URL has to look like.
    pub allowed: &'static str,
}

impl fmt::Display for WrongUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; give an {}", self.reason, self.allowed)
    }
}

/// Checks the URL of a live HLS playlist.
pub fn source(text: &str) -> Result<String, WrongUrl> {
    with_host(text, &["http", "https"], SOURCE_FORM)?;
    Ok(text.to_owned())
}

/// Checks the URL of a webhook.
pub fn webhook(text: &str) -> Result<String, WrongUrl> {
    with_host(text, &["http", "https"], WEBHOOK_FORM)?;
    Ok(text.to_owned())
}

/// Checks the URL of a processor's Socket.IO server.
pub fn processor(text: &str) -> Result<String, WrongUrl> {
    with_host(text, &["ws", "wss", "http", "https"], PROCESSOR_FORM)?;
    Ok(text.to_owned())
}

/// Puts `id` in place of `{streamId}` and checks the RTMP URL.
pub fn rtmp(text: &str, id: &StreamId) -> Result<String, WrongUrl> {
    let wrong = |reason: &str| WrongUrl { reason: reason.to_owned(), allowed: RTMP_FORM };
    if text.len() > MAX_URL_LEN {
        return Err(too_long(text.len(), RTMP_FORM));
    }
    let expanded = text.replace("{streamId}", id.as_str());
    if expanded.contains(['{', '}']) {
        return Err(wrong("has a placeholder other than {streamId}"));
    }
    let url = with_host(&expanded, &["rtmp", "rtmps"], RTMP_FORM)?;
    let path = url.path();
    let Some((application, key)) = path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) else {
        return Err(wrong("has no stream key behind the application"));
    };
    if application.split('/').any(str::is_empty) {
        return Err(wrong("has no application between host and stream key"));
    }
    if key.is_empty() {
        return Err(wrong("has no stream key behind the application"));
    }
    Ok(expanded)
}

fn with_host(text: &str, schemes: &[&str], allowed: &'static str) -> Result<Url, WrongUrl> {
    let wrong = |reason: String| Err(WrongUrl { reason, allowed });
    if text.is_empty() {
        return wrong("is empty".to_owned());
    }
    if text.len() > MAX_URL_LEN {
        return Err(too_long(text.len(), allowed));
    }
    if text.contains("***") {
        return wrong("has *** where a secret is hidden; give the secret itself".to_owned());
    }
    // The parser would drop these without a word, and what is sent would not be what was given.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return wrong("has a space, a backslash or a control character".to_owned());
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return wrong(format!("is not a URL ({error})")),
    };
    if !schemes.contains(&url.scheme()) {
        return wrong(format!("has the scheme {:?} ({})", clipped_scheme(url.scheme()), redacted(&url)));
    }
    // `http:host` and `http:///host` parse too, but are seldom meant.
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    if authority.is_empty() || authority.starts_with('/') || url.host_str().is_none_or(str::is_empty) {
        return wrong("has no host".to_owned());
    }
    if url.port() == Some(0) {
        return wrong("has port 0".to_owned());
    }
    Ok(url)
}

fn too_long(length: usize, allowed: &'static str) -> WrongUrl {
    WrongUrl { reason: format!("is {length} bytes long"), allowed }
}

fn clipped_scheme(scheme: &str) -> &str {
    // The parser lets only ASCII letters, digits, '+', '-' and '.' into a scheme.
    &scheme[..scheme.len().min(16)]
}

/// The URL as an error may repeat it. One of an unknown scheme may hide anything behind it.
fn redacted(url: &Url) -> String {
    if matches!(url.scheme(), "http" | "https" | "ws" | "wss" | "rtmp" | "rtmps") && url.as_str().len() <= 256
    {
        redact_url(url.as_str())
    } else {
        format!("{}:***", clipped_scheme(url.scheme()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> StreamId {
        StreamId::new("news-1").unwrap()
    }

    #[test]
    fn a_source_is_http_or_https_with_a_host() {
        for good in [
            "http://host/x.m3u8",
            "https://u:p@host:8443/a/b.m3u8?token=1",
            "HTTP://[::1]:80/x",
            "http://127.0.0.1",
            "http://xn--bcher-kva.example/ü.m3u8",
        ] {
            assert_eq!(source(good).as_deref(), Ok(good), "{good}");
        }
        for bad in [
            "",
            "x",
            "/x.m3u8",
            "ftp://host/x",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http:host/x",
            "http://host:99999/",
            "http://host:0/",
            " http://host/",
            "http://host/a b",
            "http://ho\nst/",
            "http:\\\\host\\x",
            "javascript:alert(1)",
            "http://[::1/",
        ] {
            assert!(source(bad).is_err(), "{bad}");
        }
        assert!(source(&format!("http://host/{}", "x".repeat(MAX_URL_LEN - 12))).is_ok());
        assert!(source(&format!("http://host/{}", "x".repeat(MAX_URL_LEN - 11))).is_err());
    }

    #[test]
    fn a_processor_may_be_reached_by_websocket_or_http() {
        for good in ["ws://localhost:5000", "wss://p/", "http://p", "https://p/base?key=1"] {
            assert_eq!(processor(good).as_deref(), Ok(good), "{good}");
        }
        for bad in ["tcp://p", "rtmp://h/a/k", "ws://", "localhost:5000"] {
            assert!(processor(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_rtmp_url_has_host_application_and_key_after_expansion() {
        for (given, expanded) in [
            ("rtmp://h/live/{streamId}", "rtmp://h/live/news-1"),
            ("rtmps://u:p@h:1935/a/b/{streamId}?x=1", "rtmps://u:p@h:1935/a/b/news-1?x=1"),
            ("rtmp://h/{streamId}/key", "rtmp://h/news-1/key"),
        ] {
            assert_eq!(rtmp(given, &id()).as_deref(), Ok(expanded), "{given}");
        }
        for bad in [
            "rtmp://h",
            "rtmp://h/",
            "rtmp://h/live",
            "rtmp://h/live/",
            "rtmp://h//key",
            "rtmp:///live/key",
            "rtmp://h/live/{streamid}",
            "rtmp://h/live/{}",
            "http://h/live/key",
            "rtmp:h/live/key",
            "",
        ] {
            assert!(rtmp(bad, &id()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for (wrong, expected) in [
            (source("ftp://u:hunter2@h/x").unwrap_err(), "scheme \"ftp\""),
            (source("rtmp://h/live/hunter2").unwrap_err(), "rtmp://h/live/***"),
            (rtmp("http://h/live?k=hunter2", &id()).unwrap_err(), "http://h/live?k=***"),
            (rtmp("rtmp://h/hunter2", &id()).unwrap_err(), "no stream key"),
            (processor("hunter2 ").unwrap_err(), "space"),
            (source("hunter2").unwrap_err(), "is not a URL"),
            (source("http://h/x?token=***").unwrap_err(), "give the secret itself"),
            (rtmp("rtmp://h/live/***", &id()).unwrap_err(), "give the secret itself"),
        ] {
            let text = wrong.to_string();
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
