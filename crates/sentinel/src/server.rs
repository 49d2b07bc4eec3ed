//! The listeners: accept connections, bound what they may hold, and end in good order.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Time a client gets to send the head of a request; also how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that the head of a request may have.
const MAX_HEAD: usize = 64 * 1024;
/// Calls that one connection of a gateway may have under way.
const MAX_STREAMS: u32 = 1000;
/// Time after which a silent connection of HTTP/2 is asked whether it is still there, and then gets
/// to answer.
const PING: Duration = Duration::from_secs(30);
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

/// Serves connections that `connect` makes until `stop` completes, then answers what was accepted.
/// Answers how many connections had to be cut.
pub(crate) async fn serve<C: Connection>(
    listener: TcpListener,
    connect: impl Fn(TcpStream) -> C,
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
                let connection = until(stopped.clone(), connect(nodelay(stream)));
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
async fn until(mut stopped: watch::Receiver<()>, connection: impl Connection) -> hyper::Result<()> {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stopped.changed() => connection.as_mut().finish(),
    }
    connection.await
}

/// A connection that can be told to take nothing new.
pub(crate) trait Connection: Future<Output = hyper::Result<()>> + Send + 'static {
    fn finish(self: Pin<&mut Self>);
}

type Service = TowerToHyperService<Router>;
type Http1 = http1::UpgradeableConnection<TokioIo<TcpStream>, Service>;
type Http2 = http2::Connection<TokioIo<TcpStream>, Service, TokioExecutor>;

impl Connection for Http1 {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Connection for Http2 {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves `router` by HTTP/1.1. A connection that becomes a WebSocket ends here: the subscribers'
/// limit bounds those.
pub(crate) fn http1(router: Router) -> impl Fn(TcpStream) -> Http1 {
    let service = TowerToHyperService::new(router);
    move |stream| {
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service.clone())
            .with_upgrades()
    }
}

/// Serves `router` by HTTP/2 without TLS, as gateways speak it to a service beside them.
pub(crate) fn http2(router: Router) -> impl Fn(TcpStream) -> Http2 {
    let service = TowerToHyperService::new(router);
    move |stream| {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(TokioIo::new(stream), service.clone())
    }
}

/// Answers are small and each is awaited: delaying them gains nothing. A failure here only makes it
/// slower.
fn nodelay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    stream
}

/// Binds `address` if there is one, and says where.
pub(crate) async fn bind_if(
    address: Option<SocketAddr>,
) -> crate::failure::Outcome<(Option<TcpListener>, Option<SocketAddr>)> {
    let Some(address) = address else { return Ok((None, None)) };
    let listener = bind(address).await?;
    let bound = listener.local_addr().unwrap_or(address);
    Ok((Some(listener), Some(bound)))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 4096;

    #[tokio::test]
    async fn a_client_that_does_not_read_does_not_fill_the_memory() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let body = move || {
            let chunks = (0..CHUNKS).map(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; CHUNK]))
            });
            Body::from_stream(futures::stream::iter(chunks))
        };
        let router = Router::new().route("/", get(|| async move { body() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            http1(router)(stream).await
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = made.load(Ordering::Relaxed);
            if now > 0 && now == before {
                break;
            }
            before = now;
        }
        // Sockets hold some megabytes; the rest of 256 MB waits to be asked for.
        assert!(before < CHUNKS / 4, "{before} of {CHUNKS} chunks were made for nobody");
    }
}
