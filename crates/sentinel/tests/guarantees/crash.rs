//! G3 and G4: `kill -9` loses nothing that was acknowledged, and no count.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

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
    decisions: HashMap<String, bool>,
    manifests: HashSet<String>,
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
        let id = checked.body["decision_id"].as_str().expect("decision_id").to_owned();
        let allow = checked.body["allow"].as_bool().expect("allow");
        acknowledged.lock().unwrap().decisions.insert(id.clone(), allow);
        let mut sign = tool.clone();
        sign["payload"] = json!({"outcome": "done"});
        sign["decision_id"] = json!(id);
        let Some(signed) = client.try_send("POST", "/provenance/sign", &sign) else { return };
        assert_eq!(signed.status, 201, "{:?}", signed.body);
        let manifest = signed.body["manifest_id"].as_str().expect("manifest_id").to_owned();
        acknowledged.lock().unwrap().manifests.insert(manifest);
    }
}

fn verify(server: &Server, acknowledged: &Acknowledged) {
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let recorded: HashMap<String, bool> = auditor
        .list("/v1/decisions")
        .iter()
        .map(|d| (d["id"].as_str().unwrap().to_owned(), d["decision"] == "allow"))
        .collect();
    for (id, allow) in &acknowledged.decisions {
        assert_eq!(recorded.get(id), Some(allow), "acknowledged decision {id}");
    }
    let manifests: HashSet<String> = auditor
        .list("/v1/manifests")
        .iter()
        .map(|manifest| manifest["id"].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.manifests.difference(&manifests).collect();
    assert!(lost.is_empty(), "acknowledged manifests are gone: {lost:?}");
    for id in acknowledged.manifests.iter().take(100) {
        let verified = auditor.get(&format!("/provenance/verify/{id}"));
        assert_eq!(verified.body["verified"], true, "{:?}", verified.body);
    }

    let allows = recorded.values().filter(|allow| **allow).count() as u64;
    let quotas: Vec<Value> = auditor.list("/v1/quotas?tenant=secops");
    assert_eq!(quotas[0]["usage"].as_u64(), Some(allows), "the count is what was recorded");
    assert!(allows <= LIMIT, "{allows} allows");
    let checks = acknowledged.decisions.len();
    assert!(checks > 1000 && manifests.len() > 500, "{checks} checks: no real test");
}
