//! Manifests: signed over HTTP, verified offline by us and by OpenSSL.

use std::process::Command;

use serde_json::Value;

use crate::support::{Folder, Server, run};

const PAYLOAD: &str = r#"{"query": "how to rotate keys", "n": 1.0}"#;

/// Signs a payload; answers the manifest's identifier and the answer.
fn sign(server: &Server) -> (String, Value) {
    let body = format!(
        r#"{{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke",
            "purpose":"documentation_lookup","payload":{PAYLOAD}}}"#
    );
    let (status, answer) = server.http("POST", "/provenance/sign", "agent", &body);
    assert_eq!(status, 201, "{answer}");
    (answer["manifest_id"].as_str().unwrap().to_owned(), answer)
}

fn fetch(server: &Server, folder: &Folder, id: &str) -> String {
    let path = folder.path().join("bundle.json").to_str().unwrap().to_owned();
    server.cli(&["provenance", "fetch", id, "--output", &path]).exits(0);
    path
}

#[test]
fn a_manifest_is_verified_offline() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let (id, signed) = sign(&server);
    let shown = server.cli(&["provenance", "show", &id]).exits(0).stdout;
    assert!(shown.starts_with("verified"), "{shown}");
    let bundle = fetch(&server, &folder, &id);
    server.stop();
    let key = folder.data().join("signing-key.pub.pem");
    let verify = ["provenance", "verify", &bundle, "--key", key.to_str().unwrap()];
    let with = |more: &[&str]| run(&[&verify[..], more].concat());
    let report = with(&["--json"]).exits(0).json();
    assert_eq!((&report["verified"], &report["manifest"]["id"]), (&true.into(), &id.into()));

    let salt = signed["salt"].as_str().unwrap();
    let payload = folder.file("payload.json", PAYLOAD);
    with(&["--payload", &payload, "--salt", salt]).exits(0);
    let artifact = folder.path().join("artifact");
    let bytes = [hex::decode(salt).unwrap(), PAYLOAD.into()].concat();
    std::fs::write(&artifact, bytes).unwrap();
    with(&["--artifact", artifact.to_str().unwrap()]).exits(0);
    let other = folder.file("other.json", &PAYLOAD.replace("1.0", "1"));
    let failed = with(&["--payload", &other, "--salt", salt]).exits(1);
    assert!(failed.stdout.starts_with("not verified"), "{failed:?}");
    with(&["--payload", &payload]).exits(2);
    with(&["--payload", &payload, "--salt=00"]).exits(2);
}

#[test]
fn a_changed_bundle_and_another_key_fail() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let (id, _) = sign(&server);
    let bundle = fetch(&server, &folder, &id);
    let other = Folder::new();
    other.dev(&[]).stop();
    let key_of = |folder: &Folder| folder.data().join("signing-key.pub.pem").display().to_string();
    run(&["provenance", "verify", &bundle, "--key", &key_of(&other)]).exits(1);
    let mut changed: Value =
        serde_json::from_str(&std::fs::read_to_string(&bundle).unwrap()).unwrap();
    let payload = changed["dsseEnvelope"]["payload"].as_str().unwrap().replacen('A', "B", 1);
    changed["dsseEnvelope"]["payload"] = payload.into();
    let changed = folder.file("changed.json", &changed.to_string());
    run(&["provenance", "verify", &changed, "--key", &key_of(&folder)]).exits(1);
    run(&["provenance", "verify", "/nonexistent", "--key", &key_of(&folder)]).exits(1);
}

#[test]
fn openssl_verifies_the_signature() {
    let folder = Folder::new();
    let server = folder.dev(&[]);
    let (id, _) = sign(&server);
    let bundle = std::fs::read_to_string(fetch(&server, &folder, &id)).unwrap();
    let bundle: Value = serde_json::from_str(&bundle).unwrap();
    let envelope = &bundle["dsseEnvelope"];
    let payload = decode(&envelope["payload"]);
    let kind = envelope["payloadType"].as_str().unwrap();
    // What DSSE signs.
    let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    signed.extend(&payload);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("signed"), signed).unwrap();
    std::fs::write(path("signature"), decode(&envelope["signatures"][0]["sig"])).unwrap();
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(folder.data().join("signing-key.pub.pem"))
        .arg("-signature")
        .args([path("signature"), path("signed")])
        .output()
        .expect("openssl is installed");
    assert!(verified.status.success(), "{verified:?}");
}

/// Base64, by OpenSSL too.
fn decode(text: &Value) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = Command::new("openssl")
        .args(["base64", "-d", "-A"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    child.stdin.take().unwrap().write_all(text.as_str().unwrap().as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}
