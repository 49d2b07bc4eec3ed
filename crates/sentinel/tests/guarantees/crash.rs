//! G3 and G4: `kill -9` loses nothing that was acknowledged, and no count.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use sentinel_client::api::{
    CheckAnswer, Decision, ManifestRecord, QuotaUsage, SignAnswer, VerifyAnswer,
};
use sentinel_core::id::{DecisionId, ManifestId};
use serde_json::json;

use crate::client::Client;
use crate::server::Server;

const ROUNDS: u64 = 20;
const THREADS: usize = 16;
const LIMIT: u64 = 4_000;

const POLICY: &str = r#"package sentinel.policy

decision := {"allow": true, "reasons": [], "quota": {"limit": 4000, "window": "30d"}}
"#;

/// What the server acknowledged, over all its lives.
#[derive(Default)]
struct Acknowledged {
    decisions: HashMap<DecisionId, bool>,
    manifests: HashSet<ManifestId>,
}

#[test]
fn twenty_kills_of_the_process_lose_nothing_acknowledged() {
    let acknowledged = Mutex::new(Acknowledged::default());
    let mut server = Server::with_policy(POLICY);
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| load(&server.url, &server.key("agent"), &acknowledged));
            }
            // Another moment of the load each round, from the first commits to full speed.
            std::thread::sleep(Duration::from_millis(40 + 23 * round));
            server.kill_9();
        });
        server.restart();
    }
    verify(&server, &acknowledged.into_inner().unwrap());
}

/// Checks and signs until the server is gone.
fn load(url: &str, key: &str, acknowledged: &Mutex<Acknowledged>) {
    let mut client = Client::new(url, key);
    let tool = json!({
        "tenant_slug": "secops", "tool_name": "incident-response-runbook", "action": "invoke",
    });
    while let Some(checked) = client.try_send("POST", "/policy/check", &tool) {
        assert_eq!(checked.status, 200, "{:?}", checked.body);
        let checked: CheckAnswer<'_> = checked.read();
        let id = checked.decision_id;
        acknowledged.lock().unwrap().decisions.insert(id, checked.allow);
        let mut sign = tool.clone();
        sign["payload"] = json!({"outcome": "done"});
        sign["decision_id"] = json!(id);
        let Some(signed) = client.try_send("POST", "/provenance/sign", &sign) else { return };
        assert_eq!(signed.status, 201, "{:?}", signed.body);
        let manifest = signed.read::<SignAnswer>().manifest_id;
        acknowledged.lock().unwrap().manifests.insert(manifest);
    }
}

fn verify(server: &Server, acknowledged: &Acknowledged) {
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let recorded: HashMap<DecisionId, bool> = auditor
        .list::<Decision>("/v1/decisions")
        .iter()
        .map(|decision| (decision.id, decision.is_allowed()))
        .collect();
    for (id, allow) in &acknowledged.decisions {
        assert_eq!(recorded.get(id), Some(allow), "acknowledged decision {id}");
    }
    let manifests: HashSet<ManifestId> = auditor
        .list::<ManifestRecord>("/v1/manifests")
        .iter()
        .map(|manifest| manifest.id)
        .collect();
    let lost: Vec<_> = acknowledged.manifests.difference(&manifests).collect();
    assert!(lost.is_empty(), "acknowledged manifests are gone: {lost:?}");
    for id in acknowledged.manifests.iter().take(100) {
        let verified = auditor.get(&format!("/provenance/verify/{id}"));
        assert!(verified.read::<VerifyAnswer>().verified, "{:?}", verified.body);
    }

    let allows = recorded.values().filter(|allow| **allow).count() as u64;
    let quotas: Vec<QuotaUsage> = auditor.list("/v1/quotas?tenant=secops");
    assert_eq!(quotas[0].usage, allows, "the count is what was recorded");
    assert!(allows <= LIMIT, "{allows} allows");
    let checks = acknowledged.decisions.len();
    assert!(checks > 1000 && manifests.len() > 500, "{checks} checks: no real test");
}
