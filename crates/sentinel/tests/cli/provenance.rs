//! Manifests: signed over HTTP, verified offline by us and by OpenSSL.

use std::process::Command;

use sentinel_provenance::{EcdsaP256Signer, KeyEventKind, Signer as _};
use serde_json::Value;

use crate::planted::PlantedLog;
use crate::support::{Folder, Server, run};

const PAYLOAD: &str = r#"{"query": "how to rotate keys", "n": 1.0}"#;

/// Signs a payload; returns the manifest's identifier and the body of the answer.
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
fn a_manifest_of_a_log_is_verified_offline_by_name() {
    let folder = Folder::new();
    let mut log = PlantedLog::new(&folder.path().join("log"), 0);
    let manifest = log.manifest();
    log.grow(20);
    log.publish();
    let file =
        |name: &str, bytes: &[u8]| folder.file(name, str::from_utf8(bytes).expect("it is text"));
    let bundle = file("bundle.json", &log.bundle(manifest));
    let root = file("root.json", &log.trusted_root());
    let key = folder.file("key.pem", &log.signer.public_key().to_spki_pem().unwrap());
    let verify = |more: &[&str]| {
        run(&[&["provenance", "verify", &bundle, "--key", &key][..], more].concat())
    };
    let ran = verify(&["--trusted-root", &root]).exits(0);
    for line in [
        "  ✓ checkpoint          log `log.example` of 21 entries\n",
        "  ✓ inclusion           entry 0 of log `log.example`\n",
        "  - witness             no witnesses were demanded\n",
    ] {
        assert!(ran.stdout.contains(line), "no `{line}` in {}", ran.stdout);
    }
    let ran = verify(&[]).exits(0);
    assert!(ran.stdout.contains("  - inclusion           no trusted log was given\n"));
    // Another log's root, and a policy that no witness satisfies.
    let other = PlantedLog::new(&folder.path().join("other"), 1);
    let stranger = file("stranger.json", &other.trusted_root());
    let ran = verify(&["--trusted-root", &stranger]).exits(1);
    let line = "  ✗ checkpoint          bundle has no entry of a trusted log\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let witness = "witness.example/w+732d8984+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";
    let policy = folder.file("policy", &format!("witness w {witness}\nquorum w\n"));
    let ran = verify(&["--trusted-root", &root, "--witness-policy", &policy]).exits(1);
    let line = "  ✗ witness             cosigned by 0 witnesses, the quorum is 1\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    verify(&["--witness-policy", &policy]).exits(2);
}

#[test]
fn a_manifest_of_a_key_is_believed_by_who_trusts_the_one_that_vouches_for_it() {
    let folder = Folder::new();
    let mut log = PlantedLog::new(&folder.path().join("log"), 0);
    let root = EcdsaP256Signer::generate().unwrap();
    let certified = log.key_event(KeyEventKind::Certified, &root);
    let manifest = log.manifest();
    let revoked = log.key_event(KeyEventKind::Revoked, &root);
    let expired = log.manifest_at("2026-11-23T20:13:00.000Z");
    log.publish();
    let file =
        |name: &str, bytes: Vec<u8>| folder.file(name, str::from_utf8(&bytes).expect("text"));
    let bundle = file("bundle.json", log.bundle(manifest));
    let (certified, revoked) =
        (file("certified", log.bundle(certified)), file("revoked", log.bundle(revoked)));
    let trusted = file("root.json", log.trusted_root());
    let key = folder.file("root.pem", &root.public_key().to_spki_pem().unwrap());
    let verify = |bundle: &str, events: &[&str]| {
        let args = ["provenance", "verify", bundle, "--key", &key, "--trusted-root", &trusted];
        run(&[&args[..], events].concat())
    };
    let ran = verify(&bundle, &[]).exits(1);
    assert!(ran.stdout.contains("bundle names another key than the trusted `"), "{}", ran.stdout);
    let ran = verify(&bundle, &["--key-events", &certified, &revoked]).exits(0);
    let hint = log.signer.public_key().hint();
    let line = format!("  ✓ key                 `{hint}` was not revoked before the entry\n");
    assert!(ran.stdout.contains(&line), "{}", ran.stdout);
    // After the certificate's end.
    let expired = file("expired.json", log.bundle(expired));
    let ran = verify(&expired, &["--key-events", &certified]).exits(1);
    let line = format!("`{hint}` was not certified at `2026-11-23T20:13:00Z`\n");
    assert!(ran.stdout.contains(&line), "{}", ran.stdout);
    // After the revocation.
    let manifest = log.manifest();
    let late = file("late.json", log.bundle(manifest));
    let ran = verify(&late, &["--key-events", &certified, &revoked]).exits(1);
    let line = "  ✗ key                 key was revoked by entry 2, this is entry 4\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    // One that only introduced itself can revoke others, not vouch for them.
    let peer = EcdsaP256Signer::generate().unwrap();
    let introduced = log.key_event_of(peer.public_key(), KeyEventKind::Introduced, &peer);
    let introduced = file("introduced", log.bundle(introduced));
    let by_peer = log.key_event(KeyEventKind::Revoked, &peer);
    let by_peer = file("by-peer", log.bundle(by_peer));
    let manifest = log.manifest();
    let later = file("later.json", log.bundle(manifest));
    let ran = verify(&later, &["--key-events", &certified, &introduced, &by_peer]).exits(1);
    assert!(ran.stdout.contains("key was revoked by entry 6, this is entry 7\n"), "{ran:?}");
    let ran = verify(&bundle, &["--key-events", &certified, &by_peer]).exits(1);
    assert!(ran.stderr.contains("signed it, which is not trusted for that"), "{}", ran.stderr);
    let vouched = log.key_event(KeyEventKind::Certified, &peer);
    let vouched = file("vouched", log.bundle(vouched));
    let ran = verify(&bundle, &["--key-events", &introduced, &vouched]).exits(1);
    assert!(ran.stderr.contains("signed it, which is not trusted for that"), "{}", ran.stderr);
    // A key cannot vouch for itself.
    let own = log.signer_clone();
    let own = log.key_event(KeyEventKind::Certified, &own);
    let own = file("own", log.bundle(own));
    let ran = verify(&bundle, &["--key-events", &own]).exits(1);
    assert!(ran.stderr.contains("signed it, which is not trusted for that"), "{}", ran.stderr);
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
