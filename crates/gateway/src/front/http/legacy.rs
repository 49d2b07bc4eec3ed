//! Clients of 2025-11-25 and before: sessions that begin with `initialize`, streams that can be
//! resumed, and questions to the client on the stream of the request that raises them.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::Value;

use self::exchange::LegacyExchange;
use self::facts::{Facts, Party};
use self::session::{Call, Session};
use super::endpoint::{Endpoint, Shared, client, state_purpose};
use super::entry::{Entry, single};
use super::events::{self, Style};
use super::feed::{Beginning, Feed};
use super::places::Place;
use super::refusal::Refusal;
use super::responses::{accepted, json};
use super::{media, serve};
use crate::front::shape;
use crate::front::wants::Wants;
use sentinel_mcp_protocol::era::{Version, header, meta};
use sentinel_mcp_protocol::jsonrpc::{self, Message, Notification, Object, Request, RpcError};
use sentinel_mcp_protocol::method::{Notice, Sender, notice};

pub(super) mod exchange;
pub(super) mod facts;
mod feeds;
mod initialize;
mod questions;
mod session;
pub(super) mod sessions;
mod stream;

/// Ends the sessions of speakers that may not go on. What they have under way is answered first: a
/// kill has withdrawn it already.
pub(super) fn end_covered(endpoint: &Shared) {
    for session in endpoint.sessions.all() {
        if !endpoint.admits(&session.speaker) {
            let endpoint = Arc::clone(endpoint);
            tokio::spawn(async move {
                session.drained(FAREWELL).await;
                endpoint.sessions.terminate(session.id);
            });
        }
    }
}

/// Time that requests of a session that ends get to be answered.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(200);

pub(super) async fn post(
    endpoint: &Shared,
    entry: Entry,
    message: Message,
) -> Result<Response, Refusal> {
    match message {
        Message::Request(request) if request.method == "initialize" => {
            initialize::initialize(endpoint, entry, request).await
        }
        Message::Request(request) => {
            let id = request.id.clone();
            let served = call(endpoint, entry, request).await;
            served.map_err(|refusal| refusal.with_id(Some(id)))
        }
        Message::Notification(notification) => {
            let session = find(endpoint, &entry).await?;
            heard(&session, &notification);
            Ok(accepted())
        }
        Message::Response(response) => {
            let session = find(endpoint, &entry).await?;
            session.questions.answered(response);
            Ok(accepted())
        }
    }
}

/// Opens the stream of what belongs to no request, or resumes one.
pub(super) async fn get(endpoint: &Shared, parts: &mut Parts) -> Result<Response, Refusal> {
    let entry = Entry::read(&endpoint.door, parts).await?;
    if !entry.headers.contains_key(header::SESSION_ID) {
        let what = "there is no stream without a session; send messages by POST";
        return Err(Refusal::method_not_allowed("POST", what));
    }
    media::check_get(&entry.headers)?;
    let session = find(endpoint, &entry).await?;
    stream::open(endpoint, &entry, session).await
}

