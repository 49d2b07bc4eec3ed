//! Clients of 2026-07-28 and after: each request stands alone. A client that closes the response
//! cancels the request; a question to the client is the response, and its next request answers it.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::running::{ModernExchange, Running};
use super::endpoint::{Endpoint, Shared, client, state_purpose};
use super::entry::Entry;
use super::events::{self, Style};
use super::feed::{Beginning, Feed, Keep};
use super::legacy::facts::Party;
use super::places::Place;
use super::refusal::Refusal;
use super::responses::{accepted, json};
use super::serve;
use crate::catalog;
use crate::client::Client;
use crate::front::wants::Wants;
use sentinel_mcp_protocol::era::{Era, ParamHeaders, Version, header, is_modern, read_over_http};
use sentinel_mcp_protocol::jsonrpc::{Message, Object, Request, RpcError};
use sentinel_mcp_protocol::method::{
    self, Governance, Lifecycle, Sender, capabilities, governance,
};

mod listen;
mod running;
pub(super) mod suspended;

/// Whether a message is to be read as one of this era. It is when its body or its version says so:
/// what is missing then is an error of the client, and no reason to read it otherwise. A method in
/// the headers says so only where no version does, since some clients always send it.
pub(super) fn is_meant(headers: &HeaderMap, message: &Message) -> bool {
    let by_body = match message {
        Message::Request(request) => is_modern(&request.method, &request.params),
        Message::Notification(notification) => {
            is_modern(&notification.method, &notification.params)
        }
        Message::Response(_) => false,
    };
    let modern = |version: Version| version.era() == Era::Modern;
    let stated = headers.get_all(header::PROTOCOL_VERSION).iter();
    let mut stated = stated.filter_map(|value| Version::parse(value.to_str().ok()?)).peekable();
    let by_method = headers.contains_key(header::METHOD) && stated.peek().is_none();
    by_body || by_method || stated.any(modern)
}

pub(super) async fn post(
    endpoint: &Shared,
    entry: Entry,
    message: Message,
) -> Result<Response, Refusal> {
    match message {
        Message::Request(request) => {
            let id = request.id.clone();
            let served = call(endpoint, entry, request).await;
            served.map_err(|refusal| refusal.with_id(Some(id)))
        }
        // No notification of this era goes from client to server by HTTP.
        Message::Notification(_) => Ok(accepted()),
        Message::Response(_) => {
            let what = "this revision has no responses of clients; retry with `inputResponses`";
            Err(Refusal::bad_request("unexpected_response", what))
        }
    }
}

/// A request that has passed every check of its form.
struct Checked {
    entry: Entry,
    request: Request,
    client: Arc<Client>,
    wants: Wants,
}

async fn call(endpoint: &Shared, entry: Entry, request: Request) -> Result<Response, Refusal> {
    let checked = check(endpoint, entry, request).await?;
    if governance(Sender::Client, &checked.request.method)
        == Ok(Governance::Lifecycle(Lifecycle::Listen))
    {
        return listen::open(endpoint, checked).await;
    }
    let feed = Feed::new(Keep::Unread);
    let cancel = match suspended::state_of(&checked.request.params) {
        Some(state) => {
            let party = Party::of(&checked.entry.speaker, checked.entry.upstream.as_deref());
            let Checked { request, wants, .. } = checked;
            let resumed = endpoint.suspended.resume(&state, &party, &request, (&feed, wants));
            resumed.map_err(invalid)?
        }
        None => begin(endpoint, checked, &feed)?,
    };
    // Dropped when the connection is lost, before or after the response has begun.
    let gone = Gone { feed: Arc::clone(&feed), cancel };
    Ok(respond(endpoint, &feed, gone).await)
}

async fn check(
    endpoint: &Endpoint,
    entry: Entry,
    mut request: Request,
) -> Result<Checked, Refusal> {
    let meta = read_over_http(&entry.headers, &request.method, &mut request.params);
    let meta = meta.map_err(invalid)?;
    known(meta.version, &request.method)?;
    let stated = request.params.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(stated) = stated {
        state_purpose(stated, &entry);
    }
    let governed = capabilities::of_client(&meta.capabilities).capabilities;
    let client = Arc::new(client(endpoint, &entry, meta.info, governed).await?);
    check_arguments(&client, &entry.headers, &request).await.map_err(invalid)?;
    let wants = Wants::of(&request.params).map_err(invalid)?;
    Ok(Checked { entry, request, client, wants })
}

