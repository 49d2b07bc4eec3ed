//! What a client is told without asking.

use std::sync::Arc;

use serde_json::{Value, json};

use super::calls::Call;
use super::exchange::{Serving, Shared};
use crate::catalog::Changes;
use crate::client::Client;
use crate::mediator;
use sentinel_mcp_protocol::call_params::Listen;
use sentinel_mcp_protocol::era::meta;
use sentinel_mcp_protocol::jsonrpc::{Id, Notification, Object, Request, RpcError};
use sentinel_mcp_protocol::method::{Notice, Sender, notice};

/// Tells a client of the legacy era of changes, for as long as it is there.
pub(super) async fn tell(client: Arc<Client>, shared: Arc<Shared>) {
    let mut changes = Changes::new(&client);
    loop {
        let notification = changes.next().await;
        shared.output.send(notification).await;
    }
}

/// Serves `subscriptions/listen`: tells of what it asks for until the client cancels it.
///
/// # Errors
/// When the parameters are malformed, or a subscription is denied.
pub(super) async fn listen(
    client: &Arc<Client>,
    shared: &Arc<Shared>,
    call: &Arc<Call>,
    serving: &Serving,
    request: Request,
) -> Result<Object, RpcError> {
    let Request { id, params, .. } = request;
    let mut wanted = Listen::read(params)?;
    subscribe(client, serving, &id, &mut wanted).await;
    let mut filter = Object::new();
    filter.insert("notifications".to_owned(), Value::Object(wanted.to_filter()));
    let method = "notifications/subscriptions/acknowledged".to_owned();
    shared.output.send(of_stream(Notification { method, params: filter }, &id)).await;
    let mut changes = Changes::new(client);
    loop {
        tokio::select! {
            notification = changes.next() => {
                if is_wanted(&wanted, &notification) {
                    shared.output.send(of_stream(notification, &id)).await;
                }
            }
            () = call.cancelled() => break,
            () = shared.closing.cancelled() => break,
        }
    }
    unsubscribe(client, serving, &id, &wanted).await;
    let mut last = Object::new();
    last.insert("_meta".to_owned(), json!({ meta::SUBSCRIPTION_ID: id.to_value() }));
    Ok(last)
}

/// Has each subscription decided; the acknowledgement names those that were allowed.
async fn subscribe(client: &Client, serving: &Serving, id: &Id, wanted: &mut Listen) {
    let mut allowed = Vec::new();
    for uri in std::mem::take(&mut wanted.updates) {
        let request = about("resources/subscribe", id, &uri);
        let result = mediator::serve(client, &request, serving).await;
        let is_error =
            |result: &Object| result.get("isError").and_then(Value::as_bool) == Some(true);
        if result.is_ok_and(|result| !is_error(&result)) {
            allowed.push(uri);
        }
    }
    wanted.updates = allowed;
}

async fn unsubscribe(client: &Client, serving: &Serving, id: &Id, wanted: &Listen) {
    for uri in &wanted.updates {
        let request = about("resources/unsubscribe", id, uri);
        drop(mediator::serve(client, &request, serving).await);
    }
}

fn about(method: &str, id: &Id, uri: &str) -> Request {
    let mut params = Object::new();
    params.insert("uri".to_owned(), uri.into());
    Request { id: id.clone(), method: method.to_owned(), params }
}

fn is_wanted(wanted: &Listen, notification: &Notification) -> bool {
    match notice(Sender::Server, &notification.method) {
        Some(Notice::ToolsChanged) => wanted.tools,
        Some(Notice::PromptsChanged) => wanted.prompts,
        Some(Notice::ResourcesChanged) => wanted.resources,
        Some(Notice::ResourceUpdated) => {
            let uri = notification.params.get("uri").and_then(Value::as_str);
            uri.is_some_and(|uri| wanted.updates.iter().any(|wanted| wanted == uri))
        }
        _ => false,
    }
}

/// A notification that names the request which it belongs to.
fn of_stream(mut notification: Notification, id: &Id) -> Notification {
    let members =
        notification.params.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(members) = members {
        members.insert(meta::SUBSCRIPTION_ID.to_owned(), id.to_value());
    }
    notification
}
