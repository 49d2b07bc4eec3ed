use sentinel_api::{KillScope, KillTarget};
use sentinel_ingress::problem::Problem;
use sentinel_service::kill::Target;

/// The target that the fields name, and its kind. An ambiguous target is refused: neither too much
/// nor too little may be stopped by a slip.
pub(crate) fn target(named: KillTarget) -> Result<(Target, &'static str), Problem> {
    let KillTarget {
        scope,
        tenant_slug: tenant,
        tool_name,
        agent,
        principal,
        tool_scope,
        tool_tag,
    } = named;
    let target = match (tenant, tool_name, agent, principal, tool_scope, tool_tag) {
        (Some(tenant), Some(tool), None, None, None, None) => Target::Tool(tenant, tool),
        (None, Some(_), ..) => return Err(invalid("`tool_name` needs `tenant_slug`")),
        (Some(tenant), None, Some(agent), None, None, None) => Target::TenantAgent(tenant, agent),
        (None, None, Some(agent), None, None, None) => Target::Agent(agent),
        (tenant, None, None, Some(principal), None, None) => Target::Principal(tenant, principal),
        (tenant, None, None, None, Some(scope), None) => Target::ToolScope(tenant, scope),
        (tenant, None, None, None, None, Some(tag)) => Target::ToolTag(tenant, tag),
        (Some(tenant), None, None, None, None, None) => Target::Tenant(tenant),
        (None, None, None, None, None, None) if scope == Some(KillScope::Global) => Target::Global,
        (None, None, None, None, None, None) => {
            return Err(invalid(
                "name a tenant, tool, agent, principal, scope or tag, or say `\"scope\": \
                 \"global\"`",
            ));
        }
        _ => {
            return Err(invalid(
                "only one of `tool_name`, `agent`, `principal`, `tool_scope` and `tool_tag` can be \
                 named; kill each by itself",
            ));
        }
    };
    let kind = kind(&target);
    if scope.is_some_and(|said| said != kind) {
        return Err(invalid("`scope` does not fit the other fields"));
    }
    Ok((target, kind.as_str()))
}

const fn kind(target: &Target) -> KillScope {
    match target {
        Target::Global => KillScope::Global,
        Target::Tenant(_) => KillScope::Tenant,
        Target::Tool(..) => KillScope::Tool,
        Target::Agent(_) => KillScope::Agent,
        Target::TenantAgent(..) => KillScope::TenantAgent,
        Target::Principal(None, _) => KillScope::Principal,
        Target::Principal(Some(_), _) => KillScope::TenantPrincipal,
        Target::ToolScope(None, _) => KillScope::ToolScope,
        Target::ToolScope(Some(_), _) => KillScope::TenantToolScope,
        Target::ToolTag(None, _) => KillScope::ToolTag,
        Target::ToolTag(Some(_), _) => KillScope::TenantToolTag,
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::unprocessable("invalid_target", detail)
}
