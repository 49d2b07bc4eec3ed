//! What there is in the system under test: tenants, tools, agents, and their policy.

use serde_json::{Value, json};

/// The tenant that everything happens to.
pub(crate) const BUSY: &str = "shop";
/// A tenant that only global kills cover; probes go there.
pub(crate) const CALM: &str = "calm";
pub(crate) const PROBE: &str = "probe";
/// Tools with quotas that are never used up.
pub(crate) const TOOLS: [&str; 3] = ["catalog-reader", "order-writer", "price-lookup"];
/// Tools of which `SMALL_LIMIT` calls fit into an hour: one is used up after the other.
pub(crate) const SMALL: [&str; 8] = [
    "voucher-alpha",
    "voucher-bravo",
    "voucher-carol",
    "voucher-delta",
    "voucher-echos",
    "voucher-fungi",
    "voucher-gamma",
    "voucher-hazel",
];
pub(crate) const SMALL_LIMIT: u64 = 150;
/// One with a quota for each minute.
pub(crate) const MINUTE: &str = "minute-stamp";
pub(crate) const MINUTE_LIMIT: u64 = 100;
/// The tool that policy never allows.
pub(crate) const FORBIDDEN: &str = "vault-opener";
pub(crate) const AGENTS: [&str; 3] = ["ann", "bob", "cyd"];
pub(crate) const ACTION: &str = "invoke";
pub(crate) const PURPOSE: &str = "work";

/// Tenant and name of every tool.
pub(crate) fn tools() -> Vec<(&'static str, &'static str)> {
    let busy = TOOLS.iter().chain(&SMALL).chain(&[MINUTE, FORBIDDEN]).map(|tool| (BUSY, *tool));
    busy.chain([(CALM, PROBE)]).collect()
}

/// Policy that leaves quotas to the server: it never looks at the usage, so only the count at
/// commit can keep them.
pub(crate) fn policy() -> String {
    let mut quotas = serde_json::Map::new();
    for tool in TOOLS.iter().chain(&[PROBE]) {
        quotas.insert((*tool).to_owned(), quota(1_000_000_000, "1d"));
    }
    for tool in SMALL {
        quotas.insert(tool.to_owned(), quota(SMALL_LIMIT, "1h"));
    }
    quotas.insert(MINUTE.to_owned(), quota(MINUTE_LIMIT, "1m"));
    format!(
        "package sentinel.policy\n\nquotas := {}\n\n\
         decision := {{\"allow\": true, \"reasons\": [], \"quota\": quotas[input.tool]}} if {{\n\
         \tinput.purpose == \"{PURPOSE}\"\n\tquotas[input.tool]\n}} else := {{\"allow\": false, \
         \"reasons\": [{{\"code\": \"not_allowed\", \"msg\": \"not allowed\"}}]}}\n",
        Value::Object(quotas)
    )
}

fn quota(limit: u64, window: &str) -> Value {
    json!({"limit": limit, "window": window})
}
