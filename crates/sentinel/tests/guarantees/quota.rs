//! G3: the number of allows in a window never exceeds the limit, and never falls short of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use sentinel_client::api::QuotaUsage;
use sentinel_core::decision::ReasonCode;
use serde_json::json;

use crate::client::{Client, Decided};
use crate::server::Server;

const LIMIT: usize = 10_000;
const CHECKS: usize = 200_000;
const THREADS: usize = 64;

const POLICY: &str = r#"package sentinel.policy

# The limit is left to the server alone: policy does not look at usage, so only the count at commit
# can keep it.
decision := {"allow": true, "reasons": [], "quota": {"limit": 10000, "window": "30d"}}
"#;

#[test]
fn concurrent_checks_are_allowed_exactly_up_to_the_limit() {
    let server = Server::with_policy(POLICY);
    let left = AtomicUsize::new(CHECKS);
    let remaining: Vec<u64> = std::thread::scope(|scope| {
        let load: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| load(&server, &left))).collect();
        load.into_iter().flat_map(|thread| thread.join().expect("a load thread")).collect()
    });
    assert_eq!(remaining.len(), LIMIT, "allows");
    let distinct: BTreeSet<_> = remaining.iter().copied().collect();
    assert_eq!(distinct, (0..LIMIT as u64).collect(), "each allow was counted once");

    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let quotas: Vec<QuotaUsage> = auditor.list("/v1/quotas?tenant=secops");
    let used: Vec<_> = quotas.iter().map(|quota| quota.usage).collect();
    assert_eq!(used, [LIMIT as u64]);
}

/// The remaining quota that each allow was told.
fn load(server: &Server, left: &AtomicUsize) -> Vec<u64> {
    let mut client = Client::new(&server.url, &server.key("agent"));
    let mut remaining = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let Decided { answer, .. } = client.check(&json!({
            "tenant_slug": "secops", "tool_name": "incident-response-runbook", "action": "invoke",
        }));
        if answer.allow {
            remaining.push(answer.quota_remaining.expect("quota_remaining"));
        } else {
            assert_eq!(answer.code, ReasonCode::QuotaExceeded, "{answer:?}");
        }
    }
    remaining
}
