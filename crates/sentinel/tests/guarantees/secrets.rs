//! G7: secrets and payloads stay out of logs, metrics, errors, and even the database.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;

const POLICY: &str = "package sentinel.policy\n\ndecision := {\"allow\": true, \"reasons\": []}\n";

/// Part of the arguments of a call.
const ARGUMENT: &str = "argument-4711-canary";
/// Part of a signed payload.
const PAYLOAD: &str = "payload-0815-canary";

#[test]
fn arguments_payloads_and_keys_are_nowhere_to_be_read() {
    let server = Server::with_policy(POLICY);
    let agent_key = server.key("agent");
    let mut agent = Client::new(&server.url, &agent_key);
    let mut call = json!({
        "tenant_slug": "secops", "tool_name": "incident-response-runbook", "action": "invoke",
        "arguments": {"password": ARGUMENT}, "call_id": "c-1",
    });
    let checked = agent.post("/policy/check", &call);
    assert_eq!(checked.body["allow"], true, "{:?}", checked.body);
    call["arguments"] = json!({"password": format!("{ARGUMENT}-other")});
    let conflict = agent.post("/policy/check", &call);
    assert_eq!(conflict.status, 409);
    call["arguments"] = json!(ARGUMENT);
    let malformed = agent.post("/policy/check", &call);
    assert!((400..500).contains(&malformed.status), "{malformed:?}");
    let signed = agent.post(
        "/provenance/sign",
        &json!({
            "tenant_slug": "secops", "tool_name": "incident-response-runbook", "action": "invoke",
            "payload": {"text": PAYLOAD}, "keep_payload": true,
            "decision_id": checked.body["decision_id"],
        }),
    );
    assert_eq!(signed.status, 201, "{:?}", signed.body);
    let kept = format!("/v1/manifests/{}/payload", signed.body["manifest_id"].as_str().unwrap());
    assert_eq!(agent.get(&kept).body, json!({"text": PAYLOAD}));
    let mut stranger = Client::new(&server.url, &format!("{agent_key}x"));
    assert_eq!(stranger.get("/v1/decisions").status, 401);

    let shown = shown(&server, &signed.body);
    let permit = checked.body["permit"].as_str().expect("permit");
    let salt = signed.body["salt"].as_str().expect("salt");
    for (what, secret) in [
        ("an argument", ARGUMENT),
        ("a payload", PAYLOAD),
        ("an API key", agent_key.as_str()),
        ("a permit", permit),
        ("a salt", salt),
    ] {
        for (place, bytes) in &shown {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} can be read in {place}");
        }
    }
}

/// Everything that others than the caller may get to see.
fn shown(server: &Server, signed: &Value) -> Vec<(String, Vec<u8>)> {
    let mut auditor = Client::new(&server.url, &server.key("auditor"));
    let manifest = signed["manifest_id"].as_str().expect("manifest_id");
    let mut shown: Vec<_> = [
        "/v1/decisions".to_owned(),
        "/v1/kills".to_owned(),
        "/v1/manifests".to_owned(),
        format!("/v1/manifests/{manifest}/bundle"),
        format!("/provenance/verify/{manifest}"),
    ]
    .into_iter()
    .map(|path| {
        let answer = auditor.get(&path);
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        (path, answer.body.to_string().into_bytes())
    })
    .collect();
    let output = server.output();
    assert!(output.contains("policy.check.allow"), "the event log was read: {output}");
    shown.push(("the log".to_owned(), output.into_bytes()));
    let files = server.files();
    assert!(files.iter().any(|(path, _)| path.ends_with("sentinel.db")), "the database was read");
    let secret_files = ["keys.json", "signing-key.pem", "payload-key"];
    shown.extend(
        files
            .into_iter()
            .filter(|(path, _)| !secret_files.iter().any(|name| path.ends_with(name)))
            .map(|(path, bytes)| (path.display().to_string(), bytes)),
    );
    shown
}
