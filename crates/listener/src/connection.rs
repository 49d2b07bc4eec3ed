//! One connection of each protocol, and how it ends in good order.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::watch;

use crate::places::Occupant;
use crate::stream::PatientStream;
use crate::tracked::Tracked;

/// Time a client gets to send the head of a request; also how long a connection may idle. Under
/// pressure it is shorter: see [`places`](crate::places).
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
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

/// A connection that can stop taking new requests.
pub(crate) trait Graceful: Future<Output = hyper::Result<()>> + Send + 'static {
    fn finish(self: Pin<&mut Self>);
}

type Http1 = http1::UpgradeableConnection<TokioIo<PatientStream>, Tracked>;
type Http2 = http2::Connection<TokioIo<PatientStream>, Tracked, TokioExecutor>;

impl Graceful for Http1 {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl Graceful for Http2 {
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

/// Lets `connection` go on until the sender of `stopped` is gone, then only to the end of its
/// response.
pub(crate) async fn until(
    mut stopped: watch::Receiver<()>,
    connection: impl Graceful,
) -> hyper::Result<()> {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stopped.changed() => connection.as_mut().finish(),
    }
    connection.await
}
