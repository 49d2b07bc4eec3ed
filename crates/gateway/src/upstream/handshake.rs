//! Finds out what a server is and which era it speaks.

use std::time::Duration;

use serde_json::{Value, json};

use super::Server;
use super::dialect::{Dialect, client_info, governed, modern_meta};
use super::spec::Spec;
use super::unattended::unattended_call;
use super::wire::{Answer, Effect, Fault, Wire};
use crate::exchange::Unattended;
use sentinel_mcp_protocol::era::meta::SERVER_INFO;
use sentinel_mcp_protocol::era::{Era, Version};
use sentinel_mcp_protocol::jsonrpc::{Id, Notification, Object, Request};

/// How a server responded to the handshake of an era.
#[derive(Debug)]
pub(super) enum Greeting {
    Met(Dialect, Server),
    /// It does not speak that era.
    OtherEra,
}

/// Greets the server in one era. A server that was greeted in an era that it does not speak may
/// refuse the other one on the same connection.
pub(super) async fn greet(
    wire: &dyn Wire,
    era: Era,
    spec: &Spec,
    id: i64,
) -> Result<Greeting, Fault> {
    match era {
        Era::Modern => discover(wire, spec.limits.discover, id).await,
        Era::Legacy => initialize(wire, spec, id).await,
    }
}

async fn discover(wire: &dyn Wire, patience: Duration, id: i64) -> Result<Greeting, Fault> {
    let mut params = Object::new();
    params.insert("_meta".to_owned(), Value::Object(modern_meta(Object::new())));
    let call = unattended_call(request("server/discover", params, id));
    let answer = match tokio::time::timeout(patience, wire.call(&call, &Unattended)).await {
        Ok(answer) => answer,
        // A legacy server may ignore what it does not know.
        Err(_) => return Ok(Greeting::OtherEra),
    };
    match answer {
        Ok(answer) => Ok(discovered(answer)),
        Err(fault) if may_be_legacy(&fault) => Ok(Greeting::OtherEra),
        Err(fault) => Err(fault),
    }
}

/// A legacy server may refuse the request by its status, respond with something odd, or end.
fn may_be_legacy(fault: &Fault) -> bool {
    let ended = fault.effect == Effect::Broken && fault.failure.may_have_run;
    fault.effect == Effect::Refused || fault.failure.code == "upstream_protocol" || ended
}

fn discovered(answer: Answer) -> Greeting {
    let Ok(mut result) = answer else { return Greeting::OtherEra };
    let versions = result.get("supportedVersions").and_then(Value::as_array);
    let modern = Version::NEWEST_MODERN;
    let speaks =
        |versions: &Vec<Value>| versions.iter().any(|v| v.as_str() == Some(modern.as_str()));
    if !versions.is_some_and(speaks) {
        return Greeting::OtherEra;
    }
    let info = result.get("_meta").and_then(|meta| meta.get(SERVER_INFO)).cloned();
    let info = info.or_else(|| result.remove("serverInfo"));
    Greeting::Met(Dialect(modern), server(result, info))
}

async fn initialize(wire: &dyn Wire, spec: &Spec, id: i64) -> Result<Greeting, Fault> {
    let mut params = Object::new();
    params.insert("protocolVersion".to_owned(), Version::NEWEST_LEGACY.as_str().into());
    let capabilities = governed(spec.capabilities.clone());
    params.insert("capabilities".to_owned(), Value::Object(capabilities));
    params.insert("clientInfo".to_owned(), client_info());
    let call = unattended_call(request("initialize", params, id));
    let mut result = match wire.call(&call, &Unattended).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => return Ok(Greeting::OtherEra),
        Err(fault) if fault.effect == Effect::Refused => return Ok(Greeting::OtherEra),
        Err(fault) => return Err(fault),
    };
    let version = result.get("protocolVersion").and_then(Value::as_str).and_then(Version::parse);
    let Some(version) = version.filter(|version| version.era() == Era::Legacy) else {
        return Err(Fault::protocol("the server speaks no version of the gateway", false));
    };
    let info = result.remove("serverInfo");
    let dialect = Dialect(version);
    wire.adopt(dialect);
    let method = "notifications/initialized".to_owned();
    wire.notify(Notification { method, params: Object::new() }).await?;
    Ok(Greeting::Met(dialect, server(result, info)))
}

fn server(mut result: Object, info: Option<Value>) -> Server {
    let object =
        |value| if let Some(Value::Object(object)) = value { object } else { Object::new() };
    let instructions = match result.remove("instructions") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    Server { info: object(info), capabilities: object(result.remove("capabilities")), instructions }
}

/// What a modern server is asked to say of its own accord; `None` when it offers nothing of it.
pub(super) fn listen_request(server: &Server, resources: &[String], id: i64) -> Option<Request> {
    let offers = |capability: &str, what: &str| {
        let value = server.capabilities.get(capability).and_then(|value| value.get(what));
        value == Some(&Value::Bool(true))
    };
    let mut wanted = Object::new();
    for (capability, name) in [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ] {
        if offers(capability, "listChanged") {
            wanted.insert(name.to_owned(), true.into());
        }
    }
    if offers("resources", "subscribe") && !resources.is_empty() {
        wanted.insert("resourceSubscriptions".to_owned(), json!(resources));
    }
    if wanted.is_empty() {
        return None;
    }
    let mut params = Object::new();
    params.insert("notifications".to_owned(), Value::Object(wanted));
    params.insert("_meta".to_owned(), Value::Object(modern_meta(Object::new())));
    Some(request("subscriptions/listen", params, id))
}

/// What a legacy server is asked to report changes of one resource.
pub(super) fn subscribe_request(uri: &str, id: i64) -> Request {
    let mut params = Object::new();
    params.insert("uri".to_owned(), uri.into());
    request("resources/subscribe", params, id)
}

/// What a legacy server is asked to log.
pub(super) fn level_request(params: Object, id: i64) -> Request {
    request("logging/setLevel", params, id)
}

fn request(method: &str, params: Object, id: i64) -> Request {
    Request { id: Id::Integer(id), method: method.to_owned(), params }
}
