//! Methods that are decided, and what the gateway keeps for a client beside the decision.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use crate::authority::Grant;
use crate::catalog::{self, Source};
use crate::client::Client;
use crate::exchange::{Exchange, Unattended};
use crate::upstream::Outbound;
use sentinel_mcp_protocol::call_params::{SetLevel, Subscription};
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};
use sentinel_mcp_protocol::method::Call;

/// Subscriptions of one client.
const MOST_SUBSCRIPTIONS: usize = 1_000;
/// How long servers are given to take note of what needs no result.
const NOTED: Duration = Duration::from_secs(2);

pub(super) async fn serve(
    client: &Client,
    request: &Request,
    call: Call,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    match call {
        Call::Tool | Call::Prompt | Call::Complete => {
            let result = super::input::forward(client, request, call, exchange).await?;
            Ok(outward(client, named(&request.params), result))
        }
        Call::Resource => {
            let result = super::input::forward(client, request, call, exchange).await?;
            Ok(private(client, outward(client, uri(client, &request.params), result)))
        }
        Call::Subscribe => subscribe(client, request, exchange).await,
        Call::Unsubscribe => unsubscribe(client, request).await,
    }
}

/// Has all servers that log say what the client wants to hear. They are shared: what a client gets of
/// their messages is up to its front, by the level of its own session.
pub(super) async fn set_level(client: &Client, request: &Request) -> Result<Object, RpcError> {
    let SetLevel { level } = SetLevel::read(request.params.clone())?;
    let sources = client.route.sources();
    join_all(sources.iter().map(|source| pass_on(source, client, &level))).await;
    Ok(Object::new())
}

async fn pass_on(source: &Arc<Source>, client: &Client, level: &str) {
    let told = source.set_level(client.number(), level);
    if !matches!(tokio::time::timeout(NOTED, told).await, Ok(Ok(()))) {
        let upstream = source.name();
        tracing::debug!(upstream, "an upstream did not take the level of the log");
    }
}

async fn subscribe(
    client: &Client,
    request: &Request,
    exchange: &dyn Exchange,
) -> Result<Object, RpcError> {
    let subscription = Subscription::read(request.params.clone())?;
    if client.count_subscriptions() >= MOST_SUBSCRIPTIONS {
        let message = format!("a client may be subscribed to {MOST_SUBSCRIPTIONS} resources");
        return Err(RpcError::invalid_params(message));
    }
    let result = super::input::forward(client, request, Call::Subscribe, exchange).await?;
    let target = catalog::find_resource(client, &subscription.uri);
    if let Some(upstream) = target.upstream.filter(|_| !is_error(&result))
        && client.subscribe(upstream.name(), &target.name)
        && let Some(source) = client.route.source(upstream.name())
    {
        source.subscribe(&target.name);
    }
    Ok(result)
}

/// Ends what a decision began, so it needs none. The server is told when no client is left.
async fn unsubscribe(client: &Client, request: &Request) -> Result<Object, RpcError> {
    let subscription = Subscription::read(request.params.clone())?;
    let target = catalog::find_resource(client, &subscription.uri);
    let source = target.upstream.and_then(|upstream| client.route.source(upstream.name()));
    if let Some(source) = source
        && client.unsubscribe(source.name(), &target.name)
        && source.unsubscribe(&target.name)
    {
        let params = Subscription { uri: target.name, meta: None }.into_params();
        let method = request.method.clone();
        let outbound = Outbound { method, params, grant: Grant::lifecycle() };
        let told = source.upstream().request(outbound, &Unattended);
        if !matches!(tokio::time::timeout(NOTED, told).await, Ok(Ok(_))) {
            let upstream = source.name();
            tracing::debug!(upstream, "an upstream did not take the end of a subscription");
        }
    }
    Ok(Object::new())
}

fn is_error(result: &Object) -> bool {
    result.get("isError") == Some(&Value::Bool(true))
}

/// The upstream that a name, or the reference of a completion, belongs to.
fn named(params: &Object) -> Option<String> {
    let (upstream, _) = params.get("name")?.as_str()?.split_once(sentinel_core::name::SEPARATOR)?;
    Some(upstream.to_owned())
}

fn uri(client: &Client, params: &Object) -> Option<String> {
    let target = catalog::find_resource(client, params.get("uri")?.as_str()?);
    Some(target.upstream?.name().to_owned())
}

/// Writes the URIs in a result as the client can use them.
fn outward(client: &Client, upstream: Option<String>, mut result: Object) -> Object {
    if let Some(upstream) = upstream.filter(|_| client.route.prefixed) {
        catalog::map_result(&upstream, &mut result);
    }
    result
}

/// What was read for one principal is kept by no shared cache, and not for longer than a list.
fn private(client: &Client, mut result: Object) -> Object {
    let longest = client.route.settings.client_ttl.as_millis();
    let longest = u64::try_from(longest).unwrap_or_default();
    let stated = result.get("ttlMs").and_then(Value::as_u64).unwrap_or_default();
    if !is_error(&result) {
        result.insert("cacheScope".to_owned(), "private".into());
        result.insert("ttlMs".to_owned(), stated.min(longest).into());
    }
    result
}
