//! The streams that a session's client opens by GET: of what belongs to no request, and of a
//! request whose stream it lost.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sentinel_ingress::limits::Place;
use tokio::time::Interval;

use super::session::Session;
use super::style;
use crate::catalog::Changes;
use crate::front::http::endpoint::{Endpoint, Shared};
use crate::front::http::entry::{Entry, single};
use crate::front::http::events::{self, Style, parse_event_id};
use crate::front::http::feed::Reader;
use crate::front::http::refusal::Refusal;
use crate::front::http::watch;
use sentinel_mcp_protocol::era::header;
use sentinel_mcp_protocol::framing::sse::KEEP_ALIVE;

/// The number of the feed of what belongs to no request.
const GENERAL: u64 = 0;

pub(super) async fn open(
    endpoint: &Shared,
    entry: &Entry,
    session: Arc<Session>,
) -> Result<Response, Refusal> {
    let place = endpoint.door.open_stream(&entry.speaker.principal)?;
    match single(&entry.headers, header::LAST_EVENT_ID)? {
        None => Ok(general(endpoint, session, None, place).await),
        Some(last) => match parse_event_id(last) {
            Some((GENERAL, after)) => Ok(general(endpoint, session, Some(after), place).await),
            Some((number, after)) => resume(endpoint, &session, number, after, place),
            None => Err(unknown_event()),
        },
    }
}

/// Goes on with the stream of a request.
fn resume(
    endpoint: &Endpoint,
    session: &Session,
    number: u64,
    after: u64,
    place: Place,
) -> Result<Response, Refusal> {
    let feed = session.feeds().find(number).ok_or_else(unknown_event)?;
    let style = Style { primed: false, ..style(endpoint, session, number) };
    Ok(events::response(feed.read(after), style, place))
}

fn unknown_event() -> Refusal {
    let what = "the event is no longer kept; what followed it cannot be sent again";
    Refusal::bad_request("unknown_event", what)
}

/// What a client hears that belongs to no request. It ends with the session, or the server.
struct General {
    endpoint: Shared,
    session: Arc<Session>,
    reader: Reader,
    changes: Changes,
    quiet: Interval,
    _place: Place,
}

async fn general(
    endpoint: &Shared,
    session: Arc<Session>,
    after: Option<u64>,
    place: Place,
) -> Response {
    let style = style(endpoint, &session, GENERAL);
    let primer = style.primed.then(|| events::primer(GENERAL));
    let mut changes = Changes::new(&session.client);
    drop(tokio::time::timeout(events::BEGINNING, changes.begin()).await);
    let general = General {
        endpoint: Arc::clone(endpoint),
        // Without a place to go on from, what was told before was told to another stream.
        reader: session.general.read(after.unwrap_or_else(|| session.general.newest())),
        changes,
        quiet: events::quiet(style.keep_alive),
        session,
        _place: place,
    };
    let rest =
        stream::unfold(
            general,
            |mut general| async move { Some((general.next().await?, general)) },
        );
    let body = stream::iter(primer).chain(rest).map(Ok::<Bytes, Infallible>);
    events::of_stream(body)
}

impl General {
    async fn next(&mut self) -> Option<Bytes> {
        let mut shutdown = self.endpoint.door.shutdown();
        loop {
            tokio::select! {
                biased;
                said = self.reader.next() => {
                    return said.map(|said| events::written(&said, Some(GENERAL)));
                }
                () = watch::stopped(shutdown.as_mut()) => return None,
                change = self.changes.next() => {
                    self.session.general.tell(change.to_bytes().into());
                }
                _ = self.quiet.tick() => return Some(Bytes::from_static(KEEP_ALIVE)),
            }
        }
    }
}
