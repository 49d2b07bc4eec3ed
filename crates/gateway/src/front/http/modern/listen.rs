//! `subscriptions/listen`: a stream of what changes, which its client closes.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use sentinel_ingress::limits::Place;
use serde_json::Value;
use tokio::time::Interval;

use super::{Checked, invalid};
use crate::catalog::Changes;
use crate::client::Client;
use crate::exchange::Unattended;
use crate::front::http::endpoint::Shared;
use crate::front::http::refusal::Refusal;
use crate::front::http::{events, watch};
use crate::front::shape;
use crate::mediator;
use sentinel_mcp_protocol::call_params::Listen;
use sentinel_mcp_protocol::era::meta;
use sentinel_mcp_protocol::framing::sse::{Event, KEEP_ALIVE};
use sentinel_mcp_protocol::jsonrpc::{self, Id, Notification, Object, Request};

pub(super) async fn open(endpoint: &Shared, checked: Checked) -> Result<Response, Refusal> {
    let Checked { entry, request, client, .. } = checked;
    let mut listen = Listen::read(request.params).map_err(invalid)?;
    let place = endpoint.door.open_stream(&entry.speaker.principal)?;
    // Before the subscriptions, so that nothing between them is missed.
    let mut changes = Changes::new(&client);
    // A client may act as soon as it is acknowledged. A server that is slow does not hold that up.
    drop(tokio::time::timeout(events::BEGINNING, changes.begin()).await);
    let mut granted = Vec::new();
    for uri in std::mem::take(&mut listen.updates) {
        if subscribe(&client, &uri).await {
            granted.push(uri);
        }
    }
    listen.updates = granted;
    let acknowledged = acknowledged(&request.id, &listen);
    let stream = Subscribed {
        uris: listen.updates.iter().cloned().collect(),
        listen,
        id: request.id,
        changes,
        quiet: events::quiet(endpoint.settings.keep_alive),
        over: Box::pin(watch::over(Arc::clone(endpoint), entry.speaker)),
        ended: false,
        _client: client,
        _place: place,
    };
    let rest =
        stream::unfold(stream, |mut stream| async move { Some((stream.next().await?, stream)) });
    let first = stream::iter([written(&acknowledged)]);
    Ok(events::of_stream(first.chain(rest).map(Ok::<Bytes, Infallible>)))
}

/// Has a subscription to a resource decided. What is refused is left out of the acknowledgement.
async fn subscribe(client: &Client, uri: &str) -> bool {
    let mut params = Object::new();
    params.insert("uri".to_owned(), uri.into());
    let method = "resources/subscribe".to_owned();
    let request = Request { id: Id::Integer(0), method, params };
    let outcome = mediator::serve(client, &request, &Unattended).await;
    outcome.is_ok_and(|result| result.get("isError") != Some(&Value::Bool(true)))
}

fn acknowledged(id: &Id, listen: &Listen) -> Notification {
    let mut params = Object::new();
    params.insert("notifications".to_owned(), Value::Object(listen.to_filter()));
    let method = "notifications/subscriptions/acknowledged".to_owned();
    addressed(id, Notification { method, params })
}

/// Says which subscription a notification belongs to.
fn addressed(id: &Id, mut notification: Notification) -> Notification {
    let meta = notification.params.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(meta) = meta {
        meta.insert(meta::SUBSCRIPTION_ID.to_owned(), id.to_value());
    }
    notification
}

fn written(notification: &Notification) -> Bytes {
    Event::message(notification.to_bytes()).to_bytes()
}

struct Subscribed {
    listen: Listen,
    uris: HashSet<String>,
    id: Id,
    changes: Changes,
    quiet: Interval,
    /// Completes when the stream must end.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    _client: Arc<Client>,
    _place: Place,
}

impl Subscribed {
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                () = &mut self.over => {
                    self.ended = true;
                    return Some(self.response());
                }
                change = self.changes.next() => {
                    if self.wants(&change) {
                        return Some(written(&addressed(&self.id, change)));
                    }
                }
                _ = self.quiet.tick() => return Some(Bytes::from_static(KEEP_ALIVE)),
            }
        }
    }

    fn wants(&self, change: &Notification) -> bool {
        match change.method.as_str() {
            "notifications/tools/list_changed" => self.listen.tools,
            "notifications/prompts/list_changed" => self.listen.prompts,
            "notifications/resources/list_changed" => self.listen.resources,
            "notifications/resources/updated" => {
                let uri = change.params.get("uri").and_then(Value::as_str);
                uri.is_some_and(|uri| self.uris.contains(uri))
            }
            _ => false,
        }
    }

    /// Nothing follows: the stream does not just end, which a client would take for a lost one.
    fn response(&self) -> Bytes {
        let mut id = Object::new();
        id.insert(meta::SUBSCRIPTION_ID.to_owned(), self.id.to_value());
        let mut result = Object::new();
        result.insert("_meta".to_owned(), Value::Object(id));
        let result = shape::modern("subscriptions/listen", result);
        let response = jsonrpc::Response::result(self.id.clone(), result);
        Event::message(response.to_bytes()).to_bytes()
    }
}
