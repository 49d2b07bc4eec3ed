//! Serving a listener: connections are accepted, bounded in what they may hold, and ended in good
//! order. A connection that becomes a WebSocket ends here: the limit of subscribers bounds those.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

mod connection;
mod limits;
mod places;
mod stream;
mod tracked;

use connection::{Graceful, http1, http2, until};
use places::{Occupant, Place, Places};
use stream::PatientStream;

pub use limits::Limits;

/// Time a client gets to take some of what it is sent.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause after an `accept` that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How callers speak to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, with WebSockets.
    Http1,
    /// HTTP/2 without TLS, as gateways speak it to a service beside them.
    Http2,
}

/// Serves `router` until `stop` completes, then finishes what was accepted. Returns how many
/// connections had to be cut.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    protocol: Protocol,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> usize {
    match protocol {
        Protocol::Http1 => accept(listener, http1(router), limits, stop).await,
        Protocol::Http2 => accept(listener, http2(router), limits, stop).await,
    }
}

/// Serves connections that `connect` makes.
async fn accept<C: Graceful>(
    listener: TcpListener,
    connect: impl Fn(PatientStream, Arc<Occupant>) -> C,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> usize {
    let (stopping, stopped) = watch::channel(());
    let mut connections = tokio::task::JoinSet::new();
    let places = Places::new(limits.most());
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = places.take(peer.ip()) else {
                    refuse(&stream);
                    continue;
                };
                let stream = PatientStream::new(nodelay(stream), PATIENCE);
                let connection = connect(stream, Arc::clone(&place.occupant));
                let occupant = Arc::clone(&place.occupant);
                let task =
                    connections.spawn(occupy(place, peer, until(stopped.clone(), connection)));
                occupant.is_served_by(task);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // For want of file descriptors, perhaps.
                if places.make_room() == 0 {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                } else {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    drop(listener);
    // Idle connections close at once, busy ones after their response.
    drop(stopping);
    let ended = async { while connections.join_next().await.is_some() {} };
    let done = tokio::time::timeout(limits.grace, ended).await;
    let cut = if done.is_err() { connections.len() } else { 0 };
    connections.shutdown().await;
    cut
}

/// Keeps `place` until `connection` ends.
async fn occupy(
    place: Place,
    peer: SocketAddr,
    connection: impl Future<Output = hyper::Result<()>>,
) {
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
    drop(place);
}

/// Sends that there is no place, if that can be sent at once.
fn refuse(stream: &TcpStream) {
    const RESPONSE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    drop(stream.try_write(RESPONSE));
}

/// Responses are small and each is awaited: delaying them gains nothing. A failure here only makes
/// it slower.
fn nodelay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    stream
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

    fn limits() -> Limits {
        Limits {
            connections: 10,
            of_address: None,
            trusted: [].into(),
            operators_only: false,
            grace: Duration::ZERO,
        }
    }

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
        tokio::spawn(serve(listener, router, Protocol::Http1, limits(), std::future::pending()));
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
        assert!(before < CHUNKS / 4, "{before} of {CHUNKS} chunks were made for no reader");
    }
}