/// Terminates a session.
pub(super) async fn delete(endpoint: &Shared, parts: &mut Parts) -> Result<Response, Refusal> {
    let entry = Entry::read(&endpoint.door, parts).await?;
    if !entry.headers.contains_key(header::SESSION_ID) {
        let what = "only a session can be deleted";
        return Err(Refusal::method_not_allowed("POST", what));
    }
    let session = find(endpoint, &entry).await?;
    endpoint.sessions.terminate(session.id);
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// The session of a request, revived if this replica does not hold it.
async fn find(endpoint: &Shared, entry: &Entry) -> Result<Arc<Session>, Refusal> {
    let Some(id) = single(&entry.headers, header::SESSION_ID)? else {
        let what = "the header Mcp-Session-Id is missing; begin with `initialize`";
        return Err(Refusal::bad_request("session_required", what));
    };
    let now = endpoint.door.services().clock.now().as_second();
    let facts = Facts::open(&endpoint.seal, id, now).ok_or_else(Refusal::no_session)?;
    let party = Party::of(&entry.speaker, entry.upstream.as_deref());
    if facts.party != party || endpoint.sessions.is_terminated(facts.id) {
        return Err(Refusal::no_session());
    }
    let version = Version::parse(&facts.version).ok_or_else(Refusal::no_session)?;
    check_version(entry, version)?;
    if let Some(session) = endpoint.sessions.find(facts.id) {
        return Ok(session);
    }
    if !endpoint.admits(&entry.speaker) {
        return Err(Refusal::no_session());
    }
    let session = open(endpoint, entry, facts, version).await?;
    endpoint.sessions.hold(party.principal(), &session).ok_or_else(too_many_sessions)
}

/// Checks the version header against the session. Clients of 2025-03-26 send none.
fn check_version(entry: &Entry, version: Version) -> Result<(), Refusal> {
    match single(&entry.headers, header::PROTOCOL_VERSION)? {
        Some(stated) if stated != version.as_str() => Err(Refusal::bad_request(
            "protocol_version",
            "the header MCP-Protocol-Version is not the version of the session",
        )),
        _ => Ok(()),
    }
}

/// The session that `facts` describe, which nothing holds yet.
async fn open(
    endpoint: &Endpoint,
    entry: &Entry,
    facts: Facts,
    version: Version,
) -> Result<Arc<Session>, Refusal> {
    let client = client(endpoint, entry, facts.info, facts.capabilities.clone()).await?;
    let (id, speaker) = (facts.id, entry.speaker.clone());
    Ok(Session::new(id, version, speaker, Arc::new(client), facts.capabilities))
}

fn too_many_sessions() -> Refusal {
    Refusal::overloaded("too many sessions of this principal are in use")
}

/// Takes a notification of the client.
fn heard(session: &Session, notification: &Notification) {
    if notice(Sender::Client, &notification.method) == Some(Notice::Cancelled) {
        let id = notification.params.get("requestId").and_then(jsonrpc::Id::from_value);
        if let Some(id) = id {
            session.cancel(&id);
        }
    }
}

/// Serves a request of a session.
async fn call(endpoint: &Shared, entry: Entry, mut request: Request) -> Result<Response, Refusal> {
    let session = find(endpoint, &entry).await?;
    let invalid = |error: RpcError| Refusal::new(StatusCode::OK, error);
    prepare(&mut request.params, &session, &entry).map_err(invalid)?;
    let wants = Wants::of(&request.params).map_err(invalid)?;
    let place = endpoint.calls.take(&entry.speaker.principal.id());
    let place = place.ok_or_else(|| Refusal::overloaded("too many requests are being served"))?;
    let Some(call) = session.begin(&request.id) else {
        let what = "the id is that of a request which is being served";
        return Err(Refusal::bad_request("duplicate_id", what));
    };
    let (number, feed) = session.feeds().open();
    let cancel = call.cancel.clone();
    let exchange = LegacyExchange {
        session: Arc::clone(&session),
        feed: Arc::clone(&feed),
        wants,
        cancel,
        patience: endpoint.settings.question,
    };
    let serving = Serving { endpoint: Arc::clone(endpoint), exchange, call, _place: place };
    tokio::spawn(serving.run(request));
    Ok(respond(endpoint, &session, number, &feed).await)
}

/// Writes what the client asked for once and for all into its request, as a modern client does.
fn prepare(params: &mut Object, session: &Session, entry: &Entry) -> Result<(), RpcError> {
    let meta = params.entry("_meta").or_insert_with(|| Value::Object(Object::new()));
    let Value::Object(meta) = meta else {
        return Err(RpcError::invalid_params("`_meta` must be an object"));
    };
    for member in [meta::PROTOCOL_VERSION, meta::CLIENT_INFO, meta::CLIENT_CAPABILITIES] {
        meta.remove(member);
    }
    meta.insert(meta::LOG_LEVEL.to_owned(), session.level().into());
    state_purpose(meta, entry);
    Ok(())
}

/// A request in its task. Whatever happens to it, its client is answered.
struct Serving {
    endpoint: Shared,
    exchange: LegacyExchange,
    call: Call,
    _place: Place,
}

impl Serving {
    async fn run(self, request: Request) {
        let Self { endpoint, exchange, call, _place } = self;
        let unanswered = Unanswered { feed: Arc::clone(&exchange.feed), id: request.id.clone() };
        let session = Arc::clone(&exchange.session);
        let served =
            serve::serve(endpoint.as_ref(), &session.client, &request, &exchange, &call.cancel);
        let outcome = served.await;
        if outcome.is_ok() && request.method == "logging/setLevel" {
            let level = request.params.get("level").and_then(Value::as_str);
            session.set_level(level.unwrap_or_default());
        }
        let outcome = outcome.map(shape::legacy);
        let response = jsonrpc::Response { id: Some(request.id), outcome };
        // The id is free before the client can use it again.
        drop(call);
        exchange.feed.end(response.to_bytes().into());
        drop(unanswered);
    }
}

/// Answers a request that its task did not, because it panicked.
struct Unanswered {
    feed: Arc<Feed>,
    id: jsonrpc::Id,
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if !self.feed.has_ended() {
            let error = RpcError::internal("the request failed; its outcome is unknown");
            let response = jsonrpc::Response::error(Some(self.id.clone()), error);
            self.feed.end(response.to_bytes().into());
        }
    }
}

/// The HTTP response: the message alone, if nothing comes before it and it comes soon; otherwise a
/// stream, which can be resumed.
async fn respond(
    endpoint: &Endpoint,
    session: &Session,
    number: u64,
    feed: &Arc<Feed>,
) -> Response {
    let beginning = tokio::time::timeout(endpoint.settings.patience, feed.beginning()).await;
    if let Ok(Beginning::Response(_, message)) = beginning {
        session.feeds().forget(number);
        return json(StatusCode::OK, message);
    }
    events::response(feed.read(0), style(endpoint, session, number), ())
}

fn style(endpoint: &Endpoint, session: &Session, number: u64) -> Style {
    Style {
        feed: Some(number),
        primed: session.version >= Version::V2025_11_25,
        keep_alive: endpoint.settings.keep_alive,
    }
}
