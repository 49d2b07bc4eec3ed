//! Listens to what a server says of its own accord.

use std::sync::Arc;
use std::time::Duration;

use super::line::Line;
use super::stream::Events;
use crate::upstream::board::is_news;
use crate::upstream::wire::{Effect, Fault};
use sentinel_mcp_protocol::era::{Version, write_headers};
use sentinel_mcp_protocol::jsonrpc::{Message, Request, parse};

/// The first and the longest pause before the stream is opened again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Keeps a stream open until the connection is closed: the GET stream of a session, or the one that
/// `request` asks a modern server for. A server that offers none is not asked again.
pub(super) async fn listen(line: Arc<Line>, request: Option<Request>) {
    tokio::select! {
        () = line.closed() => {}
        () = keep_open(&line, request.as_ref()) => {}
    }
}

async fn keep_open(line: &Arc<Line>, request: Option<&Request>) {
    let (mut pause, mut last) = (PAUSE.0, None);
    loop {
        match open(line, request, last.as_deref()).await {
            Ok(mut events) => {
                if hear(line, &mut events).await {
                    pause = PAUSE.0;
                }
                pause = pause.max(events.pause());
                last = events.last_id.take();
            }
            Err(Fault { effect: Effect::Refused, .. }) => return,
            // The session: the next request finds out, and opens another.
            Err(_) => last = None,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn open(line: &Line, request: Option<&Request>, last: Option<&str>) -> Result<Events, Fault> {
    let Some(request) = request else { return line.open(last).await };
    let mut post = line.client.post(line.client.url(), request.to_bytes(), None);
    let written =
        write_headers(post.headers_mut(), Version::NEWEST_MODERN, &request.method, &request.params);
    written.map_err(|_| Fault::protocol("the request cannot be repeated in headers", false))?;
    line.events(post).await
}

/// Reads to the end of the stream. Returns whether there was anything.
async fn hear(line: &Arc<Line>, events: &mut Events) -> bool {
    let mut heard = false;
    while let Ok(event) = events.next().await {
        heard = true;
        match parse(&event.data.unwrap_or_default(), &line.client.messages) {
            Ok(Message::Notification(news)) if is_news(&news.method) => line.tell(news),
            Ok(Message::Notification(_)) => {}
            Ok(Message::Request(request)) if !line.is_modern() => line.respond(request),
            // The last message of a stream of the modern era.
            Ok(Message::Response(_)) if line.is_modern() => {}
            _ => line.drop_one("an event that belongs to no request"),
        }
    }
    heard
}
