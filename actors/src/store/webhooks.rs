//! Webhooks as stored. They are few and seldom change: each write is flushed at once.

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, decode, encode};
use crate::clock::UnixMicros;
use crate::settings::StreamId;
use crate::webhooks::HookEvent;

/// Their tree.
const TREE: &str = "webhooks";

/// A webhook as stored. Holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredWebhook {
    /// Its id.
    pub id: String,
    /// Where notices go.
    pub url: String,
    /// What they are signed with.
    #[serde(default)]
    pub secret: Option<String>,
    /// Which kinds.
    pub events: Vec<HookEvent>,
    /// Of which stream; of all where there is none.
    #[serde(default)]
    pub stream_id: Option<StreamId>,
    /// When it was made.
    pub created_at: UnixMicros,
}

impl Store {
    /// All webhooks. One that cannot be read is left out and reported beside the others.
    pub fn webhooks(&self) -> Result<(Vec<StoredWebhook>, Vec<StoreError>), StoreError> {
        let (mut webhooks, mut damaged) = (Vec::new(), Vec::new());
        self.trees.with(|trees| {
            for entry in trees.db.open_tree(TREE)?.iter() {
                let (key, value) = entry?;
                match decode(&key, &value) {
                    Ok(webhook) => webhooks.push(webhook),
                    Err(error) => damaged.push(error),
                }
            }
            Ok(())
        })?;
        Ok((webhooks, damaged))
    }

    /// Writes a webhook to the disk. Blocks.
    pub fn put_webhook(&self, webhook: &StoredWebhook) -> Result<(), StoreError> {
        let value = encode(&webhook.id, webhook)?;
        self.trees.with(|trees| {
            let tree = trees.db.open_tree(TREE)?;
            tree.insert(&webhook.id, value)?;
            tree.flush()?;
            Ok(())
        })
    }

    /// Forgets a webhook. Blocks.
    pub fn remove_webhook(&self, id: &str) -> Result<(), StoreError> {
        self.trees.with(|trees| {
            let tree = trees.db.open_tree(TREE)?;
            tree.remove(id)?;
            tree.flush()?;
            Ok(())
        })
    }
}
