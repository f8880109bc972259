//! The table that `make chaos` prints: each test leaves its row in `target/chaos`.

use std::time::Duration;

use crate::kit::root;

/// Whether the outages are as long as the promises speak of.
pub fn long() -> bool {
    std::env::var("OVERDUB_CHAOS").is_ok_and(|value| value == "long")
}

/// One duration for `make test` and one for `make chaos`, seconds.
pub fn lasting(short_s: u64, long_s: u64) -> Duration {
    Duration::from_secs(if long() { long_s } else { short_s })
}

/// A row; it is written when it is dropped, as failed unless it was held.
pub struct Row {
    order: u32,
    fault: String,
    promised: &'static str,
    measured: Vec<String>,
    verdict: &'static str,
}

impl Row {
    /// A row at its place in the table.
    pub fn new(order: u32, fault: impl Into<String>, promised: &'static str) -> Self {
        Self { order, fault: fault.into(), promised, measured: Vec::new(), verdict: "FAILED" }
    }

    /// Adds something measured.
    pub fn measured(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("{}: {what}", self.fault);
        self.measured.push(what);
    }

    /// The promise was kept.
    pub fn held(mut self) {
        self.verdict = "held";
    }

    /// It could not be tried here.
    pub fn skipped(mut self, why: &str) {
        eprintln!("skipped: {why}");
        self.measured.push(why.to_owned());
        self.verdict = "skipped";
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let folder = root().join("target/chaos");
        let measured = self.measured.join("; ");
        let line = format!("| {} | {} | {measured} | {} |\n", self.fault, self.promised, self.verdict);
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(format!("{:03}.row", self.order)), line));
        if let Err(error) = written {
            eprintln!("the row cannot be written: {error}");
        }
    }
}
