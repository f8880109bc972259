//! The user's own request headers: secret, and kept to the source's server where they could open a door.

use std::collections::BTreeMap;
use std::fmt;

use awc::http::header::{HeaderName, HeaderValue};
use url::Url;

/// Headers that say who asks, not who may: servers of segments on other hosts look at them too.
const HARMLESS: [&str; 5] = ["accept", "accept-language", "origin", "referer", "user-agent"];

/// The user's headers, and the server that gets all of them.
pub(in crate::fetcher) struct Headers {
    home: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Headers {
    /// For the source at `home`; what is no header is left out (the API has refused it).
    pub(in crate::fetcher) fn new(home: &Url, headers: &BTreeMap<String, String>) -> Self {
        let headers = headers.iter().filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?))
        });
        Self { home: home.clone(), headers: headers.collect() }
    }

    /// Those that go with a request to `url`: all to the source's own server, elsewhere the harmless ones. A
    /// redirect, or a line of a playlist, must not carry a key to whoever wrote it, nor in the clear.
    pub(super) fn of(&self, url: &Url) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        let at_home = url.origin() == self.home.origin() || is_same_over_tls(&self.home, url);
        let wanted = move |name: &HeaderName| at_home || HARMLESS.contains(&name.as_str());
        self.headers.iter().filter(move |(name, _)| wanted(name)).cloned()
    }
}

/// Whether `url` is the default HTTPS server of the host whose default HTTP server `home` is: many lead there
/// from the one to the other.
fn is_same_over_tls(home: &Url, url: &Url) -> bool {
    let port = |url: &Url| url.port_or_known_default();
    home.host() == url.host()
        && home.scheme() == "http"
        && port(home) == Some(80)
        && url.scheme() == "https"
        && port(url) == Some(443)
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_at_home_and_the_rest_travels() {
        let home = "https://live.example.com/x.m3u8".parse().expect("a URL");
        let given = [("Authorization", "Bearer s3cret"), ("X-Key", "s3cret"), ("Referer", "https://page")];
        let headers = Headers::new(&home, &given.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
        let names = |url: &str| {
            let url = url.parse().expect("a URL");
            headers.of(&url).map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("https://LIVE.example.com:443/s.ts"), ["authorization", "referer", "x-key"]);
        for elsewhere in
            ["https://cdn.example.com/s", "http://live.example.com/s", "https://live.example.com:8443/s"]
        {
            assert_eq!(names(elsewhere), ["referer"], "{elsewhere}");
        }
        let home = "http://live.example.com/x.m3u8".parse().expect("a URL");
        let headers = Headers::new(&home, &[("X-Key".to_owned(), "s3cret".to_owned())].into());
        let goes_to = |url: &str| headers.of(&url.parse().expect("a URL")).count() == 1;
        assert!(goes_to("https://live.example.com/s") && !goes_to("https://live.example.com:8443/s"));
        assert!(!format!("{headers:?}").contains("s3cret"));
    }
}
