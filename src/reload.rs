//! SIGHUP: the log's file opened and the configuration read again, and what of it a running service can follow.

use overdub_web::{SettingsCell, WebSettings};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::{Settings, SettingsArgs};
use crate::telemetry::Telemetry;

/// Settings that take effect at once; all others at the next start. A whole section ends in a full stop.
const LIVE: [&str; 7] = [
    "auth.tokens",
    "auth.read_tokens",
    "server.cors_origins",
    "server.rate_limit",
    "stream.",
    "fetch.start",
    "log.level",
];

/// One setting that differs.
#[derive(Debug, PartialEq)]
struct Change {
    key: String,
    /// What it was and what it is, secrets hidden.
    was: String,
    is: String,
    live: bool,
}

/// Reads the configuration again whenever SIGHUP comes, for ever.
pub async fn on_hangup(args: SettingsArgs, mut settings: Settings, web: SettingsCell, telemetry: Telemetry) {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::error!(%error, "SIGHUP cannot be heard: settings change at the next start only");
            return;
        }
    };
    while hangups.recv().await.is_some() {
        if let Err(error) = telemetry.reopen_file() {
            tracing::error!(%error, "SIGHUP: log.file cannot be opened again");
        }
        match read(&args, &settings) {
            Ok(new) => {
                apply(&settings, &new, &web, &telemetry);
                settings = new;
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "SIGHUP: the configuration is not valid; nothing has changed"
                );
            }
        }
    }
}

/// The configuration of now. Where it listens does not change, so that it must be allowed there without a token.
fn read(args: &SettingsArgs, running: &Settings) -> anyhow::Result<Settings> {
    let new = Settings::load(args)?;
    let mut as_running = new.clone();
    as_running.server.host.clone_from(&running.server.host);
    as_running.check()?;
    Ok(new)
}

fn apply(old: &Settings, new: &Settings, web: &SettingsCell, telemetry: &Telemetry) {
    let changes = changes(old, new);
    if let Err(error) = telemetry.set_level(&new.log.level) {
        tracing::error!(%error, "log.level cannot be changed");
    }
    web.replace(web_settings(new, (*web.get()).clone()));
    for Change { key, was, is, live } in &changes {
        if *live {
            tracing::info!(key, was, is, "SIGHUP: setting changed");
        } else {
            tracing::warn!(key, was, is, "SIGHUP: setting takes effect at the next start");
        }
    }
    tracing::info!(changes = changes.len(), "SIGHUP: the configuration has been read");
}

/// `web` with those of `settings` that can change while it serves.
pub fn web_settings(settings: &Settings, web: WebSettings) -> WebSettings {
    WebSettings {
        defaults: settings.stream_defaults(),
        auth_tokens: settings.auth.tokens.clone(),
        read_tokens: settings.auth.read_tokens.clone(),
        cors_origins: settings.server.cors_origins.clone(),
        rate_limit: settings.server.rate_limit,
        ..web
    }
}

fn changes(old: &Settings, new: &Settings) -> Vec<Change> {
    let flat = |settings: &Settings| {
        let value = serde_json::to_value(settings).unwrap_or_default();
        let sections = value.as_object().into_iter().flatten();
        let keys = sections.flat_map(|(section, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| (format!("{section}.{key}"), value.clone())).collect::<Vec<_>>()
        });
        keys.collect::<Vec<(String, Value)>>()
    };
    let shown = [old.shown_values(), new.shown_values()];
    let text = |index: usize, key: &str| {
        let values: &std::collections::BTreeMap<String, String> = &shown[index];
        values.get(key).cloned().unwrap_or_default()
    };
    let differ = flat(old).into_iter().zip(flat(new)).filter(|((_, old), (_, new))| old != new);
    differ
        .map(|((key, _), _)| Change {
            was: text(0, &key),
            is: text(1, &key),
            live: LIVE.iter().any(|live| key == *live || live.ends_with('.') && key.starts_with(live)),
            key,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_named_without_secrets_and_so_is_what_must_wait() {
        let old = Settings::default();
        let mut new = old.clone();
        new.stream.delay = 20.0;
        new.stream.srs_rtmp_url = "rtmp://h/live/hunter2".to_owned();
        new.auth.tokens =
            vec!["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".parse().unwrap()];
        new.server.port = 4000;
        let changes = changes(&old, &new);
        let found: Vec<(&str, bool)> =
            changes.iter().map(|change| (change.key.as_str(), change.live)).collect();
        let expected = [
            ("auth.tokens", true),
            ("server.port", false),
            ("stream.delay", true),
            ("stream.srs_rtmp_url", true),
        ];
        assert_eq!(found, expected);
        assert_eq!((changes[0].was.as_str(), changes[0].is.as_str()), ("(0 tokens)", "(1 tokens)"));
        let text = format!("{changes:?}");
        assert!(!text.contains("hunter2") && !text.contains("9f86"), "{text}");
    }

    #[test]
    fn a_service_that_others_reach_does_not_lose_its_last_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "[server]\nhost = \"127.0.0.1\"").unwrap();
        let args = SettingsArgs { config: Some(file), ..SettingsArgs::default() };
        let mut running = Settings::default();
        assert!(read(&args, &running).is_ok());
        running.server.host = "0.0.0.0".to_owned();
        assert!(read(&args, &running).unwrap_err().to_string().contains("auth.tokens"));
    }

    #[test]
    fn the_web_follows() {
        let mut new = Settings::default();
        new.stream.delay = 20.0;
        new.server.rate_limit = 7;
        let web = web_settings(&new, WebSettings { port: 1234, ..WebSettings::default() });
        assert_eq!((web.defaults.delay, web.rate_limit, web.port), (20.0, 7, 1234));
    }
}
