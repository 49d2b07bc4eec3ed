//! What every request passes before its message is looked at: who sends it, and which servers it is
//! for.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, RawPathParams};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use sentinel_core::name::{AgentName, Purpose, TenantSlug};
use sentinel_core::principal::{Principal, Role};
use sentinel_core::tenant::Tenant;
use sentinel_ingress::FrontDoor;
use sentinel_ingress::auth::Caller;
use sentinel_ingress::received::Received;

use super::refusal::Refusal;
use crate::gateway::Speaker;

const AGENT: &str = "x-sentinel-agent";
const PURPOSE: &str = "x-sentinel-purpose";

/// A request whose sender is known and may use the gateway.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) speaker: Speaker,
    /// The last part of the path; `None` for all servers of the tenant.
    pub(super) upstream: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) purpose: Option<Purpose>,
}

impl Entry {
    /// Authenticates the sender and finds its tenant.
    pub(super) async fn read(door: &FrontDoor, parts: &mut Parts) -> Result<Self, Refusal> {
        let caller = Caller::authenticate(door, parts)?;
        caller.require(&[Role::Agent])?;
        let principal = caller.into_principal();
        let Path { tenant, upstream } = Path::read(parts).await;
        let tenant = tenant_of(door, &principal, &tenant)?;
        let agent = agent_of(&principal, &parts.headers)?;
        let purpose =
            single(&parts.headers, PURPOSE)?.map(str::parse).transpose().map_err(|error| {
                Refusal::bad_request("invalid_purpose", format!("{PURPOSE}: {error}"))
            })?;
        let received = parts.extensions.get::<Received>().cloned();
        let received = received.unwrap_or_else(|| Received::now(&parts.headers));
        let speaker = Speaker { principal, tenant, agent, request_id: received.id.0 };
        Ok(Self { speaker, upstream, headers: std::mem::take(&mut parts.headers), purpose })
    }
}

#[derive(Debug, Default)]
struct Path {
    tenant: String,
    upstream: Option<String>,
}

impl Path {
    /// The parameters of the path. One that cannot be decoded names no tenant.
    async fn read(parts: &mut Parts) -> Self {
        let Ok(params) = RawPathParams::from_request_parts(parts, &()).await else {
            return Self::default();
        };
        let mut path = Self::default();
        for (name, value) in &params {
            match name {
                "tenant" => value.clone_into(&mut path.tenant),
                _ => path.upstream = Some(value.to_owned()),
            }
        }
        path
    }
}

/// The tenant, if the principal may act there. A principal that is bound to another tenant gets the
/// same error whether it exists or not.
fn tenant_of(door: &FrontDoor, principal: &Principal, slug: &str) -> Result<Arc<Tenant>, Refusal> {
    let control = door.services().control.current();
    let tenant = slug.parse::<TenantSlug>().ok().and_then(|slug| control.tenant(&slug).cloned());
    match tenant {
        Some(tenant) if principal.may_access(tenant.id) => Ok(tenant),
        _ if principal.tenant().is_some() => Err(Refusal::of_request(
            StatusCode::FORBIDDEN,
            "tenant_forbidden",
            "the key is bound to another tenant",
        )),
        _ => Err(Refusal::of_request(
            StatusCode::NOT_FOUND,
            "unknown_tenant",
            "there is no tenant of that name",
        )),
    }
}

/// The agent that the key is bound to, or else the one that the request names.
fn agent_of(principal: &Principal, headers: &HeaderMap) -> Result<Option<AgentName>, Refusal> {
    let Some(named) = single(headers, AGENT)? else { return Ok(principal.agent().cloned()) };
    if !principal.may_speak_for(named) {
        return Err(Refusal::of_request(
            StatusCode::FORBIDDEN,
            "agent_forbidden",
            "the key is bound to another agent",
        ));
    }
    let agent = named.parse();
    agent
        .map(Some)
        .map_err(|error| Refusal::bad_request("invalid_agent", format!("{AGENT}: {error}")))
}

/// The one value of a header. Two values are refused: readers differ in which one they take.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Refusal::bad_request(
            "invalid_header",
            format!("the header {name} must occur once, in ascii"),
        )),
    }
}
