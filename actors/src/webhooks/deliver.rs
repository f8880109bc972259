//! One attempt to deliver a notice.

use std::time::Duration;

use awc::http::{StatusCode, Version, header};
use awc::{Client, Connector};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::Url;

use super::notice::{HookEvent, Notice};
use crate::clock::{self, UnixMicros};
use crate::fetcher::{PrivateAddress, Resolver, check_literal, refusal};
use crate::redact::redact_text;
use crate::store::StoredWebhook;

/// Header that bears the notice's signature, where the webhook has a secret.
pub const SIGNATURE: &str = "overdub-signature";
/// Header that bears the moment of the attempt, Unix seconds; it is signed too, so that none can be replayed later.
pub const TIMESTAMP: &str = "overdub-timestamp";
/// What an attempt may take in all.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// How an attempt went.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub at: UnixMicros,
    pub event: HookEvent,
    pub status: Option<u16>,
    /// None where it was taken.
    pub error: Option<String>,
    /// Whether another attempt may go better.
    pub worth_another: bool,
}

/// Carries notices to one webhook.
pub(super) struct Courier {
    webhook: StoredWebhook,
    allow_private: bool,
    client: Client,
}

impl Courier {
    pub(super) fn new(webhook: StoredWebhook, allow_private: bool) -> Self {
        Self { webhook, allow_private, client: client(allow_private) }
    }

    pub(super) fn shown_url(&self) -> String {
        shown_url(&self.webhook.url)
    }

    pub(super) async fn attempt(&self, notice: &Notice) -> Attempt {
        let at = clock::now();
        let outcome = match check(&self.webhook.url, self.allow_private) {
            Ok(()) => tokio::time::timeout(ATTEMPT_LIMIT, self.post(notice, at))
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()))),
            Err(error) => Err(error),
        };
        let (status, error) = match outcome {
            Ok(status) if status.is_success() => (Some(status), None),
            Ok(status) => (Some(status), Some(format!("answered {}", status.as_u16()))),
            Err(error) => (None, Some(redact_text(&error).into_owned())),
        };
        // RFC 9110 15.5: what is wrong with the request stays wrong, but for these two.
        let final_word = status.is_some_and(|status| {
            status.is_client_error()
                && !matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        });
        let worth_another = error.is_some() && !final_word;
        Attempt { at, event: notice.event, status: status.map(|s| s.as_u16()), error, worth_another }
    }

    async fn post(&self, notice: &Notice, at: UnixMicros) -> Result<StatusCode, String> {
        let body = notice.body();
        let timestamp = at.as_millis().div_euclid(1000).to_string();
        let mut url = Url::parse(&self.webhook.url).map_err(|error| error.to_string())?;
        let credentials = (url.username().to_owned(), url.password().map(str::to_owned));
        // Neither fails on a URL with a host, which has been checked.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let mut request = self
            .client
            .post(url.as_str())
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .insert_header(("overdub-event", notice.event.name()))
            .insert_header(("overdub-delivery", notice.id.as_str()))
            .insert_header((TIMESTAMP, timestamp.as_str()));
        if !credentials.0.is_empty() || credentials.1.is_some() {
            request = request.basic_auth(&credentials.0, credentials.1.as_deref().unwrap_or_default());
        }
        if let Some(secret) = &self.webhook.secret {
            request = request.insert_header((SIGNATURE, signature(secret, &timestamp, &body)));
        }
        // The answer's body is of no interest: dropping it closes the connection.
        let response = request.send_body(body).await.map_err(|error| error.to_string())?;
        Ok(response.status())
    }
}

/// `v1=` and the HMAC-SHA256 (RFC 2104), in hexadecimal, of timestamp, full stop and body.
#[must_use]
pub fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold("v1=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Whether notices may go there at all: a literal address never reaches the resolver.
pub(super) fn check(url: &str, allow_private: bool) -> Result<(), String> {
    let url = Url::parse(url).map_err(|error| format!("url: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("url must be http:// or https://".to_owned());
    }
    let Some(host) = url.host() else { return Err("url has no host".to_owned()) };
    check_literal(&host, refusal(allow_private)).map_err(|error: PrivateAddress| error.to_string())
}

/// The URL without what may be secret: many services put a webhook's token into its path.
pub(super) fn shown_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => {
            let hidden = if url.path() == "/" && url.query().is_none() { "" } else { "***" };
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}/{hidden}", url.scheme(), url.host_str().unwrap_or_default())
        }
        Err(_) => "***".to_owned(),
    }
}

fn client(allow_private: bool) -> Client {
    // Does nothing where the process has installed one; without any, building a client panics.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let resolver = actix_tls::connect::Resolver::custom(Resolver { refuses: refusal(allow_private) });
    let connector = Connector::new()
        .connector(actix_tls::connect::Connector::new(resolver).service())
        .timeout(ATTEMPT_LIMIT)
        .max_http_version(Version::HTTP_11);
    Client::builder()
        .connector(connector)
        .disable_timeout()
        // A redirect could lead where the webhook's owner did not mean it to go.
        .disable_redirects()
        .add_default_header((header::USER_AGENT, concat!("overdub/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_signed_over_its_time_and_body() {
        // As `printf '%s' '1700000000.{"a":1}' | openssl dgst -sha256 -hmac hunter2` says.
        let expected = "v1=56b25cbf563812b38800e5f4dd1febfde087d36841155e70b3aa285517e1570a";
        assert_eq!(signature("hunter2", "1700000000", "{\"a\":1}"), expected);
    }

    #[test]
    fn what_may_be_secret_of_a_url_is_not_shown() {
        assert_eq!(
            shown_url("https://u:s3cret@hooks.example:8443/T0/s3cret?k=s3cret"),
            "https://hooks.example:8443/***"
        );
        assert_eq!(shown_url("http://h"), "http://h/");
        assert_eq!(shown_url("s3cret"), "***");
    }

    #[test]
    fn private_addresses_are_refused_where_they_are_not_allowed() {
        assert!(check("http://127.0.0.1:1/x", true).is_ok());
        assert!(check("http://127.0.0.1:1/x", false).unwrap_err().contains("fetch.allow_private"));
        assert!(check("http://[::1]/x", false).is_err());
        assert!(check("https://hooks.example/x", false).is_ok());
        assert!(check("ftp://hooks.example/x", true).is_err());
    }
}
