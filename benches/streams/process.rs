//! Child processes that end with this one.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};

/// A child; dropping it kills it.
pub struct Process {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it; its standard error goes to `log`, or to nowhere.
    pub fn start(mut command: Command, log: Option<&Path>) -> anyhow::Result<Self> {
        let stderr = match log {
            Some(log) => std::fs::OpenOptions::new().create(true).append(true).open(log)?.into(),
            None => Stdio::null(),
        };
        let shown = format!("{:?}", command.get_program());
        // Its standard input stays open while we live: the parts of the benchmark end with it.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().with_context(|| format!("{shown} cannot be started"))?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { child, stdout })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The rest of the next line of standard output that begins with `prefix`.
    pub fn line_after(&mut self, prefix: &str) -> anyhow::Result<String> {
        let stdout = self.stdout.as_mut().context("no standard output")?;
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line)? == 0 {
                bail!("process {} ended before it said '{prefix}'", self.child.id());
            }
            if let Some(rest) = line.strip_prefix(prefix) {
                return Ok(rest.trim().to_owned());
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
