//! A deployment of the release before, taken over as it is: its configuration, its keys and its
//! database. `tests/previous` has what that release wrote.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::support::{Folder, Server, run, sentinel};

const DATABASE: &str = include_str!("../previous/database.sql");
const CONFIG: &str = include_str!("../previous/config.yaml");
const POLICY: &str = include_str!("../previous/policies/policy.rego");
const SIGNING_KEY: &str = include_str!("../previous/signing-key.pem");
const PAYLOAD_KEY: &str = include_str!("../previous/payload-key");

/// API keys of that deployment.
const ADMIN: &str = "snt_admin_Rbuu9sBa1LyvjcxkXujGmAZGYlklnskfpRGztU80o7s";
const AGENT: &str = "snt_agent_nmZu0MI-NBi0XfPsJMGcLPh7y2OGqG6jgBkOw7cFCh4";
const REVOKED: &str = "snt_agent_IpInwA964Tvi_paq5C2LVsrc-fITfAjnk2VS8ogPVXk";
/// A manifest whose payload is kept.
const MANIFEST: &str = "01a224f8-fb09-72e6-90cc-a027f3d88c9c";

/// The deployment, in a folder of its own; the path of its configuration.
fn deployment(folder: &Folder) -> String {
    let root = folder.path();
    folder.file("policies/policy.rego", POLICY);
    private(root, "signing-key.pem", SIGNING_KEY);
    private(root, "payload-key", PAYLOAD_KEY);
    std::fs::create_dir(root.join("mirror")).unwrap();
    Connection::open(root.join("sentinel.db")).unwrap().execute_batch(DATABASE).unwrap();
    folder.file("config.yaml", &CONFIG.replace("{dir}", root.to_str().unwrap()))
}

fn private(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn serve(folder: &Folder) -> Server {
    let config = deployment(folder);
    Server::start(sentinel(&["serve", "--config", &config]), folder.path().to_owned())
}

/// The code of the decision about a call that reads.
fn code(server: &Server, key: &str, tenant: &str, tool: &str, agent: Option<&str>) -> String {
    let body = serde_json::json!({
        "tenant_slug": tenant, "tool_name": tool, "action": "read", "agent": agent,
    });
    let (status, decision) = server.http_with(key, "POST", "/policy/check", &body.to_string());
    assert_eq!(status, 200, "{decision}");
    decision["code"].as_str().unwrap().to_owned()
}

#[test]
fn the_records_of_the_release_before_are_listed() {
    let folder = Folder::new();
    let server = serve(&folder);
    let (status, decisions) = server.http_with(ADMIN, "GET", "/v1/decisions", "");
    assert_eq!(status, 200, "{decisions}");
    let items = decisions["items"].as_array().unwrap();
    let codes: Vec<_> = items.iter().map(|item| item["code"].as_str().unwrap()).collect();
    let expected = [
        "quota_exceeded",
        "allowed",
        "allowed",
        "killed",
        "allowed",
        "allowed",
        "policy_denied",
        "allowed",
        "allowed",
        "allowed",
    ];
    assert_eq!(codes, expected, "{decisions}");
    let (_, tools) = server.http_with(ADMIN, "GET", "/v1/tools", "");
    assert_eq!(tools["items"].as_array().unwrap().len(), 5, "{tools}");
    let (_, data) = server.http_with(ADMIN, "GET", "/v1/policy/data/limits", "");
    assert!(data.to_string().contains("\"daily\":5"), "{data}");
}

#[test]
fn the_keys_of_the_release_before_are_valid_and_one_that_was_revoked_is_not() {
    let folder = Folder::new();
    let server = serve(&folder);
    assert_eq!(code(&server, AGENT, "acme", "ledger", Some("crawler")), "allowed");
    let body = r#"{"tenant_slug":"acme","tool_name":"ledger","action":"read"}"#;
    assert_eq!(server.http_with(REVOKED, "POST", "/policy/check", body).0, 401);
}

#[test]
fn a_kill_of_the_release_before_holds_and_one_that_was_restored_does_not() {
    let folder = Folder::new();
    let server = serve(&folder);
    assert_eq!(code(&server, ADMIN, "acme", "mailer", None), "killed");
    assert_eq!(code(&server, ADMIN, "acme", "ledger", Some("rogue")), "killed");
    assert_eq!(code(&server, ADMIN, "globex", "search", None), "allowed");
    server.cli(&["restore", "--key", ADMIN, "--tenant=acme", "--tool=mailer"]).exits(0);
    assert_eq!(code(&server, ADMIN, "acme", "mailer", None), "allowed");
}

#[test]
fn a_manifest_of_the_release_before_is_verified_and_its_payload_is_read() {
    let folder = Folder::new();
    let server = serve(&folder);
    let path = format!("/provenance/verify/{MANIFEST}");
    let (status, found) = server.http_with(ADMIN, "GET", &path, "");
    assert_eq!((status, &found["verified"]), (200, &true.into()), "{found}");
    let payload = server.cli(&["payload", "get", "--key", ADMIN, MANIFEST]).exits(0);
    assert_eq!(payload.stdout, r#"{"answer":42}"#);
}

#[test]
fn the_database_of_the_release_before_is_migrated_once() {
    let folder = Folder::new();
    let config = deployment(&folder);
    let first = run(&["migrate", "--json", "--config", &config]).exits(0).json();
    assert!(first["schema"].as_u64().unwrap() > 3, "{first}");
    assert_eq!(run(&["migrate", "--json", "--config", &config]).exits(0).json(), first);
}
