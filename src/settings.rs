//! Settings: `config.toml`, then the environment, then flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use overdub_actors::settings::{Fallback, StartAt, redact_url};
use overdub_web::{StreamDefaults, TokenHash};
use serde::{Deserialize, Serialize};

/// The file that is read where no other is named.
const DEFAULT_FILE: &str = "config.toml";

/// Flags that say where settings are, or are settings themselves.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// Configuration file; ./config.toml where it is left out and there is one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one
    #[arg(long)]
    pub port: Option<u16>,
    /// Folder for segments, batches and state
    #[arg(long, value_name = "DIR")]
    pub storage: Option<PathBuf>,
    /// What is logged, e.g. "debug"
    #[arg(long)]
    pub log_level: Option<String>,
}

impl SettingsArgs {
    /// Which file is read, in words.
    pub fn source(&self) -> String {
        match &self.config {
            Some(file) => format!("read from {}", file.display()),
            None if Path::new(DEFAULT_FILE).is_file() => format!("read from ./{DEFAULT_FILE}"),
            None => format!("there is no ./{DEFAULT_FILE}, so these are the defaults and the environment's"),
        }
    }
}

/// All settings (design, section 12).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub auth: Auth,
    pub storage: Storage,
    pub stream: Stream,
    pub fetch: Fetch,
    pub supervision: Supervision,
    pub log: Log,
}

macro_rules! section {
    ($name:ident { $($key:ident: $kind:ty = $default:expr),* $(,)? }) => {
        #[doc = concat!("The section of the settings of the same name; see config.toml.")]
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(pub $key: $kind),*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default),* }
            }
        }
    };
}

section!(Server {
    host: String = "127.0.0.1".to_owned(),
    port: u16 = 3000,
    cors_origins: Vec<String> = Vec::new(),
    rate_limit: u32 = 100,
});
section!(Auth { tokens: Vec<TokenHash> = Vec::new(), read_tokens: Vec<TokenHash> = Vec::new() });
section!(Storage {
    path: PathBuf = "./storage".into(),
    keep_batches: u64 = 5,
    auto_cleanup: bool = true,
    quota_bytes: u64 = 0,
});
section!(Stream {
    buffer_duration: f64 = 30.0,
    delay: f64 = 10.0,
    max_concurrent_batches: u32 = 3,
    fallback: Fallback = Fallback::Original,
    audio_processor_url: String = "ws://localhost:5000".to_owned(),
    srs_rtmp_url: String = "rtmp://localhost/live/{streamId}".to_owned(),
    hls_output: bool = true,
});
section!(Fetch { allow_private: bool = true, start: StartAt = StartAt::Live });
section!(Supervision {
    max_restarts: u64 = 5,
    restart_window: u64 = 60,
    failed_retry: u64 = 60,
    shutdown_grace: u64 = 10,
});
section!(Log {
    level: String = "info".to_owned(),
    format: LogFormat = LogFormat::Pretty,
    file: PathBuf = PathBuf::new()
});

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn load(args: &SettingsArgs) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        match &args.config {
            Some(file) if !file.is_file() => bail!("configuration file {} does not exist", file.display()),
            Some(file) => figment = figment.merge(Toml::file_exact(file)),
            None if Path::new(DEFAULT_FILE).is_file() => {
                figment = figment.merge(Toml::file_exact(DEFAULT_FILE))
            }
            None => {}
        }
        figment = figment.merge(Env::prefixed("OVERDUB__").split("__"));
        if let Some(host) = &args.host {
            figment = figment.merge(("server.host", host));
        }
        if let Some(port) = args.port {
            figment = figment.merge(("server.port", port));
        }
        if let Some(storage) = &args.storage {
            figment = figment.merge(("storage.path", storage));
        }
        if let Some(level) = &args.log_level {
            figment = figment.merge(("log.level", level));
        }
        let settings: Self = figment.extract().map_err(|errors| {
            let lines: Vec<String> = errors.into_iter().map(|error| describe(&error)).collect();
            anyhow::anyhow!("{}", lines.join("\n"))
        })?;
        settings.check()?;
        Ok(settings)
    }

    /// Refuses values out of their range, all of them at once.
    pub fn check(&self) -> anyhow::Result<()> {
        let problems = self.problems();
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        Ok(())
    }

    /// The streams' defaults as the web knows them.
    pub fn stream_defaults(&self) -> StreamDefaults {
        let stream = &self.stream;
        StreamDefaults {
            buffer_duration: stream.buffer_duration,
            delay: stream.delay,
            max_concurrent_batches: stream.max_concurrent_batches,
            fallback: stream.fallback,
            audio_processor_url: stream.audio_processor_url.clone(),
            srs_rtmp_url: stream.srs_rtmp_url.clone(),
            hls_output: stream.hls_output,
            start: self.fetch.start,
        }
    }

    /// The settings as TOML-like lines that may be shown: no tokens, no credentials.
    pub fn shown(&self) -> anyhow::Result<String> {
        let lines = self.shown_values().into_iter().map(|(key, value)| format!("{key} = {value}"));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Each setting as it may be shown, by `section.key`.
    pub fn shown_values(&self) -> BTreeMap<String, String> {
        let mut shown = self.clone();
        for url in [&mut shown.stream.audio_processor_url, &mut shown.stream.srs_rtmp_url] {
            if !url.is_empty() {
                *url = redact_url(url).replace("%7B", "{").replace("%7D", "}");
            }
        }
        // Settings hold nothing that JSON cannot.
        let value = serde_json::to_value(&shown).unwrap_or_default();
        let mut values = BTreeMap::new();
        for (section, keys) in value.as_object().into_iter().flatten() {
            for (key, value) in keys.as_object().into_iter().flatten() {
                let value = match value.as_array() {
                    Some(tokens) if section == "auth" => format!("({} tokens)", tokens.len()),
                    _ => value.to_string(),
                };
                values.insert(format!("{section}.{key}"), value);
            }
        }
        values
    }

    /// Each value out of its range: the key, the value, the range.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut integer = |key: &str, value: u64, low: u64, high: u64| {
            if !(low..=high).contains(&value) {
                problems.push(format!("{key} = {value}: must be {low} to {high}"));
            }
        };
        integer("storage.keep_batches", self.storage.keep_batches, 1, 10_000);
        integer("supervision.max_restarts", self.supervision.max_restarts, 1, 100);
        integer("supervision.restart_window", self.supervision.restart_window, 1, 3600);
        integer("supervision.failed_retry", self.supervision.failed_retry, 1, 3600);
        integer("supervision.shutdown_grace", self.supervision.shutdown_grace, 0, 300);
        if let Err(error) = self.log.level.parse::<tracing_subscriber::EnvFilter>() {
            problems.push(format!("log.level = {:?}: {error}", self.log.level));
        }
        let bare = !self.log.level.contains(['=', ',']);
        if bare && self.log.level.parse::<tracing::level_filters::LevelFilter>().is_err() {
            let given = &self.log.level;
            problems.push(format!(
                "log.level = {given:?}: must be error, warn, info, debug, trace, off or a filter"
            ));
        }
        if self.auth.tokens.is_empty() && self.auth.read_tokens.is_empty() && !is_loopback(&self.server.host)
        {
            let host = &self.server.host;
            problems.push(format!(
                "server.host = {host:?}: any address but 127.0.0.1, ::1 and localhost needs auth.tokens"
            ));
        }
        for origin in &self.server.cors_origins {
            let whole =
                url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !whole {
                problems.push(format!(
                    "server.cors_origins: {origin:?} is no origin; give scheme, host and port, e.g. \"https://page.example\""
                ));
            }
        }
        for error in overdub_web::validate_defaults(&self.stream_defaults()) {
            problems.push(format!("stream.{}: {}", snake_case(&error.field), error.message));
        }
        problems
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn snake_case(camel: &str) -> String {
    camel.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}

