//! The filters of listings of decisions.

use jiff::Timestamp;
use sentinel_core::audit::DecisionFilter;
use sentinel_core::decision::ReasonCode;
use sentinel_core::name::{AgentName, TenantSlug, ToolName};
use sentinel_ingress::query::PageLimit;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which decisions are wanted; every parameter narrows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    #[param(value_type = Option<String>)]
    pub(super) tenant: Option<TenantSlug>,
    #[param(value_type = Option<String>)]
    tool: Option<ToolName>,
    #[param(value_type = Option<String>)]
    agent: Option<AgentName>,
    #[param(inline)]
    decision: Option<AllowOrDeny>,
    /// A reason code.
    #[param(value_type = Option<String>)]
    code: Option<ReasonCode>,
    /// From this time on, RFC 3339.
    from: Option<Timestamp>,
    /// Before this time, RFC 3339.
    to: Option<Timestamp>,
    /// `true`: those of the servers' self-tests as well, which are left out else.
    self_tests: Option<bool>,
    /// Rows at most, 1 to 1,000; 100 when left out.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub(super) limit: Option<PageLimit>,
    /// `next_cursor` of the previous page.
    pub(super) cursor: Option<String>,
}

/// Which decisions are wanted; every parameter narrows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    #[param(value_type = Option<String>)]
    pub(super) tenant: Option<TenantSlug>,
    #[param(value_type = Option<String>)]
    tool: Option<ToolName>,
    #[param(value_type = Option<String>)]
    agent: Option<AgentName>,
    #[param(inline)]
    decision: Option<AllowOrDeny>,
    /// A reason code.
    #[param(value_type = Option<String>)]
    code: Option<ReasonCode>,
    /// From this time on, RFC 3339.
    from: Option<Timestamp>,
    /// Before this time, RFC 3339.
    to: Option<Timestamp>,
    /// `true`: those of the servers' self-tests as well, which are left out else.
    self_tests: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AllowOrDeny {
    Allow,
    Deny,
}

impl ListParams {
    /// The filter; the tenant is resolved by the use case.
    pub(super) fn filter(&self) -> DecisionFilter {
        DecisionFilter {
            tenant_id: None,
            tool: self.tool.clone(),
            agent: self.agent.clone(),
            allow: self.decision.map(|wanted| wanted == AllowOrDeny::Allow),
            code: self.code,
            from: self.from,
            to: self.to,
            self_tests: self.self_tests.unwrap_or(false),
        }
    }
}

impl From<ExportParams> for ListParams {
    fn from(params: ExportParams) -> Self {
        let ExportParams { tenant, tool, agent, decision, code, from, to, self_tests } = params;
        let (limit, cursor) = (None, None);
        Self { tenant, tool, agent, decision, code, from, to, self_tests, limit, cursor }
    }
}
