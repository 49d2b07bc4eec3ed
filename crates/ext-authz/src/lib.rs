//! Envoy's external authorization (`envoy.service.auth.v3`, gRPC), so that a gateway has each call
//! decided before it forwards it.
//!
//! A gateway can be told to forward a call when the RPC fails (`failure_mode_allow`), and what
//! makes one fail may be in the hands of the agent: a body that is too large. So no failure of ours
//! ends the RPC: a request that is too large, unreadable or without a key is a deny like any other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use futures::FutureExt as _;
use http::StatusCode;
use http::request::Parts;
use sentinel_core::audit::DecisionRecord;
use sentinel_core::decision::ReasonCode;
use sentinel_core::principal::Role;
use sentinel_ingress::ask::{Asked, Asker, ask};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::problem::Problem;
use sentinel_ingress::received::{Received, RequestId};
use sentinel_ingress::{FrontDoor, RouteCounters, body, edge};

mod call;
mod grpc;
mod health;
mod response;

/// The one method of the service.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Bytes of a message: what a check may have, and the headers of the call.
const MAX_MESSAGE: usize = 512 * 1024;

/// What the methods share.
#[derive(Debug)]
struct Interface {
    door: Arc<FrontDoor>,
    counters: Arc<RouteCounters>,
}

type Shared = Arc<Interface>;

/// The methods, to be served by HTTP/2.
pub fn router(door: Arc<FrontDoor>) -> Router {
    let counters = door.traffic().route(CHECK, &http::Method::POST);
    Router::new()
        .route(CHECK, post(check))
        .route(health::CHECK, post(health::check))
        .fallback(grpc::unimplemented)
        .method_not_allowed_fallback(grpc::unimplemented)
        .with_state(Arc::new(Interface { door, counters }))
}

async fn check(State(interface): State<Shared>, request: Request) -> Response {
    if !grpc::is_grpc(request.headers()) {
        return grpc::unsupported();
    }
    let mut received = Received::now(request.headers());
    let (parts, body) = request.into_parts();
    let decided = match interface.door.admit(&parts, Some(CHECK)) {
        Ok(under_way) => {
            let decided = decide(&interface.door, parts, body, &mut received);
            under_way.within(AssertUnwindSafe(decided).catch_unwind()).await
        }
        Err(refused) => Ok(Err(refused)),
    };
    let decided =
        decided.unwrap_or_else(|panic| Err(Problem::internal(edge::message(panic.as_ref()))));
    let (status, response) = respond(decided, &received.id);
    interface.counters.count(status);
    grpc::message(&response)
}

/// Reads who asks for what, and has it decided. The identifier in `received` becomes that of the
/// call.
async fn decide(
    door: &FrontDoor,
    parts: Parts,
    body: Body,
    received: &mut Received,
) -> Result<Asked, Problem> {
    let arrived = received.at;
    let deadline = grpc::timeout(&parts.headers)?.and_then(|wait| arrived.checked_add(wait));
    let caller = Caller::authenticate(door, &parts)?;
    caller.require(&[Role::Agent])?;
    let reading = body::read(body, MAX_MESSAGE + grpc::PREFIX);
    let bytes = match deadline {
        Some(at) => tokio::time::timeout_at(at.into(), reading).await.unwrap_or_else(|_| {
            let detail = "the message did not arrive before the deadline";
            Err(Problem::overloaded("deadline_exceeded", detail))
        })?,
        None => reading.await?,
    };
    let message: CheckRequest = grpc::parse(&bytes)?;
    let attributes = message.attributes.unwrap_or_default();
    received.id = RequestId::or_new(call::request_id(&attributes));
    let bound = caller.principal().tenant().and_then(|id| {
        let control = door.services().control.current();
        control.tenant_by_id(id).map(|tenant| tenant.slug.clone())
    });
    let (principal, request_id) = (caller.into_principal(), Arc::clone(&received.id.0));
    let asker = Asker { principal, request_id, arrived, deadline };
    ask(door, call::request(attributes, asker, bound)?).await
}

/// The response to the gateway, and the status that its client gets unless the call is forwarded.
fn respond(decided: Result<Asked, Problem>, request_id: &RequestId) -> (StatusCode, CheckResponse) {
    match decided {
        Ok(Asked { decision, permit: Some(permit), .. }) if decision.allow => {
            (StatusCode::OK, response::allowed(&decision, permit))
        }
        Ok(Asked { decision, .. }) => {
            let problem = denial(&decision);
            (problem.status(), response::denied(problem, Some(&decision), request_id))
        }
        Err(problem) => (problem.status(), response::denied(problem, None, request_id)),
    }
}

/// A deny as the problem that the agent is shown.
fn denial(decision: &DecisionRecord) -> Problem {
    let (code, reason) = (decision.code.as_str(), decision.reason.as_str());
    let problem = match decision.code {
        ReasonCode::RateLimited | ReasonCode::QuotaExceeded => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, code, reason)
        }
        code if code.is_transient() => Problem::overloaded(code.as_str(), reason),
        // An allow without its permit is a deny.
        ReasonCode::Allowed => Problem::internal("an allow came without a permit"),
        _ => Problem::forbidden(code, reason),
    };
    problem.decision(decision.id)
}
