//! Child processes that die with the test, and proof that a process has no children.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Result, wait};

/// A child process. Dropping it kills it; if the test is failing then, the end of its log is shown.
pub struct Process {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its standard output is kept as lines, its standard error goes to `log`.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> Result<Self> {
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name} cannot be started ({error}); make setup-peers installs it"))?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut stdout = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = stdout.next_line().await {
                sink.lock().unwrap().push(line);
            }
        });
        Ok(Self { name, child, lines, log: log.to_owned() })
    }

    /// The process id; panics once the process has been waited for.
    pub fn id(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// What it has printed to standard output so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line of standard output that begins with `prefix` and gives the rest of it.
    pub async fn line_after(&mut self, prefix: &str, limit: Duration) -> String {
        let what = format!("{} prints '{prefix}…'", self.name);
        let found = wait::until(&what, limit, async || {
            let rest = self.lines().iter().find_map(|line| line.strip_prefix(prefix).map(str::to_owned));
            let ended = self.child.try_wait().ok().flatten();
            rest.map(Ok).or(ended.map(Err))
        });
        match found.await {
            Ok(rest) => rest,
            Err(status) => panic!("{} ended with {status} before it printed '{prefix}…'", self.name),
        }
    }

    /// Whether it still runs.
    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends the signal, e.g. `TERM`.
    pub async fn signal(&self, signal: &str) {
        // The shell's own kill: a minimal system has no other, and a signal needs unsafe code.
        let status =
            Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &self.id().to_string()]).status();
        assert!(status.await.is_ok_and(|status| status.success()), "{} could not be signalled", self.name);
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("{} did not end within {limit:?}", self.name),
        }
    }

    /// Kills it (`SIGKILL`) and waits for its end.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("---- the end of what {} logged", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Runs a program to its end and gives its standard output; an error bears its standard error.
pub async fn output(command: &mut Command) -> Result<Vec<u8>> {
    let shown = format!("{:?}", command.as_std());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output =
        output.map_err(|error| format!("{shown}: {error}; make setup-peers installs what is missing"))?;
    if !output.status.success() {
        return Err(format!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(output.stdout)
}

/// Watches a process for children, for as long as it lives.
pub struct ChildWatch {
    id: u32,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ChildWatch {
    /// Watches the process `id`.
    pub fn start(id: u32) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                for child in children(id) {
                    let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                    let command = String::from_utf8_lossy(&command).replace('\0', " ");
                    sink.lock().unwrap().push(format!("{child}: {command}"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { id, seen, task }
    }

    /// What speaks for a child having existed. Must be asked while the process still runs.
    ///
    /// A child too short-lived to be seen still leaves a trace: the kernel adds the page faults and the
    /// processor time of children that were waited for to their parent's accounts (proc(5), `cminflt`,
    /// `cmajflt`, `cutime`, `cstime`), and no process comes to an end without a page fault.
    pub fn evidence(self) -> Result<Vec<String>> {
        self.task.abort();
        let mut evidence = std::mem::take(&mut *self.seen.lock().unwrap());
        evidence.extend(children(self.id).into_iter().map(|child| format!("{child}: at the end")));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        let after_name = stat.rsplit_once(')').ok_or("no name in /proc/…/stat")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        for (name, index) in [("cminflt", 8), ("cmajflt", 10), ("cutime", 13), ("cstime", 14)] {
            let value: i64 = fields.get(index).ok_or("/proc/…/stat is short")?.parse()?;
            if value != 0 {
                evidence.push(format!("children of the past: {name} is {value}"));
            }
        }
        Ok(evidence)
    }
}

fn children(id: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect()
}
