//! Figures of the process itself: what it was built from, and what the system knows of it.

use prometheus::{IntGauge, Opts, Registry};

/// What a build without `OVERDUB_COMMIT` in its environment says of its origin.
const UNKNOWN: &str = "unknown";

/// Registers them.
pub fn register(registry: &Registry) -> prometheus::Result<()> {
    let opts = Opts::new("overdub_build_info", "1; its labels say what this program was built from.")
        .const_label("version", env!("CARGO_PKG_VERSION"))
        .const_label("commit", option_env!("OVERDUB_COMMIT").unwrap_or(UNKNOWN));
    let build = IntGauge::with_opts(opts)?;
    build.set(1);
    registry.register(Box::new(build))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(())
}