/// One line: the key, what is wrong, where it comes from.
fn describe(error: &figment::Error) -> String {
    let place = error.metadata.as_ref().map_or_else(String::new, |metadata| match &metadata.source {
        Some(figment::Source::File(file)) => format!(" in {}", file.display()),
        _ => format!(" in the {}", metadata.name),
    });
    let key = error.path.join(".");
    match &error.kind {
        figment::error::Kind::UnknownField(field, known) => {
            let section = if key.is_empty() { String::new() } else { format!("{key}.") };
            let section = section.strip_suffix(&format!("{field}.")).unwrap_or(&section).to_owned();
            format!("{section}{field}: unknown key{place}; known are {}", known.join(", "))
        }
        // The value may be a token where its hash was meant.
        _ if error.path.first().is_some_and(|section| section == "auth") => {
            format!("{key}: must be a list of SHA-256 hashes, 64 hexadecimal digits each{place}")
        }
        kind => format!("{key}: {kind}{place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&SettingsArgs { config: Some(file), ..SettingsArgs::default() })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_in_the_repository_holds_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
        let read = load(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(read.shown().unwrap(), Settings::default().shown().unwrap());
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_named() {
        let error = load("[server]\nprot = 1").unwrap_err();
        assert!(error.contains("server.prot: unknown key") && error.contains("host, port"), "{error}");
        let error = load("[stream]\ndelay = 301\n[storage]\nkeep_batches = 0").unwrap_err();
        assert!(error.contains("storage.keep_batches = 0: must be 1 to 10000"), "{error}");
        assert!(error.contains("stream.delay") && error.contains("300"), "{error}");
        let error = load("[server]\nport = \"x\"").unwrap_err();
        assert!(error.contains("server.port"), "{error}");
        for level in ["a=b=c", "loud"] {
            let error = load(&format!("[log]\nlevel = \"{level}\"")).unwrap_err();
            assert!(error.contains("log.level"), "{error}");
        }
        let error = load("[server]\nhost = \"0.0.0.0\"").unwrap_err();
        assert!(error.contains("server.host") && error.contains("auth.tokens"), "{error}");
    }

    #[test]
    fn a_token_in_the_place_of_its_hash_is_not_repeated() {
        for text in [
            "[auth]\ntokens = \"hunter2\"",
            "[auth]\ntokens = [\"hunter2\"]",
            "[auth]\ntokens = [[\"hunter2\"]]",
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains("auth.tokens") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn shown_settings_bear_no_secret() {
        let token = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let text = format!(
            "[auth]\ntokens = [\"{token}\"]\n[stream]\nsrs_rtmp_url = \"rtmp://h/live/hunter2\"\naudio_processor_url = \"ws://u:hunter2@h\""
        );
        let shown = load(&text).unwrap().shown().unwrap();
        assert!(!shown.contains("hunter2") && !shown.contains(token), "{shown}");
    }
}
