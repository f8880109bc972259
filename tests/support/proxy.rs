//! A byte proxy between the program and a peer: delays, throttles, stalls, resets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What happens to bytes in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Pass,
    /// Each piece passes after this time.
    Delay(Duration),
    /// So many pass in a second.
    Throttle(usize),
    /// None passes, and connections stay open.
    Stall,
    /// Connections are cut off, and new ones are too.
    Reset,
}

/// The proxy; it ends when dropped.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    flow: Arc<Mutex<Flow>>,
    connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts one before the port `to`.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let (flow, connections) = (Arc::new(Mutex::new(Flow::Pass)), Arc::new(Mutex::new(0)));
        let (how, count) = (Arc::clone(&flow), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((inner, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                open.spawn(carry(inner, to, Arc::clone(&how)));
            }
        });
        Self { port, flow, connections, task }
    }

    /// Treats bytes so from now on.
    pub fn behave(&self, flow: Flow) {
        *self.flow.lock().unwrap() = flow;
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(inner: TcpStream, to: u16, flow: Arc<Mutex<Flow>>) {
    let Ok(outer) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    // Without it a closed connection would linger politely, which is no reset.
    let _ = inner.set_zero_linger();
    let ((from_inner, to_inner), (from_outer, to_outer)) = (inner.into_split(), outer.into_split());
    tokio::select! {
        () = pump(from_inner, to_outer, &flow) => {}
        () = pump(from_outer, to_inner, &flow) => {}
        () = cut_off(&flow) => {}
    }
}

async fn cut_off(flow: &Mutex<Flow>) {
    while *flow.lock().unwrap() != Flow::Reset {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, flow: &Mutex<Flow>) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        loop {
            let now = *flow.lock().unwrap();
            match now {
                Flow::Stall => tokio::time::sleep(Duration::from_millis(20)).await,
                Flow::Delay(time) => break tokio::time::sleep(time).await,
                Flow::Throttle(rate) => {
                    break tokio::time::sleep(Duration::from_secs_f64(count as f64 / rate as f64)).await;
                }
                Flow::Pass | Flow::Reset => break,
            }
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
