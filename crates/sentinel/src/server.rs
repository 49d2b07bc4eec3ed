//! The HTTP listener: accepts connections, bounds what they may hold, and ends in good order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Time a client gets to send the head of a request; also how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that the head of a request may have.
const MAX_HEAD: usize = 64 * 1024;
/// Pause after an `accept` that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// Time after SIGTERM in which everything goes on but readiness.
    pub(crate) drain: Duration,
    /// Time that requests in flight get to finish once the server stops.
    pub(crate) grace: Duration,
}

/// Serves `router` until `stop` completes, then answers what was accepted. Answers how many
/// connections had to be cut.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> usize {
    let (stopping, stopped) = watch::channel(());
    let mut connections = tokio::task::JoinSet::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    tokio::pin!(stop);
    loop {
        let accepted = async {
            // Closed never, so this is only ever waiting.
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = until(stopped.clone(), connection(stream, &router));
                connections.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Idle connections close at once, busy ones after their answer.
    drop(stopping);
    let ended = async { while connections.join_next().await.is_some() {} };
    let done = tokio::time::timeout(limits.grace, ended).await;
    let cut = if done.is_err() { connections.len() } else { 0 };
    connections.shutdown().await;
    cut
}

/// Lets `connection` go on until the sender of `stopped` is gone, then only to the end of its answer.
async fn until(mut stopped: watch::Receiver<()>, connection: Connection) -> hyper::Result<()> {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

type Connection = http1::UpgradeableConnection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

/// A connection that becomes a WebSocket ends here: the subscribers' limit bounds those.
fn connection(stream: TcpStream, router: &Router) -> Connection {
    // Answers are small and each is awaited: delaying them gains nothing. A failure here only
    // makes it slower.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
        .with_upgrades()
}

/// Binds `address`.
///
/// # Errors
/// When it is in use or not ours, with how to mend it.
pub(crate) async fn bind(address: SocketAddr) -> crate::failure::Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = crate::failure::Failure::new(format!("cannot listen on {address}: {error}"));
        if error.kind() == std::io::ErrorKind::AddrInUse {
            failure.help("stop what listens there, or choose another port (0 picks a free one)")
        } else {
            failure
        }
    })
}
