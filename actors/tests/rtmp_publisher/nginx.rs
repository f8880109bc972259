//! A real nginx-rtmp that records what it gets.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

pub struct Nginx {
    child: Child,
    pub port: u16,
    folder: PathBuf,
}

pub fn installed() -> bool {
    let found = Path::new(MODULE).exists() && Command::new("nginx").arg("-v").output().is_ok();
    if !found {
        println!("skipped: nginx with libnginx-mod-rtmp is not installed");
    }
    found
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Nginx {
    /// Starts one on `port` that records into `folder`, and waits until it listens.
    pub async fn start(folder: &Path, port: u16) -> Self {
        let recordings = folder.join("recordings");
        std::fs::create_dir_all(&recordings).unwrap();
        let configuration = format!(
            "load_module {MODULE};\ndaemon off;\nmaster_process off;\nuser root;\npid {folder}/nginx.pid;\n\
             error_log {folder}/error.log info;\nevents {{}}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; access_log {folder}/access.log;\n\
             application live {{ live on; record all; record_unique on; record_path {recordings}; }} }} }}\n",
            folder = folder.display(),
            recordings = recordings.display(),
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port, folder: folder.to_owned() };
        crate::until("nginx listens", async || TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        server
    }

    /// What it has recorded, oldest first.
    pub fn recordings(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.join("recordings"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap());
        files
    }

    /// Waits until it has closed the publisher's session, which it then logs.
    pub async fn session_ended(&self) {
        let log = self.folder.join("access.log");
        crate::until("the session is logged", async || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("PUBLISH"))
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}
