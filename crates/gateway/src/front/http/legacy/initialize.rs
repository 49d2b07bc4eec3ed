//! The beginning of a session.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use uuid::{NoContext, Timestamp, Uuid};

use super::facts::{Facts, Party};
use super::session::Session;
use super::too_many_sessions;
use crate::exchange::Unattended;
use crate::front::http::endpoint::{Endpoint, Shared};
use crate::front::http::entry::Entry;
use crate::front::http::refusal::Refusal;
use crate::front::http::responses::json;
use crate::front::shape;
use crate::mediator;
use sentinel_mcp_protocol::era::{Version, header};
use sentinel_mcp_protocol::jsonrpc::{self, Object, Request, RpcError};
use sentinel_mcp_protocol::method::capabilities;

/// What a client says when it begins a session.
struct Introduction {
    version: Version,
    info: Object,
    /// As far as they are governed.
    capabilities: Object,
}

impl Introduction {
    fn read(params: &Object) -> Result<Self, RpcError> {
        let missing = |what: &str| RpcError::invalid_params(format!("`{what}` is missing"));
        let version = params.get("protocolVersion").and_then(Value::as_str);
        let version = Version::for_session(version.ok_or_else(|| missing("protocolVersion"))?);
        let object = |name: &str| match params.get(name) {
            Some(Value::Object(object)) => Ok(object.clone()),
            Some(_) => Err(RpcError::invalid_params(format!("`{name}` must be an object"))),
            None => Err(missing(name)),
        };
        let declared = object("capabilities")?;
        let capabilities = capabilities::of_client(&declared).capabilities;
        Ok(Self { version, info: object("clientInfo")?, capabilities })
    }
}

pub(super) async fn initialize(
    endpoint: &Shared,
    entry: Entry,
    request: Request,
) -> Result<Response, Refusal> {
    let id = request.id.clone();
    let refuse = |refusal: Refusal| refusal.with_id(Some(id.clone()));
    let introduction = match Introduction::read(&request.params) {
        Ok(introduction) => introduction,
        Err(error) => return Err(refuse(Refusal::new(StatusCode::OK, error))),
    };
    let (facts, session_id) = begin(endpoint, &entry, &introduction).map_err(refuse)?;
    let version = introduction.version;
    let session = super::open(endpoint, &entry, facts, version).await.map_err(refuse)?;
    let request = Request { params: Object::new(), ..request };
    let outcome = mediator::serve(&session.client, &request, &Unattended).await;
    let begun = outcome.is_ok();
    let outcome = outcome.map(|result| shape::initialized(result, version));
    let response = jsonrpc::Response { id: Some(request.id), outcome };
    let mut response = json(StatusCode::OK, response.to_bytes());
    if begun {
        hold(endpoint, &entry, &session).map_err(refuse)?;
        let name = HeaderName::from_static(header::SESSION_ID);
        response.headers_mut().insert(name, session_id);
    }
    Ok(response)
}

/// The facts of a new session, and the id that they are sealed into.
fn begin(
    endpoint: &Endpoint,
    entry: &Entry,
    introduction: &Introduction,
) -> Result<(Facts, HeaderValue), Refusal> {
    let now = endpoint.door.services().clock.now();
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let mut facts = Facts {
        id: Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanoseconds)),
        party: Party::of(&entry.speaker, entry.upstream.as_deref()),
        version: introduction.version.as_str().to_owned(),
        info: introduction.info.clone(),
        capabilities: introduction.capabilities.clone(),
        issued: now.as_second(),
    };
    let sealed = facts.seal(&endpoint.seal).and_then(|id| HeaderValue::from_str(&id).ok());
    let failed = || {
        let error = RpcError::internal("the session could not be sealed");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    };
    Ok((facts, sealed.ok_or_else(failed)?))
}

fn hold(endpoint: &Endpoint, entry: &Entry, session: &Arc<Session>) -> Result<(), Refusal> {
    let party = Party::of(&entry.speaker, entry.upstream.as_deref());
    let held = endpoint.sessions.hold(party.principal(), session);
    held.map(drop).ok_or_else(too_many_sessions)
}
