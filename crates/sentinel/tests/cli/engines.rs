//! `policy_engine: opa` and `shadow`, with the real OPA beside the server.

use std::path::Path;

use sentinel_client::api::CheckAnswer;
use sentinel_core::decision::ReasonCode;
use sentinel_testkit::opa;
use serde_json::{Value, json};

use crate::serve::Deployment;
use crate::support::{Folder, Server, sentinel};

const CHECK: &str =
    r#"{"tenant_slug":"acme","tool_name":"search","action":"invoke","arguments":{"q":"s3cr3t"}}"#;

struct Running {
    server: Server,
    admin: String,
    _deployment: Deployment,
}

/// A server whose own policy allows everything, with these variables.
fn serve(variables: &[(&str, &str)]) -> Running {
    let folder = Folder::new();
    let database = format!("database_url: sqlite://{}/sentinel.db", folder.path().display());
    let deployment = Deployment::on(folder, &database);
    let admin = deployment.key("admin");
    let mut command = sentinel(&["serve", "--config", &deployment.config]);
    command.envs(variables.iter().copied());
    let server = Server::start(command, deployment.folder.data());
    let tool =
        r#"{"tenant_slug":"acme","name":"search","url":"https://x.example.com","owner":"o"}"#;
    let (status, answer) = server.http_with(&admin, "POST", "/register", tool);
    assert_eq!(status, 201, "{answer}");
    Running { server, admin, _deployment: deployment }
}

impl Running {
    fn get(&self, path: &str) -> (u16, Value) {
        self.server.http_with(&self.admin, "GET", path, "")
    }

    fn check(&self) -> CheckAnswer<'static> {
        let (_, answer) = self.server.http_with(&self.admin, "POST", "/policy/check", CHECK);
        serde_json::from_value(answer).unwrap()
    }
}

/// An OPA whose policy decides `document` on everything.
fn opa_that_says(folder: &Path, document: &str) -> opa::Server {
    let rules = format!("package sentinel.policy\n\ndecision := {document}\n");
    std::fs::write(folder.join("policy.rego"), rules).unwrap();
    opa::Server::start(folder)
}

#[test]
fn an_opa_decides_and_without_it_everything_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let opa = opa_that_says(folder.path(), r#"{"allow": input.arguments.q == "s3cr3t"}"#);
    let running = serve(&[("SENTINEL_POLICY_ENGINE", "opa"), ("SENTINEL_OPA_URL", &opa.url())]);
    assert_eq!(running.server.ready["metadata"]["policy_revision"], "opa");
    let allowed = running.check();
    assert_eq!((allowed.allow, allowed.policy_revision.as_deref()), (true, Some("opa")));
    assert_eq!(running.get("/readyz").0, 200);
    assert_eq!(running.get("/v1/policy").1["engine"], "opa");
    drop(opa);
    let denied = running.check();
    assert!(!denied.allow && denied.code == ReasonCode::PolicyUnavailable, "{denied:?}");
    let codes: Vec<_> = (0..10).map(|_| running.check().code).collect();
    assert_eq!(*codes.last().unwrap(), ReasonCode::PolicyCircuitOpen, "{codes:?}");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let unready = loop {
        let (status, answer) = running.get("/readyz");
        if status == 503 {
            break answer;
        }
        assert!(std::time::Instant::now() < until, "still ready: {answer}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!(unready["reasons"], json!(["policy_unavailable"]));
    let metrics = running.server.metrics(&running.admin);
    assert!(metrics.contains("sentinel_opa_up{} 0"), "{metrics}");
    assert!(metrics.contains("sentinel_opa_questions_total{outcome=\"decided\"} 1"), "{metrics}");
}

#[test]
fn a_shadow_reports_what_it_would_decide_otherwise_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let denies = r#"{"allow": false, "reasons": [{"code": "planted", "msg": "planted"}]}"#;
    let opa = opa_that_says(folder.path(), denies);
    let running = serve(&[("SENTINEL_POLICY_ENGINE", "shadow"), ("SENTINEL_OPA_URL", &opa.url())]);
    assert_eq!(running.get("/v1/policy").1["engine"], "shadow");
    assert!(running.check().allow);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let report = loop {
        let (status, report) = running.get("/v1/policy/shadow");
        assert_eq!(status, 200, "{report}");
        if report["disagreed"] == 1 {
            break report;
        }
        assert!(std::time::Instant::now() < until, "{report}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let found = &report["disagreements"][0];
    assert_eq!((&found["tenant"], &found["tool"]), (&json!("acme"), &json!("search")));
    assert_eq!(
        (&found["decided"]["allow"], &found["shadow"]["allow"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(found["shadow"]["reasons"][0]["code"], "planted");
    assert!(found["input_hash"].as_str().unwrap().starts_with("sha256:"));
    assert!(!report.to_string().contains("s3cr3t"), "{report}");
    let metrics = running.server.metrics(&running.admin);
    let counted = "sentinel_policy_shadow_comparisons_total{outcome=\"disagreed\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    drop(opa);
    assert!(running.check().allow);
}
