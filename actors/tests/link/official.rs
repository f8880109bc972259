//! The link against npm's `socket.io` server, as processors run it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use overdub_actors::messages::{FragmentFault, LinkEvent};
use serde_json::Value;

use crate::kit::{DEADLINE, Kit, audio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/support/socketio")
}

/// Installs the packages where that has not been done; one process at a time.
fn install() {
    let folder = folder();
    let lock = std::fs::File::create(std::env::temp_dir().join("overdub-socketio-install.lock")).unwrap();
    lock.lock().unwrap();
    if folder.join("node_modules/socket.io/package.json").exists() {
        return;
    }
    let status = Command::new("npm").args(["ci", "--silent"]).current_dir(&folder).status();
    assert!(status.expect("npm is installed").success(), "npm ci in {}", folder.display());
}

/// A running server; ends with this value.
struct Official {
    child: Child,
    port: u16,
    lines: mpsc::Receiver<Value>,
}

impl Official {
    fn start(env: &[(&str, &str)]) -> Self {
        install();
        let mut child = Command::new("node")
            .arg(folder().join("server.js"))
            .envs(env.iter().copied())
            .env("EXIT_WITH_STDIN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = output.next().unwrap().unwrap();
        let port = first.strip_prefix("listening ").unwrap_or_else(|| panic!("{first}")).parse().unwrap();
        let (sender, lines) = mpsc::channel();
        // Ends with the child's output.
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port, lines }
    }

    fn url(&self) -> String {
        format!("ws://localhost:{}", self.port)
    }

    /// The next line about `event`.
    fn line(&self, event: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE).expect("a line in time");
            if line["event"] == event {
                return line;
            }
        }
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[actix_rt::test]
async fn the_official_server_gets_a_buffer_and_its_echo_is_stored() {
    let server = Official::start(&[]);
    let mut kit = Kit::start(&server.url());
    kit.expect_connected().await;
    // The second is larger than any frame or socket buffer.
    for (batch, len) in [(0, 480_000), (1, 20_000_000)] {
        kit.send(batch, &audio(3, len));
        kit.expect_sent(batch).await;
        let line = server.line("fragment");
        assert_eq!((&line["isBuffer"], &line["size"]), (&true.into(), &len.into()));
        assert_eq!(line["fragment"], serde_json::to_value(kit.command(batch).fragment).unwrap());
        assert_eq!(kit.expect_processed(batch).await, audio(3, len));
    }
}

#[actix_rt::test]
async fn the_official_server_answers_in_base64_and_with_errors() {
    let server = Official::start(&[("MODE", "base64")]);
    let mut kit = Kit::start(&server.url());
    kit.expect_connected().await;
    kit.send(0, &audio(3, 480_000));
    kit.expect_sent(0).await;
    assert_eq!(kit.expect_processed(0).await, audio(3, 480_000));

    let server = Official::start(&[("MODE", "error")]);
    let mut kit = Kit::start(&server.url());
    kit.expect_connected().await;
    kit.send(0, &audio(3, 1000));
    kit.expect_sent(0).await;
    match kit.next().await {
        LinkEvent::FragmentFailed { batch: 0, fault: FragmentFault::Refused { message } } => {
            assert_eq!(message, "no model (E_MODEL)");
        }
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn the_official_servers_limit_is_honoured_to_the_byte() {
    let server = Official::start(&[("MAX_HTTP_BUFFER_SIZE", "100000")]);
    let mut kit = Kit::start(&server.url());
    kit.expect_connected().await;
    kit.send(0, &audio(0, 100_001));
    match kit.next().await {
        LinkEvent::FragmentFailed { batch: 0, fault } => {
            assert_eq!(fault, FragmentFault::TooLarge { size: 100_001, limit: 100_000 });
        }
        other => panic!("{other:?}"),
    }
    kit.send(1, &audio(0, 100_000));
    kit.expect_sent(1).await;
    kit.expect_processed(1).await;
}

#[actix_rt::test]
async fn the_official_servers_namespaces_and_refusals_work() {
    let server = Official::start(&[("NAMESPACE", "/dub"), ("TOKEN", "right-one")]);
    let mut kit = Kit::start(&format!("{}/dub?token=right-one", server.url()));
    kit.expect_connected().await;
    kit.send(0, &audio(3, 1000));
    kit.expect_sent(0).await;
    kit.expect_processed(0).await;
    let mut kit = Kit::start(&format!("{}/dub?token=wrong-one", server.url()));
    assert_eq!(kit.expect_disconnected().await, "CONNECT_ERROR: token *** is not known");
    let mut kit = Kit::start(&format!("{}/nowhere", server.url()));
    assert_eq!(kit.expect_disconnected().await, "CONNECT_ERROR: Invalid namespace");
}

#[actix_rt::test]
async fn what_the_official_server_dropped_is_sent_again() {
    let server = Official::start(&[("MODE", "disconnect")]);
    let mut kit = Kit::start(&server.url());
    kit.expect_connected().await;
    kit.send(0, &audio(3, 1000));
    kit.expect_sent(0).await;
    kit.expect_disconnected().await;
    kit.expect_connected().await;
    kit.expect_sent(0).await;
    assert_eq!(kit.expect_processed(0).await, audio(3, 1000));
}

#[actix_rt::test]
async fn a_restarted_official_server_gets_what_its_predecessor_did_not_answer() {
    let server = Official::start(&[("MODE", "silent"), ("PING_INTERVAL", "200")]);
    let port = server.port.to_string();
    let mut kit = Kit::start(&server.url());
    kit.expect_connected().await;
    kit.send(0, &audio(3, 1000));
    kit.expect_sent(0).await;
    server.line("fragment");
    // Longer than several pings: they are answered, or the server would say so.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(server.lines.try_recv().is_err());
    drop(server);
    kit.expect_disconnected().await;
    let _server = Official::start(&[("PORT", &port)]);
    loop {
        match kit.next().await {
            LinkEvent::Disconnected { .. } => {}
            LinkEvent::Connected => break,
            other => panic!("{other:?}"),
        }
    }
    kit.expect_sent(0).await;
    kit.expect_processed(0).await;
}
