//! HTTP with server-sent events, as in the revision 2024-11-05: one stream carries everything that
//! the server says, and each message to it is a POST to an address that the stream states first.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::client::Client;
use super::line::{ASIDE, MAX_ASIDE};
use super::response::{Form, status_fault};
use super::stream::{Events, StreamEnd};
use crate::exchange::Exchange;
use crate::upstream::board::{Board, Outbox, cancellation};
use crate::upstream::dialect::Dialect;
use crate::upstream::wire::{Answer, Call, Effect, Fault, Stop, Wire};
use sentinel_mcp_protocol::jsonrpc::{Message, Notification, Request, parse};

#[derive(Debug)]
pub(in crate::upstream) struct SseWire {
    board: Arc<Board>,
    outbox: Arc<PostBox>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct PostBox {
    client: Arc<Client>,
    endpoint: Url,
    aside: Arc<Semaphore>,
}

impl SseWire {
    /// Opens the stream, and waits for the address of the messages.
    pub(in crate::upstream) async fn open(
        client: Arc<Client>,
        news: broadcast::Sender<Notification>,
    ) -> Result<Self, Fault> {
        let reply = client.send(client.get(), None).await?;
        if !reply.status().is_success() {
            return Err(status_fault(reply.status()));
        }
        if Form::of(&reply) != Form::Events {
            return Err(Fault::protocol("the server offers no stream of events", false));
        }
        let mut events = Events::new(reply, client.messages.max_bytes);
        let first = events.next().await.map_err(StreamEnd::fault)?;
        let stated = first.data.filter(|_| first.event.as_deref() == Some("endpoint"));
        let endpoint = stated.and_then(|stated| endpoint(client.url(), &stated));
        let Some(endpoint) = endpoint else {
            let detail = "the server states no address of its own for messages";
            return Err(Fault::protocol(detail, false));
        };
        let board = Arc::new(Board::new(news));
        let aside = Arc::new(Semaphore::new(MAX_ASIDE));
        let outbox = Arc::new(PostBox { client, endpoint, aside });
        let closed = CancellationToken::new();
        let reader = read(events, Arc::clone(&board), Arc::clone(&outbox));
        let until = closed.clone();
        // Ends with the stream, or when the wire is closed or dropped.
        tokio::spawn(async move { until.run_until_cancelled(reader).await });
        Ok(Self { board, outbox, closed })
    }
}

/// The address for messages. Only the configured server gets them, and its credentials.
fn endpoint(base: &Url, stated: &[u8]) -> Option<Url> {
    let url = base.join(std::str::from_utf8(stated).ok()?).ok()?;
    let own = url.origin() == base.origin() && url.username().is_empty();
    (own && url.password().is_none()).then_some(url)
}

async fn read(mut events: Events, board: Arc<Board>, outbox: Arc<PostBox>) {
    while let Ok(event) = events.next().await {
        if event.event.as_deref().is_some_and(|kind| kind != "message") {
            board.drop_one("an event of another type");
            continue;
        }
        let response = board.take(parse(&event.data.unwrap_or_default(), &outbox.client.messages));
        if let Some(response) = response {
            outbox.say_aside(response.into(), &board);
        }
    }
    board.close("the stream of the server has ended");
}

#[async_trait]
impl Outbox for PostBox {
    async fn send(&self, bytes: Vec<u8>, call: Option<&Call>) -> Result<(), Fault> {
        let ticket = call.map(|call| &call.ticket);
        let request = self.client.post(&self.endpoint, bytes, ticket.cloned());
        let reply = self.client.send(request, ticket.map(AsRef::as_ref)).await?;
        match reply.status() {
            status if status.is_success() => Ok(()),
            // The session of the stream: without it nothing can be sent.
            status if status.as_u16() == 404 => {
                let detail = "the server has ended the session; the request was not carried out";
                Err(Fault::new("upstream_unavailable", detail, false, Effect::Expired))
            }
            status => Err(status_fault(status)),
        }
    }
}

impl PostBox {
    /// Sends a message that is not waited for. Bounded in number and time.
    fn say_aside(self: &Arc<Self>, message: Message, board: &Board) {
        let Ok(permit) = Arc::clone(&self.aside).try_acquire_owned() else {
            board.drop_one("a message to the server: too many are under way");
            return;
        };
        let outbox = Arc::clone(self);
        tokio::spawn(async move {
            drop(tokio::time::timeout(ASIDE, outbox.send(message.to_bytes(), None)).await);
            drop(permit);
        });
    }
}

#[async_trait]
impl Wire for SseWire {
    async fn call(&self, call: &Call, exchange: &dyn Exchange) -> Result<Answer, Fault> {
        let answer = self.board.converse(call, true, &*self.outbox, exchange).await;
        if matches!(&answer, Err(Fault { effect: Effect::Expired | Effect::Broken, .. })) {
            self.board.close("the session with the server has ended");
        }
        answer
    }

    fn abandon(&self, call: &Call, why: Stop) {
        if call.ticket.has_started() && call.request.method != "initialize" {
            self.outbox.say_aside(cancellation(&call.request.id, why).into(), &self.board);
        }
    }

    async fn notify(&self, notification: Notification) -> Result<(), Fault> {
        self.outbox.send(notification.to_bytes(), None).await
    }

    fn adopt(&self, dialect: Dialect) {
        self.board.adopt(dialect.is_modern());
    }

    async fn listen(&self, _request: Option<Request>) {}

    fn is_up(&self) -> bool {
        self.board.is_open()
    }

    fn dropped(&self) -> u64 {
        self.board.dropped()
    }

    async fn close(&self) {
        self.board.close("the connection was closed");
        self.closed.cancel();
    }
}

impl Drop for SseWire {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_the_configured_server_only() {
        let base = Url::parse("https://tools.example/a/sse").unwrap();
        let stated = |text: &str| endpoint(&base, text.as_bytes()).map(|url| url.to_string());
        let own = "https://tools.example/messages?session=1";
        assert_eq!(stated("/messages?session=1").as_deref(), Some(own));
        assert_eq!(stated(own).as_deref(), Some(own));
        for foreign in [
            "https://other.example/messages",
            "http://tools.example/messages",
            "https://tools.example:8443/messages",
            "//other.example/messages",
            "https://tools.example@other.example/",
            "https://user:password@tools.example/messages",
            "file:///etc/passwd",
        ] {
            assert_eq!(stated(foreign), None, "{foreign}");
        }
    }
}
