//! What may be asked of webhooks.

use actix::Message;
use serde::Serialize;

use super::RequestError;
use crate::settings::StreamId;
use crate::webhooks::HookEvent;

/// Tell a URL of events from now on.
#[derive(Clone, Message)]
#[rtype(result = "Result<WebhookView, RequestError>")]
pub struct AddWebhook {
    /// `http://` or `https://` URL.
    pub url: String,
    /// What notices are signed with; unsigned where there is none.
    pub secret: Option<String>,
    /// Which kinds.
    pub events: Vec<HookEvent>,
    /// Of which stream; of all where there is none.
    pub stream_id: Option<StreamId>,
}

/// All webhooks.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<Vec<WebhookView>, RequestError>")]
pub struct ListWebhooks;

/// Forget a webhook.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RequestError>")]
pub struct RemoveWebhook {
    /// Which.
    pub id: String,
}

/// Try a webhook once, now.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<WebhookTest, RequestError>")]
pub struct TestWebhook {
    /// Which.
    pub id: String,
}

/// A webhook as shown: without its secret, and of its URL the host alone.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// Its id.
    pub id: String,
    /// Where notices go; `***` stands for the path, which may be a secret.
    pub url: String,
    /// Whether notices are signed.
    pub has_secret: bool,
    /// The kinds that it is told of.
    #[schema(value_type = Vec<String>)]
    pub events: Vec<HookEvent>,
    /// The stream that it is told of; all where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub stream_id: Option<StreamId>,
    /// RFC 3339.
    pub created_at: String,
    /// Notices that wait.
    pub pending: u64,
    /// Notices that were taken since the service started.
    pub delivered: u64,
    /// Notices that were given up.
    pub failed: u64,
    /// Notices that did not fit into its queue.
    pub dropped: u64,
    /// How the newest attempt went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<WebhookAttempt>,
}

/// How one attempt went.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAttempt {
    /// RFC 3339.
    pub at: String,
    /// The kind of notice.
    #[schema(value_type = String)]
    pub event: HookEvent,
    /// Whether it was taken: an answer of 2xx.
    pub delivered: bool,
    /// The answer's status, if one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a test went.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTest {
    /// Whether it was taken: an answer of 2xx.
    pub delivered: bool,
    /// The answer's status, if one came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
