//! Where to publish: an RTMP URL taken apart.

use std::fmt;

use url::Url;

use crate::settings::redact_url;

const RTMP_PORT: u16 = 1935;
const RTMPS_PORT: u16 = 443;

/// Text that came from a server is cut to this many characters before it is shown.
const SHOWN_CHARACTERS: usize = 200;

/// Why a URL is not one to publish to. Never repeats the URL, which holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL at all.
    #[error("output URL cannot be read: {0}")]
    Url(#[from] url::ParseError),
    /// Neither `rtmp` nor `rtmps`.
    #[error("output URL begins with {scheme}://, expected rtmp:// or rtmps://")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// No host.
    #[error("output URL names no host")]
    NoHost,
    /// Application or key is missing.
    #[error("output URL needs an application and a stream key: rtmp://host/application/key")]
    NoKey,
}

/// An RTMP URL: `rtmp://[user:password@]host[:port]/application[/instance]/key[?query]`, or with the query before the
/// key as some servers want it: `rtmp://host/application?query/key`.
///
/// User name and password are not sent: RTMP itself has no place for them. They are only kept out of what is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Application, with instance and query where the URL has them there.
    pub application: String,
    /// Stream key with its query: what `publish` names. A secret.
    pub key: String,
    /// The URL that `connect` names.
    pub tc_url: String,
    /// Whether the server takes H.265 without saying so, as it was told by who set up the output.
    pub takes_h265: bool,
    /// The whole URL with its secrets hidden.
    pub shown: String,
    /// Texts that must not be shown, longest first.
    secrets: Vec<String>,
}

impl Target {
    /// Takes a URL apart.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text)?;
        let (tls, default_port) = match url.scheme() {
            "rtmp" => (false, RTMP_PORT),
            "rtmps" => (true, RTMPS_PORT),
            scheme => return Err(TargetError::Scheme { scheme: scheme.to_owned() }),
        };
        let written_host = url.host_str().filter(|host| !host.is_empty()).ok_or(TargetError::NoHost)?;
        let host = written_host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port().unwrap_or(default_port);

        let path = url.path().trim_start_matches('/');
        let (application, key) = match (path.rsplit_once('/'), url.query()) {
            (Some((application, key)), None) => (application.to_owned(), key.to_owned()),
            (Some((application, key)), Some(query)) => (application.to_owned(), format!("{key}?{query}")),
            (None, Some(query)) => {
                let (query, key) = query.rsplit_once('/').ok_or(TargetError::NoKey)?;
                (format!("{path}?{query}"), key.to_owned())
            }
            (None, None) => return Err(TargetError::NoKey),
        };
        if application.is_empty() || application.starts_with('?') || key.is_empty() || key.starts_with('?') {
            return Err(TargetError::NoKey);
        }

        let port_text = if port == default_port { String::new() } else { format!(":{port}") };
        let tc_url = format!("{}://{written_host}{port_text}/{application}", url.scheme());
        let mut secrets: Vec<String> =
            [Some(key.as_str()), key.split('?').next(), url.query(), url.password()]
                .into_iter()
                .chain([Some(url.username())])
                .flatten()
                .chain(
                    url.query()
                        .into_iter()
                        .flat_map(|query| query.split('&').filter_map(|q| q.split('=').nth(1))),
                )
                .filter(|secret| !secret.is_empty())
                .map(str::to_owned)
                .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        let (takes_h265, shown) = (false, redact_url(text));
        Ok(Self { tls, host, port, application, key, tc_url, takes_h265, shown, secrets })
    }

    /// A server's words as they may be shown: without secrets or control characters, and shortened.
    #[must_use]
    pub fn sanitize(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in &self.secrets {
            shown = shown.replace(secret.as_str(), "***");
        }
        shown.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARACTERS).collect()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, String, String, String) {
        let target = Target::parse(text).unwrap();
        (target.host, target.port, target.application, target.key, target.tc_url)
    }

    fn owned(host: &str, port: u16, app: &str, key: &str, tc: &str) -> (String, u16, String, String, String) {
        (host.into(), port, app.into(), key.into(), tc.into())
    }

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(parts("rtmp://h/live/key"), owned("h", 1935, "live", "key", "rtmp://h/live"));
        assert_eq!(
            parts("rtmp://u:p@h:1936/live/inst/key?a=b&c"),
            owned("h", 1936, "live/inst", "key?a=b&c", "rtmp://h:1936/live/inst")
        );
        assert_eq!(
            parts("rtmps://[::1]:444/live/key"),
            owned("::1", 444, "live", "key", "rtmps://[::1]:444/live")
        );
        assert_eq!(
            parts("rtmp://h/live?vhost=v/key"),
            owned("h", 1935, "live?vhost=v", "key", "rtmp://h/live?vhost=v")
        );
        assert!(Target::parse("rtmps://h/a/b").unwrap().tls);
    }

    #[test]
    fn what_is_no_output_is_said_without_repeating_it() {
        for bad in [
            "rtmp://h/secret",
            "rtmp://h/",
            "rtmp://h",
            "rtmp://h/live/",
            "rtmp://h//secret",
            "rtmp://h/?a=1",
        ] {
            assert_eq!(Target::parse(bad), Err(TargetError::NoKey), "{bad}");
        }
        for bad in ["http://h/live/secret", "secret", "rtmp:///live/secret", "rtmp://h:99999/live/secret"] {
            let error = Target::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_servers_words_lose_secrets_and_length() {
        let target = Target::parse("rtmp://user:pa55@h/live/s3cret?token=t0ken").unwrap();
        let text = target.sanitize("stream live/s3cret?token=t0ken: s3cret (user, pa55, t0ken)\n");
        assert_eq!(text, "stream live/***: *** (***, ***, ***) ");
        assert_eq!(target.sanitize(&"x".repeat(1000)).len(), SHOWN_CHARACTERS);
        assert_eq!(format!("{target:?}"), "Target(rtmp://***:***@h/live/***?token=***)");
    }
}
