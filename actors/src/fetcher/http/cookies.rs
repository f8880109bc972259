//! Cookies within one stream (RFC 6265): what a server sets comes back to it until the fetcher ends. Never stored.

use awc::http::header::HeaderMap;
use url::Url;

use crate::clock::UnixMicros;

/// Cookies kept for one stream; the oldest goes for a new one.
const MAX_COOKIES: usize = 64;
/// Longest name and value together, bytes.
const MAX_LEN: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    /// Goes to `domain` alone, not to hosts below it.
    host_only: bool,
    path: String,
    secure: bool,
    expires: Option<UnixMicros>,
}

/// The cookies of one stream.
#[derive(Debug, Default)]
pub(super) struct Jar(Vec<Cookie>);

impl Jar {
    /// Takes in what an answer from `url` sets.
    pub(super) fn store(&mut self, url: &Url, headers: &HeaderMap, now: UnixMicros) {
        for value in headers.get_all("set-cookie").filter_map(|value| value.to_str().ok()) {
            if let Some(cookie) = parse(url, value, now) {
                self.0.retain(|old| {
                    (&old.name, &old.domain, &old.path) != (&cookie.name, &cookie.domain, &cookie.path)
                });
                if cookie.expires.is_none_or(|at| at > now) {
                    self.0.push(cookie);
                }
            }
        }
        let excess = self.0.len().saturating_sub(MAX_COOKIES);
        self.0.drain(..excess);
    }

    /// The Cookie header for a request to `url`; none where there is nothing to say.
    pub(super) fn header(&self, url: &Url, now: UnixMicros) -> Option<String> {
        let host = url.host_str()?.to_ascii_lowercase();
        let fits = |cookie: &&Cookie| {
            let domain = host == cookie.domain || !cookie.host_only && is_below(&host, &cookie.domain);
            domain
                && is_within(url.path(), &cookie.path)
                && (!cookie.secure || url.scheme() == "https")
                && cookie.expires.is_none_or(|at| at > now)
        };
        let pairs: Vec<String> =
            self.0.iter().filter(fits).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// RFC 6265 5.2; none for what is to be ignored.
fn parse(url: &Url, text: &str, now: UnixMicros) -> Option<Cookie> {
    let mut parts = text.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() + value.len() > MAX_LEN || text.bytes().any(|b| b < 0x20) {
        return None;
    }
    let host = url.host_str()?.to_ascii_lowercase();
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: host.clone(),
        host_only: true,
        path: default_path(url.path()).to_owned(),
        secure: false,
        expires: None,
    };
    let mut max_age = None;
    for attribute in parts {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "domain" if !value.is_empty() => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                // A name without a dot would be a whole top-level domain.
                if domain != host && !(domain.contains('.') && is_below(&host, &domain)) {
                    return None;
                }
                cookie.host_only = domain == host && url.domain().is_none();
                cookie.domain = domain;
            }
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "secure" => cookie.secure = true,
            "max-age" => max_age = value.parse::<i64>().ok(),
            "expires" => cookie.expires = httpdate::parse_http_date(value).ok().and_then(unix_micros),
            _ => {}
        }
    }
    if let Some(seconds) = max_age {
        cookie.expires = Some(now.plus_micros(seconds.clamp(0, 1 << 40).saturating_mul(1_000_000)));
    }
    Some(cookie)
}

fn unix_micros(time: std::time::SystemTime) -> Option<UnixMicros> {
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(UnixMicros)
}

/// RFC 6265 5.1.4: up to, but not including, the last slash.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(last) if last > 0 => &path[..last],
        _ => "/",
    }
}

/// Whether `host` is a name below `domain`; addresses have none below them.
fn is_below(host: &str, domain: &str) -> bool {
    let is_name = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
    is_name && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// RFC 6265 5.1.4: path-match.
fn is_within(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use awc::http::header::{HeaderValue, SET_COOKIE};

    const NOW: UnixMicros = UnixMicros(1_769_860_800_000_000);

    fn jar(url: &str, cookies: &[&str]) -> Jar {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(SET_COOKIE, HeaderValue::from_str(cookie).expect("a header"));
        }
        let mut jar = Jar::default();
        jar.store(&url.parse().expect("a URL"), &headers, NOW);
        jar
    }

    fn sent(jar: &Jar, url: &str) -> Option<String> {
        jar.header(&url.parse().expect("a URL"), NOW)
    }

    #[test]
    fn a_cookie_goes_back_to_its_host_and_path_alone() {
        let jar = jar("http://a.example.com/live/x.m3u8", &["s=1; HttpOnly", "t=2; Path=/", "u=3; Secure"]);
        assert_eq!(sent(&jar, "http://a.example.com/live/y.ts").as_deref(), Some("s=1; t=2"));
        assert_eq!(sent(&jar, "https://a.example.com/live/y.ts").as_deref(), Some("s=1; t=2; u=3"));
        assert_eq!(sent(&jar, "http://a.example.com/lively").as_deref(), Some("t=2"));
        for other in ["http://b.example.com/live/y.ts", "http://x.a.example.com/live/y.ts"] {
            assert_eq!(sent(&jar, other), None, "{other}");
        }
    }

    #[test]
    fn a_domain_reaches_hosts_below_it_and_never_another() {
        let jar = jar(
            "http://a.example.com/",
            &[
                "s=1; Domain=.example.com",
                "t=2; Domain=other.com",
                "u=3; Domain=com",
                "v=4; Domain=b.a.example.com",
            ],
        );
        assert_eq!(sent(&jar, "http://cdn.example.com/y").as_deref(), Some("s=1"));
        assert_eq!(sent(&jar, "http://example.com/y").as_deref(), Some("s=1"));
        for other in ["http://notexample.com/", "http://other.com/", "http://x.com/"] {
            assert_eq!(sent(&jar, other), None, "{other}");
        }
    }

    #[test]
    fn a_cookie_ends_when_it_says_so_and_is_replaced_by_its_next() {
        let mut jar =
            jar("http://h/", &["s=1; Max-Age=10", "t=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "s=2"]);
        assert_eq!(sent(&jar, "http://h/").as_deref(), Some("s=2"));
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("s=; Max-Age=0"));
        jar.store(&"http://h/".parse().expect("a URL"), &headers, NOW);
        assert_eq!(sent(&jar, "http://h/"), None);
    }

    #[test]
    fn a_server_cannot_fill_the_jar() {
        let many: Vec<String> = (0..1000).map(|n| format!("c{n}=x")).collect();
        let jar = jar("http://h/", &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(jar.0.len(), MAX_COOKIES);
        let long = format!("c={}", "x".repeat(MAX_LEN));
        assert!(self::jar("http://h/", &[&long]).0.is_empty());
    }
}
