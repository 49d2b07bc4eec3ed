//! What a replica proves to itself that kills work with: a tenant with one tool, known by fixed
//! identifiers. Both are in no listing, and what happens to them is in no stream of events and in
//! no listing of decisions unless that is asked for.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::id::{TenantId, ToolId};
use crate::name::AgentName;
use crate::tenant::Tenant;
use crate::tool::Tool;

/// The tenant.
pub const TENANT: TenantId =
    TenantId(Uuid::from_u128(0x73_65_6c_66_2d_74_75_73_80_74_65_6e_61_6e_74_00));
/// Its one tool, the canary.
pub const TOOL: ToolId = ToolId(Uuid::from_u128(0x73_65_6c_66_2d_74_75_73_80_63_61_6e_61_72_79_00));
/// The tenant's slug, which no other may have.
pub const SLUG: &str = "sentinel-self-test";
/// The tool's name.
pub const CANARY: &str = "canary";
/// Identifier of who tests.
pub const ACTOR: &str = "system:self-test";

/// How long the kill of a replica that is gone stays in force, and one that has ended is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// The tenant and the tool; `None` only if one of the names above were none.
#[must_use]
pub fn subjects(secret: [u8; 32], now: Timestamp) -> Option<(Tenant, Tool)> {
    let tenant = Tenant {
        id: TENANT,
        slug: SLUG.parse().ok()?,
        display_name: "self-test of the kill switch".parse().ok()?,
        created_at: now,
        secret: crate::tenant::TenantSecret(secret),
    };
    let tool = Tool {
        id: TOOL,
        tenant_id: TENANT,
        name: CANARY.parse().ok()?,
        url: "https://self-test.invalid/".parse().ok()?,
        owner: "sentinel".parse().ok()?,
        scopes: Vec::new(),
        metadata: serde_json::Map::new(),
        healthcheck: None,
        created_at: now,
        updated_at: now,
        retired_at: None,
        pin: None,
    };
    Some((tenant, tool))
}

/// The agent of test `number` of one run of a replica: never killed before, so that a deny as
/// killed shows that this kill works, and not an earlier one.
#[must_use]
pub fn agent(run: Uuid, number: u64) -> Option<AgentName> {
    format!("self-test-{}-{number}", run.as_simple()).parse().ok()
}

/// What the agents of the same run begin with.
#[must_use]
pub fn run_of(agent: &AgentName) -> &str {
    agent.as_str().rsplit_once('-').map_or(agent.as_str(), |(run, _)| run)
}

/// The time before which kills of replicas that are gone end, and those that have ended are
/// forgotten.
#[must_use]
pub fn kept_since(now: Timestamp) -> Timestamp {
    now.checked_sub(KEPT).unwrap_or(Timestamp::MIN)
}
