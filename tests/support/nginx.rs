//! nginx with its RTMP module, as Debian ships it, recording every publish to a file of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::process::Process;
use super::{Result, free_port, wait};

/// A running server.
pub struct NginxRtmp {
    /// Where it listens.
    pub port: u16,
    folder: PathBuf,
    process: Process,
}

impl NginxRtmp {
    /// Starts a server that keeps its files in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        Self::start_at(folder, free_port()).await
    }

    /// The same on a port of the caller's choice.
    pub async fn start_at(folder: &Path, port: u16) -> Result<Self> {
        let folder = folder.join("nginx");
        std::fs::create_dir_all(folder.join("recordings"))?;
        let configuration = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             user root;\ndaemon off;\nmaster_process off;\npid {folder}/nginx.pid;\n\
             error_log {folder}/error.log info;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; access_log {folder}/access.log; max_message 16M;\n\
             application live {{ live on; record all; record_path {folder}/recordings; record_unique on; }} }} }}\n",
            folder = folder.display(),
        );
        std::fs::write(folder.join("nginx.conf"), configuration)?;
        // `sbin` is not in every user's path.
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let mut command = Command::new(program);
        command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
        command.arg("-e").arg(folder.join("start.log"));
        let mut process = Process::start("nginx", command, &folder.join("stderr.log"))?;
        wait::until("nginx listens", Duration::from_secs(10), async || {
            assert!(process.running(), "nginx ended: {}", process.log());
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Ok(Self { port, folder, process })
    }

    /// The URL to publish to.
    pub fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{key}", self.port)
    }

    /// The recordings of `key` so far, oldest first.
    pub fn recordings(&self, key: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("recordings")) else { return Vec::new() };
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            // `record_unique` appends `-` and the time to the key.
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.strip_prefix(key).is_some_and(|rest| rest.starts_with('-') && rest.ends_with(".flv"))
            })
            .collect();
        found.sort();
        found
    }

    /// Its log at level `info`, in which each client's commands stand.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("error.log")).unwrap_or_default())
            .into_owned()
    }

    /// Kills it, as a crash would.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }
}
