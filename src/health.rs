//! `overdub health`: whether a service on this machine answers, for containers and init systems.

use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::settings::{Settings, SettingsArgs};

/// A service that takes longer is not well.
const LIMIT: Duration = Duration::from_secs(4);

/// Asks the service that would run with these settings.
pub async fn run(args: &SettingsArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args)?;
    let url = url(&settings.server.host, settings.server.port);
    let client = awc::Client::builder().timeout(LIMIT).finish();
    let answer = client.get(&url).send().await;
    let status = answer.map_err(|error| anyhow::anyhow!("{error}")).with_context(|| url.clone())?.status();
    if !status.is_success() {
        bail!("{url} answered {status}");
    }
    println!("{url} is well");
    Ok(())
}

/// Where a service that listens at `host` answers to its own machine.
fn url(host: &str, port: u16) -> String {
    let own = match host.trim_start_matches('[').trim_end_matches(']') {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    format!("http://{own}:{port}/healthz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_all_addresses_is_asked_at_its_own() {
        assert_eq!(url("0.0.0.0", 3000), "http://127.0.0.1:3000/healthz");
        assert_eq!(url("::", 3000), "http://[::1]:3000/healthz");
        assert_eq!(url("::1", 3000), "http://[::1]:3000/healthz");
        assert_eq!(url("localhost", 80), "http://localhost:80/healthz");
    }
}
