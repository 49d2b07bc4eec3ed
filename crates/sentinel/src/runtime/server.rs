//! Serving a listener: connections are accepted, bounded in what they may hold, and ended in good
//! order.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sentinel_ingress::Network;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

mod places;
mod stream;
mod tracked;

use places::{Most, Occupant, Place, Places};
use stream::PatientStream;
use tracked::Tracked;

/// Time a client gets to send the head of a request; also how long a connection may idle. Under
/// pressure it is shorter: see [`places`].
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Time a client gets to take some of what it is sent.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that the head of a request may have, and that wait to be sent.
const MAX_HEAD: usize = 64 * 1024;
/// Calls that one connection of a gateway may have under way.
const MAX_STREAMS: u32 = 1000;
/// Bytes that wait to be sent for each of them.
const MAX_SEND: usize = 64 * 1024;
/// Bytes of the headers of a call.
const MAX_HEADERS: u32 = 16 * 1024;
/// Calls that a gateway may have cancelled before their response, until it is cut off.
const MAX_RESETS: usize = 256;
/// Time after which a silent connection of HTTP/2 is asked whether it is still there, and then gets
/// to answer.
const PING: Duration = Duration::from_secs(30);
/// Pause after an `accept` that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// File descriptors that are kept for the database, files and other servers.
const OTHER_FILES: u64 = 256;
/// Places for operators and administrators beside the others.
const RESERVED: usize = 64;
/// Places of a listener that serves no other caller.
const OPERATORS: usize = 256;

/// What a listener may hold.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// Connections from one address; as many as there are unless stated.
    pub(crate) of_address: Option<usize>,
    /// Proxies, whose addresses are not those of one client.
    pub(crate) trusted: Arc<[Network]>,
    /// Whether none but operators and administrators are served.
    pub(crate) operators_only: bool,
    /// Time after SIGTERM in which everything goes on but readiness.
    pub(crate) drain: Duration,
    /// Time that requests in flight get to finish once the server stops.
    pub(crate) grace: Duration,
}

impl Limits {
    /// Those of a listener for operators and administrators, beside one with these.
    pub(crate) fn of_operators(&self) -> Self {
        let limits = self.clone();
        Self { connections: OPERATORS, of_address: None, operators_only: true, ..limits }
    }

    /// The same, with no more connections than this process may open files; raises the limit of open
    /// files where it can.
    pub(crate) fn within_open_files(self) -> Self {
        Self { connections: room_for(self.connections), ..self }
    }

    fn most(&self) -> Most {
        Most {
            connections: self.connections,
            of_address: self.of_address.unwrap_or(usize::MAX),
            proxies: Arc::clone(&self.trusted),
            reserved: if self.operators_only { 0 } else { RESERVED },
            operators_only: self.operators_only,
        }
    }
}

/// Makes room for so many connections among the files that this process may open; returns how many
/// there is room for.
fn room_for(connections: usize) -> usize {
    let wanted = u64::try_from(connections + RESERVED + OPERATORS).unwrap_or(u64::MAX);
    let wanted = wanted.saturating_add(OTHER_FILES);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(now) = current.filter(|now| *now < wanted) else { return connections };
    let most = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    let have = if raised.is_ok() { most } else { now };
    if have >= wanted {
        return connections;
    }
    let short = usize::try_from(wanted - have).unwrap_or(usize::MAX);
    let room = connections.saturating_sub(short).max(1);
    tracing::warn!(
        max_connections = connections,
        room,
        open_files = have,
        "fewer connections are held than configured: raise the limit of open files (`ulimit -n`, \
         `LimitNOFILE`)"
    );
    room
}

/// Serves connections that `connect` makes until `stop` completes, then finishes what was accepted.
/// Returns how many connections had to be cut.
pub(crate) async fn serve<C: Connection>(
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

/// Lets `connection` go on until the sender of `stopped` is gone, then only to the end of its
/// response.
async fn until(mut stopped: watch::Receiver<()>, connection: impl Connection) -> hyper::Result<()> {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stopped.changed() => connection.as_mut().finish(),
    }
    connection.await
}

/// A connection that can stop taking new requests.
pub(crate) trait Connection: Future<Output = hyper::Result<()>> + Send + 'static {
    fn finish(self: Pin<&mut Self>);
}

type Http1 = http1::UpgradeableConnection<TokioIo<PatientStream>, Tracked>;
type Http2 = http2::Connection<TokioIo<PatientStream>, Tracked, TokioExecutor>;

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
pub(crate) fn http1(router: Router) -> impl Fn(PatientStream, Arc<Occupant>) -> Http1 {
    move |stream, occupant| {
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), Tracked::new(router.clone(), occupant))
            .with_upgrades()
    }
}

/// Serves `router` by HTTP/2 without TLS, as gateways speak it to a service beside them.
pub(crate) fn http2(router: Router) -> impl Fn(PatientStream, Arc<Occupant>) -> Http2 {
    move |stream, occupant| {
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(MAX_SEND)
            .max_header_list_size(MAX_HEADERS)
            .max_local_error_reset_streams(MAX_RESETS)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(TokioIo::new(stream), Tracked::new(router.clone(), occupant))
    }
}

/// Responses are small and each is awaited: delaying them gains nothing. A failure here only makes it
/// slower.
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
            drain: Duration::ZERO,
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
        tokio::spawn(serve(listener, http1(router), limits(), std::future::pending()));
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
