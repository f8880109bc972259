//! A server on one thread.

use std::future::Future;
use std::net::TcpListener;

/// Serves each connection on this thread, for ever.
pub fn on_one_thread<F>(
    listener: TcpListener,
    serve: impl Fn(tokio::net::TcpStream) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = std::io::Result<()>> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            // How a connection ends is its client's business.
            tokio::task::spawn_local(serve(stream));
        }
    })
}
