//! What a process has used, from `/proc`.

use std::fs;

/// Of one process, its threads and the children that it has waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU, user and system.
    pub cpu_s: f64,
    /// Resident memory, bytes.
    pub resident: u64,
    /// Bytes that went to the page cache to be written.
    pub written: u64,
    /// Times that a thread gave the CPU up, or had it taken.
    pub switches: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// Ticks of `/proc/pid/stat` in a second; Linux has told user space 100 for ever (`man 7 time`).
const TICKS_PER_S: f64 = 100.0;

impl Usage {
    /// Of process `pid` so far; zeros where it is gone.
    pub fn of(pid: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let stat = read("stat");
        // proc(5): fields 14 to 17 are utime, stime, cutime, cstime; the name before them may hold spaces.
        let fields: Vec<f64> = stat
            .rsplit_once(") ")
            .map_or("", |(_, rest)| rest)
            .split(' ')
            .map(|field| field.trim().parse().unwrap_or(0.0))
            .collect();
        let ticks: f64 = fields.get(11..15).unwrap_or_default().iter().sum();
        let status = read("status");
        let of_tasks = |file: &str, key: &str| -> u64 {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks
                .map(|task| number(&fs::read_to_string(task.path().join(file)).unwrap_or_default(), key))
                .sum()
        };
        Self {
            cpu_s: ticks / TICKS_PER_S,
            resident: number(&status, "VmRSS:") * 1024,
            written: number(&read("io"), "write_bytes:"),
            switches: of_tasks("status", "voluntary_ctxt_switches:")
                + of_tasks("status", "nonvoluntary_ctxt_switches:"),
            threads: number(&status, "Threads:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64),
        }
    }

    /// Of several processes together.
    pub fn of_all(pids: impl IntoIterator<Item = u32>) -> Self {
        pids.into_iter().map(Self::of).fold(Self::default(), |sum, one| Self {
            cpu_s: sum.cpu_s + one.cpu_s,
            resident: sum.resident + one.resident,
            written: sum.written + one.written,
            switches: sum.switches + one.switches,
            threads: sum.threads + one.threads,
            descriptors: sum.descriptors + one.descriptors,
        })
    }

    /// What was used from `earlier` to this; memory, threads and descriptors are as they are now.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu_s: self.cpu_s - earlier.cpu_s,
            written: self.written.saturating_sub(earlier.written),
            switches: self.switches.saturating_sub(earlier.switches),
            ..*self
        }
    }
}

/// The number behind `key` in a file of lines.
fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The machine, in words: model of the CPU, cores, system.
pub fn machine() -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = text("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = text("/proc/sys/kernel/osrelease");
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    format!("{}, {cores} cores, Linux {kernel}", model.unwrap_or("unknown CPU").trim())
}

/// Processes that want a core, averaged over the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