/// Refuses a method that the revision does not have or the gateway does not govern.
fn known(version: Version, method: &str) -> Result<(), Refusal> {
    let refuse = |error| Refusal::new(StatusCode::NOT_FOUND, error);
    governance(Sender::Client, method).map_err(refuse)?;
    if method::find(Sender::Client, method).is_some_and(|method| method.is_in(version)) {
        return Ok(());
    }
    Err(refuse(RpcError::method_not_found(method, "this revision does not have it")))
}

/// Checks the headers that repeat arguments of a tool, as its schema demands.
async fn check_arguments(
    client: &Client,
    headers: &HeaderMap,
    request: &Request,
) -> Result<(), RpcError> {
    if request.method != "tools/call" {
        return Ok(());
    }
    // A name or arguments of another type are refused by what reads them.
    let Some(name) = request.params.get("name").and_then(Value::as_str) else { return Ok(()) };
    let none = Object::new();
    let arguments = match request.params.get("arguments") {
        Some(Value::Object(arguments)) => arguments,
        _ => &none,
    };
    let target = catalog::find_tool(client, name).await;
    let schema = target.definition.as_deref().and_then(|tool| tool.get("inputSchema"));
    let Some(Value::Object(schema)) = schema else { return Ok(()) };
    let expected = ParamHeaders::of_schema(schema).map_err(RpcError::header_mismatch)?;
    expected.check(headers, arguments)
}

/// What is wrong with the form of a request.
fn invalid(error: RpcError) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

/// Starts the task of a request.
fn begin(
    endpoint: &Shared,
    checked: Checked,
    feed: &Arc<Feed>,
) -> Result<CancellationToken, Refusal> {
    let Checked { entry, request, client, wants } = checked;
    let place = endpoint.calls.take(&entry.speaker.principal.id());
    let place = place.ok_or_else(|| Refusal::overloaded("too many requests are being served"))?;
    let cancel = CancellationToken::new();
    let party = Party::of(&entry.speaker, entry.upstream.as_deref());
    let waiting = &endpoint.suspended;
    let running = Running::new(waiting, party, &request, Arc::clone(&client), cancel.clone());
    running.attach(feed, request.id.clone(), wants);
    let task = Task { endpoint: Arc::clone(endpoint), running, client, _place: place };
    tokio::spawn(task.run(request));
    Ok(cancel)
}

struct Task {
    endpoint: Shared,
    running: Arc<Running>,
    client: Arc<Client>,
    _place: Place,
}

impl Task {
    async fn run(self, request: Request) {
        let Self { endpoint, running, client, _place } = self;
        let unanswered = Unanswered(Arc::clone(&running));
        let exchange = ModernExchange(Arc::clone(&running));
        let served =
            serve::serve(endpoint.as_ref(), &client, &request, &exchange, running.cancel());
        running.finish(served.await);
        drop(unanswered);
    }
}

/// Answers a request that its task did not, because it panicked.
struct Unanswered(Arc<Running>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.finish(Err(RpcError::internal("the request failed; its outcome is unknown")));
    }
}

/// Cancels a request whose client has closed the connection without its response.
struct Gone {
    feed: Arc<Feed>,
    cancel: CancellationToken,
}

impl Drop for Gone {
    fn drop(&mut self) {
        if !self.feed.has_ended() {
            self.cancel.cancel();
        }
    }
}

async fn respond(endpoint: &Endpoint, feed: &Arc<Feed>, gone: Gone) -> Response {
    let beginning = tokio::time::timeout(endpoint.settings.patience, feed.beginning()).await;
    if let Ok(Beginning::Response(status, message)) = beginning {
        return json(status, message);
    }
    let keep_alive = endpoint.settings.keep_alive;
    events::response(feed.read(0), Style { feed: None, primed: false, keep_alive }, gone)
}
