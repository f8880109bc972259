//! Where a processor is: its URL, taken apart as the official Socket.IO client takes it apart.

use url::Url;

/// Why a URL is not a processor's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL.
    #[error("the processor's URL cannot be read: {0}")]
    Url(#[from] url::ParseError),
    /// A scheme that no Socket.IO server speaks.
    #[error("the processor's URL begins with {0}: instead of ws:, wss:, http: or https:")]
    Scheme(String),
    /// No host.
    #[error("the processor's URL names no host")]
    Host,
}

/// A processor's address.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// WebSocket URL of the Engine.IO endpoint.
    pub endpoint: String,
    /// User name and password, where the URL bears them.
    pub credentials: Option<(String, String)>,
    /// The Socket.IO namespace to join.
    pub namespace: String,
    secrets: Vec<String>,
}

impl Target {
    /// Takes `url` apart.
    ///
    /// As with the official client, the path is the namespace (none or `/`: the default one), the query
    /// goes with the handshake, and the endpoint is always `/socket.io/`. User name and password go as HTTP
    /// basic authentication.
    ///
    /// # Errors
    /// It is not a `ws`, `wss`, `http` or `https` URL with a host.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let given = Url::parse(url)?;
        let scheme = match given.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(TargetError::Scheme(other.to_owned())),
        };
        let host = given.host_str().filter(|host| !host.is_empty()).ok_or(TargetError::Host)?;
        let port = given.port().map(|port| format!(":{port}")).unwrap_or_default();
        let mut endpoint = Url::parse(&format!("{scheme}://{host}{port}/socket.io/"))?;
        let mut secrets: Vec<String> = Vec::new();
        {
            let mut query = endpoint.query_pairs_mut();
            query.append_pair("EIO", "4").append_pair("transport", "websocket");
            for (name, value) in given.query_pairs() {
                if !matches!(&*name, "EIO" | "transport" | "sid") {
                    query.append_pair(&name, &value);
                    secrets.push(value.into_owned());
                }
            }
        }
        let has_credentials = !given.username().is_empty() || given.password().is_some();
        let credentials =
            has_credentials.then(|| (decode(given.username()), decode(given.password().unwrap_or_default())));
        secrets.extend(credentials.iter().map(|(_, password)| password.clone()));
        // Shorter ones would tear ordinary words apart, and protect nothing.
        secrets.retain(|secret| secret.len() >= 4);
        let path = given.path().trim_end_matches('/');
        let namespace = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        Ok(Self { endpoint: endpoint.into(), credentials, namespace, secrets })
    }

    /// `text` of the other end without the secrets of the URL, should it quote them.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_namespace_and_the_query_goes_along() {
        let target = |url: &str| {
            let target = Target::parse(url).unwrap();
            (target.endpoint, target.namespace)
        };
        let own = |endpoint: &str, namespace: &str| (endpoint.to_owned(), namespace.to_owned());
        let query = "EIO=4&transport=websocket";
        assert_eq!(
            target("ws://localhost:5000"),
            own(&format!("ws://localhost:5000/socket.io/?{query}"), "/")
        );
        assert_eq!(target("http://h/"), own(&format!("ws://h/socket.io/?{query}"), "/"));
        assert_eq!(target("https://h:444/dub/"), own(&format!("wss://h:444/socket.io/?{query}"), "/dub"));
        assert_eq!(
            target("wss://h/a/b?token=s3cret&EIO=3&sid=1"),
            own(&format!("wss://h/socket.io/?{query}&token=s3cret"), "/a/b")
        );
        assert_eq!(target("ws://[::1]:5000"), own(&format!("ws://[::1]:5000/socket.io/?{query}"), "/"));
    }

    #[test]
    fn other_urls_are_refused_with_a_reason() {
        let error = |url: &str| Target::parse(url).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error("ftp://h/").contains("begins with ftp: instead of ws:"));
        assert!(error("localhost:5000").contains("begins with localhost:"));
        assert!(error("").contains("cannot be read"));
        assert!(error("ws://").contains("cannot be read"));
    }

    #[test]
    fn secrets_do_not_come_back_in_the_other_ends_words() {
        let target = Target::parse("wss://user:p%40ss1@h/?token=s3cret").unwrap();
        assert_eq!(target.credentials, Some(("user".to_owned(), "p@ss1".to_owned())));
        assert_eq!(target.scrub("s3cret of p@ss1 is wrong"), "*** of *** is wrong");
        assert!(!target.endpoint.contains("p%40ss1"));
    }
}
